"""A ledger is put back whole and verified, and answers the same, or it is not put back."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from backing import (
    INTERRUPT,
    KILL,
    LEDGER,
    asked,
    edit,
    head_of,
    lived_in,
    names,
    rows_of,
    stopped_at,
    with_files_of,
)
from command_line import CommandLine
from ledger_facts import SetClock, attempted

from ledger.backup.backup import CopyOptions
from ledger.backup.restore import restore
from ledger.backup.staging import drafting
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem, StoreFull
from ledger.tlog.checkpoint import log_paths, sealed_size
from ledger.tlog.verify_proof import read_key

NEW = ("--ledger", "sqlite:///new")


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger, a backup `b` of it, its checkpoint and verifier key, kept."""
    folder = tmp_path_factory.mktemp("backed-up")
    with pytest.MonkeyPatch.context() as patch:
        door = lived_in(CommandLine(folder, patch), sittings=150)
        door.done("backup", "b")
        door.done("checkpoint", "--output", "kept")
        door.done("checkpoint", "--key", "--output", "log.vkey")
    return folder


@pytest.fixture
def door(backed_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand before a copy of it."""
    folder = tmp_path / "here"
    shutil.copytree(backed_up, folder)
    return CommandLine(folder, monkeypatch)


def lose_all_but_the_backup(door: CommandLine) -> None:
    """The disk of the ledger is gone; keys were kept elsewhere, and lie where NEW looks."""
    for name in names(door.folder, LEDGER):
        path = door.folder / name
        if "key" in name:
            path.rename(door.folder / name.replace(LEDGER, "new"))
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


# -- put back


def test_what_was_backed_up_is_put_back_and_answers_the_same(door: CommandLine) -> None:
    """Every row, every standing, the export, a report's receipt; and the views are there."""
    asking = [
        ("standing", "C-3"),
        ("history", "C-5"),
        ("replay", "--no-column-cache"),
        ("export",),
        ("export", "--table", "sittings"),
    ]
    before = [door.done(*words) for words in asking]
    rows = rows_of(LEDGER)
    door.done(
        "report", "volumes", "--from", "2021-01-01", "--to", "2022-01-01", "--output", "v.csv"
    )
    lose_all_but_the_backup(door)
    answer = door.call("restore", "b", "new")
    assert (answer.code, answer.out) == (0, ""), answer.err
    assert f"Created new: positions 1 to {len(rows)} are as they were signed" in answer.err
    assert "both give the same 9 standings" in answer.err
    assert "new.views is built" in answer.err
    assert rows_of("new") == rows
    assert [door.done(*NEW, *words) for words in asking] == before
    door.done(*NEW, "receipt", "check", "v.csv")
    door.done(*NEW, "rebuild", "--check")
    assert "as they were signed" in door.done(*NEW, "verify", "--against", "kept")
    assert names(door.folder, "new.part") == set()


def test_it_is_written_to_and_sealed_on_from_where_it_was(door: CommandLine) -> None:
    """With its keys it is the ledger, as if nothing had been."""
    lose_all_but_the_backup(door)
    door.done("restore", "b", "new")
    assert Path("new").read_bytes()[18:20] == b"\2\2", "it has a write-ahead log again"
    head = head_of("new")
    answer = door.call(*NEW, "record", "ExamWentLive", "AZ-104")
    assert (answer.code, answer.err.count("not sealed")) == (0, 0)
    assert sealed_size(log_paths(Path("new"))) == head + 1
    assert "as they were signed" in door.done(*NEW, "verify", "--against", "kept")


def test_without_its_keys_it_is_put_back_and_what_is_missing_is_said(door: CommandLine) -> None:
    """As in a drill, on another machine: nothing can be sealed or opened, all can be verified."""
    answer = door.call("restore", "b", "new", "--against", "kept", "--key", "log.vkey")
    assert answer.code == 0
    assert "personal fields stay closed: there is no key file at" in answer.err
    assert "as they were signed" in door.done(*NEW, "verify", "--against", "kept")
    assert "there is no signing key" in door.call(*NEW, "record", "ExamWentLive", "AZ-104").err


def test_any_ledger_can_be_put_back_not_only_a_backup(door: CommandLine) -> None:
    """A ledger in use too, with what stands in its write-ahead log alone."""
    with Ledger.open(LEDGER, clock=SetClock()) as ledger:
        ledger.append([attempted(n) for n in range(900, 1000)])
        assert Path(f"{LEDGER}-wal").stat().st_size
        answer = door.call("restore", LEDGER, "new")
        assert answer.code == 0
        assert rows_of("new") == rows_of(LEDGER)
    head = head_of("new")
    assert f"positions {head - 99} to {head} are in it, but no checkpoint" in answer.err


# -- refused


def a_file(path: Path) -> None:
    path.write_text("mine")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("new", a_file, "new is already there: nothing was changed"),
        ("new", a_folder, "new is already there: nothing was changed"),
        ("new.tlog", a_folder, "new.tlog is already there: nothing was changed"),
        ("new-wal", a_file, "new-wal is left of another file: SQLite would read it as a part of"),
    ],
)
def test_what_is_there_already_stays_as_it_is(
    door: CommandLine, name: str, make: Callable[[Path], None], said: str
) -> None:
    """Above all the write-ahead log of another file, which SQLite would take for this one's."""
    make(door.folder / name)
    before = names(door.folder, "")
    assert said in door.wrong("restore", "b", "new")
    assert names(door.folder, "") == before


@pytest.mark.parametrize(
    ("backup", "said"),
    [
        ("nowhere", "there is no ledger at nowhere"),
        ("b.tlog", "is a folder, not a ledger"),
        ("results.csv", "is not a ledger"),
    ],
)
def test_what_is_no_backup_is_not_put_back(door: CommandLine, backup: str, said: str) -> None:
    """In one sentence."""
    assert said in door.wrong("restore", backup, "new")
    assert names(door.folder, "new") == set()


def pages(kind: int) -> list[int]:
    """Return where the pages of a kind begin in the backup."""
    content = Path("b").read_bytes()
    size = int.from_bytes(content[16:18], "big")
    return [at for at in range(size, len(content), size) if content[at] == kind]


def flip(at: int) -> None:
    """Flip a bit of the backup."""
    content = bytearray(Path("b").read_bytes())
    content[at] ^= 0x04
    Path("b").write_bytes(content)


PAGES = {"rows": 0x0D, "an index": 0x0A, "the tree of an index": 0x02, "the tree of rows": 0x05}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("where", ["first", "last"])
def test_a_flipped_bit_in_the_backup_is_found(door: CommandLine, kind: str, where: str) -> None:
    """In a row, in an index, in what leads to either: at both ends of what a page holds."""
    size = int.from_bytes(Path("b").read_bytes()[16:18], "big")
    at = pages(PAGES[kind])[-1]
    flip(at + 4 if where == "first" else at + size - 2)
    answer = door.call("restore", "b", "new")
    assert answer.code == 1, answer
    assert "new was not created: b is not what was signed, or is damaged" in answer.err
    assert names(door.folder, "new") == set()


def test_whatever_bit_is_flipped_it_is_found_or_changes_nothing(door: CommandLine) -> None:
    """Anywhere in the file or in its log: what is put back has the rows that were backed up."""
    dice, rows = random.Random(23), rows_of("b")
    key = read_key("log.vkey")
    places = [Path("b")] * 30 + [path for path in Path("b.tlog").rglob("*") if path.is_file()] * 3
    found = 0
    for path in places:
        content = path.read_bytes()
        at, bit = dice.randrange(len(content)), 1 << dice.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
        try:
            with drafting(Path("new")) as draft:
                restore(Path("b"), draft, key, [], CopyOptions())
                assert rows_of(draft.paths.ledger) == rows, (path, at, bit)
        except LedgerProblem:
            found += 1
        path.write_bytes(content)
        assert names(door.folder, "new") == set()
    assert len(places) / 3 < found < len(places), "some bits say nothing, many do"


def test_a_flipped_bit_in_a_row_is_found_with_its_position(door: CommandLine) -> None:
    """Which event it was, as `verify` says it."""
    flip(Path("b").read_bytes().index(b'"registration_id":"R-20","delivery"') + 21)
    told = door.refused("restore", "b", "new")
    ((position,),) = [row[:1] for row in rows_of(LEDGER) if row[6] == "R-20/attempted"]
    assert f"position {position} was changed" in told


def test_a_flipped_bit_in_what_the_ledger_says_of_itself_is_found(door: CommandLine) -> None:
    """Its id, which no event holds: the log is another's then."""
    with closing(sqlite3.connect("b")) as connection:
        (id,) = connection.execute("SELECT value FROM about WHERE name = 'ledger'").fetchone()
    flip(Path("b").read_bytes().rindex(id.encode()) + 3)
    assert f"its log is of attempt-ledger/{id}" in door.refused("restore", "b", "new")
    assert names(door.folder, "new") == set()


@pytest.mark.parametrize("left", [0.99, 0.5, 0.1])
def test_a_backup_that_was_cut_off_is_found(door: CommandLine, left: float) -> None:
    """As a copy that was stopped."""
    content = Path("b").read_bytes()
    Path("b").write_bytes(content[: int(len(content) * left)])
    answer = door.call("restore", "b", "new")
    assert answer.code in (1, 2), answer
    assert names(door.folder, "new") == set()


def test_rows_cut_off_are_found(door: CommandLine) -> None:
    """The backup's own checkpoint knows how many there were."""
    edit("b", "DELETE FROM events WHERE position > 50")
    assert "51 to " in door.refused("restore", "b", "new")
    assert names(door.folder, "new") == set()


def test_a_tile_that_is_lost_or_changed_is_found(door: CommandLine) -> None:
    """The hashes are held against the rows as the rows are against them."""
    tile = next(path for path in Path("b.tlog/tile").rglob("*") if path.is_file())
    content = tile.read_bytes()
    tile.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert "new was not created" in door.refused("restore", "b", "new")
    tile.unlink()
    assert "is missing from" in door.wrong("restore", "b", "new")
    assert names(door.folder, "new") == set()


def test_a_checkpoint_that_was_changed_is_found(door: CommandLine) -> None:
    """It is signed."""
    head = head_of("b")
    note = Path("b.tlog/checkpoint").read_text(encoding="utf-8")
    changed = note.replace(f"\n{head}\n", f"\n{head - 1}\n")
    assert changed != note
    Path("b.tlog/checkpoint").write_text(changed, encoding="utf-8")
    assert "b.tlog/checkpoint: " in door.refused("restore", "b", "new")
    assert names(door.folder, "new") == set()


def test_a_backup_put_together_by_another_is_found_by_the_key(door: CommandLine) -> None:
    """Whoever makes rows, hashes and a key of their own has not got ours."""
    edit("b", "UPDATE events SET actor = 'x' WHERE position = 20")
    shutil.rmtree("b.tlog")
    door.done("--ledger", "sqlite:///b", "seal", "--new-key")
    told = door.refused("restore", "b", "new", "--key", "log.vkey")
    assert "is not signed with the key" in told
    assert names(door.folder, "new") == set()


# -- held against what is kept elsewhere


def test_a_checkpoint_of_another_log_fits_no_backup(door: CommandLine, tmp_path: Path) -> None:
    """It says whose it is."""
    door.done("--ledger", "sqlite:///other", "init")
    door.done("--ledger", "sqlite:///other", "checkpoint", "--output", "others")
    told = door.refused("restore", "b", "new", "--against", "others")
    assert "others: the checkpoint is not signed with the key" in told
    Path("others").write_text("mine")
    assert "others: " in door.refused("restore", "b", "new", "--against", "others")
    assert names(door.folder, "new") == set()


def test_an_old_backup_is_told_from_a_checkpoint_and_what_is_missing(door: CommandLine) -> None:
    """It is not put back unless that is accepted, and then it is said again."""
    head = head_of(LEDGER)
    asked(door, "Q-2", "R-6")
    door.done("checkpoint", "--output", "later")
    told = door.refused("restore", "b", "new", "--against", "later")
    gone = f"later was signed over {head + 1} events: position {head + 1} is missing from it"
    assert gone in told
    assert "new was not created: look for a later backup, or keep this one with --stale-ok" in told
    assert names(door.folder, "new") == set()
    answer = door.call("restore", "b", "new", "--against", "later", "--stale-ok")
    assert answer.code == 1
    assert gone in answer.err
    assert "what is missing is lost here" in answer.err
    assert rows_of("new") == rows_of("b")
    assert "as they were signed" in door.done(*NEW, "verify")


def test_a_newer_checkpoint_covers_what_the_backup_holds_unsealed(door: CommandLine) -> None:
    """It becomes the log's own, made longer from the rows: nothing is left uncovered."""
    key = Path(f"{LEDGER}.signing-key")
    with Ledger.open(LEDGER, clock=SetClock()) as ledger:
        ledger.append([attempted(n) for n in range(900, 1300)])
    key.rename("elsewhere")
    door.done("backup", "c")
    Path("elsewhere").rename(key)
    door.done("seal")
    door.done("checkpoint", "--output", "later")
    answer = door.call("restore", "c", "new", "--against", "later")
    assert answer.code == 0
    assert "no checkpoint" not in answer.err
    assert sealed_size(log_paths(Path("new"))) == head_of("new") == head_of(LEDGER)
    assert "as they were signed" in door.done(*NEW, "verify", "--full")
    door.done(*NEW, "prove", "@450", "--output", "proof")
    door.done("verify-proof", "proof", "--key", "log.vkey")


def test_what_a_forged_tail_holds_a_newer_checkpoint_finds(door: CommandLine) -> None:
    """What was not sealed in the backup can be changed there; not against a checkpoint of it."""
    key = Path(f"{LEDGER}.signing-key")
    with Ledger.open(LEDGER, clock=SetClock()) as ledger:
        ledger.append([attempted(n) for n in range(900, 920)])
    key.rename("elsewhere")
    door.done("backup", "c")
    Path("elsewhere").rename(key)
    door.done("seal")
    door.done("checkpoint", "--output", "later")
    edit("c", f"UPDATE events SET actor = 'x' WHERE position = {head_of('c')}")
    told = door.refused("restore", "c", "new", "--against", "later")
    assert "c was forked or rewritten" in told
    assert names(door.folder, "new") == set()


def test_a_file_without_its_log_needs_a_checkpoint_and_gets_its_log_anew(door: CommandLine) -> None:
    """As when a tool that knows nothing of logs has copied the ledger's file alone."""
    shutil.rmtree("b.tlog")
    assert "cannot be verified, it has no log beside it" in door.wrong("restore", "b", "new")
    assert "cannot be verified" in door.wrong("restore", "b", "new", "--key", "log.vkey")
    assert names(door.folder, "new") == set()
    done = door.call("restore", "b", "new", "--key", "log.vkey", "--against", "kept")
    assert done.code == 0, done.err
    assert "as they were signed" in door.done(*NEW, "verify", "--against", "kept")
    door.done(*NEW, "prove", "@20", "--output", "proof")
    door.done("verify-proof", "proof", "--key", "log.vkey")


def test_a_backup_that_never_had_a_log_gets_one_first(door: CommandLine) -> None:
    """There is nothing that it could be held against but what it holds now."""
    shutil.rmtree("b.tlog")
    assert "never had a log gets it by `seal --new-key`" in door.wrong("restore", "b", "new")
    door.done("--ledger", "sqlite:///b", "seal", "--new-key")
    door.done("restore", "b", "new")
    assert rows_of("new") == rows_of(LEDGER)


def test_a_backup_is_held_against_an_older_checkpoint_too(door: CommandLine) -> None:
    """It continues that one."""
    asked(door, "Q-2", "R-6")
    door.done("backup", "c")
    door.done("restore", "c", "new", "--against", "kept", "--key", "log.vkey")


def test_a_history_that_its_owner_wrote_anew_is_not_put_back(door: CommandLine) -> None:
    """Rows, hashes and signature fit each other, but not what an outsider has kept."""
    edit(LEDGER, "UPDATE events SET actor = 'x' WHERE position = 20")
    Path(f"{LEDGER}.signing-key.last").unlink()
    Path(f"{LEDGER}.tlog/checkpoint").unlink()
    shutil.rmtree(f"{LEDGER}.tlog/tile")
    door.done("seal")
    asked(door, "Q-2", "R-6")
    door.done("backup", "c")
    assert "as they were signed" in door.done("--ledger", "sqlite:///c", "verify", "--full")
    told = door.refused("restore", "c", "new", "--against", "kept", "--key", "log.vkey")
    assert "c was forked or rewritten: its first" in told
    assert names(door.folder, "new") == set()


# -- the signing key never contradicts itself


def test_an_old_backup_is_held_against_what_the_key_signed_last(door: CommandLine) -> None:
    """Without a checkpoint from elsewhere: the key's own memory tells."""
    head = head_of(LEDGER)
    asked(door, "Q-2", "R-6")
    lose_all_but_the_backup(door)
    told = door.refused("restore", "b", "new")
    assert f"new.signing-key.last was signed over {head + 1} events" in told
    assert names(door.folder, "new") == {"new.keys", "new.signing-key", "new.signing-key.last"}


def test_an_old_backup_that_is_kept_signs_no_fork(door: CommandLine) -> None:
    """The old key refuses; a new one continues what is there, and says by itself that it is new."""
    asked(door, "Q-2", "R-6")
    door.done("checkpoint", "--output", "later")
    lose_all_but_the_backup(door)
    assert door.call("restore", "b", "new", "--stale-ok").code == 1
    answer = door.call(*NEW, "record", "ExamWentLive", "AZ-104")
    assert "what is recorded stands, but is not sealed" in answer.err
    door.done(*NEW, "record", "ExamRetired", "AZ-104")
    assert "nothing is signed: " in door.refused(*NEW, "seal")
    for name in ("new.signing-key", "new.signing-key.last"):
        Path(name).rename(f"{name}.old")
    assert door.call(*NEW, "seal", "--new-key").code == 0
    assert "as they were signed" in door.done(*NEW, "verify", "--full")
    told = door.refused(*NEW, "verify", "--against", "later", "--key", "log.vkey")
    assert "is not signed with the key" in told


def test_a_key_without_its_memory_is_said(door: CommandLine) -> None:
    """Nothing here can tell what it signed since; a checkpoint from elsewhere can."""
    lose_all_but_the_backup(door)
    Path("new.signing-key.last").unlink()
    answer = door.call("restore", "b", "new")
    assert answer.code == 0
    assert "whether" in answer.err
    assert "signed more than is in the backup is not known" in answer.err
    for name in names(door.folder, "new"):
        path = Path(name)
        if name != "new.signing-key":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "is not known" not in door.call("restore", "b", "new", "--against", "kept").err


def test_the_memory_of_a_later_key_is_passed_over(door: CommandLine) -> None:
    """The key was replaced after the backup was made: its word is not about this log's key."""
    for name in (f"{LEDGER}.signing-key", f"{LEDGER}.signing-key.last"):
        Path(name).unlink()
    door.done("seal", "--new-key")
    lose_all_but_the_backup(door)
    answer = door.call("restore", "b", "new")
    assert answer.code == 0
    assert "new.signing-key.last is passed over" in answer.err


# -- erasure


def test_who_was_forgotten_after_the_backup_is_forgotten_in_what_is_put_back(
    door: CommandLine,
) -> None:
    """The key file says so; the ledger that is put back comes to say so again."""
    door.done("forget", "C-5", "--reason", "asked by letter")
    rows = len(rows_of("b"))
    lose_all_but_the_backup(door)
    Path("new.signing-key.last").unlink()  # nothing here knows how much is missing
    answer = door.call("restore", "b", "new")
    assert "recorded again, that 1 were forgotten after the backup was made" in answer.err
    added = rows_of("new")[rows:]
    assert [(row[3], row[4]) for row in added] == [("CandidateForgotten:1", "candidate/C-5")]
    assert sealed_size(log_paths(Path("new"))) == rows + 1
    assert "zoe@example.org" not in door.done(*NEW, "history", "C-5")


def test_to_an_old_backup_nothing_is_added_that_what_is_missing_would_follow(
    door: CommandLine,
) -> None:
    """The forgetting is among it: it comes back with the lines that somebody kept, or is said."""
    door.done("forget", "C-5", "--reason", "asked by letter")
    door.done("record", "ExamWentLive", "AZ-104")
    door.write("lines.jsonl", door.done("feed"))
    rows = rows_of(LEDGER)
    lose_all_but_the_backup(door)
    answer = door.call("restore", "b", "new", "--stale-ok")
    assert answer.code == 1
    assert "1 were forgotten after the backup was made, which is among what is" in answer.err
    assert rows_of("new") == rows_of("b")
    assert "zoe@example.org" not in door.done(*NEW, "history", "C-5")
    assert "C-5" in door.call(*NEW, "doctor").out
    door.at("2022-06-01T12:30:00Z").done(*NEW, "import", "--keep-recorded-at", "lines.jsonl")
    assert rows_of("new") == rows
    assert "as they were signed" in door.done(*NEW, "verify", "--full")


def test_a_key_that_came_back_is_destroyed_again(door: CommandLine) -> None:
    """An old copy of the key file beside a ledger that says who was forgotten."""
    shutil.copy(f"{LEDGER}.keys", "old.keys")
    door.done("forget", "C-5", "--reason", "asked by letter")
    door.done("backup", "c")
    lose_all_but_the_backup(door)
    shutil.copy("old.keys", "new.keys")
    answer = door.call("restore", "c", "new")
    assert answer.code == 0, answer.err
    assert "destroyed again, the keys of 1 who were forgotten" in answer.err
    with closing(sqlite3.connect("new.keys")) as connection:
        ((key,),) = connection.execute("SELECT key FROM keys WHERE candidate = 'C-5'").fetchall()
    assert key is None


def test_the_key_file_of_another_ledger_stops_it(door: CommandLine) -> None:
    """Before anything is made."""
    door.done("--ledger", "sqlite:///other", "init")
    door.done(
        "--ledger",
        "sqlite:///other",
        "record",
        "ExceptionRequested",
        "C-5",
        "exam=AZ-104",
        "request_id=Q-1",
        "registration_id=R-5",
        "reason=lab-crash",
        "email=a@example.org",
    )
    shutil.copy("other.keys", "new.keys")
    assert "another ledger's key file" in door.wrong("restore", "b", "new")
    assert names(door.folder, "new") == {"new.keys"}


# -- stopped on the way

STOPS = [
    "ledger.backup.restore:copy_file",
    "ledger.backup.restore:copy_log",
    "ledger.backup.restore:unsound",
    "ledger.backup.restore:set_journal",
    "ledger.backup.staging:_link",
]


@pytest.mark.parametrize("where", STOPS)
def test_killed_anywhere_no_half_has_the_name_and_the_next_one_has(
    door: CommandLine, where: str
) -> None:
    """The next call clears away what was left."""
    assert stopped_at(where, KILL, ["restore", "b", "new"]).returncode == -signal.SIGKILL
    assert "new" not in names(door.folder, "new")
    assert door.call("restore", "b", "new").code == 0
    assert rows_of("new") == rows_of(LEDGER)
    assert names(door.folder, "new") == {"new", "new.tlog", "new.views", "new.views.lock"}


def test_killed_after_it_has_its_name_the_ledger_is_whole(door: CommandLine) -> None:
    """Only its views are missing, which are made from it."""
    done = stopped_at("replay.read_model.rebuild:rebuild", KILL, ["restore", "b", "new"])
    assert done.returncode == -signal.SIGKILL
    assert names(door.folder, "new") == {"new", "new.tlog"}
    assert "as they were signed" in door.done(*NEW, "verify", "--full")
    door.done(*NEW, "project")


@pytest.mark.parametrize("where", STOPS)
def test_ctrl_c_leaves_nothing(door: CommandLine, where: str) -> None:
    """One sentence, and exit code 130."""
    done = stopped_at(where, INTERRUPT, ["restore", "b", "new"])
    assert done.returncode == 130
    assert done.stderr.endswith("attempt-ledger: interrupted\n")
    assert names(door.folder, "new") == set()


def test_a_full_disk_leaves_nothing(door: CommandLine) -> None:
    """The sentence names what was to be made."""
    size = Path("b").stat().st_size / 1_000_000
    for megabytes in (0.005, size * 0.95):
        done = with_files_of(megabytes, "restore", "b", "new")
        assert done.returncode == 2
        assert done.stderr.startswith(f"attempt-ledger: the disk of {door.folder}/new fails (disk ")
        assert names(door.folder, "new") == set()


def test_read_model_that_cannot_be_built_spoil_no_ledger(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, with how to build them."""

    def full(*_: object) -> None:
        raise StoreFull("the disk of new.views is full: nothing was written")

    with monkeypatch.context() as patch:
        patch.setattr("replay.read_model.rebuild.rebuild", full)
        told = door.refused("restore", "b", "new")
    assert "the ledger stands, without its views: the disk of new.views is full" in told
    assert "as they were signed" in door.done(*NEW, "verify", "--full")
    door.done(*NEW, "rebuild")


def test_read_model_that_are_left_of_another_ledger_are_built_anew(door: CommandLine) -> None:
    """They lie where the new one's are to be."""
    door.done("--ledger", "sqlite:///other", "init")
    door.done("--ledger", "sqlite:///other", "project")
    shutil.copy("other.views", "new.views")
    answer = door.call("restore", "b", "new")
    assert answer.code == 0
    assert "the read model at" in answer.err
    assert "of another ledger" in answer.err
    door.done(*NEW, "rebuild", "--check")


# -- from where it may only be read


def test_a_backup_is_read_where_it_may_not_be_written(door: CommandLine) -> None:
    """From a medium that is read-only, say, and nothing is left beside it."""
    away = door.folder / "away"
    away.mkdir()
    for name in ("b", "b.tlog"):
        shutil.move(name, away / name)
    before = {path: path.stat().st_mtime_ns for path in away.rglob("*")}
    os.chmod(away / "b", 0o444)
    os.chmod(away, 0o555)
    try:
        assert door.call("restore", "away/b", "new").code == 0
    finally:
        os.chmod(away, 0o755)
    assert {path: path.stat().st_mtime_ns for path in away.rglob("*")} == before
    assert os.stat("new").st_mode & 0o200, "what is put back can be written"
    assert json.loads(door.done(*NEW, "standing", "C-3", "AZ-104", "--format", "json"))
