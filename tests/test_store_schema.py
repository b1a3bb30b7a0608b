"""Nothing runs in a ledger's file, and nothing is defined there, but what the ledger defines."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from ledger_facts import SetClock, a_ledger, attempted

from ledger.ledger import Ledger
from ledger.outcomes import Appended
from ledger.problems import LedgerProblem, NotALedger, Redefined
from ledger.store import batches
from ledger.store.file import connect_reader, connect_writer
from ledger.store.schema import redefinitions


def redefine(path: Path, *statements: str) -> None:
    """Change a file past the ledger, as whoever may write to it once can."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement)
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        connection.execute(f"PRAGMA schema_version = {version + 1}")
        connection.execute("COMMIT")


def renamed(old: str, new: str) -> tuple[str, str]:
    """Give an object a name that no statement could give it."""
    return (
        f"UPDATE sqlite_schema SET name = '{new}', sql = replace(sql, '{old}', '\"{new}\"') "
        f"WHERE name = '{old}'",
        "SELECT 1",
    )


def altered(name: str, old: str, new: str) -> str:
    """Alter the text of an object's definition."""
    old, new = old.replace("'", "''"), new.replace("'", "''")
    return f"UPDATE sqlite_schema SET sql = replace(sql, '{old}', '{new}') WHERE name = '{name}'"


_LIE = "CREATE TRIGGER zz AFTER INSERT ON events BEGIN UPDATE events SET flag = 1; END"
_IGNORE = "CREATE TRIGGER zz BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END"

CHANGES: dict[str, tuple[str, ...]] = {
    "a trigger": (_LIE,),
    "a trigger that swallows": (_IGNORE,),
    "a trigger by one of SQLite's names": (_LIE, *renamed("zz", "sqlite_autotrigger_1")),
    "a swallowing one by one of SQLite's names": (_IGNORE, *renamed("zz", "sqlite_stat1")),
    "a trigger by an autoindex's name": (_IGNORE, *renamed("zz", "sqlite_autoindex_about_1")),
    "a trigger by Litestream's name": (_IGNORE, *renamed("zz", "_litestream_seq")),
    "a trigger without a name": (_IGNORE, *renamed("zz", "")),
    "a trigger on the other table": (
        "CREATE TRIGGER t AFTER INSERT ON about BEGIN DELETE FROM events; END",
    ),
    "a view": ("CREATE VIEW v AS SELECT * FROM events",),
    "another table": ("CREATE TABLE t (a)",),
    "a virtual table": ("CREATE VIRTUAL TABLE t USING fts5(a)",),
    "an index more": ("CREATE INDEX i ON events (actor)",),
    "an index on an expression": ("CREATE INDEX i ON events (upper(actor))",),
    "an index less": ("DROP INDEX events_by_key",),
    "a column more": ("ALTER TABLE events ADD COLUMN more TEXT",),
    "a column that is computed": (
        "ALTER TABLE events ADD COLUMN more TEXT AS (upper(actor)) VIRTUAL",
    ),
    "rows that are ignored": (
        altered("events", "stream TEXT NOT NULL", "stream TEXT CHECK (stream <> 'x')"),
    ),
    "conflicts that are ignored": (
        altered("events", "actor TEXT", "actor TEXT NOT NULL ON CONFLICT IGNORE"),
    ),
    "a default": (altered("events", "flag INTEGER", "flag INTEGER DEFAULT 1"),),
    "another order of text": (
        altered("events_by_source_id", "source, id", "source COLLATE NOCASE, id"),
    ),
    "text after a zero byte": (
        "UPDATE sqlite_schema SET sql = sql || char(0) || 'x' WHERE name = 'events_by_stream'",
    ),
    "a comment": (altered("about", "STRICT", "STRICT /* mine */"),),
    "Litestream's table with a column more": ("CREATE TABLE _litestream_lock (id INTEGER, a)",),
}
RUNS = [name for name in CHANGES if "trigger" in name and "other table" not in name]
"""What would run when an event is appended."""

change = pytest.mark.parametrize("statements", CHANGES.values(), ids=CHANGES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of one event."""
    with a_ledger(tmp_path) as ledger:
        ledger.append([attempted(1)])
        return ledger.path


def opened(path: Path) -> Ledger:
    return Ledger.open(path, clock=SetClock())


def stored(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [position for (position,) in connection.execute("SELECT position FROM events")]


def sentences(path: Path) -> list[str]:
    with closing(connect_reader(path)) as connection:
        return redefinitions(connection)


def test_a_new_ledger_defines_what_is_expected(path: Path) -> None:
    """To the letter, as SQLite keeps it."""
    assert sentences(path) == []


def test_what_others_put_into_every_file_is_let_be(path: Path) -> None:
    """Litestream's two tables, and what ANALYZE leaves, by their exact text."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
        connection.execute("CREATE TABLE _litestream_lock (id INTEGER)")
        connection.execute("ANALYZE")
    assert sentences(path) == []
    with opened(path) as ledger:
        assert ledger.append([attempted(2)]) == [Appended(2)]


@change
def test_whatever_is_redefined_is_named(path: Path, statements: tuple[str, ...]) -> None:
    """Whatever its name, type or place."""
    redefine(path, *statements)
    found = sentences(path)
    assert found
    assert all(each.endswith(" is not as the ledger defines it") for each in found)


@change
def test_a_redefined_ledger_takes_nothing(path: Path, statements: tuple[str, ...]) -> None:
    """The writer looks when it opens: an append is refused in a sentence, nothing is stored."""
    redefine(path, *statements)
    with opened(path) as ledger, pytest.raises(Redefined, match="not as the ledger defines it"):
        ledger.append([attempted(2)])
    assert stored(path) == [1]


@change
def test_a_writer_that_is_open_sees_what_is_redefined(
    path: Path, statements: tuple[str, ...]
) -> None:
    """Also between two of its appends."""
    with opened(path) as ledger:
        ledger.append([attempted(2)])
        redefine(path, *statements)
        with pytest.raises(Redefined, match="not as the ledger defines it"):
            ledger.append([attempted(3)])
    assert stored(path) == [1, 2]


@pytest.mark.parametrize("statements", [CHANGES[name] for name in RUNS], ids=RUNS)
def test_nothing_runs_on_a_connection_to_a_ledger(path: Path, statements: tuple[str, ...]) -> None:
    """Not even where nobody compared what is defined: the insert itself is not authorized."""
    redefine(path, *statements)
    with closing(connect_writer(path)) as connection:
        row = connection.execute("SELECT * FROM events").fetchone()
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
            connection.execute(
                f"INSERT INTO events VALUES ({', '.join('?' * len(row))})",
                (2, *row[1:6], "another", *row[7:]),
            )
    assert stored(path) == [1]


@pytest.mark.parametrize("sure", ["events", "about"])
def test_a_view_in_a_tables_place_is_not_read(path: Path, sure: str) -> None:
    """A view by the table's name could answer anything: reading is refused in a sentence."""
    redefine(
        path,
        f"ALTER TABLE {sure} RENAME TO real",
        f"CREATE VIEW {sure} AS SELECT * FROM real WHERE 0",
    )
    with opened(path) as ledger, pytest.raises(Redefined, match="a trigger or a view"):
        print(ledger.about("ledger"), ledger.head())


def test_a_view_in_the_tables_place_is_not_read_apart(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Arrow's own driver would read, which has no authorizer, this process's SQLite does."""
    redefine(path, "ALTER TABLE events RENAME TO real", "CREATE VIEW events AS SELECT * FROM real")
    monkeypatch.setattr(batches, "_WORTH_BYTES", 0)
    with pytest.raises(Redefined, match="a trigger or a view"):
        list(batches.many(path, "SELECT position FROM events"))


@pytest.mark.parametrize("take", ["one", "many"])
def test_an_append_counts_what_went_in(
    path: Path, take: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An insert that SQLite calls a success, and that stored nothing, is a problem, no position."""
    ignoring = altered("events", "actor TEXT", "actor TEXT NOT NULL ON CONFLICT IGNORE")
    redefine(path, ignoring)
    monkeypatch.setattr("ledger.store.sqlite.check_schema", lambda *_: None)
    without = [attempted(n)._replace(actor=None) for n in (2, 3)]
    again = [attempted(1)] if take == "one" else []  # a duplicate: from there on one by one
    with opened(path) as ledger, pytest.raises(Redefined, match=r"took 0 of \d events"):
        ledger.append([*again, *without])
    assert stored(path) == [1]


def damaged(path: Path) -> None:
    redefine(path, altered("events_by_stream", "CREATE INDEX", "CREATE NO INDEX"))


def not_text(path: Path) -> None:
    redefine(
        path, "UPDATE sqlite_schema SET sql = CAST(x'ff' AS TEXT) WHERE name = 'events_by_key'"
    )


@pytest.mark.parametrize("how", [damaged, not_text])
def test_a_definition_that_does_not_read_is_one_sentence(
    path: Path, how: Callable[[Path], None]
) -> None:
    """Whatever SQLite makes of it."""
    how(path)
    with opened(path) as ledger, pytest.raises((NotALedger, Redefined)) as problem:
        ledger.append([attempted(2)])
    assert isinstance(problem.value, LedgerProblem)
    assert "\n" not in str(problem.value)
