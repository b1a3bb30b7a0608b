"""What can be wrong with the file: one sentence each, and nothing lost."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ledger_facts import NOW, SetClock, a_ledger, attempted, exported, sample

from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.outcomes import Appended, Duplicate
from ledger.problems import (
    LedgerProblem,
    NewerSchema,
    NoLedger,
    NotALedger,
    ReadOnly,
    StoreFull,
)
from ledger.store import file as storage

NOBODY = 65534


def a_text(path: Path) -> None:
    path.write_text("candidate_id,exam\n")


def nothing_in_it(path: Path) -> None:
    path.touch()


def a_folder(path: Path) -> None:
    path.mkdir()


def another_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE events (position INTEGER PRIMARY KEY)")


def cut_short(path: Path) -> None:
    with a_ledger(path.parent, "whole") as ledger:
        whole = ledger.path
    path.write_bytes(whole.read_bytes()[:60])


def of_a_later_release(path: Path) -> None:
    with a_ledger(path.parent, "later") as ledger:
        later = ledger.path
    with closing(sqlite3.connect(later)) as connection:
        connection.execute("PRAGMA user_version = 9")
    with closing(sqlite3.connect(later)) as connection:  # as a file at rest: no log beside it
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    later.rename(path)


NOT_OPENED: list[tuple[Callable[[Path], None], type[LedgerProblem], str]] = [
    (lambda path: None, NoLedger, "there is no ledger at"),
    (a_folder, NotALedger, "is a folder, not a ledger"),
    (a_text, NotALedger, "is not a ledger: it was left as it is"),
    (nothing_in_it, NotALedger, "is not a ledger: it was left as it is"),
    (another_database, NotALedger, "is not a ledger: it was left as it is"),
    (cut_short, NotALedger, "is not a ledger: it was left as it is"),
    (of_a_later_release, NewerSchema, "has schema 9, this release knows 2: open it with a later"),
]


@pytest.mark.parametrize(("make", "kind", "words"), NOT_OPENED)
def test_what_is_no_ledger_of_ours_is_not_opened_nor_touched(
    tmp_path: Path, make: Callable[[Path], None], kind: type[LedgerProblem], words: str
) -> None:
    """Each in one sentence that names the file, which stays as it is, with nothing beside it."""
    path = tmp_path / "b.ledger"
    make(path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    for read_only in (False, True):
        with pytest.raises(kind) as problem:
            Ledger.open(path, clock=SetClock(), read_only=read_only)
        assert words in str(problem.value)
        assert str(path) in str(problem.value)
        assert "\n" not in str(problem.value)
    assert {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


@pytest.mark.parametrize("make", [a_text, nothing_in_it, a_folder, another_database])
def test_nothing_is_made_over_what_is_there(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Whatever it is."""
    path = tmp_path / "b.ledger"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(LedgerProblem, match="is already there: nothing was changed"):
        Ledger.create(path, clock=SetClock())
    assert (path.read_bytes() if path.is_file() else None) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_ledger_is_not_made_over_a_ledger(tmp_path: Path) -> None:
    """The second init says so; the first ledger stands."""
    with a_ledger(tmp_path) as ledger:
        ledger.append([attempted(1)])
        with pytest.raises(LedgerProblem, match="is already there"):
            Ledger.create(ledger.path, clock=SetClock())
        assert ledger.head().position == 1


def test_a_ledger_is_not_made_where_there_is_no_folder(tmp_path: Path) -> None:
    """Nor is the folder made."""
    with pytest.raises(
        LedgerProblem, match=r"b\.ledger cannot be written: No such file or directory"
    ):
        Ledger.create(tmp_path / "nowhere" / "b.ledger", clock=SetClock())
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_whose_name_cannot_be_made_durable_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, and the next call makes it."""

    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "b.ledger"
    with monkeypatch.context() as patched:
        patched.setattr(storage, "_sync_folder", broken)
        with pytest.raises(LedgerProblem, match="cannot be written: Input/output error"):
            Ledger.create(path, clock=SetClock())
        assert list(tmp_path.iterdir()) == []
    Ledger.create(path, clock=SetClock()).close()


# -- read-only


@contextmanager
def as_nobody() -> Iterator[None]:
    """Yield up the right to write everywhere, if we have it."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shown() -> Iterator[Path]:
    """Return a folder that anybody may look into, and only its owner may write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize("folder_mode", [0o555, 0o777])
def test_a_read_only_file_is_read_and_not_written(shown: Path, folder_mode: int) -> None:
    """Whether or not its folder can be written: answers go on, an append says what is wrong."""
    with a_ledger(shown) as ledger:
        ledger.append([attempted(1)])
        path = ledger.path
    for file in shown.iterdir():
        file.chmod(0o444)
    before = path.read_bytes()
    shown.chmod(folder_mode)
    with as_nobody(), Ledger.open(path, clock=SetClock()) as ledger:
        assert ledger.head().position == 1
        assert [row.id for row in ledger.stream("candidate/C-1")] == ["R-1/attempted"]
        with pytest.raises(ReadOnly) as problem:
            ledger.append([attempted(2)])
        assert str(path) in str(problem.value)
        assert "\n" not in str(problem.value)
    shown.chmod(0o755)
    assert path.read_bytes() == before


def test_a_ledger_that_is_being_written_is_read_by_others_too(shown: Path) -> None:
    """They may write neither it nor its folder, and see each append at once."""
    with a_ledger(shown, mode=0o644) as ledger:
        ledger.append([attempted(1)])
        with as_nobody(), Ledger.open(ledger.path, clock=SetClock(), read_only=True) as reading:
            assert reading.head().position == 1
            os.seteuid(os.getuid())
            ledger.append([attempted(2)])
            assert reading.head().position == 2


def test_a_file_one_may_not_even_read_is_told(shown: Path) -> None:
    """By the words of the system."""
    with a_ledger(shown) as ledger:
        path = ledger.path
    path.chmod(0o000)
    with as_nobody(), pytest.raises(LedgerProblem, match="cannot be read: Permission denied"):
        Ledger.open(path, clock=SetClock())


def test_a_ledger_of_another_account_is_told_while_it_is_open_here(shown: Path) -> None:
    """As private as it was made."""
    with a_ledger(shown) as ledger:
        ledger.append([attempted(1)])
        with as_nobody(), pytest.raises(LedgerProblem, match="cannot be read: Permission denied"):
            Ledger.open(ledger.path, clock=SetClock())


def test_a_ledger_opened_for_reading_is_not_written(tmp_path: Path) -> None:
    """Even where it could be."""
    with a_ledger(tmp_path) as ledger:
        ledger.append([attempted(1)])
        with (
            Ledger.open(ledger.path, clock=SetClock(), read_only=True) as reading,
            pytest.raises(ReadOnly, match="was opened for reading: nothing was written"),
        ):
            reading.append([attempted(2)])
        assert ledger.head().position == 1


# -- a disk that fills


def fits(ledger: Ledger, batch: list[Fact]) -> bool:
    """Append a batch; tell whether there was room for it."""
    try:
        ledger.append(batch)
    except StoreFull as problem:
        return str(problem) != f"the disk of {ledger.path} is full: nothing was written"
    return True


def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """The batch that did not fit is not there at all; after room was made it is taken whole."""
    with a_ledger(tmp_path) as ledger:
        ledger.append([attempted(1)])
        with ledger.store.writing() as writing:
            writing.connection.execute("PRAGMA max_page_count = 40")
        batches = [[attempted(n + k) for k in range(30)] for n in range(2, 10_000, 30)]
        full = next(batch for batch in batches if not fits(ledger, batch))
        n = ledger.head().position
        assert full[0] == attempted(n + 1)
        assert [row.position for row in ledger.read()] == list(range(1, n + 1))
        with ledger.store.writing() as writing:
            writing.connection.execute("PRAGMA max_page_count = 100000")
        assert ledger.append(full) == [Appended(n + 1 + k) for k in range(30)]
        assert ledger.append([attempted(1)]) == [Duplicate(1)]


def test_a_file_that_may_not_grow_is_told_in_one_sentence(tmp_path: Path) -> None:
    """A quota or a limit on file sizes is no full disk to SQLite, and no traceback to us."""
    script = f"""
import resource, signal, time
from ledger.facts import Fact
from ledger.models import make_event
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger.create({str(tmp_path / "a.ledger")!r}, clock=lambda: 10**15)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
event = make_event("ExamPassed", {{"exam": "A", "registration_id": "x" * 500}})
done = 0
try:
    while True:
        ledger.append([Fact("s", str(done), "C", 0, event)])
        done += 1
except LedgerProblem as problem:
    print(done, ledger.head().position, problem)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    done, position, words = ran.stdout.strip().split(" ", 2)
    assert done == position
    assert "a.ledger" in words
    assert ran.stdout.count("\n") == 1
    with a_ledger(tmp_path) as ledger:
        assert ledger.head().position == int(done)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    """Overwritten in the middle: a sentence, not a traceback."""
    with a_ledger(tmp_path) as ledger:
        ledger.append([attempted(n) for n in range(2000)])
        path = ledger.path
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with Ledger.open(path, clock=SetClock()) as ledger:
        with pytest.raises(LedgerProblem, match="is damaged or not a ledger"):
            list(ledger.read())
        with pytest.raises(LedgerProblem, match="is damaged or not a ledger"):
            ledger.append([attempted(1)])


def break_off_after(ledger: Ledger, fact: Fact) -> None:
    with ledger.store.writing() as writing:
        writing.insert_one(NOW, fact.row())
        raise KeyboardInterrupt


def test_a_program_that_breaks_off_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    """Ctrl-C while rows go in: all of the batch or none."""

    def interrupted() -> int:
        raise KeyboardInterrupt

    with a_ledger(tmp_path) as ledger:
        ledger.append([attempted(1)])
        with Ledger.open(ledger.path, clock=interrupted) as other, pytest.raises(KeyboardInterrupt):
            other.append([attempted(2)])
        with pytest.raises(KeyboardInterrupt):
            break_off_after(ledger, attempted(3))
        assert ledger.head().position == 1
        assert ledger.append([attempted(4)]) == [Appended(2)]


# -- stray settings


STRAY = {
    "COMPRESSOR_TOPIC": "zlib",
    "CIPHER_TOPIC": "eventsourcing.cipher:AESCipher",
    "CIPHER_KEY": "3EVS3x4DKCIlzRsBbJC3bA==",
    "PERSISTENCE_MODULE": "eventsourcing.postgres",
    "LEDGER_PERSISTENCE_MODULE": "eventsourcing.popo",
    "APPLICATION_RECORDER_TOPIC": "os:path",
    "MAPPER_TOPIC": "os:path",
    "TRANSCODER_TOPIC": "os:path",
    "TZINFO_TOPIC": "no_such_module:x",
    "SQLITE_DBNAME": ":memory:",
    "SQLITE_LOCK_TIMEOUT": "soon",
    "IS_SNAPSHOTTING_ENABLED": "y",
    "CREATE_TABLE": "maybe",
    "ORIGINATOR_ID_TYPE": "uuid",
    "AGGREGATE_CACHE_MAXSIZE": "many",
}


def test_no_stray_variable_of_a_library_changes_what_is_stored(tmp_path: Path) -> None:
    """The same bytes in the table, and the same environment left behind."""
    script = """
import os, sys
from ledger.facts import Fact
from ledger.models import make_event
from ledger.ledger import Ledger
from ledger.cloudevents import to_cloudevent
before = dict(os.environ)
event = make_event("ExamPassed", {"exam": "AZ-104", "registration_id": "R-77"})
with Ledger.create(sys.argv[1], clock=lambda: 10**15) as ledger:
    ledger.append([Fact("urn:vue", "a", "C-1", 0, event)])
    print(*ledger.read(), *map(to_cloudevent, ledger.read()), ledger.events.get("candidate/C-1"))
assert dict(os.environ) == before and "TZINFO_TOPIC" in before or len(sys.argv) > 2
"""
    outputs = []
    for name, extra in (("plain", {}), ("stray", STRAY)):
        command = [sys.executable, "-c", script, str(tmp_path / f"{name}.ledger")]
        done = subprocess.run(
            command if extra else [*command, "plain"],
            capture_output=True, text=True, env={**os.environ, **extra},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout.split(" <map")[0])
    assert outputs[0] == outputs[1] != ""


@pytest.mark.parametrize("first", [[], [sample("ExamFailed", "F"), sample("ExamPassed", "P")]])
def test_a_process_killed_while_it_makes_a_ledger_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: list[Fact]
) -> None:
    """It is made beside its place: until it is whole, with what is first, nothing stands there."""
    seen: list[list[str]] = []
    link = os.link

    def look(source: Path, target: Path) -> None:
        seen.append([file.name for file in tmp_path.iterdir()])
        link(source, target)

    monkeypatch.setattr(os, "link", look)
    with Ledger.create(tmp_path / "a.ledger", clock=SetClock(), first=first) as ledger:
        assert [row.type for row in ledger.read()] == [fact.event.type for fact in first]
        ledger.append([sample("ExamPassed")])
        assert len(exported(ledger)) == 1 + len(first)
    (during,) = seen
    assert all(name.startswith("a.ledger.new-") for name in during)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.ledger", "a.ledger.lock"]


def test_a_ledger_is_not_used_across_a_fork(tmp_path: Path) -> None:
    """A child opens it anew; one that does not is told, and harms nothing of its parent's."""
    script = f"""
import os
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
ledger = Ledger.create({str(tmp_path / "a.ledger")!r}, clock=lambda: 10**15)
ledger.head()
if os.fork() == 0:
    try:
        ledger.head()
    except LedgerProblem as problem:
        print(problem, flush=True)
    del ledger
    os._exit(0)
os.wait()
print(ledger.head().position)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == (
        f"{tmp_path}/a.ledger was opened before this process was forked: open it again here\n0\n"
    )
