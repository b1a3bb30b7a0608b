"""Backups of the keys: not beside those of the ledger, and for a short time."""

from __future__ import annotations

import os
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger.appending import Appending
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.privacy.erasure import forget_again
from ledger.privacy.key_file import (
    BACKUP_ID,
    KEY_SCHEMA,
    KeyBackup,
    KeyFile,
    overwrite,
    quoted,
)
from ledger.privacy.vault import KEY_FILE
from ledger.problems import KeyFileProblem
from ledger.store.file import check_place, make_file

if TYPE_CHECKING:
    from ledger.privacy.key_server import KeyServer


class Restored(NamedTuple):
    """What putting keys back came to; candidates sorted."""

    back: int
    """So many keys are there again."""
    again: tuple[str, ...]
    """Their keys were in the backup and were not put back, or stood here and were destroyed."""
    other: tuple[str, ...]
    """They have another key here, which was kept."""
    forgotten_now: tuple[str, ...]
    """The ledger did not know that they were forgotten: now it says so."""


def _shown(file: Path) -> str:
    """Write where a file is, as text that can be kept, whatever bytes its name is made of."""
    return os.fsencode(file.absolute()).decode(errors="backslashreplace")


def back_up(ledger: Ledger, file: Path, *, now: int, until: int) -> KeyBackup:
    """Copy the key file to `file`, to be used before `until`; instants in microseconds.

    The key file remembers that there is a copy. Raises LedgerProblem when there are no keys yet, or
    something is at `file` already.
    """
    backup = KeyBackup(now, until, _shown(file))
    with ledger.appending() as appending:
        keys = appending.keyring.file()
        if keys is None:
            raise KeyFileProblem(f"{ledger.vault.path} is not there: there are no keys to back up")
        check_place(file)  # what is refused is not noted
        with appending.keyring.problems():
            keys.note_backup(backup)
        appending.keyring.commit()  # before there is a copy, so that none is unknown
        _clear_drafts(file)
        with appending.keyring.problems():
            _copy(keys, file, backup)
    return backup


def _copy(keys: KeyFile | KeyServer, path: Path, backup: KeyBackup) -> None:
    """Make a backup of a key file at `path`, which says of itself that it is one, and until when.

    Raises LedgerProblem if something is there already.
    """
    before, filled, after = keys.copied()
    make_file(
        path,
        f"{before} {KEY_SCHEMA} {filled}"
        f"PRAGMA application_id = {BACKUP_ID}; INSERT INTO about VALUES "
        f"('backup of', {quoted(keys.id)}), ('backup at', '{backup.at}'), "
        f"('backup until', '{backup.until}'); COMMIT; {after}",
        mode=0o600,
    )


def _clear_drafts(file: Path) -> None:
    """Remove what a call that was killed left of a copy: it holds keys, too."""
    for draft in file.absolute().parent.glob(f"{escape(file.name)}.new-*"):
        with suppress(OSError), draft.open("r+b") as left:
            overwrite(left.fileno())
            draft.unlink()


def restore(
    ledger: Ledger, file: Path, *, now: int, expired: bool = False, actor: str | None = None
) -> Restored:
    """Put the keys of a backup back; those that are there stay, and what was destroyed stays so.

    Whoever was forgotten by the word of the ledger, of the keys that are there, or of the backup
    has no key afterwards, and the ledger says so. Raises KeyFileProblem, with nothing changed, for
    a file that is no backup, is another ledger's, or is `expired` when that is not allowed.
    """
    backup = KeyFile(file, mark=BACKUP_ID)
    try:
        until = int(backup.about("backup until") or 0)
        if until <= now and not expired:
            raise KeyFileProblem(
                f"{file} was to be used before {format_instant(until)}: whether it may be all the "
                "same, --expired says"
            )
        with ledger.appending() as appending:
            back, again, other = _merged(ledger, appending, backup)
    finally:
        backup.close()
    forgotten_now = forget_again(ledger, actor=actor, time=now)
    return Restored(back, tuple(sorted(again)), tuple(sorted(other)), forgotten_now)


def _merged(
    ledger: Ledger, appending: Appending, backup: KeyFile
) -> tuple[int, set[str], set[str]]:
    path, remembered = ledger.vault.path, ledger.about(KEY_FILE)
    if remembered not in (None, backup.id):
        raise KeyFileProblem(
            f"{backup.path} holds the keys of another ledger ({backup.id[:8]}…), this ledger's are "
            f"{str(remembered)[:8]}…: nothing was changed"
        )
    if not ledger.vault.is_there():
        ledger.vault.create(backup.id)
    keys = appending.keyring.adopt()
    if keys.id != backup.id:
        raise KeyFileProblem(
            f"{path} holds other keys ({keys.id[:8]}…) than {backup.path} ({backup.id[:8]}…): "
            "nothing was changed"
        )
    with appending.keyring.problems():
        gone = ledger.forgotten() | {name for name, there in keys.candidates() if not there}
        gone |= {name for name, there in backup.candidates() if not there}
        back, other = 0, set[str]()
        again = {name for name in gone if keys.destroy(name)}
        for candidate, key in backup.with_keys():
            here, _ = keys.look_up(candidate)
            if candidate in gone:
                again.add(candidate)
            elif here is None:
                keys.keep(candidate, key)
                back += 1
            elif here != key:
                other.add(candidate)
        for erasure in backup.erasures():
            keys.register(erasure)
    return back, again, other
