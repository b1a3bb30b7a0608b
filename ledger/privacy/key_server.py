"""The key store in a database, of another role than the ledger: who writes events reads no key.

A schema with what a key file holds. Who is let in calls the functions of its owner, by which no key
is changed, and none that was destroyed comes back. PostgreSQL keeps what is replaced until it
vacuums, and in its write-ahead log: docs/postgresql.md says for how long.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

import psycopg

from ledger.privacy.key_file import KEY_BYTES, Erasure, KeyBackup
from ledger.privacy.key_file import quoted as text_of
from ledger.problems import KeyFileProblem
from ledger.store.postgres_integrity import redefinitions
from ledger.store.postgres_making import making
from ledger.store.postgres_pool import PatientConnection, Pool, confirming
from ledger.store.postgres_problems import problems
from ledger.store.postgres_schema import ABOUT, Layout, quoted
from ledger.store.server import Role, Server

_ANSWER_SECONDS: Final = 30.0

_KEEP: Final = """
BEGIN
  INSERT INTO {s}.keys VALUES (p_candidate, p_key) ON CONFLICT DO NOTHING;
  RETURN (SELECT k.key FROM {s}.keys k WHERE k.candidate = p_candidate);
END
"""
_DESTROY: Final = """
DECLARE
  was_there boolean := EXISTS (
    SELECT 1 FROM {s}.keys k WHERE k.candidate = p_candidate AND k.key IS NOT NULL);
BEGIN
  INSERT INTO {s}.keys VALUES (p_candidate, NULL)
    ON CONFLICT (candidate) DO UPDATE SET key = NULL WHERE keys.key IS NOT NULL;
  RETURN was_there;
END
"""
_REGISTER: Final = """
BEGIN
  INSERT INTO {s}.erasures VALUES (p_candidate, p_position, p_reason, p_actor, p_at)
    ON CONFLICT (candidate) DO UPDATE SET position = excluded.position;
END
"""
_NOTE_BACKUP: Final = """
BEGIN
  INSERT INTO {s}.backups VALUES (p_at, p_until, p_file);
END
"""
_FUNCTIONS: Final = {
    "keep": ("p_candidate text, p_key bytea", "RETURNS bytea ", _KEEP),
    "destroy": ("p_candidate text", "RETURNS boolean ", _DESTROY),
    "register": (
        "p_candidate text, p_position bigint, p_reason text, p_actor text, p_at bigint",
        "RETURNS void ",
        _REGISTER,
    ),
    "note_backup": ("p_at bigint, p_until bigint, p_file text", "RETURNS void ", _NOTE_BACKUP),
}
_TABLES: Final = {
    "about": ABOUT,
    "keys": (("candidate", "text", True), ("key", "bytea", False)),
    "erasures": (
        ("candidate", "text", True),
        ("position", "bigint", True),
        ("reason", "text", True),
        ("actor", "text", False),
        ("at", "bigint", True),
    ),
    "backups": (("at", "bigint", True), ("until", "bigint", True), ("file", "text", True)),
}
KEYS: Final = Layout(
    tables=_TABLES,
    keyed=("about", "keys", "erasures"),
    indexes={},
    functions=_FUNCTIONS,
    procedures={},
    plans={},
    reads=tuple(_TABLES),
    calls={"keeper": tuple(_FUNCTIONS)},
)


def create_key_store(
    server: Server, id: str | None = None, roles: Iterable[tuple[str, Role]] = ()
) -> None:
    """Make an empty key store, with an id of its own, or this one; `roles` are let in.

    Raises LedgerProblem if something is there already.
    """
    with making(server, KEYS, {"id": id or os.urandom(16).hex()}, roles):
        pass


class KeyServer:
    """An open key store; does what a `KeyFile` does."""

    def __init__(self, server: Server, connection: PatientConnection) -> None:
        """Look at what is there; raises KeyFileProblem, or psycopg.Error."""
        self.path = server
        self.connection = connection
        self._s = quoted(server.schema)
        connection.answer_seconds = _ANSWER_SECONDS
        self._check_schema()
        self.id = self._id()

    def _check_schema(self) -> None:
        if others := redefinitions(self.connection, self.path.schema, KEYS):
            raise KeyFileProblem(
                f"{self.path} was changed past the ledger: {others[0]}; nothing was changed. Find "
                "out by whom, and put it right"
            )

    def _id(self) -> str:
        return str(self._rows("SELECT value FROM {s}.about WHERE name = 'id'")[0][0])

    def _rows(self, select: str, values: Sequence[Any] = ()) -> list[Any]:
        found = self.connection.execute(select.format(s=self._s), values or None).fetchall()
        return list(found)

    def close(self) -> None:
        """Close the connection; what is not committed is taken back."""
        self.connection.close()

    def check(self, remembered: str | None) -> None:
        """Raise KeyFileProblem unless these are the keys that are remembered, if any are."""
        self.id = self._id()
        if remembered is not None and self.id != remembered:
            raise KeyFileProblem(
                f"{self.path} holds another ledger's keys ({self.id[:8]}…), this ledger's are "
                f"{remembered[:8]}…: name those"
            )

    def look_up(self, candidate: str) -> tuple[bytes | None, bool]:
        """Return the candidate's key, None if there is none (any more), and if it was destroyed."""
        found = self._rows("SELECT key FROM {s}.keys WHERE candidate = %s", (candidate,))
        return (found[0][0], found[0][0] is None) if found else (None, False)

    def keep(self, candidate: str, key: bytes | None = None) -> bytes:
        """Keep the candidate's first key, a new one or this one; or return the one there is.

        Raises KeyFileProblem if it was destroyed.
        """
        self.begin()
        drawn = key or os.urandom(KEY_BYTES)
        ((kept,),) = self._rows("SELECT {s}.keep(%s, %s)", (candidate, drawn))
        if kept is None:
            raise KeyFileProblem(f"the key of {candidate} in {self.path} was destroyed")
        return bytes(kept)

    def destroy(self, candidate: str) -> bool:
        """Destroy the candidate's key, for ever: none is drawn again. Return whether it was."""
        self.begin()
        ((was_there,),) = self._rows("SELECT {s}.destroy(%s)", (candidate,))
        return bool(was_there)

    def candidates(self) -> list[tuple[str, bool]]:
        """Return every candidate that is named, sorted, and whether there is a key (still)."""
        return self._rows("SELECT candidate, key IS NOT NULL FROM {s}.keys ORDER BY candidate")

    def is_damaged(self) -> bool:
        """Return False: the server says so itself, whenever a page does not read."""
        return False

    def register(self, erasure: Erasure) -> None:
        """Keep why a candidate was forgotten; what was said first stands, but for the position."""
        self.begin()
        self._rows("SELECT {s}.register(%s, %s, %s, %s, %s)", erasure)

    def erasures(self, candidate: str | None = None) -> list[Erasure]:
        """Return the register, sorted by candidate, or a candidate's line of it."""
        lines = map(Erasure._make, self._rows("SELECT * FROM {s}.erasures ORDER BY candidate"))
        return [line for line in lines if candidate in (None, line.candidate)]

    def note_backup(self, backup: KeyBackup) -> None:
        """Remember that a copy was made."""
        self.begin()
        self._rows("SELECT {s}.note_backup(%s, %s, %s)", backup)

    def backups(self) -> list[KeyBackup]:
        """Return the copies that were made, the first first."""
        return list(
            map(KeyBackup._make, self._rows("SELECT * FROM {s}.backups ORDER BY at, until"))
        )

    def copied(self) -> tuple[str, str, str]:
        """Return what fills a file of keys with all that is here, as SQL for SQLite."""
        filled = [
            f"INSERT INTO {table} VALUES ({', '.join(map(_literal, row))});"
            for table in ("keys", "erasures", "backups")
            for row in self._rows(f"SELECT * FROM {{s}}.{table}")
        ]
        return "", "".join(filled), ""

    def begin(self) -> None:
        """Begin a transaction, ended by `commit` or `rollback`.

        Raises KeyFileProblem if something was defined in the store meanwhile, which might keep a
        key that is destroyed.
        """
        if self.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            self.connection.execute("BEGIN")
            try:
                self._check_schema()
            except BaseException:
                self.rollback()
                raise

    def commit(self) -> None:
        """Make durable what was written, on the standbys that the server waits for, too.

        Raises NotDurable where one of those did not confirm it.
        """
        if self.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            return
        with confirming(
            self.connection,
            self.path,
            self.path.waiting,
            "the keys are durable",
            "nothing was recorded, repeat the call",
        ):
            self.connection.execute("COMMIT")

    def rollback(self) -> None:
        """Roll back what was written since the last commit."""
        is_idle = self.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if not self.connection.closed and not is_idle:
            with suppress(psycopg.Error):
                self.connection.execute("ROLLBACK")


def _literal(value: str | int | bytes | None) -> str:
    """Write a value as SQLite has it."""
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return "NULL" if value is None else text_of(value) if isinstance(value, str) else str(value)


class OpenKeyServer:
    """Where a key store is: does what `OpenKeys` does for a file."""

    def __init__(self, server: Server) -> None:
        self.path = server
        self._open: KeyServer | None = None
        self._process = os.getpid()

    def problems(self) -> AbstractContextManager[None]:
        """Turn what the driver raises into one sentence about the key store."""
        return problems(self.path)

    def exists(self) -> bool:
        """Return whether there is a key store; raises LedgerProblem."""
        with self.problems():
            return self._found() is not None

    def create(self, id: str | None = None) -> None:
        """Make an empty one, with an id of its own, or this one."""
        create_key_store(self.path, id)

    def key_file(self, remembered: str | None, *, begun: bool = False) -> KeyServer | None:
        """Return the key store; None if there is none and none is `remembered`.

        With a transaction `begun`, if so. Raises KeyFileProblem if it is missing, or is not the one
        `remembered` by its id. A connection that was lost meanwhile is made anew.
        """
        with self.problems():
            for last in (False, True):
                try:
                    keys = self._found()
                    if keys is None and remembered is not None:
                        raise KeyFileProblem(
                            f"the key store {self.path} is missing: name the one this ledger was "
                            "written with; nothing was changed"
                        )
                    if keys is not None:
                        if begun:
                            keys.begin()
                        keys.check(remembered)
                    return keys
                except psycopg.OperationalError:
                    if last or self._open is None or not self._open.connection.closed:
                        raise
                except BaseException:
                    if self._open is not None:
                        self._open.rollback()
                    raise
        raise AssertionError("unreachable")

    def _found(self) -> KeyServer | None:
        if self._open is not None and not self._open.connection.closed:
            return self._open
        connection = Pool(self.path).open()
        try:
            is_there = connection.execute(
                "SELECT 1 FROM pg_namespace WHERE nspname = %s", (self.path.schema,)
            ).fetchone()
            self._open = KeyServer(self.path, connection) if is_there else None
        finally:
            if self._open is None or self._open.connection is not connection:
                connection.close()
        return self._open

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._open is not None and self._process == os.getpid():
            self._open.close()
        self._open = None
