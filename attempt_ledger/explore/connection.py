"""Connections that explore the read model: they read it, within bounds, and can do nothing else.

The file is opened alone, so that nothing secret is in reach of a statement, however it is put. What
remains is what SQLite itself could be made to do: run for long, take memory, load code, look into
the process. So functions are allowed by name, and a statement, a value, an answer and the work
for it are bounded.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from sys import getsizeof
from typing import Any, Final

from attempt_ledger.cli.values import instant as read_instant
from ledger.instants import format_instant
from ledger.problems import LedgerProblem
from ledger.store.file import sqlite_uri
from projections.tables import OPEN

_CALLED = """
-> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat concat_ws
cos cosh count cume_dist current_date current_time current_timestamp date datetime degrees
dense_rank exp first_value floor format glob group_concat hex ifnull iif instant instr json
json_array json_array_length json_extract json_group_array json_group_object json_object json_quote
json_type json_valid julianday lag last_value lead length like likelihood likely ln log log10 log2
lower ltrim max micros min mod nth_value ntile nullif octet_length percent_rank pi pow power printf
quote radians random rank replace round row_number rtrim sign sin sinh sqlite_version sqrt strftime
string_agg substr substring sum tan tanh time timediff total trim trunc typeof unhex unicode
unixepoch unlikely upper
"""
FUNCTIONS: Final = frozenset(_CALLED.split())
"""What a statement may call. All others are refused: some read or write what is no table."""
_READING: Final = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE))
"""Not what a table that is computed asks first (dbstat, json_each): to define itself."""
_LOOKING: Final = frozenset(
    (
        *("table_info", "table_xinfo", "table_list", "foreign_key_list", "database_list"),
        *("index_list", "index_info", "index_xinfo", "schema_version", "user_version"),
    )
)
_CHANGING: Final = frozenset(("schema_version", "user_version"))

VALUE_BYTES: Final = 100_000
"""The longest text, blob or row: also what a function may make of a short one."""
ANSWER_BYTES: Final = 32 << 20
"""What the rows of one answer may take, as Python keeps them."""
HEAP_BYTES: Final = 128 << 20
"""What SQLite may take in this process, for all connections together, mostly to sort."""
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 100_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
# SQLite writes the width out before it finds the text too long: ten seconds in a single step.
_WIDE: Final = re.compile(r"%[-+ 0#!,.\d]*(?:\*|[1-9]\d{3})")
_RAISED = "user-defined function raised exception"


class Answer(sqlite3.Cursor):
    """A cursor whose rows, taken together, may not grow beyond ANSWER_BYTES."""

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next rows, at most so many; raises sqlite3.OperationalError."""
        rows: list[Any] = []
        room = ANSWER_BYTES
        while size is None or len(rows) < size:
            row = self.fetchone()
            if row is None:
                break
            room -= getsizeof(row) + sum(map(getsizeof, row))
            if room < 0:
                raise sqlite3.OperationalError(
                    f"the answer takes more than {ANSWER_BYTES >> 20} MB: ask for fewer rows or "
                    "columns"
                )
            rows.append(row)
        return rows

    def fetchall(self) -> list[Any]:
        """Return all rows that are left; raises sqlite3.OperationalError."""
        return self.fetchmany()


class Exploring(sqlite3.Connection):
    """A connection that reads within bounds, and that says in a sentence what was wrong."""

    problem = ""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Open it, and beside it an empty database, which runs functions that are bounded here."""
        super().__init__(*arguments, **options)
        self.beside = sqlite3.connect(":memory:", check_same_thread=False)
        self.beside.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)

    def close(self) -> None:
        """Close both."""
        self.beside.close()
        super().close()

    def cursor(self, factory: Any = Answer) -> Any:
        """Return a cursor whose answers are bounded."""
        return super().cursor(factory)

    def worded(self, error: sqlite3.DatabaseError | MemoryError) -> sqlite3.OperationalError:
        """Return what is to be said of an error, as the one kind that Datasette puts on a page."""
        if isinstance(error, MemoryError):
            return sqlite3.OperationalError(
                "this takes more memory than there is for it: sort or group fewer rows"
            )
        raised = _RAISED in str(error) and self.problem
        return sqlite3.OperationalError(self.problem if raised else str(error))


def connected(path: Path, now: Callable[[], int]) -> Exploring:
    """Open a read model to explore it; raises LedgerProblem.

    Beside SQLite's own functions (`FUNCTIONS`) it has `micros(text)`, which reads an instant or a
    day (empty: `now`), and `instant(number)`, which writes one.
    """
    connection = _open(path)
    try:
        _add_functions(connection, now)
        for category, bound in _LIMITS.items():
            connection.setlimit(category, bound)
        connection.execute("PRAGMA temp_store = MEMORY")  # so that the bound on memory is on it too
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_allowed)
    except BaseException:
        connection.close()
        raise
    return connection


def bound_memory() -> None:
    """Bound what SQLite takes in this process, for good: the pragma can only lower it again."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA soft_heap_limit = {HEAP_BYTES // 2}").fetchall()
    connection.execute(f"PRAGMA hard_heap_limit = {HEAP_BYTES}").fetchall()
    connection.close()


def _open(path: Path) -> Exploring:
    try:
        # Not mode=ro, which would leave SQLite's -wal and -shm files lying about.
        return _connect(path, "mode=rw")
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise LedgerProblem(f"{path} is damaged: `rebuild` makes it anew") from None
        if code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise LedgerProblem(f"{path} cannot be read: {error}") from None
    try:
        return _connect(path, _at_rest(path))
    except sqlite3.Error as error:
        raise LedgerProblem(f"{path} cannot be read: {error}") from None


def _connect(path: Path, how: str) -> Exploring:
    connection = sqlite3.connect(
        sqlite_uri(path, how),
        uri=True,
        check_same_thread=False,
        isolation_level=None,
        factory=Exploring,
    )
    try:
        connection.execute("SELECT count(*) FROM position").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _at_rest(path: Path) -> str:
    """Read a file as it lies, in a folder that may not be written: nobody may be writing it."""
    wal = Path(f"{path}-wal")
    if wal.exists() and wal.stat().st_size:
        raise LedgerProblem(
            f"{path} cannot be read from a folder that cannot be written while {wal.name} stands "
            "beside it: let a program that may write there open it once"
        )
    return "mode=ro&immutable=1"


def _add_functions(connection: Exploring, now: Callable[[], int]) -> None:
    def micros(text: str | int | None) -> int | None:
        if text is None or isinstance(text, int):
            return text
        if not text.strip():
            return now()
        try:
            return read_instant("an instant is asked for here", text[:100].strip())
        except Exception as error:
            connection.problem = str(error)
            raise

    def instant(number: int | None) -> str | None:
        return None if number is None or number >= OPEN else format_instant(number)

    def printf(*values: Any) -> Any:
        if values and _WIDE.search(str(values[0])):
            connection.problem = "a width in printf or format is a number of at most three digits"
            raise ValueError(connection.problem)
        # SQLite's own, as a statement of its own: within our bounds on a text, and on its width.
        plain = f"SELECT printf({', '.join('?' * len(values))})"
        return connection.beside.execute(plain, values).fetchone()[0]

    for name in ("printf", "format"):
        connection.create_function(name, -1, printf, deterministic=True)
    # Within one statement it is, now too: so it is called once, not for each row.
    connection.create_function("micros", 1, micros, deterministic=True)
    connection.create_function("instant", 1, instant, deterministic=True)


def _allowed(action: int, first: Any, second: Any, database: Any, inside: Any) -> int:
    """Let pass what reads; called once for each part of a statement, when it is prepared."""
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second.lower() in FUNCTIONS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _LOOKING:
        return sqlite3.SQLITE_DENY if first in _CHANGING and second else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
