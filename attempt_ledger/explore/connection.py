"""Connections that explore the views: they read, and can do nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from attempt_ledger.cli.values import instant as read_instant
from ledger.instants import format_instant
from ledger.problems import LedgerProblem
from projections.tables import OPEN

_FACTS = (
    "position, recorded_at, occurred_at, substr(topic, 1, instr(topic, ':') - 1) AS type, stream, "
    "substr(stream, instr(stream, '/') + 1) AS subject, source, id, actor, exam, key, annuls, "
    "iif(topic LIKE 'EventAnnulled:%', json_extract(data, '$.reason'), NULL) AS reason"
)
# The same columns, of no rows: where the ledger is not at hand nobody is named.
_NO_FACTS = ", ".join(f"NULL AS {name}" for name in (
    "position", "recorded_at", "occurred_at", "type", "stream", "subject", "source", "id", "actor",
    "exam", "key", "annuls", "reason",
))  # fmt: skip

_READING: Final = frozenset(
    (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
)
_LOOKING: Final = frozenset(
    (
        *("table_info", "table_xinfo", "table_list", "foreign_key_list", "database_list"),
        *("index_list", "index_info", "index_xinfo", "schema_version", "user_version"),
    )
)
_CHANGING: Final = frozenset(("schema_version", "user_version"))
_RAISED = "user-defined function raised exception"


class Sources(NamedTuple):
    """What is explored: the views, and the ledger they are of where it is at hand."""

    views: Path
    ledger: Path | None


class Exploring(sqlite3.Connection):
    """A connection that remembers what was wrong with a value it was given."""

    problem = ""

    def said(self, error: sqlite3.OperationalError) -> sqlite3.OperationalError:
        """Return the error that says it, where SQLite only says that there is one."""
        if _RAISED in str(error) and self.problem:
            return sqlite3.OperationalError(self.problem)
        return error


def connected(sources: Sources, now: Callable[[], int]) -> Exploring:
    """Open a connection to explore with; raises LedgerProblem.

    Beside SQLite's own functions it has `micros(text)`, which reads an instant or a day (nothing:
    `now`), and `instant(number)`, which writes one. `facts` holds the ledger's events without their
    data. Whatever is asked, nothing can be changed, no other file opened, no personal field read.
    """
    connection = _open(sources.views)
    try:
        _add_functions(connection, now)
        if sources.ledger is None:
            facts = f"SELECT {_NO_FACTS} WHERE false"
        else:
            _attach(connection, sources.ledger)
            facts = f"SELECT {_FACTS} FROM ledger.events"
        connection.execute(f"CREATE TEMP VIEW facts AS {facts}")
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_allowed)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path) -> Exploring:
    try:
        # Not mode=ro, which would leave SQLite's -wal and -shm files lying about.
        return _connect(path, "mode=rw")
    except sqlite3.Error as error:
        if not _may_not_write(error):
            raise LedgerProblem(f"{path} cannot be read: {error}") from None
    try:
        return _connect(path, _at_rest(path))
    except sqlite3.Error as error:
        raise LedgerProblem(f"{path} cannot be read: {error}") from None


def _connect(path: Path, how: str) -> Exploring:
    connection = sqlite3.connect(
        _uri(path, how), uri=True, check_same_thread=False, isolation_level=None, factory=Exploring
    )
    try:
        connection.execute("SELECT count(*) FROM position").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _attach(connection: Exploring, path: Path) -> None:
    try:
        try:
            connection.execute("ATTACH ? AS ledger", (_uri(path, "mode=rw"),))
            connection.execute("SELECT name FROM ledger.about LIMIT 1").fetchall()
        except sqlite3.Error as error:
            if not _may_not_write(error):
                raise
            with suppress(sqlite3.Error):
                connection.execute("DETACH ledger")
            connection.execute("ATTACH ? AS ledger", (_uri(path, _at_rest(path)),))
            connection.execute("SELECT name FROM ledger.about LIMIT 1").fetchall()
    except sqlite3.Error as error:
        raise LedgerProblem(f"{path} cannot be read: {error}") from None


def _may_not_write(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def _at_rest(path: Path) -> str:
    """Read a file as it lies, in a folder that may not be written: nobody may be writing it."""
    wal = Path(f"{path}-wal")
    if wal.exists() and wal.stat().st_size:
        raise LedgerProblem(
            f"{path} cannot be read from a folder that cannot be written while {wal.name} stands "
            "beside it: let a program that may write there open it once"
        )
    return "mode=ro&immutable=1"


def _uri(path: Path, how: str) -> str:
    return f"file:{quote(str(path.absolute()))}?{how}"


def _add_functions(connection: Exploring, now: Callable[[], int]) -> None:
    def micros(text: str | int | None) -> int | None:
        if text is None or isinstance(text, int):
            return text
        if not text.strip():
            return now()
        try:
            return read_instant("an instant is asked for here", text.strip())
        except Exception as error:
            connection.problem = str(error)
            raise

    def instant(number: int | None) -> str | None:
        return None if number is None or number >= OPEN else format_instant(number)

    # Within one statement it is, now too: so it is called once, not for each row.
    connection.create_function("micros", 1, micros, deterministic=True)
    connection.create_function("instant", 1, instant, deterministic=True)


def _allowed(action: int, first: Any, second: Any, database: Any, inside: Any) -> int:
    """Let pass what reads; called once for each part of a statement, when it is prepared."""
    if action == sqlite3.SQLITE_READ:
        # What an event says may hold personal fields: sealed, but no business of a view.
        sealed = database == "ledger" and second == "data" and inside != "facts"
        return sqlite3.SQLITE_DENY if sealed else sqlite3.SQLITE_OK
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _LOOKING:
        return sqlite3.SQLITE_DENY if first in _CHANGING and second else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
