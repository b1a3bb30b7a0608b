"""`doctor`: each thing that can be wrong is found and told, and its remedy makes it well."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command_line import CommandLine
from example_ledger import compiled_quietly, ledger_of_lines
from ledger_facts import SetClock
from scenarios import failed
from test_ledger_faults import as_nobody, shown

from attempt_ledger import doctor
from attempt_ledger.cli import context, read_model
from attempt_ledger.doctor import CHECKS, findings, surroundings, trust
from attempt_ledger.doctor import file as file_checks
from attempt_ledger.doctor.facts import twins
from attempt_ledger.doctor.findings import CODES, SERVER_CODES, State, size, span
from ledger.instants import DAY, SECOND
from ledger.ledger import Ledger
from ledger.store import integrity as content
from ledger.tlog.checkpoint import LogPaths, SealState, log_paths, need_verifier_key, seal_state
from ledger.tlog.note import SigningKey, last_signed_path, read_signing_key
from ledger.tlog.verify_proof import Checkpoint, open_checkpoint

__all__ = ["shown"]  # a fixture

from replay.columns import cache

LEDGER = "attempts.ledger"
PAGE = Path(__file__).parents[1] / "docs" / "doctor.md"
KEPT = "kept"
"""A copy of everything as it was, for remedies that put something back."""


LATELY = "2022-05-30T09:00:00Z"
"""A day or two before the clock of the command line."""


class Case(NamedTuple):
    """One thing that is wrong, and what its remedy says to do."""

    code: str
    spoil: Callable[[Sick], object]
    said: str
    """Stands in the sentence."""
    mend: Callable[[Sick], object]


class Sick:
    """A ledger at hand with all that belongs to it, and ways to harm it."""

    def __init__(self, door: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.door = door
        self.patch = monkeypatch
        self.words: tuple[str, ...] = ()
        """What `doctor` is called with."""
        self.before: tuple[str, ...] = ()
        """What stands before the command."""
        self.open: list[Ledger] = []

    def call(self, *words: str) -> Any:
        """Call the doctor; gives its exit code and what it says, as JSON."""
        answer = self.door.call(*self.before, "doctor", "--format", "json", *self.words, *words)
        assert answer.err == ""
        return answer.code, json.loads(answer.out)

    def remedy(self, code: str) -> str:
        """Return the command that a finding names first."""
        findings = self.call()[1]["findings"]
        (remedy,) = (each["remedy"] for each in findings if each["code"] == code)
        return str(remedy).partition(";")[0]

    def sql(self, *statements: str, file: str = LEDGER) -> None:
        """Change a file past the program."""
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    def put_back(self, *names: str) -> None:
        """Put files and folders back as they were, those beside them that SQLite keeps removed."""
        for name in names:
            for path in (name, f"{name}-wal", f"{name}-shm"):
                shutil.rmtree(path) if os.path.isdir(path) else Path(path).unlink(missing_ok=True)
            source = Path(KEPT, name)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, name)

    def flip(self, name: str, at: int, length: int = 1) -> None:
        """Flip bytes of a file."""
        with open(name, "r+b") as opened:
            opened.seek(at)
            bytes = opened.read(length)
            opened.seek(at)
            opened.write(bytes.translate(_FLIPPED))

    def later(self, microseconds: int) -> None:
        """Let time pass."""
        self.door.now += microseconds

    def record(self, registration: str = "R-new") -> None:
        """Record one more sitting, which nobody seals."""
        self.door.done(
            "--signing-key", "none", "record", "ExamAttempted", "C-9", "exam=AZ-104",
            f"registration_id={registration}", "delivery=live",
        )  # fmt: skip


_FLIPPED = bytes.maketrans(bytes(range(256)), bytes(each ^ 0xFF for each in range(256)))


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger in the best of health: sealed, verified, backed up, with views."""
    folder = tmp_path_factory.mktemp("well")
    with pytest.MonkeyPatch.context() as patch:
        door = CommandLine(folder, patch)
        compiled(patch)
        door.catalogued()
        door.failed("R-1", LATELY)
        door.done(
            "record", "ExceptionRequested", "C-1", "exam=AZ-104", "registration_id=R-1",
            "request_id=Q-1", "reason=lab-crash", "first_name=Ada",
        )  # fmt: skip
        for number in range(99):
            door.sat(f"R-0{number}", LATELY, candidate=f"C-{number}")
        for words in (
            ("project",),
            ("replay",),
            ("verify", "--full"),
            ("backup", "b.ledger"),
            ("keys", "backup", "b.keys"),
        ):
            door.done(*words)
    return folder


@pytest.fixture
def sick(well: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sick]:
    """A copy of it, in which something may be spoilt."""
    folder = Path(shutil.copytree(well, tmp_path / "here"))
    shutil.copytree(well, folder / KEPT)
    compiled(monkeypatch)
    monkeypatch.setattr(file_checks, "python_sqlite", lambda: "3.51.3")
    monkeypatch.setattr(surroundings, "MOUNTS", folder / "mountinfo")
    mounted("ext4", folder)
    sick = Sick(CommandLine(folder, monkeypatch), monkeypatch)
    for copy in (f"{LEDGER}.keys", f"{KEPT}/{LEDGER}.keys"):
        sick.sql(f"UPDATE backups SET file = '{folder / 'b.keys'}'", file=copy)
    yield sick
    for ledger in sick.open:
        ledger.close()


def compiled(patch: pytest.MonkeyPatch) -> None:
    """Have compiled code at hand."""
    patch.setattr(read_model, "cache_folder", lambda *_: compiled_quietly())
    patch.setattr(context, "cache_folder", lambda *_: compiled_quietly())


def mounted(kind: str, folder: Path = Path()) -> None:
    """Say what the folder lies on."""
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    (folder / "mountinfo").write_text(f"27 1 {number} / / rw - {kind} /dev/vda rw\n")


def holding(sick: Sick) -> None:
    """Write while another has the file open, so that the log stays."""
    ledger = Ledger.open(LEDGER, clock=SetClock())
    ledger.head()
    sick.open.append(ledger)
    sick.record()
    sick.patch.setattr(file_checks, "WAL_LARGE", 1)


def let_go(sick: Sick) -> None:
    """Close what was open, and append."""
    sick.open.pop().close()
    sick.record("R-newer")


def other_key(sick: Sick) -> None:
    """Put another log's key in the place of ours."""
    key = log_paths(Path(LEDGER)).key
    key.write_text(f"{SigningKey.generate('attempt-ledger/other').to_text()}\n")


def forked(sick: Sick) -> None:
    """Let the key have signed another log of the same size."""
    place = log_paths(Path(LEDGER))
    last = open_checkpoint(place.checkpoint.read_bytes(), need_verifier_key(place))
    other = Checkpoint(last.origin, last.size, bytes(32))
    last_signed_path(place.key).write_bytes(read_signing_key(place.key).sign_checkpoint(other))


def a_key_came_back(sick: Sick) -> None:
    """Forget a candidate, then put an old key file back."""
    sick.door.done("forget", "C-1", "--reason", "asked")
    sick.put_back(f"{LEDGER}.keys")


def an_old_ledger_came_back(sick: Sick) -> None:
    """Forget a candidate, then put an old ledger back, with its log."""
    sick.door.done("forget", "C-1", "--reason", "asked")
    sick.put_back(LEDGER, f"{LEDGER}.tlog", f"{LEDGER}.signing-key.last", f"{LEDGER}.views",
                  f"{LEDGER}.columns")  # fmt: skip


def a_tile_off(sick: Sick) -> None:
    """Flip a byte of the last tile of the leaves."""
    sick.flip(f"{LEDGER}.tlog/tile/0/000.p/107", 5)


def sitting(
    sick: Sick,
    *,
    exam: str = "AZ-104",
    reg: str = "R-odd",
    who: str = "C-9",
    source: str = "urn:x",
    type: str = "ExamFailed",
    began: str = LATELY,
    ended: str = LATELY,
    result: str = LATELY,
) -> None:
    """Record a sitting in which something is odd; that is said."""
    of = (f"exam={exam}", f"registration_id={reg}", "--source", source)
    more = ("delivery=live", f"ended_at={ended}", "--time", began, "--id", "odd/began")
    sick.door.call("record", "ExamAttempted", who, *of, *more)
    sick.door.call("record", type, who, *of, "--time", result, "--id", "odd/result")


def annulled(sick: Sick) -> None:
    """Annul both of its facts."""
    for id in ("odd/began", "odd/result"):
        for source in ("urn:x", "urn:other"):
            sick.door.call("annul", source, id, "--reason", "in error")


CASES = (
    Case(
        "wal-reset-bug",
        lambda sick: sick.patch.setattr(file_checks, "python_sqlite", lambda: "3.51.2"),
        "Python's SQLite is 3.51.2, in which a commit beside",
        lambda sick: sick.patch.setattr(file_checks, "python_sqlite", lambda: "3.52.0"),
    ),
    Case(
        "no-ledger",
        lambda sick: os.rename(LEDGER, "moved"),
        "there is no file",
        lambda sick: setattr(sick, "before", ("--ledger", "sqlite:///moved")),
    ),
    Case(
        "unreadable",
        lambda sick: sick.flip(LEDGER, 0, 16),
        "is not a ledger",
        lambda sick: sick.put_back(LEDGER),
    ),
    Case(
        "damaged",
        lambda sick: sick.flip(LEDGER, 3 * 4096 + 8, 2000),
        "SQLite finds",
        lambda sick: sick.put_back(LEDGER),
    ),
    Case(
        "redefined",
        lambda sick: sick.sql(
            "CREATE TRIGGER t AFTER INSERT ON events BEGIN UPDATE events SET actor = 'x'; END"
        ),
        "the file's trigger t is not as the ledger defines it",
        lambda sick: sick.put_back(LEDGER),
    ),
    Case(
        "position-missing",
        lambda sick: sick.sql("DELETE FROM events WHERE position IN (41, 60)"),
        "position 41 is not as it should be",
        lambda sick: sick.put_back(LEDGER),
    ),
    Case(
        "recorded-at-falls",
        lambda sick: sick.sql("UPDATE events SET recorded_at = recorded_at - 7 WHERE position = 9"),
        "position 9 was recorded before the one before it",
        lambda sick: sick.put_back(LEDGER),
    ),
    Case("wal-large", holding, "the write-ahead log has grown to", let_go),
    Case(
        "not-wal",
        lambda sick: sick.sql("PRAGMA journal_mode = DELETE"),
        "has no write-ahead log",
        lambda sick: sick.sql("PRAGMA journal_mode = WAL"),
    ),
    Case(
        "not-synced",
        lambda sick: sick.patch.setattr(content, "connect_writer", careless),
        "(synchronous = 1)",
        lambda sick: sick.patch.setattr(content, "connect_writer", file_checks.connect_reader),
    ),
    Case(
        "network-file-system",
        lambda sick: mounted("nfs4"),
        "lies on nfs4, a network file system",
        lambda sick: mounted("ext4"),
    ),
    Case(
        "memory-file-system",
        lambda sick: mounted("tmpfs"),
        "lies on tmpfs, in memory",
        lambda sick: mounted("xfs"),
    ),
    Case(
        "container-layer",
        lambda sick: mounted("overlay"),
        "lies on overlay, a container's own layer",
        lambda sick: mounted("ext4"),
    ),
    Case(
        "everyone-may-write",
        lambda sick: os.chmod(LEDGER, 0o666),
        "everybody on this machine may write",
        lambda sick: os.chmod(LEDGER, 0o600),
    ),
    Case(
        "open-to-others",
        lambda sick: [os.chmod(f"{LEDGER}{each}", 0o644) for each in ("", ".lock", ".tlog/lock")],
        f"{LEDGER}.tlog/lock: whoever can read it",
        lambda sick: subprocess.run(sick.remedy("open-to-others"), shell=True, check=True),
    ),
    Case(
        "lock-unusable",
        lambda sick: (os.unlink(f"{LEDGER}.lock"), os.mkdir(f"{LEDGER}.lock")),
        "on which writers queue: it cannot append",
        lambda sick: os.rmdir(f"{LEDGER}.lock"),
    ),
    Case(
        "disk-full",
        lambda sick: setattr(sick, "words", ("--free", "999999999")),
        "less than 1,000 TB (--free)",
        lambda sick: setattr(sick, "words", ("--free", "1")),
    ),
    Case(
        "disk-low",
        lambda sick: roomy(sick, surroundings.Room(40_000, None)),
        "40 KB are free",
        lambda sick: roomy(sick, surroundings.Room(40_000_000, None)),
    ),
    Case(
        "files-low",
        lambda sick: roomy(sick, surroundings.Room(40_000_000, 99)),
        "only 99 more files fit",
        lambda sick: roomy(sick, surroundings.Room(40_000_000, 99_999)),
    ),
    Case(
        "clock-behind",
        lambda sick: sick.later(-(2 * DAY + 60 * SECOND)),
        "the clock is 2 days",
        lambda sick: sick.later(2 * DAY + 60 * SECOND),
    ),
    Case(
        "clock-implausible",
        lambda sick: sick.door.at("1970-01-01T00:00:09Z"),
        "the clock says 1970-01-01T00:00:09Z",
        lambda sick: sick.door.at("2022-06-01T12:00:00Z"),
    ),
    Case(
        "never-sealed",
        lambda sick: (
            shutil.rmtree(f"{LEDGER}.tlog"),
            os.unlink(f"{LEDGER}.signing-key"),
            os.unlink(f"{LEDGER}.signing-key.last"),
        ),
        "none of 107 events is sealed",
        lambda sick: (sick.door.done("seal", "--new-key"), sick.door.done("verify")),
    ),
    Case(
        "unsealed",
        lambda sick: (sick.record(), sick.later(16 * 60 * SECOND + SECOND)),
        "1 event is not sealed, the first of them for 16 minutes",
        lambda sick: sick.door.done("seal"),
    ),
    Case(
        "cut-off",
        lambda sick: sick.sql("DELETE FROM events WHERE position > 100"),
        "ends at position 100, but 107 events were sealed",
        lambda sick: sick.put_back(LEDGER),
    ),
    Case(
        "checkpoint-fails",
        lambda sick: sick.flip(f"{LEDGER}.tlog/checkpoint", 120),
        "checkpoint fails: ",
        lambda sick: sick.put_back(f"{LEDGER}.tlog"),
    ),
    Case(
        "tiles-damaged",
        a_tile_off,
        "do not lead to the root that was signed",
        lambda sick: (shutil.rmtree(f"{LEDGER}.tlog/tile"), sick.door.done("seal")),
    ),
    Case(
        "no-signing-key",
        lambda sick: (
            os.rename(f"{LEDGER}.signing-key", "apart"),
            os.rename(f"{LEDGER}.signing-key.last", "apart.last"),
        ),
        "there is no signing key at",
        lambda sick: setattr(sick, "before", ("--signing-key", "apart")),
    ),
    Case(
        "signing-key-unusable",
        lambda sick: os.chmod(f"{LEDGER}.signing-key", 0o644),
        "is open to others than its owner",
        lambda sick: os.chmod(f"{LEDGER}.signing-key", 0o600),
    ),
    Case(
        "signing-key-of-another",
        other_key,
        "is not the key of",
        lambda sick: sick.put_back(f"{LEDGER}.signing-key"),
    ),
    Case(
        "last-signed-apart",
        lambda sick: os.unlink(f"{LEDGER}.signing-key.last"),
        "there is no",
        lambda sick: sick.door.done("seal"),
    ),
    Case(
        "last-signed-contradicts",
        forked,
        "are two logs of 107 events",
        lambda sick: (os.unlink(f"{LEDGER}.signing-key.last"), sick.door.done("seal")),
    ),
    Case(
        "never-verified",
        lambda sick: os.unlink(f"{LEDGER}.tlog/verified"),
        "it was never verified here",
        lambda sick: sick.door.done("verify", "--full"),
    ),
    Case(
        "verification-old",
        lambda sick: os.utime(f"{LEDGER}.tlog/verified", (1_650_000_000, 1_650_000_000)),
        "it was verified up to position 107 47 days and",
        lambda sick: sick.door.done("verify"),
    ),
    Case(
        "no-backup",
        lambda sick: os.unlink(f"{LEDGER}.last-backup"),
        "no backup was ever made",
        lambda sick: sick.door.done("backup", "new"),
    ),
    Case(
        "backup-old",
        lambda sick: (sick.later(3 * DAY), sick.record(), sick.door.done("seal")),
        "the last backup is 3 days old and lacks 1 events",
        lambda sick: sick.door.done("backup", "new"),
    ),
    Case(
        "backup-unreadable",
        lambda sick: sick.door.write(f"{LEDGER}.last-backup", "{"),
        "the note on the last backup, does not read",
        lambda sick: sick.door.done("backup", "new"),
    ),
    Case(
        "no-key-file",
        lambda sick: os.rename(f"{LEDGER}.keys", "apart.keys"),
        "is missing: no personal field can be read or taken",
        lambda sick: setattr(sick, "before", ("--keys", "apart.keys")),
    ),
    Case(
        "key-file-unreadable",
        lambda sick: sick.flip(f"{LEDGER}.keys", 0, 3000),
        "is not a key file",
        lambda sick: sick.put_back(f"{LEDGER}.keys"),
    ),
    Case(
        "key-file-of-another",
        lambda sick: sick.sql(
            "UPDATE about SET value = 'another' WHERE name = 'id'", file=f"{LEDGER}.keys"
        ),
        "is another ledger's key file (another…)",
        lambda sick: sick.put_back(f"{LEDGER}.keys"),
    ),
    Case(
        "key-file-open",
        lambda sick: os.chmod(f"{LEDGER}.keys", 0o640),
        "others than its owner may read or write",
        lambda sick: os.chmod(f"{LEDGER}.keys", 0o600),
    ),
    Case(
        "key-came-back",
        a_key_came_back,
        "C-1 was forgotten, but a key is there again",
        lambda sick: sick.door.done("forget", "C-1", "--reason", "asked"),
    ),
    Case(
        "forgotten-elsewhere",
        an_old_ledger_came_back,
        "the key of C-1 was destroyed, but the ledger does not say so",
        lambda sick: sick.door.done("forget", "C-1", "--reason", "asked"),
    ),
    Case(
        "no-key-backup",
        lambda sick: (sick.later(31 * DAY), os.unlink("b.keys")),
        "there is no backup of the keys of 1 candidates that may be used",
        lambda sick: sick.door.done("keys", "backup", "new.keys"),
    ),
    Case(
        "key-backup-kept",
        lambda sick: sick.later(31 * DAY),
        "b.keys was to be used before 2022-07-01T12:00:00Z, and is still there",
        lambda sick: os.unlink("b.keys"),
    ),
    Case(
        "unknown-exam",
        lambda sick: sitting(sick, exam="az-104"),
        "2 rows name an exam that is not in the catalogue: az-104 (AZ-104?)",
        annulled,
    ),
    Case(
        "unresolved-entry",
        lambda sick: sick.door.refused(
            "record", "ExamAnnounced", "X-1", "title=X", "policy=genral"
        ),
        "an exam follows a policy that is not published: X-1 (genral)",
        lambda sick: sick.door.done("record", "ExamAnnounced", "X-1", "title=X", "policy=general"),
    ),
    Case(
        "sources-disagree",
        lambda sick: sitting(sick, source="urn:other", reg="R-1", who="C-1", type="ExamPassed"),
        "sources disagree about 1 sitting",
        annulled,
    ),
    Case(
        "twin-ids",
        lambda sick: (
            sitting(sick, who="Zoe\u0308", reg="R-8"),
            sitting(sick, who="Zo\u00eb", reg="R-9", source="urn:other"),
        ),
        r"'Zoe\u0308' and 'Zo\xeb' look the same, and are the ids of two candidates",
        annulled,
    ),
    Case(
        "result-before-sitting",
        lambda sick: sitting(sick, result="2022-05-29T09:00:00Z"),
        "1 result is of an instant before its sitting began",
        annulled,
    ),
    Case(
        "long-sitting",
        lambda sick: sitting(sick, began="2022-05-20T09:00:00Z"),
        "1 sitting took more than 7 days",
        annulled,
    ),
    Case(
        "late-result",
        lambda sick: (sick.later(31 * DAY), sitting(sick)),
        "1 result was recorded more than 30 days after it was true",
        annulled,
    ),
    Case(
        "views-damaged",
        lambda sick: sick.flip(f"{LEDGER}.views", 4096, 3000),
        "is damaged",
        lambda sick: sick.door.done("rebuild"),
    ),
    Case(
        "views-of-another",
        lambda sick: sick.sql("UPDATE position SET ledger = 'x'", file=f"{LEDGER}.views"),
        "are of another ledger",
        lambda sick: sick.door.done("project"),
    ),
    Case(
        "views-behind",
        lambda sick: (
            sick.record(),
            sick.door.done("seal"),
            sick.later(2 * 3600 * SECOND + SECOND),
        ),
        "the views lack 1 events, the first of them for 2 hours",
        lambda sick: sick.door.done("project"),
    ),
    Case(
        "views-stale",
        lambda sick: sick.sql("INSERT INTO stale VALUES ('AZ-104')", file=f"{LEDGER}.views"),
        "1 exams (AZ-104) are still to be folded again",
        lambda sick: sick.door.done("project"),
    ),
    Case(
        "column-cache-damaged",
        lambda sick: sick.flip(f"{LEDGER}.columns/manifest.json", 0, 5),
        "its manifest cannot be read",
        lambda sick: sick.door.done("replay"),
    ),
    Case(
        "column-cache-unused",
        lambda sick: (
            os.rename(f"{LEDGER}.columns", "moved"),
            os.symlink("moved", f"{LEDGER}.columns"),
        ),
        "this account does without a column cache in",
        lambda sick: os.unlink(f"{LEDGER}.columns"),
    ),
    Case(
        "not-checked",
        lambda sick: sick.patch.setattr(content, "fall", faulty),
        "this could not be looked at: ValueError: not this time",
        lambda sick: sick.patch.undo(),
    ),
)


def careless(path: Path) -> sqlite3.Connection:
    """Open a connection that does not wait for the disk."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def faulty(*_: object) -> int:
    """Fail as nobody foresaw."""
    raise ValueError("not this time")


def roomy(sick: Sick, room: surroundings.Room) -> None:
    """Leave so much room."""
    sick.words = ("--free", "0")
    sick.patch.setattr(surroundings, "room_left", lambda path: room)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_what_is_wrong_is_found_and_its_remedy_makes_it_well(sick: Sick, case: Case) -> None:
    """A code, a sentence with the figure, a remedy; exit code 1 where it is wrong and no warning.

    What the remedy says is done, and the finding is gone.
    """
    assert found(sick.call()[1]) == {}
    case.spoil(sick)
    code, told = sick.call()
    finding = found(told)[case.code]
    check, state, _ = CODES[case.code]
    assert (finding["check"], finding["state"]) == (check or "integrity", state)
    assert case.said in finding["text"]
    assert finding["remedy"]
    assert code == (1 if told["state"] == "wrong" else 0)
    assert told["state"] == max((each["state"] for each in told["findings"]), key=STATES.index)
    text = sick.door.call(*sick.before, "doctor", *sick.words)
    assert text.code == code
    assert f"{state:<9}{finding['check']}" in text.out
    case.mend(sick)
    assert case.code not in found(sick.call()[1])


STATES = list(State)


def found(told: Any) -> dict[str, Any]:
    """Return what is not as it should be, by code."""
    return {each["code"]: each for each in told["findings"] if each["code"]}


def test_every_code_has_a_case_and_stands_in_the_docs() -> None:
    """In one order: the program's, the page's and this table's."""
    table = re.findall(r"^\| `([a-z-]+)` \| ([a-z-]+) \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    codes = {**CODES, **SERVER_CODES}
    assert table == [(code, check or "any", state) for code, (check, state, _) in codes.items()]
    assert [case.code for case in CASES] == list(CODES)


def test_a_column_cache_that_lies_is_found_by_reading_all(
    sick: Sick, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its seal is good, and the ledger's rows say otherwise; `doctor` removes nothing."""
    sick.door.done("replay")
    before = sorted(os.listdir(f"{LEDGER}.columns"))
    monkeypatch.setattr(cache, "same_facts", lambda one, other: False)
    assert found(sick.call()[1]) == {}
    finding = found(sick.call("--full")[1])["column-cache-damaged"]
    assert "does not hold what the ledger says" in finding["text"]
    assert sorted(os.listdir(f"{LEDGER}.columns")) == before


def test_a_healthy_ledger_is_told_check_by_check(sick: Sick) -> None:
    """Each with a figure; exit code 0; quick, usual and full."""
    for words in ((), ("--quick",), ("--full",)):
        code, told = sick.call(*words)
        assert (code, told["state"]) == (0, "ok")
        assert [each["check"] for each in told["findings"]] == [check.name for check in CHECKS]
        assert {each["remedy"] for each in told["findings"]} == {None}
    assert told["findings"][1]["figures"]["position"] == 107


def test_a_new_ledger_has_warnings_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with what was just made."""
    door = CommandLine(tmp_path, monkeypatch)
    for words in (("init", "--bare"), ("init",)):
        door.done("--ledger", f"sqlite:///{len(words)}", *words)
        assert door.call("--ledger", f"sqlite:///{len(words)}", "doctor").code == 0


def test_the_doctor_changes_nothing(sick: Sick) -> None:
    """Not a byte of any file, nor its time; nor is any file left that was not there."""

    def seen() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes())
            for path in sick.door.folder.rglob("*")
            if path.is_file()
        }

    before = seen()
    sick.call("--full")
    assert seen() == before


def test_a_ledger_that_may_only_be_read_is_looked_at_too(
    well: Path, shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an account that may see neither key: that is no finding, or a warning."""
    folder = Path(shutil.copytree(well, shown / "here"))
    sick = Sick(CommandLine(folder, monkeypatch), monkeypatch)
    sick.call("--full")  # as whoever may: everything is imported
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for name in ("keys", "signing-key"):
        os.chmod(f"{LEDGER}.{name}", 0o000)
    before = {path.name for path in folder.iterdir()}
    try:
        with as_nobody():
            code, told = sick.call("--full")
    finally:
        folder.chmod(0o755)
    assert {path.name for path in folder.iterdir()} == before
    assert code == 0
    assert {*found(told)} <= {
        "no-signing-key",
        "wal-reset-bug",
        "open-to-others",
        "column-cache-unused",
    }
    said = {each["check"]: each["text"] for each in told["findings"]}
    texts = [each["text"] for each in told["findings"]]
    assert "this account may read the ledger, not append to it" in texts
    assert "may not look into it" in said["keys"]
    assert "synchronous = FULL" in said["durability"]


@pytest.mark.parametrize("at", range(40))
def test_whatever_is_in_the_file_is_diagnosed(sick: Sick, at: int) -> None:
    """Never a traceback, for damage anywhere; what SQLite cannot read is wrong.

    What it can read all the same is of no account, or, as another text in a row, for `verify`.
    """
    pages = os.path.getsize(LEDGER) // 4096
    sick.flip(LEDGER, (at * pages // 40) * 4096 + at % 4 * 900, 90)
    sound = is_sound(LEDGER)
    code, told = sick.call("--full")
    assert code == (0 if told["state"] == "ok" else 1)
    if not sound:
        assert told["state"] == "wrong"
        assert {"unreadable", "damaged", "redefined"} & found(told).keys()


def is_sound(file: str) -> bool:
    """Return whether SQLite can read all of a file, and all that our queries ask of it."""
    try:
        with closing(sqlite3.connect(f"file:{file}?immutable=1", uri=True)) as connection:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    except sqlite3.Error:
        return False


def test_a_wrong_call_is_told_so(sick: Sick) -> None:
    """Exit code 2 and one sentence."""
    door = sick.door
    assert "give one of them" in door.wrong("doctor", "--quick", "--full")
    assert "--seal-age: " in door.wrong("doctor", "--seal-age", "soon")
    assert "is of no one length" in door.wrong("doctor", "--backup-age", "P1M")


@pytest.mark.parametrize(
    ("version", "bug"),
    [
        ("3.6.23", False), ("3.7.0", True), ("3.40.1", True), ("3.44.5", True), ("3.44.6", False),
        ("3.45.0", True), ("3.50.6", True), ("3.50.7", False), ("3.51.0", True), ("3.51.2", True),
        ("3.51.3", False), ("3.52.0", False), ("3.53.4", False), ("4.0.0", False),
    ],
)  # fmt: skip
def test_which_releases_of_sqlite_have_the_bug(version: str, bug: bool) -> None:
    """From 3.7.0 until 3.51.3, but for those of two older lines that were mended."""
    assert file_checks.has_wal_reset_bug(version) is bug


MOUNTED = """
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:27 / /mnt/with\\040blank rw - nfs4 server:/x rw
31 27 0:28 / /mnt/with\\040blank rw - tmpfs none rw
32 27 0:40 / /mnt rw shared:1 - btrfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("path", "device", "kind"),
    [
        ("/srv/a", "254:0", "ext4"),
        ("/mnt/with blank/a", "0:27", "nfs4"),
        ("/mnt/with blank/a", "9:9", "tmpfs"),
        ("/mnt/with blanks", "9:9", "btrfs"),
        ("/srv/a", "9:9", "ext4"),
    ],
)
def test_what_a_file_lies_on_is_told_by_its_device_else_by_its_place(
    path: str, device: str, kind: str
) -> None:
    """A btrfs gives its files another number than its mount."""
    assert surroundings.kind_of(MOUNTED, path, device) == kind
    assert surroundings.kind_of("", path, device) is None


def test_lengths_and_sizes_are_written_for_people() -> None:
    """Their two largest units; three digits."""
    assert [span(us) for us in (5, SECOND, 61 * SECOND, 3600 * SECOND, -(DAY + 7200 * SECOND))] == [
        "less than a second", "1 second", "1 minute and 1 second", "1 hour", "1 day and 2 hours",
    ]  # fmt: skip
    assert [size(n) for n in (0, 999, 1500, 45_600_000, 3 * 10**12)] == [
        "0 bytes", "999 bytes", "1.5 KB", "46 MB", "3.0 TB",
    ]  # fmt: skip


def test_what_is_recorded_while_the_doctor_looks_is_not_ahead_of_the_clock(
    sick: Sick, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked at the clock once, when it began: a busy ledger was a minute ahead of it."""
    first, *others = CHECKS

    def busy(subject: findings.Subject) -> Iterator[findings.Finding]:
        sick.later(60 * SECOND)
        sick.record()
        return first.check(subject)

    monkeypatch.setattr(doctor, "CHECKS", [first._replace(check=busy), *others])
    _, answer = sick.call()
    assert "clock-behind" not in {each["code"] for each in answer["findings"]}


# -- one connection checkpoints


def test_readers_never_checkpoint_beside_a_writer(sick: Sick) -> None:
    """While the ledger is open to write, no other connection copies its log into the file.

    That is the first half of what SQLite's WAL-reset bug needs; the other is a commit meanwhile.
    """
    with Ledger.open(LEDGER, clock=SetClock()) as writer:
        writer.head()
        sick.record()
        before = Path(LEDGER).read_bytes()
        log = Path(f"{LEDGER}-wal").read_bytes()
        assert log
        for words in (("standing", "C-9"), ("export",), ("verify",), ("doctor",), ("replay",)):
            sick.door.call(*words)
            assert Path(LEDGER).read_bytes() == before
            assert Path(f"{LEDGER}-wal").read_bytes() == log


def test_the_call_of_the_page_comes_out_as_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines in their order; a line or the rest of one may be left out (…)."""
    shown = re.findall(
        r"```console\n\$ attempt-ledger (.*?)\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    (words, lines) = shown[0]
    assert len(shown) == 1
    monkeypatch.setattr(file_checks, "python_sqlite", lambda: "3.51.3")
    said = iter(CommandLine(tmp_path, monkeypatch).catalogued().done(*words.split()).splitlines())
    for line in lines.splitlines():
        if line != "…":
            pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
            assert any(pattern.fullmatch(other) for other in said), line


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_is_sealed_while_it_looks_is_no_fault(sick: Sick, moment: str) -> None:
    """The ledger is not cut off, nor what was signed apart from what is published."""
    looks: list[int] = []

    def meanwhile(place: LogPaths) -> SealState:
        looks.append(len(looks))
        state = seal_state(place)
        if len(looks) == 1:
            sick.door.sat("R-beside", "2021-04-02T09:00:00Z")
            return state if moment == "after" else seal_state(place)
        return state

    sick.patch.setattr(findings, "seal_state", meanwhile)
    sick.patch.setattr(trust, "seal_state", meanwhile)
    code, told = sick.call()
    assert code == 0
    assert {"cut-off", "last-signed-apart"}.isdisjoint(each["code"] for each in told["findings"])
    assert len(looks) == {"before": 1, "after": 2}[moment]


def test_an_id_whose_twin_is_ascii_has_one_only_if_that_is_there(tmp_path: Path) -> None:
    """The Kelvin sign is composed to a K."""
    kelvin = "\u212a-1"
    with ledger_of_lines(tmp_path / "a.ledger", [failed("X", on="2021-03-01", who=kelvin)]) as one:
        assert twins(one, [f"candidate/{kelvin}"]) == []
    both = [failed("X", on="2021-03-01", who=who) for who in (kelvin, "K-1")]
    with ledger_of_lines(tmp_path / "b.ledger", both) as two:
        assert twins(two, [f"candidate/{kelvin}"]) == [("K-1", kelvin)]
