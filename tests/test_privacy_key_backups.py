"""Backups of keys: for some days, and never with a key of anybody who was forgotten."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from erasing import CLEAR, WHO, files_in, forgotten_rows, holding, key_of, keys_in, request
from ledger_facts import NOW, SetClock, a_ledger, attempted, exported, kinds

from ledger.ledger import Ledger
from ledger.privacy.erasure import forget
from ledger.privacy.key_backups import Restored, back_up, restore
from ledger.privacy.key_file import KeyBackup
from ledger.problems import KeyFileProblem, LedgerProblem

DAY = 86_400_000_000
UNTIL = NOW + 30 * DAY


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with something personal of three candidates."""
    with a_ledger(tmp_path) as ledger:
        ledger.append([request(1), request(2, candidate="C-2"), request(3, candidate="C-3")])
        yield ledger


@pytest.fixture
def backup(ledger: Ledger, tmp_path: Path) -> Path:
    """A backup of its keys, in a folder of its own."""
    (tmp_path / "safe").mkdir()
    path = tmp_path / "safe" / "keys.backup"
    back_up(ledger, path, now=NOW, until=UNTIL)
    return path


def forgotten(ledger: Ledger, candidate: str = WHO) -> None:
    """Forget a candidate, now."""
    forget(ledger, candidate, reason="ticket", actor="desk", time=NOW)


def email_at(ledger: Ledger, position: int) -> object:
    """Read an e-mail address in clear text; None if nobody can."""
    (row,) = ledger.read(position - 1, position)
    return ledger.vault.reveal(row).get("email")


def lose(ledger: Ledger) -> None:
    """Lose the key file, for good."""
    ledger.vault.path.unlink()


# -- made


def test_a_backup_is_a_copy_that_says_until_when(ledger: Ledger, backup: Path) -> None:
    """Its owner's alone, with nothing beside it; the key file knows of it."""
    assert keys_in(backup) == keys_in(ledger.vault.path)
    assert stat.S_IMODE(os.stat(backup).st_mode) == 0o600
    assert list(backup.parent.iterdir()) == [backup]
    with closing(sqlite3.connect(backup)) as connection:
        about = dict(connection.execute("SELECT name, value FROM about"))
    assert about == {
        "backup of": ledger.about("key file"),
        "backup at": str(NOW),
        "backup until": str(UNTIL),
    }
    with ledger.vault.reading() as keys:
        assert keys is not None
        assert keys.backups() == [KeyBackup(NOW, UNTIL, str(backup))]


def test_a_backup_is_not_made_over_anything(ledger: Ledger, backup: Path) -> None:
    """Whatever is there stays."""
    before = backup.read_bytes()
    with pytest.raises(LedgerProblem, match=r"keys\.backup is already there: nothing was changed"):
        back_up(ledger, backup, now=NOW, until=UNTIL)
    assert backup.read_bytes() == before


def test_a_backup_that_is_refused_is_not_remembered(ledger: Ledger, backup: Path) -> None:
    """Else `forget` and `doctor` would have a file destroyed that is no backup."""
    for place in (backup, backup.parent, backup.parent / "nowhere" / "k"):
        with pytest.raises(LedgerProblem, match=r"already there|No such file"):
            back_up(ledger, place, now=NOW + 1, until=UNTIL)
    with ledger.vault.reading() as keys:
        assert keys is not None
        assert keys.backups() == [KeyBackup(NOW, UNTIL, str(backup))]


def test_what_a_killed_backup_left_is_cleared_away_by_the_next(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A draft holds keys as the copy would; nobody else's files are touched."""
    draft, other = tmp_path / "k.new-0f0f0f0f", tmp_path / "kk.new-0f0f0f0f"
    for path in (draft, other):
        shutil.copy(ledger.vault.path, path)
    back_up(ledger, tmp_path / "k", now=NOW, until=UNTIL)
    assert not draft.exists()
    assert other.exists()


def test_where_there_are_no_keys_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    """Said, and no file made."""
    with a_ledger(tmp_path) as ledger:
        ledger.append([attempted(1)])
        with pytest.raises(KeyFileProblem, match="there are no keys to back up"):
            back_up(ledger, tmp_path / "b", now=NOW, until=UNTIL)
    assert not (tmp_path / "b").exists()


def test_a_backup_is_never_taken_for_a_key_file(ledger: Ledger, backup: Path) -> None:
    """Copied to its place it opens nothing: it has to be restored, without the forgotten."""
    shutil.copy(backup, ledger.vault.path)
    with pytest.raises(KeyFileProblem, match="is a backup of keys: put them back with `keys rest"):
        email_at(ledger, 1)
    with pytest.raises(KeyFileProblem, match="is a backup of keys"):
        ledger.append([request(4)])


# -- put back


def test_what_was_forgotten_since_stays_unreadable(ledger: Ledger, backup: Path) -> None:
    """The keys that are there stay, and no key of the forgotten comes back, not for a moment."""
    key = key_of(ledger)
    forgotten(ledger)
    ledger.append([request(4, candidate="C-4")])
    before = keys_in(ledger.vault.path)
    assert restore(ledger, backup, now=NOW) == Restored(0, (WHO,), (), ())
    assert keys_in(ledger.vault.path) == before
    assert holding(files_in(ledger.path.parent), [key]) == ["keys.backup"]
    assert email_at(ledger, 1) is None
    assert email_at(ledger, 2) == CLEAR["email"]
    assert kinds(ledger.append([request(5)])) == ["Refused"]


def test_a_lost_key_file_comes_back_but_for_who_was_forgotten(ledger: Ledger, backup: Path) -> None:
    """By the word of the ledger alone: the tombstones were lost with the file."""
    key = key_of(ledger)
    forgotten(ledger)
    lose(ledger)
    assert restore(ledger, backup, now=NOW) == Restored(2, (WHO,), (), ())
    assert keys_in(ledger.vault.path)[WHO] is None
    assert holding(files_in(ledger.path.parent), [key]) == ["keys.backup"]
    assert [email_at(ledger, n) for n in (1, 2, 3)] == [None, CLEAR["email"], CLEAR["email"]]
    assert kinds(ledger.append([request(4, candidate="C-4"), request(5)])) == [
        "Appended", "Refused",
    ]  # fmt: skip
    assert stat.S_IMODE(os.stat(ledger.vault.path).st_mode) == 0o600


def test_an_older_ledger_is_told_who_was_forgotten(
    ledger: Ledger, backup: Path, tmp_path: Path
) -> None:
    """By the keys that are there, or by the backup: the ledger says so afterwards."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(ledger.path, tmp_path / "old.ledger")
    shutil.copy(ledger.vault.path, tmp_path / "old.keys")
    forgotten(ledger)
    later = backup.with_name("later.backup")
    back_up(ledger, later, now=NOW, until=UNTIL)
    forgotten(ledger, "C-3")
    with a_ledger(tmp_path, "old", keys=ledger.vault.path) as old:
        assert restore(old, backup, now=NOW) == Restored(0, (WHO, "C-3"), (), (WHO, "C-3"))
        assert forgotten_rows(old) == [(4, WHO), (5, "C-3")]
    shutil.copy(ledger.path, tmp_path / "new.ledger")  # and with keys that are as old as it is
    with a_ledger(tmp_path, "old", keys=tmp_path / "old.keys") as old:
        assert restore(old, later, now=NOW).again == (WHO, "C-3")
        assert [email_at(old, n) for n in (1, 2, 3)] == [None, CLEAR["email"], None]


def test_a_key_that_came_back_is_destroyed_by_a_restore(ledger: Ledger, backup: Path) -> None:
    """An older key file was put in place by hand: the ledger knows better."""
    old = ledger.vault.path.read_bytes()
    forgotten(ledger)
    ledger.vault.path.write_bytes(old)
    assert restore(ledger, backup, now=NOW).again == (WHO,)
    assert keys_in(ledger.vault.path)[WHO] is None


def test_two_keys_of_a_candidate_are_told_and_the_one_here_is_kept(
    ledger: Ledger, backup: Path, tmp_path: Path
) -> None:
    """As when an older key file was written on; neither is lost."""
    ledger.append([request(4, candidate="C-4")])
    later = backup.with_name("later.backup")
    back_up(ledger, later, now=NOW, until=UNTIL)
    lose(ledger)
    restore(ledger, backup, now=NOW)
    ledger.append([request(5, candidate="C-4")])
    here = key_of(ledger, "C-4")
    assert restore(ledger, later, now=NOW) == Restored(0, (), ("C-4",), ())
    assert key_of(ledger, "C-4") == here
    assert email_at(ledger, 5) == CLEAR["email"]


def test_a_backup_whose_time_is_over_is_refused_unless_it_is_asked_for(
    ledger: Ledger, backup: Path
) -> None:
    """At that instant, not the one before."""
    lose(ledger)
    with pytest.raises(KeyFileProblem, match="was to be used before 2021-05-01T00:00:00Z"):
        restore(ledger, backup, now=UNTIL)
    assert not ledger.vault.path.exists()
    assert restore(ledger, backup, now=UNTIL, expired=True).back == 3
    lose(ledger)
    assert restore(ledger, backup, now=UNTIL - 1).back == 3


def no_backup(ledger: Ledger, backup: Path) -> None:
    backup.write_bytes(ledger.vault.path.read_bytes())


def a_text(ledger: Ledger, backup: Path) -> None:
    backup.write_text("dear diary" * 100)


def gone(ledger: Ledger, backup: Path) -> None:
    backup.unlink()


def of_another_ledger(ledger: Ledger, backup: Path) -> None:
    with a_ledger(backup.parent, "other", clock=SetClock()) as other:
        other.append([request()])
        backup.unlink()
        back_up(other, backup, now=NOW, until=UNTIL)


FAULTS: list[tuple[Callable[[Ledger, Path], None], str]] = [
    (no_backup, "is not a backup of keys: it was left as it is"),
    (a_text, "is not a backup of keys: it was left as it is"),
    (gone, "there is no file"),
    (of_another_ledger, "holds the keys of another ledger"),
]


@pytest.mark.parametrize("lost", [False, True], ids=["keys there", "keys lost"])
@pytest.mark.parametrize(("fault", "words"), FAULTS)
def test_what_is_no_backup_of_these_keys_changes_nothing(
    ledger: Ledger, backup: Path, fault: Callable[[Ledger, Path], None], words: str, lost: bool
) -> None:
    """One sentence; what is at the keys' place stays as it is."""
    fault(ledger, backup)
    if lost:
        lose(ledger)
    before = None if lost else ledger.vault.path.read_bytes()
    lines = exported(ledger)
    with pytest.raises(KeyFileProblem) as problem:
        restore(ledger, backup, now=NOW)
    assert words in str(problem.value)
    assert "\n" not in str(problem.value)
    assert (ledger.vault.path.read_bytes() if not lost else None) == before
    assert ledger.vault.path.exists() != lost
    assert exported(ledger) == lines
