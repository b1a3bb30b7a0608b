"""A backup is a whole and verified copy under its name, or nothing under that name."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from backing import (
    COMMAND,
    ENVIRONMENT,
    INTERRUPT,
    KILL,
    LEDGER,
    edit,
    head_of,
    lived_in,
    names,
    outside,
    rows_of,
    stopped_at,
    with_files_of,
)
from command_line import CommandLine
from ledger_facts import SetClock, attempted
from workers import start, told

from ledger.backup.backup import CopyOptions, Note, back_up, last_backup, note_path
from ledger.ledger import Ledger
from ledger.tlog.checkpoint import log_paths, sealed_size


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return lived_in(CommandLine(tmp_path, monkeypatch))


# -- what it is


def test_a_backup_is_the_ledger_and_its_log_and_verifies(door: CommandLine) -> None:
    """Row by row the same, tile by tile, with the same checkpoint; and no key within."""
    answer = door.call("backup", "b")
    assert (answer.code, answer.out) == (0, "")
    head = head_of(LEDGER)
    assert f"b holds positions 1 to {head}, verified against its checkpoint of {head}" in answer.err
    assert "no key is in it: neither" in answer.err
    assert rows_of("b") == rows_of(LEDGER)
    ours, theirs = Path(f"{LEDGER}.tlog"), Path("b.tlog")
    copied = {path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file()}
    assert copied > {Path("checkpoint"), Path("vkey")}
    assert {(ours / path).read_bytes() == (theirs / path).read_bytes() for path in copied} == {True}
    assert names(door.folder, "b") == {"b", "b.tlog"}
    assert door.done("--ledger", "sqlite:///b", "verify") == (
        f"positions 1 to {head} are as they were signed\n"
    )


def test_a_backup_is_a_file_at_rest_with_nothing_beside_it_to_lose(door: CommandLine) -> None:
    """It is no longer in the mode of a write-ahead log, so that one file is all there is."""
    door.done("backup", "b")
    assert Path("b").read_bytes()[18:20] == b"\1\1", "of a write-ahead log it would be 2"
    with closing(sqlite3.connect("b")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert names(door.folder, "b-") == set()


def test_a_backup_is_its_owners_alone(door: CommandLine) -> None:
    """Whoever may read the original, and whatever the umask."""
    os.chmod(LEDGER, 0o644)
    door.done("backup", "b")
    assert stat.S_IMODE(os.stat("b").st_mode) == 0o600


def test_nothing_of_a_key_is_in_a_backup(door: CommandLine) -> None:
    """Neither the signing key nor any candidate's, whatever the files are called."""
    with closing(sqlite3.connect(f"{LEDGER}.keys")) as connection:
        keys = [key for (key,) in connection.execute("SELECT key FROM keys")]
    secrets = [*keys, Path(f"{LEDGER}.signing-key").read_bytes().strip().split(b"+", 4)[4]]
    assert len(secrets) == 2
    door.done("backup", "b")
    for path in (Path("b"), *Path("b.tlog").rglob("*")):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets)


def test_what_stands_in_the_write_ahead_log_alone_is_in_it(door: CommandLine) -> None:
    """A copy of the file alone would lack it."""
    with Ledger.open(LEDGER, clock=SetClock()) as ledger:
        before = ledger.head().position
        with closing(sqlite3.connect(LEDGER)) as reader:  # so that no checkpoint takes place
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM events LIMIT 1").fetchone()
            ledger.append([attempted(n) for n in range(900, 1000)])
            shutil.copy(LEDGER, "file-alone")
            assert head_of("file-alone") == before
            door.done("backup", "b")
        assert rows_of("b") == rows_of(LEDGER)
    assert head_of("b") == before + 100


def test_an_empty_ledger_has_a_backup_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of no event."""
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init", "--bare")
    assert "verified against its checkpoint of 0 events" in door.call("backup", "b").err
    assert rows_of("b") == []


# -- sealed and not


def test_it_is_sealed_first(door: CommandLine) -> None:
    """What others have appended since is signed, up to where the copy ends."""
    with Ledger.open(LEDGER, clock=SetClock()) as ledger:
        ledger.append([attempted(n) for n in range(900, 1000)])
    assert sealed_size(log_paths(Path(LEDGER))) < head_of(LEDGER)
    answer = door.call("backup", "b")
    assert "not sealed" not in answer.err
    assert sealed_size(log_paths(Path("b"))) == head_of("b") == head_of(LEDGER)


def test_what_cannot_be_sealed_is_in_it_all_the_same(door: CommandLine) -> None:
    """Where the signing key is elsewhere: said, and no failure."""
    sealed = head_of(LEDGER)
    Path(f"{LEDGER}.signing-key").rename("elsewhere")
    with Ledger.open(LEDGER, clock=SetClock()) as ledger:
        ledger.append([attempted(n) for n in range(900, 1000)])
    answer = door.call("backup", "b")
    assert answer.code == 0
    assert f"verified against its checkpoint of {sealed} events" in answer.err
    assert (
        f"positions {sealed + 1} to {sealed + 100} are in it, but not sealed yet: there is no "
        "signing key" in answer.err
    )
    assert rows_of("b") == rows_of(LEDGER)


def test_a_ledger_without_a_log_has_a_backup_without_one(door: CommandLine) -> None:
    """Its rows are compared with the ledger's own; that they cannot be verified is said."""
    shutil.rmtree(f"{LEDGER}.tlog")
    for name in ("", ".last"):
        Path(f"{LEDGER}.signing-key{name}").unlink()
    answer = door.call("backup", "b")
    assert answer.code == 0
    assert "it has no log to be verified against" in answer.err
    assert names(door.folder, "b") == {"b"}
    assert rows_of("b") == rows_of(LEDGER)


def test_while_others_append_and_seal_it_ends_where_it_is_sealed(door: CommandLine) -> None:
    """The checkpoint that is within never passes the rows, nor lags behind them."""
    place = log_paths(Path(LEDGER))
    with Ledger.open(LEDGER, clock=SetClock()) as ledger:
        from ledger.tlog.sealer import seal

        id, numbers = str(ledger.about("ledger")), iter(range(900, 1000))

        def seal_after_another(head: int) -> None:
            """Between the look at the ledger and the sealing, somebody appends and seals."""
            number = next(numbers)
            if number < 905:
                ledger.append([attempted(number)])
            seal(place, id, ledger.head().position)

        made = back_up(place, Path("b"), seal_after_another, CopyOptions())
    assert made.checkpoint is not None
    assert made.checkpoint.size == made.position == head_of("b") == head_of(LEDGER)
    assert made.unsealed is None


# -- refused


def a_file(path: Path) -> None:
    path.write_text("mine")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


THERE: list[tuple[str, Callable[[Path], None], str]] = [
    ("b", a_file, "b is already there: nothing was changed"),
    ("b", a_folder, "b is already there: nothing was changed"),
    ("b", a_link_to_nowhere, "b is already there: nothing was changed"),
    ("b.tlog", a_folder, "b.tlog is already there: nothing was changed"),
    ("b-wal", a_file, "b-wal is left of another file"),
    ("b-journal", a_file, "b-journal is left of another file"),
    ("b.part", a_file, "b.part is there, and not of ours"),
]


@pytest.mark.parametrize(("name", "make", "said"), THERE)
def test_what_is_there_already_stays_as_it_is(
    door: CommandLine, name: str, make: Callable[[Path], None], said: str
) -> None:
    """Whatever it is; and no note is left of a backup that was not made."""
    make(door.folder / name)
    before = names(door.folder, "")
    assert said in door.wrong("backup", "b")
    assert names(door.folder, "") == before
    assert last_backup(Path(LEDGER)) is None


def test_a_folder_of_somebody_else_is_not_taken_for_a_draft(door: CommandLine) -> None:
    """Nothing in it is touched."""
    (door.folder / "b.part").mkdir()
    door.write("b.part/ledger", "mine")
    assert "b.part is there, and not of ours" in door.wrong("backup", "b")
    assert (door.folder / "b.part/ledger").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere/b", "there is no folder"),
        (".", "is a folder: name the file"),
        ("..", "is a folder: name the file"),
        (LEDGER, "is already there: nothing was changed"),
    ],
)
def test_where_no_backup_can_be_made_a_sentence_says_so(
    door: CommandLine, name: str, said: str
) -> None:
    """And the ledger stays as it is."""
    before = rows_of(LEDGER)
    assert said in door.wrong("backup", name)
    assert rows_of(LEDGER) == before


def test_of_no_ledger_there_is_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence."""
    door = CommandLine(tmp_path, monkeypatch)
    assert "there is no ledger at" in door.wrong("backup", "b")
    assert names(door.folder, "") == set()


TAMPERED = [
    ("UPDATE events SET actor = 'x' WHERE position = 20", "position 20 was changed"),
    ("DELETE FROM events WHERE position = 20", "position 20 is missing"),
    ("DELETE FROM events WHERE position > 60", "it was cut off, or is an old copy put back"),
    ("CREATE TRIGGER t AFTER INSERT ON events BEGIN SELECT 1; END", "trigger t is not as the"),
]


@pytest.mark.parametrize(("statement", "said"), TAMPERED)
def test_of_a_ledger_that_was_tampered_with_there_is_no_backup(
    door: CommandLine, statement: str, said: str
) -> None:
    """What is wrong is said as `verify` does, and the exit code is 1."""
    edit(LEDGER, statement)
    told = door.refused("backup", "b")
    assert said in told
    assert "b was not created" in told
    assert names(door.folder, "b") == set()
    assert last_backup(Path(LEDGER)) is None


def test_an_index_that_hides_an_event_is_found(door: CommandLine) -> None:
    """Every row is as it was signed, but a question would miss one of them."""
    with closing(sqlite3.connect(LEDGER)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(Path(LEDGER).read_bytes())
    leaves = [at for at in range(size, len(content), size) if content[at] == 0x0A]
    hit = next(
        at for leaf in leaves if (at := content.find(b"candidate/C-3", leaf, leaf + size)) >= 0
    )
    content[hit + len("candidate/C-")] = ord("8")
    Path(LEDGER).write_bytes(content)
    for words in ((), ("--full",)):
        assert "missing from index events_by_stream" in door.refused("verify", *words)
    told = door.refused("backup", "b")
    assert "SQLite finds the file damaged: row" in told
    assert names(door.folder, "b") == set()


def test_a_tile_that_is_lost_is_named(door: CommandLine) -> None:
    """And what makes it anew, makes the backup possible."""
    shutil.rmtree(f"{LEDGER}.tlog/tile")
    Path(f"{LEDGER}.signing-key").rename("elsewhere")
    assert "is missing from" in door.wrong("backup", "b")
    assert names(door.folder, "b") == set()
    Path("elsewhere").rename(f"{LEDGER}.signing-key")
    door.done("seal")
    door.done("backup", "b")


# -- the note


def test_the_last_backup_is_noted_beside_the_ledger(door: CommandLine) -> None:
    """When, up to where, under which name, and with which checkpoint."""
    assert last_backup(Path(LEDGER)) is None
    door.done("backup", "b")
    door.at("2022-06-02T12:00:00Z").done("backup", "c")
    note = last_backup(Path(LEDGER))
    assert note is not None
    head = head_of(LEDGER)
    assert note._replace(root="") == Note(door.now, head, str(door.folder / "c"), head, "")
    assert f"with root {note.root}" in door.call("backup", "d").err
    (Path("elsewhere")).mkdir()
    Path("elsewhere/link").symlink_to(door.folder / LEDGER)
    assert last_backup(Path("elsewhere/link")) == last_backup(Path(LEDGER))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": "now"}', '{"at": 7, "position": 1}'])
def test_a_note_that_does_not_read_is_none(door: CommandLine, text: str) -> None:
    """Whoever looks whether there is a backup finds none."""
    door.done("backup", "b")
    told = json.loads(note_path(Path(LEDGER)).read_text())
    assert told["at"] == "2022-06-01T12:00:00Z"
    note_path(Path(LEDGER)).write_text(text)
    assert last_backup(Path(LEDGER)) is None


# -- stopped on the way

STOPS = [
    "ledger.backup.backup:copy_file",
    "ledger.backup.backup:copy_log",
    "ledger.backup.staging:replace_all",
    "ledger.backup.backup:unsound",
    "ledger.backup.staging:Draft.publish",
    "ledger.backup.staging:_link",
]


@pytest.mark.parametrize("where", STOPS)
def test_killed_anywhere_no_half_has_the_name_and_the_next_one_has(
    door: CommandLine, where: str
) -> None:
    """The next call of the same name clears away what was left."""
    assert stopped_at(where, KILL, ["backup", "b"]).returncode == -signal.SIGKILL
    assert "b" not in names(door.folder, "b")
    assert "b.part" in names(door.folder, "b")
    door.done("backup", "b")
    assert names(door.folder, "b") == {"b", "b.tlog"}
    assert rows_of("b") == rows_of(LEDGER)


def test_killed_after_it_has_its_name_it_is_whole(door: CommandLine) -> None:
    """What is left beside it is a folder of its own."""
    where = "ledger.backup.staging:sync"
    assert stopped_at(where, KILL, ["backup", "b"], number=4).returncode == -signal.SIGKILL
    assert names(door.folder, "b") == {"b", "b.part", "b.tlog"}
    assert "as they were signed" in door.done("--ledger", "sqlite:///b", "verify", "--full")
    assert "already there" in door.wrong("backup", "b")
    assert names(door.folder, "b") == {"b", "b.tlog"}


@pytest.mark.parametrize("where", STOPS)
def test_ctrl_c_leaves_nothing(door: CommandLine, where: str) -> None:
    """One sentence, and exit code 130."""
    done = stopped_at(where, INTERRUPT, ["backup", "b"])
    assert (done.returncode, done.stderr) == (130, "attempt-ledger: interrupted\n")
    assert names(door.folder, "b") == set()


def test_a_full_disk_leaves_nothing(door: CommandLine) -> None:
    """Wherever it is met, the ledger is as it was and the sentence names the backup."""
    size = Path(LEDGER).stat().st_size / 1_000_000
    for megabytes in (0.04, size * 0.95):  # the first has room for what readers share
        done = with_files_of(megabytes, "backup", "b")
        assert done.returncode == 2
        assert done.stderr.startswith("attempt-ledger: the disk of b fails (disk I/O error): ")
        assert names(door.folder, "b") == set()
    door.done("backup", "b")


def test_only_one_makes_a_file_at_a_time(door: CommandLine) -> None:
    """The second is told so, and leaves the first alone."""
    place = log_paths(Path(LEDGER))
    told = []

    def seal(head: int) -> None:
        told.append(outside("backup", "b"))

    with Ledger.open(LEDGER, clock=SetClock()) as ledger:
        ledger.append([attempted(900)])
    back_up(place, Path("b"), seal, CopyOptions())
    assert told[0].returncode == 2
    assert "is being written by another process" in told[0].stderr
    assert rows_of("b") == rows_of(LEDGER)


# -- beside writers


def test_beside_writers_all_that_was_acknowledged_before_is_in_it(door: CommandLine) -> None:
    """Three while two append without a pause: each whole, sealed, a part of the next; put back."""
    acknowledged: set[str] = set()
    writers = [start(LEDGER, name, "forever", 3) for name in ("one", "two")]
    follower = subprocess.Popen([COMMAND, "seal", "--follow"], env=ENVIRONMENT)
    try:
        before: list[tuple[object, ...]] = []
        for name in ("b1", "b2", "b3"):
            for writer in writers:
                assert writer.stdout is not None
                for _ in range(3):
                    acknowledged |= told(writer.stdout.readline())
            done = outside("backup", name)
            assert (done.returncode, done.stdout) == (0, ""), done.stderr
            rows = rows_of(name)
            assert acknowledged <= {row[6] for row in rows}
            assert rows[: len(before)] == before
            assert sealed_size(log_paths(Path(name))) == len(rows)
            before = rows
    finally:
        follower.send_signal(signal.SIGINT)
        follower.wait()
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert rows_of(LEDGER)[: len(before)] == before
    for name in (".keys", ".signing-key"):  # as kept elsewhere, and put back first
        shutil.copy(f"{LEDGER}{name}", f"new{name}")
    done = outside("restore", "b3", "new")
    assert done.returncode == 0, done.stderr
    assert rows_of("new") == before
    with Ledger.open("new", clock=SetClock(), read_only=True) as ledger:
        requests = [row for row in ledger.read() if row.type == "ExceptionRequested"]
        assert {ledger.vault.reveal(row)["email"] for row in requests} == {"zoe@example.org"}
