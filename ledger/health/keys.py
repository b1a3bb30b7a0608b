"""Whether the keys of personal fields are where they should be, and only there. Reads, no more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ledger.ledger import Ledger
from ledger.privacy.erasure import forgotten_in
from ledger.privacy.key_file import APPLICATION_ID, KeyBackup, check_key_schema
from ledger.problems import KeyFileProblem
from ledger.store.file import storage_problems
from ledger.store.schema import guard


class Keys(NamedTuple):
    """What a key file holds, against what the ledger says of it."""

    id: str
    candidates: int
    """How many candidates have a key."""
    damaged: bool
    came_back: tuple[str, ...]
    """Candidates who were forgotten, by the ledger, and have a key all the same; sorted."""
    only_here: tuple[str, ...]
    """Candidates whose key was destroyed, while the ledger does not say they were forgotten."""
    backups: tuple[KeyBackup, ...]
    """The copies that were made of it, the first first."""


def keys_of(ledger: Ledger, path: Path) -> Keys:
    """Look into a key file; raises KeyFileProblem or LedgerProblem where it does not read."""
    with _opened(path) as connection:
        (id,) = connection.execute("SELECT value FROM about WHERE name = 'id'").fetchone()
        (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        rows = connection.execute("SELECT candidate, key NOTNULL FROM keys")
        held = {candidate: bool(there) for candidate, there in rows}
        backups = _backups(connection)
    forgotten = forgotten_in(ledger)
    return Keys(
        str(id),
        sum(held.values()),
        sound != "ok",
        tuple(sorted(name for name in forgotten if held.get(name))),
        tuple(sorted(name for name, there in held.items() if not there and name not in forgotten)),
        backups,
    )


def _backups(connection: sqlite3.Connection) -> tuple[KeyBackup, ...]:
    """Return the register of copies; none in a file of a release that kept none."""
    there = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'backups'").fetchone()
    rows = connection.execute("SELECT * FROM backups ORDER BY at, until") if there else ()
    return tuple(KeyBackup._make(row) for row in rows)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a key file for reading alone, on read-only media too."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise KeyFileProblem(f"the key file {path} cannot be read: {error.strerror}") from None
    if header[:16] != b"SQLite format 3\0" or header[68:72] != APPLICATION_ID.to_bytes(4, "big"):
        raise KeyFileProblem(f"{path} is not a key file")
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    with storage_problems(path), closing(sqlite3.connect(uri, uri=True)) as connection:
        guard(connection)
        check_key_schema(connection, path)
        yield connection
