"""Clear text of a person is written nowhere: not for a moment, and wherever one looks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command_line import CATALOGUE, SETTINGS, CommandLine
from erasing import files_in, forms, holding, keys_in
from example_ledger import ROOT

from drills.needs import STRACE, provide
from drills.tracing import Call, traced
from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.ledger import Ledger

WORKER = Path(__file__).with_name("clear_text_worker.py")
COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))

ROBIN = {
    "first_name": "Zébulonique",
    "last_name": "O’Quasimodski",
    "email": "zebulonique.quasi@example.org",
    "description": 'The "xylophonic" lab\nwent dark — 完全に暗い.',
}
"""Given on the command line, in a file of a request, and in lines."""
KIM = {
    "first_name": "Kollisionette",
    "last_name": "Widdershins-Ångström",
    "email": "kollisionette@example.org",
    "description": "Mumpitzgeräusche from the\tceiling",
}
"""Given in lines that are refused, and in calls that are wrong."""


class Story(NamedTuple):
    """What came of the calls."""

    folder: Path
    calls: list[Call]
    """Every write of the program, and of what it started."""


def line(type: str, id: str, subject: str, data: Mapping[str, Any]) -> str:
    """Return a CloudEvents line."""
    return json.dumps(
        {"specversion": "1.0", "type": type, "source": "urn:desk", "id": id, "subject": subject,
         "time": "2022-05-20T09:00:00Z", "data": data},
        ensure_ascii=False,
    )  # fmt: skip


def asked(id: str, subject: str, personal: Mapping[str, Any], **more: Any) -> str:
    """Return a line of a request."""
    data = {"request_id": id, "exam": "AZ-104", "registration_id": "R-1", "reason": "lab-crash"}
    return line("ExceptionRequested", id, subject, {**data, **personal, **more})


LINES = [
    line("ExamAttempted", "R-1/attempted", "C-1",
         {"exam": "AZ-104", "registration_id": "R-1", "delivery": "live"}),
    line("ExamFailed", "R-1/result", "C-1", {"exam": "AZ-104", "registration_id": "R-1"}),
    asked("L-1", "C-1", ROBIN),
    asked("L-2", "C-2", ROBIN),
    asked("L-3", "C-3", ROBIN),
]  # fmt: skip
SPOILT = [
    asked("L-1", "C-1", KIM),
    asked("L-2", "C-2", {**ROBIN, "email": KIM["email"]}),
    asked("L-4", "C-4", {**KIM, "email": [KIM["email"]]}),
    asked("L-4", "C-4", {**KIM, "email": {"ciphertext": KIM["email"], "hmac": KIM["last_name"]}}),
    asked("L-4", "C-4", {**KIM, "first_name": {"given": KIM["first_name"]}}),
    asked("L-4", "C-4", KIM, registration_id=7),
    asked("L-4", "C-4", KIM, nickname=KIM["first_name"]),
    line("ExamAttempted", "R-9/attempted", "C-4", {"exam": "AZ-104", **KIM}),
    asked("L-4", "C-4", KIM)[:-20],
    asked("L-4", "C-4", KIM).replace('"1.0"', "1"),
    asked("L-4", "C-4", KIM).replace("2022-05-20T09", "2032-05-20T09"),
    f'["{KIM["email"]}"]',
    KIM["last_name"],
]

OPTIONS = [
    "--registration", "R-1", "--candidate-id", "C-1", "--exam-number", "AZ-104",
    "--vue-case-number", "0815",
]  # fmt: skip
RECORD = ["record", "ExceptionRequested", "C-1", "request_id=X-1", "exam=AZ-104",
          "registration_id=R-1", "reason=lab-crash"]  # fmt: skip


def fields(personal: Mapping[str, str]) -> list[str]:
    """Return personal fields as words of `record`."""
    return [f"{name}={value}" for name, value in personal.items()]


def options(personal: Mapping[str, str]) -> list[str]:
    """Return them as options of `exception request`."""
    named = {f"--{name.replace('_', '-')}": value for name, value in personal.items()}
    return [word for pair in named.items() for word in pair]


CALLS: list[tuple[int | str, ...]] = [
    (0, "init"),
    (0, "catalogue", "catalogue.toml"),
    (0, "import", "lines.jsonl"),
    (0, *RECORD, *fields(ROBIN), "--id", "X-1"),
    (0, *RECORD, *fields(ROBIN), "--id", "X-1"),
    (1, *RECORD, *fields(KIM), "--id", "X-1"),
    (2, *RECORD, "first_name:=" + KIM["first_name"]),
    (2, *RECORD, "first_name=" + ROBIN["first_name"], KIM["first_name"]),
    (2, *RECORD, "first_name:" + KIM["first_name"]),
    (2, *RECORD, "email=" + KIM["email"], "email=" + KIM["email"]),
    (2, *RECORD, *fields(KIM), "score:=7"),
    (0, "exception", "request", "C-1", "AZ-104", "--from", "letter.toml", "--request-id", "X-2"),
    (0, "exception", "request", "C-1", "AZ-104", *OPTIONS, *options(ROBIN), "--reason",
     "lab-crash", "--request-id", "X-3"),
    (1, "exception", "request", "C-1", "AZ-104", *OPTIONS, *options(KIM), "--reason", "lab-crash",
     "--request-id", "X-3"),
    (1, "exception", "request", "C-1", "AZ-104", *OPTIONS, *options(ROBIN), "--reason",
     "bad luck", "--request-id", "X-4"),
    (2, "exception", "request", "C-1", "AZ-104", *OPTIONS, *options(KIM), KIM["last_name"]),
    (2, "exception", "request", "C-1", "AZ-104", "--from", "spoilt.toml"),
    (1, "import", "spoilt.jsonl", "--rejects", "rejects.jsonl"),
    (1, "import", "rejects.jsonl", "--rejects", "rejects.again.jsonl"),
    (0, "impact", "more.jsonl"),
    (0, "standing", "C-1", "AZ-104"),
    (0, "history", "C-1"),
    (0, "exception", "list"),
    (0, "exception", "list", "--format", "json"),
    (0, "exception", "grant", "C-1", "X-1"),
    (0, "project"),
    (0, "replay", "--output", "everybody.parquet"),
    (0, "report", "exceptions", "--from", "2022-01-01", "--to", "2023-01-01", "--output", "e.xlsx"),
    (0, "export", "--output", "export.jsonl"),
    (0, "export", "--table", "exceptions", "--output", "exceptions.csv"),
    (0, "feed", "--output", "feed.jsonl"),
    (0, "prove", "urn:desk", "L-1", "--output", "L-1.proof"),
    (0, "audit", "history", "C-1"),
    (0, "audit", "exceptions", "--output", "decisions.csv"),
    (0, "audit", "events", "--format", "json"),
    (0, "keys", "backup", "keys.backup"),
    (0, "verify"),
    (0, "forget", "C-1", "--reason", "ticket 4711", "--certificate", "C-1.erasure"),
    (1, *RECORD, *fields(KIM), "--id", "X-9"),
    (0, "history", "C-1", "--clear"),
    (0, "project"),
    (0, "keys", "restore", "keys.backup"),
    (0, "backup", "copy.ledger"),
    (0, "--keys", "attempts.ledger.keys", "restore", "copy.ledger", "new.ledger"),
]  # fmt: skip
OWN = {"lines.jsonl", "spoilt.jsonl", "more.jsonl", "letter.toml", "spoilt.toml", "calls.json"}
"""The user's own files."""
GIVEN_BACK = {"rejects.jsonl", "rejects.jsonl.old", "rejects.again.jsonl"}
"""The user's own lines, to be mended: docs/erasure.md says so."""


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of the program: a place of its own for temporary files."""
    (folder / "tmp").mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    own = {"TMPDIR": str(folder / "tmp"), "SQLITE_TMPDIR": str(folder / "tmp")}
    return {**kept, **own, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Make the calls, one after another, with every write of theirs on record."""
    provide([STRACE])
    folder = tmp_path_factory.mktemp("story")
    inside = tmp_path_factory.mktemp("trace") / "trace"
    letter = {**ROBIN, "exam": "AZ-104", "registration_id": "R-1", "reason": "lab-crash",
              "candidate_id": "C-1", "exam_number": "AZ-104", "vue_case_number": "1"}  # fmt: skip
    written = {
        "catalogue.toml": CATALOGUE,
        "lines.jsonl": "\n".join(LINES),
        "spoilt.jsonl": "\n".join(SPOILT),
        "more.jsonl": asked("L-8", "C-8", KIM),
        "letter.toml": "\n".join(f"{key} = {json.dumps(letter[key])}" for key in letter),
        "spoilt.toml": f'first_name = "{KIM["first_name"]}"\nemail = {KIM["email"]}\n',
        "calls.json": json.dumps(CALLS),
    }
    for name, text in written.items():
        (folder / name).write_text(text, "utf-8")
    before = Path.cwd()
    os.chdir(folder)
    try:
        calls = traced(
            [sys.executable, WORKER, "calls.json"], inside, environment=environment(folder)
        )
    finally:
        os.chdir(before)
    return Story(folder, calls)


def told_in_trust() -> list[bytes]:
    """Return every form of every personal value."""
    return [form for person in (ROBIN, KIM) for text in person.values() for form in forms(text)]


def writes(calls: list[Call]) -> Iterator[tuple[int, str, bytes]]:
    """Yield the descriptor, path and bytes of each write."""
    for call in calls:
        if call.name in ("write", "pwrite64"):
            yield (*call.file(), call.text(1))
        assert call.name not in ("writev", "pwritev", "pwritev2", "sendfile", "copy_file_range"), (
            f"{call.name} is a write that this test does not read"
        )


def numbered_writes(calls: list[Call]) -> Iterator[tuple[int, tuple[int, str, bytes]]]:
    """Yield each write with the number of its call."""
    for number, call in enumerate(calls):
        for write in writes([call]):
            yield number, write


def test_what_is_looked_for_would_be_found(story: Story) -> None:
    """The user's own files hold every value, and so do the lines given back of what was refused."""
    raw = {path.name: path.read_bytes() for path in story.folder.iterdir() if path.is_file()}
    assert holding({Path(name): raw[name] for name in raw}, told_in_trust()) == sorted(
        (OWN | GIVEN_BACK) & set(raw)
    )
    assert {name for name in GIVEN_BACK if name in raw} == {"rejects.jsonl", "rejects.again.jsonl"}


def test_no_file_that_was_ever_written_held_a_personal_value(story: Story) -> None:
    """Every write is looked at, also to files that are gone: journals, logs, temporary files."""
    found, seen = set(), set()
    words = told_in_trust()
    for descriptor, path, data in writes(story.calls):
        if descriptor > 2 and path.startswith("/"):
            name = Path(path).name
            seen.add(name)
            if name not in GIVEN_BACK and any(word in data for word in words):
                found.add(name)
    assert found == set()
    assert seen >= {
        "attempts.ledger", "attempts.ledger-wal", "attempts.ledger.keys",
        "attempts.ledger.keys-journal", "attempts.ledger.views", "rejects.jsonl",
    }  # fmt: skip


def test_nothing_but_the_index_of_a_log_is_written_past_the_calls(story: Story) -> None:
    """A file mapped to be written would escape the look at every write."""
    mapped = {
        Path(call.file(4)[1]).name
        for call in story.calls
        if call.name == "mmap" and "PROT_WRITE" in call.arguments[2]
        and "MAP_SHARED" in call.arguments[3] and call.file(4)[1].startswith("/")
    }  # fmt: skip
    assert {name for name in mapped if not name.endswith("-shm")} == set()


def test_no_file_holds_a_personal_value_or_the_key_afterwards(story: Story) -> None:
    """In free pages too; only the backup of keys, which says so, has the key that was destroyed."""
    files = {
        path: raw
        for path, raw in files_in(story.folder).items()
        if path.name not in OWN | GIVEN_BACK
    }
    assert holding(files, told_in_trust()) == []
    backed_up = keys_in(story.folder / "keys.backup")
    gone, left = backed_up["C-1"], backed_up["C-2"]
    assert gone
    assert left
    assert holding(files, forms_of_key(gone)) == ["keys.backup"]
    assert holding(files, forms_of_key(left)) == ["attempts.ledger.keys", "keys.backup"]
    assert keys_in(story.folder / "attempts.ledger.keys")["C-1"] is None


def test_the_key_is_gone_from_the_disk_before_the_ledger_says_so(story: Story) -> None:
    """Whatever a power cut leaves: a journal removed and synced, then the event's first byte."""
    said = next(
        number
        for number, (_, path, data) in numbered_writes(story.calls)
        if path.endswith("attempts.ledger-wal") and b"CandidateForgotten:1" in data
    )
    journal = str(story.folder / "attempts.ledger.keys-journal")
    before = story.calls[:said]
    removed = max(
        number
        for number, call in enumerate(before)
        if call.name == "unlink" and call.path(0) == journal
    )
    then = before[removed:]
    synced = ("fsync", "fdatasync")
    assert [call for call in then if call.name in synced and call.file()[1] == str(story.folder)]
    keys = str(story.folder / "attempts.ledger.keys")
    assert not [path for _, (_, path, _) in numbered_writes(then) if path == keys]
    # The journal, which held the page with the key, is written over though it has no name any more.
    over = [data for _, (_, path, data) in numbered_writes(then) if path.startswith(journal)]
    assert b"".join(over).strip(b"\0") == b""
    assert sum(map(len, over)) > 4096


def forms_of_key(key: bytes) -> list[bytes]:
    """Return the forms in which a key may stand in a file."""
    return [key, key.hex().encode(), *list(forms(key.decode("latin-1")))[-3:]]


def test_nothing_personal_is_said_unless_it_is_asked_for(story: Story) -> None:
    """Not in an answer, an error, a hint; what is wrong is named by the field alone."""
    said = b"".join(data for fd, path, data in writes(story.calls) if fd in (1, 2))
    assert [word for word in told_in_trust() if word in said] == []
    for sentence in (
        b"data.email (differs)",
        b"data.email should be text, or the ciphertext and hmac that an export gives",
        b"what comes after first_name=",
        b"first_name:=\xe2\x80\xa6 is not JSON",
        b"a value that has blanks goes in quotes",
    ):
        assert sentence in said, sentence


def test_what_is_asked_for_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the silence of the others means something."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.done(*RECORD, *fields(ROBIN))
    assert ROBIN["email"] in door.done("history", "C-1", "--clear")


# -- killed in the middle, so that the log is left


def requested(ledger: Path) -> list[Recorded]:
    """Return the requests that are committed: full memory writes pages to the log before that."""
    with Ledger.open(ledger, clock=lambda: 0, read_only=True) as opened:
        return [row for row in opened.read() if row.type == "ExceptionRequested"]


def test_a_kill_leaves_no_clear_text_in_the_log_nor_a_key_after_erasure(tmp_path: Path) -> None:
    """The write-ahead log and the journal stay as they were, and are looked through."""
    names = [f"Kandidat{n:05d}" for n in range(4000)]
    lines = [
        asked(f"K-{n}", f"C-{n}", {**ROBIN, "first_name": name}) for n, name in enumerate(names)
    ]
    (tmp_path / "many.jsonl").write_text("\n".join(lines), "utf-8")
    place = {"cwd": tmp_path, "env": environment(tmp_path), "capture_output": True}
    subprocess.run([COMMAND, "init"], check=True, **place)  # type: ignore[call-overload]
    ledger = tmp_path / "attempts.ledger"
    process = subprocess.Popen(
        [COMMAND, "import", "many.jsonl"], cwd=tmp_path, env=environment(tmp_path),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wal = Path(f"{ledger}-wal")
    while process.poll() is None and not (
        wal.exists() and wal.stat().st_size > 600_000 and requested(ledger)
    ):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert wal.stat().st_size > 600_000
    words = [name.encode() for name in names] + told_in_trust()
    files = {path: raw for path, raw in files_in(tmp_path).items() if path.name != "many.jsonl"}
    assert holding(files, words) == []

    first = requested(ledger)[0]
    assert format_instant(first.recorded_at)
    key = keys_in(Path(f"{ledger}.keys"))[first.subject]
    assert key
    done = subprocess.run([COMMAND, "forget", first.subject, "--reason", "ticket"], **place)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    files = {path: raw for path, raw in files_in(tmp_path).items() if path.name != "many.jsonl"}
    assert holding(files, [*words, key]) == []
