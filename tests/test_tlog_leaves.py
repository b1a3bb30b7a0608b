"""A store packs its rows as JSON; the leaves are those that are written out, to the byte."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_facts import attempted
from postgres import VERSIONS, new_server
from sealed_ledger import NAME, append, copied, history, make, opened, said, sealed, verified

from ledger.problems import Inconsistent
from ledger.store.file import create_file
from ledger.store.inspection import Reading
from ledger.store.integrity import reading
from ledger.store.locks import USUALLY
from ledger.store.postgres_schema import NONE, SEPARATOR
from ledger.store.schema import COLUMNS
from ledger.store.sealing import inspection_of
from ledger.store.stores import create_schema, open_store
from ledger.tlog.leaf import leaf_hash_or_none, leaf_hashes

ODD = '"\\/\b\t\n\f\r\x00\x01\x1f\x7f\u2028{}:,é日😀'
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from(ODD))
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)


def values(type: str, needed: str) -> st.SearchStrategy[Any]:
    """Return what a column may hold."""
    of = TEXTS if type == "TEXT" else NUMBERS
    return of if needed else of | st.none()


def check(rows: Reading, *expected: Sequence[Any]) -> None:
    """See that rows are found, and that packed ones have the leaves that are written out."""
    assert list(map(tuple, rows.found(1, len(expected)))) == list(map(tuple, expected))
    leaves = [leaf_hash_or_none(row) for row in expected]
    assert None not in leaves
    for typed in (False, True):
        assert leaf_hashes(rows.packed(1, len(expected), typed=typed)) == leaves


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger."""
    path = tmp_path_factory.mktemp("leaves") / NAME
    create_file(path)
    return path


@given(st.tuples(*(values(type, needed) for _, type, needed in COLUMNS[1:])))
def test_what_sqlite_packs_is_the_leaf_record(file: Path, row: tuple[Any, ...]) -> None:
    """Whatever its texts and numbers are, with extension attributes and without."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM events")
        connection.execute(f"INSERT INTO events VALUES (1{', ?' * len(row)})", row)
    with reading(file) as rows:
        check(rows, (1, *row))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_postgresql_packs_is_the_leaf_record(tmp_path: Path, version: int) -> None:
    """The same, but for what marks no text and its end on the way there."""
    address = new_server(tmp_path, version)
    create_schema(address, lambda writing: None)
    odd = "".join(each for each in ODD if each not in f"\x00{NONE}{SEPARATOR}")
    row = attempted(1).row()
    made = [
        row,
        row._replace(id="2", extensions='{"traceparent":"00-4b"}', until=-(1 << 63), annuls=1),
        row._replace(id=odd, actor=odd, exam=odd, key=odd, data=odd, flag=(1 << 31) - 1),
        *(row._replace(id=each, actor=None, exam=None, key=None, flag=None) for each in odd),
    ]
    with closing(open_store(address, read_only=False, waiting=USUALLY)) as store:
        with store.writing() as writing:
            assert writing.insert(repeat(5), made) == len(made)
        expected = store.page(0)
    with inspection_of(address).reading(address) as rows:
        check(rows, *expected)


@pytest.mark.parametrize("work", ["sealer", "comparison"])
def test_a_process_that_hashes_opens_no_store(work: str) -> None:
    """Two of them are started: what they import is most of what that takes."""
    program = f"import sys, ledger.tlog.{work}; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    heavy = {"pydantic", "eventsourcing", "ledger.events", "ledger.store.sqlite"}
    assert heavy & set(found.stdout.split()) == set()


# -- what no row of ours can hold


WRONG = {
    "a number as text": ("flag", "'0'"),
    "a real number": ("until", "1.0"),
    "a number where text should be": ("actor", "5"),
    "nothing where text should be": ("source", "NULL"),
    "nothing where a number should be": ("occurred_at", "NULL"),
    "bytes where text should be": ("exam", "CAST(exam AS BLOB)"),
    "bytes as data": ("data", "CAST(data AS BLOB)"),
    "a number as data": ("data", "7"),
    "a number as extension attributes": ("extensions", "7"),
    "text that is not UTF-8": ("key", "CAST(x'ff' AS TEXT)"),
    "data that is not UTF-8": ("data", "CAST(x'ff' AS TEXT)"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of 300 events, sealed, and ten that are not."""
    folder = make(tmp_path_factory.mktemp("original") / "ledger", 300)
    with opened(folder) as ledger:
        append(ledger, history(301, 310))
    return folder


@pytest.fixture(params=WRONG.values(), ids=WRONG)
def wrong(original: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[int], Path]:
    """Return what makes a copy of it with a wrong value at a position, past STRICT."""

    def changed(position: int) -> Path:
        folder = copied(original, tmp_path / str(position))
        column, value = request.param
        with closing(sqlite3.connect(folder / NAME, isolation_level=None)) as connection:
            (kept,) = connection.execute(
                "SELECT sql FROM sqlite_schema WHERE name = 'events'"
            ).fetchone()
            loose = re.sub(r" (INTEGER|TEXT)( NOT NULL)?(?! PRIMARY)|STRICT", "", kept)
            for sql in (loose, kept):
                connection.execute("PRAGMA writable_schema = ON")
                connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'events'", (sql,))
                connection.execute("PRAGMA writable_schema = RESET")
                if sql == loose:
                    update = f"UPDATE events SET {column} = {value} WHERE position = {position}"
                    assert connection.execute(update).rowcount == 1
        return folder

    return changed


def test_what_the_ledger_never_writes_is_not_sealed(wrong: Callable[[int], Path]) -> None:
    """Though the file defines what it should: nothing is signed, and the position is named."""
    with opened(wrong(305)) as ledger, pytest.raises(Inconsistent, match=r"position 305 .* never"):
        sealed(ledger)


@pytest.mark.parametrize("full", [False, True])
def test_what_the_ledger_never_writes_is_found(wrong: Callable[[int], Path], full: bool) -> None:
    """By position: it is not what was sealed."""
    found = [each for each in said(verified(wrong(200), full=full)) if "SQLite" not in each]
    assert [each.split(" was ")[0] for each in found] == ["position 200"]
