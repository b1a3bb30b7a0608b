"""The key file: one key for each candidate, apart from the ledger, so that it can be destroyed."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from ledger.problems import KeyFileProblem
from ledger.storage import make_file, storage_problems

APPLICATION_ID = 0x41744C6B  # "AtLk"
KEY_BYTES = 32

# secure_delete overwrites what is deleted; EXTRA makes the end of the journal durable too, so that
# a key, once acknowledged, cannot be rolled back by a power cut after its event was committed.
_SCHEMA = """
PRAGMA secure_delete = ON;
PRAGMA synchronous = EXTRA;
BEGIN;
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE keys (candidate TEXT PRIMARY KEY, key BLOB) STRICT;
"""


def create_key_file(path: Path) -> None:
    """Make an empty key file that only its owner may read, with an id of its own."""
    make_file(
        path,
        f"{_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
        f"INSERT INTO about VALUES ('id', '{secrets.token_hex(16)}'); COMMIT;",
        mode=0o600,
    )


@contextmanager
def open_key_file(path: Path, remembered: str | None) -> Iterator[KeyFile]:
    """Open the key file at `path`; raises KeyFileProblem if it is not the one `remembered`.

    It is opened anew for each use: a connection kept open to a file that was moved away would
    write keys where nobody finds them again.
    """
    with storage_problems(path), closing(_connect(path)) as connection:
        keys = KeyFile(path, connection)
        if remembered is not None and keys.id != remembered:
            raise KeyFileProblem(
                f"{path} is another ledger's key file ({keys.id[:8]}…), this ledger's is "
                f"{remembered[:8]}…: put that one back, or name it"
            )
        yield keys


class KeyFile:
    """An open key file. A candidate without a row never had a key; a NULL key was destroyed."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self.id = str(connection.execute("SELECT value FROM about WHERE name = 'id'").fetchone()[0])

    def key(self, candidate: str) -> bytes | None:
        """Return the candidate's key; None if there is none, or none any more."""
        found = self._connection.execute(
            "SELECT key FROM keys WHERE candidate = ?", (candidate,)
        ).fetchone()
        return None if found is None else found[0]

    def is_destroyed(self, candidate: str) -> bool:
        """Tell whether the candidate had a key that was destroyed."""
        found = self._connection.execute(
            "SELECT key FROM keys WHERE candidate = ?", (candidate,)
        ).fetchone()
        return found is not None and found[0] is None

    def make_key(self, candidate: str) -> bytes:
        """Draw the candidate's first key, durable when this returns; or return the one there is."""
        self._connection.execute(
            "INSERT INTO keys VALUES (?, ?) ON CONFLICT DO NOTHING",
            (candidate, secrets.token_bytes(KEY_BYTES)),
        )
        key = self.key(candidate)
        if key is None:
            raise KeyFileProblem(f"the key of {candidate} in {self.path} was destroyed")
        return key


def _connect(path: Path) -> sqlite3.Connection:
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        raise KeyFileProblem(
            f"the key file {path} is missing: put it back, or name the one this ledger was written "
            "with; nothing was changed"
        ) from None
    except OSError as error:
        raise KeyFileProblem(f"the key file {path} cannot be read: {error.strerror}") from None
    mark = int.from_bytes(header[68:72], "big")
    if header[:16] != b"SQLite format 3\0" or mark != APPLICATION_ID:
        raise KeyFileProblem(f"{path} is not a key file: it was left as it is")
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw", uri=True, isolation_level=None, timeout=60
    )
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = EXTRA")
    except BaseException:
        connection.close()
        raise
    return connection
