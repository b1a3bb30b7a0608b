"""What a ledger's file defines, object by object, and a watch over what runs in it.

A ledger has tables and indexes, and nothing that runs by itself: a trigger or a view in its file
was put there by somebody else, to change what comes in or what is read. Its name proves nothing:
with `PRAGMA writable_schema` an own trigger may bear one of SQLite's names. So every row of the
schema table is compared, by type, name, table and text.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Final, TypeAlias

from ledger.problems import Redefined

APPLICATION_ID: Final = 0x41744C67  # "AtLg", in the file's header: tells a ledger from other files
SCHEMA_VERSION: Final = 2
"""The format of new ledgers. One of an earlier format is read and written as it is."""

EXTENSIONS: Final = 2
"""The format from which on a ledger keeps the extension attributes of its events."""

_COLUMNS: Final = """
CREATE TABLE events (
  position INTEGER PRIMARY KEY,
  recorded_at INTEGER NOT NULL,
  occurred_at INTEGER NOT NULL,
  topic TEXT NOT NULL,
  stream TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  actor TEXT,
  exam TEXT,
  key TEXT,
  flag INTEGER,
  until INTEGER,
  annuls INTEGER,
  data TEXT NOT NULL
"""
_REST: Final = """) STRICT;
CREATE UNIQUE INDEX events_by_source_id ON events (source, id);
CREATE INDEX events_by_stream ON events (stream);
CREATE INDEX events_by_key ON events (key) WHERE key IS NOT NULL;
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""

COLUMNS: Final = tuple(
    re.findall(r"(\w+) (INTEGER|TEXT)( NOT NULL| PRIMARY KEY|)", f"{_COLUMNS}, extensions TEXT")
)
"""(name, type, what makes it never null, else empty) of each column of an event, in order."""

# What `ALTER TABLE events ADD COLUMN extensions TEXT` leaves, to the letter: a ledger that was
# upgraded is like one that was made so.
SCHEMA: Final = f"{_COLUMNS}, extensions TEXT{_REST}"
"""Two clocks and what the fold needs as typed columns. recorded_at rises with position, so it is
bisected and has no index; position is given as max + 1 under the write lock, so it has no gaps."""

Object: TypeAlias = tuple[str, str, str, str | None]
"""(type, name, table, text) of one row of SQLite's schema table."""

_OF_OTHERS: Final[frozenset[Object]] = frozenset(
    ("table", name, name, f"CREATE TABLE {name}{columns}")
    for name, columns in (
        # Litestream, which replicates SQLite files, puts these into each; no query reads them.
        ("_litestream_seq", " (id INTEGER PRIMARY KEY, seq INTEGER)"),
        ("_litestream_lock", " (id INTEGER)"),
        # What ANALYZE leaves: SQLite's choice between two ways to the same rows.
        ("sqlite_stat1", "(tbl,idx,stat)"),
        ("sqlite_stat4", "(tbl,idx,neq,nlt,ndlt,sample)"),
    )
)
"""What else may be in a ledger's file, to the letter."""

_DEFINITION: Final = re.compile(r"CREATE (?:UNIQUE )?(TABLE|INDEX) (\w+)(?: ON (\w+))?")

# As bytes, since text that is no UTF-8, or goes on after a NUL, must be seen as it is.
_KEYS: Final = re.compile(r" (?:TEXT|BLOB) PRIMARY KEY| NOT NULL UNIQUE")
_ASK: Final = (
    "SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB) "
    "FROM sqlite_schema ORDER BY rowid"
)


def objects_of(schema: str) -> frozenset[Object]:
    """Return what statements make, as SQLite keeps it: each text from its name on to its end."""
    objects: list[Object] = []
    for text in filter(None, map(str.lstrip, schema.split(";"))):
        match = _DEFINITION.match(text)
        assert match is not None
        type, name, table = match.groups()
        objects.append((type.lower(), name, table or name, text))
        for number, _ in enumerate(_KEYS.findall(text), start=1):  # each makes an index by itself
            objects.append(("index", f"sqlite_autoindex_{name}_{number}", name, None))
    return frozenset(objects)


_FORMATS: Final = {1: objects_of(f"{_COLUMNS}{_REST}"), SCHEMA_VERSION: objects_of(SCHEMA)}
"""What a ledger of each format defines."""


def format_of(connection: sqlite3.Connection) -> int:
    """Return the format that a ledger's file says it has; raises sqlite3.Error."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def redefinitions(
    connection: sqlite3.Connection,
    expected: frozenset[Object] | None = None,
    optional: frozenset[Object] = _OF_OTHERS,
) -> list[str]:
    """Return a sentence for each object of a file that is not as the ledger defines it.

    `expected` must be there, by default what the file's format asks for; `optional` may be. Asks
    the schema table alone, of the state that the connection sees. None: all is as it should be.
    Raises sqlite3.Error.
    """
    if expected is None:
        expected = _FORMATS.get(format_of(connection), _FORMATS[SCHEMA_VERSION])
    found: Counter[Object] = Counter(
        tuple(None if value is None else _text(value) for value in row)  # type: ignore[misc]
        for row in connection.execute(_ASK)
    )
    allowed = expected | optional
    others = [each for each, count in found.items() if count > 1 or each not in allowed]
    names = {f"{type} {name}" for type, name, _, _ in (*others, *(expected - found.keys()))}
    return [f"the file's {name} is not as the ledger defines it" for name in sorted(names)]


TRACKING: Final = (
    "a ledger keeps its own events and nothing else: give the projection a database of its own "
    "(PERSISTENCE_MODULE and SQLITE_DBNAME, each with the projection's name before it)"
)
"""What is said of tracking tables, which `eventsourcing` makes in the file that it is handed."""


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Raise Redefined unless the file defines what a ledger of its format does, and no more."""
    if sentences := redefinitions(connection):
        if any("table tracking" in sentence for sentence in sentences):
            raise Redefined(f"{path} has a table `tracking`: {TRACKING}, and drop its tables here")
        raise Redefined(
            f"{path} was changed past the ledger, nothing was written: {sentences[0]}"
            f"{f', and {len(sentences) - 1} more' if len(sentences) > 1 else ''}; "
            "`verify` says more"
        )


def guard(connection: sqlite3.Connection) -> None:
    """Let nothing run on a connection but what we ask: no trigger, no view, no unsafe function.

    Asked when a statement is prepared, so that a statement in the cache costs nothing more. A
    common table expression counts as a view: a query of the ledger has none. Raises sqlite3.Error.
    """
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.set_authorizer(_authorize)


def _authorize(action: int, first: object, second: object, database: object, inside: object) -> int:
    return sqlite3.SQLITE_OK if inside is None else sqlite3.SQLITE_DENY


def _text(value: bytes) -> str:
    text = value.decode(errors="backslashreplace")
    return text if text.isprintable() or "\n" in text else ascii(text)
