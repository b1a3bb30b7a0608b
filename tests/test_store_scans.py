"""Rows as Arrow batches: the same by either way, and no second SQLite in this process."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from postgres import new_server, server
from psycopg import sql

from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.models import ExamAttempted
from ledger.problems import LedgerProblem
from ledger.store import batches, postgres_scans
from ledger.store.postgres_packed import packed
from ledger.store.postgres_pool import Pool

NOW = 1_700_000_000_000_000
SELECT = "SELECT position, key, flag FROM events WHERE position > ? ORDER BY position"

Read = Callable[..., Iterator[pa.RecordBatch]]


def sat(number: int) -> Fact:
    """Make the fact of one sitting."""
    event = ExamAttempted(exam="AZ-104", registration_id=f"R-{number}", delivery="live")
    return Fact("urn:vue", f"R-{number}/attempted", f"C-{number % 7}", NOW - 1, event)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Lay down a ledger of a thousand sittings."""
    path = tmp_path / "attempts.ledger"
    with Ledger.create(path, clock=lambda: NOW) as ledger:
        ledger.append([sat(number) for number in range(1_000)])
    return path


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read by another process, however small the file is."""
    monkeypatch.setattr(batches, "_WORTH_BYTES", 0)
    return batches.many


def test_either_way_gives_the_same_rows(path: Path, apart: Read) -> None:
    """Few rows are read here, many by another process; nobody can tell from the rows."""
    with closing(sqlite3.connect(path)) as connection:
        told = connection.execute(SELECT, (990,)).fetchall()
    for read in (batches.few, apart):
        rows = [row for batch in read(path, SELECT, (990,)) for row in batch.to_pylist()]
        assert [tuple(row.values()) for row in rows] == told
        assert list(rows[0]) == ["position", "key", "flag"]


def test_no_rows_are_no_rows(path: Path, apart: Read) -> None:
    """A SELECT that finds nothing yields nothing, and is no problem."""
    for read in (batches.few, apart):
        assert sum(batch.num_rows for batch in read(path, SELECT, (1_000,))) == 0


def test_a_small_file_needs_no_other_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting one would take longer than reading it all."""
    monkeypatch.setattr("subprocess.Popen", None)
    assert sum(batch.num_rows for batch in batches.many(path, SELECT, (0,))) == 1_000


def test_what_cannot_be_read_is_one_sentence(path: Path, apart: Read) -> None:
    """Whatever goes wrong in the other process arrives here as a LedgerProblem."""
    for read in (batches.few, apart):
        with pytest.raises(LedgerProblem, match="no such table: nowhere"):
            list(read(path, "SELECT position FROM nowhere"))


def test_a_reader_that_is_killed_is_a_problem_not_an_end(path: Path, apart: Read) -> None:
    """Arrow takes a stream that was cut off for one that ended; the exit code does not."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    before = children()
    rows = apart(path, endless)
    assert next(rows).num_rows == batches.BATCH_ROWS
    (child,) = children() - before
    os.kill(child, 9)
    with pytest.raises(LedgerProblem, match="its reader was killed"):
        list(rows)


def test_whoever_stops_early_leaves_no_reader_behind(path: Path, apart: Read) -> None:
    """The other process ends with the iterator."""
    before = children()
    rows = apart(path, SELECT, (0,))
    next(rows)
    assert len(children() - before) == 1
    rows.close()  # type: ignore[attr-defined]
    assert children() <= before


def test_the_folder_one_is_in_lends_no_code(path: Path, tmp_path: Path) -> None:
    """A folder named like one of our packages is not imported by the reader."""
    decoy = tmp_path / "elsewhere" / "ledger"
    decoy.mkdir(parents=True)
    (decoy / "__init__.py").write_text("raise SystemExit('the wrong one')")
    program = (
        "from pathlib import Path; from ledger.store import batches; batches._WORTH_BYTES = 0;"
        f"print(sum(b.num_rows for b in batches.many(Path({str(path)!r}), {SELECT!r}, (0,))))"
    )
    told = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=decoy.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.stdout, told.stderr) == ("1000\n", "")


def test_reading_everything_lets_go_of_no_lock_of_a_writer(path: Path, apart: Read) -> None:
    """What is appended after a read of everything, in the same process, is not lost.

    Read here by the driver's own SQLite, the locks of the writer would be gone with its closing,
    and the next program to close the ledger would take itself for the last one and sweep away the
    log that this writer goes on writing to.
    """
    with Ledger.open(path, clock=lambda: NOW) as ledger:
        ledger.append([sat(1_001)])
        list(apart(path, SELECT, (0,)))
        assert "adbc_driver_sqlite" not in loaded_by_scanning()
        look = (
            f"import sqlite3; c = sqlite3.connect({str(path)!r});"
            "c.execute('SELECT count(*) FROM events').fetchall(); c.close()"
        )
        subprocess.run([sys.executable, "-c", look], check=True)
        assert Path(f"{path}-wal").exists()
        ledger.append([sat(1_002)])
    with Ledger.open(path, clock=lambda: NOW) as ledger:
        assert ledger.head().position == 1_002


def loaded_by_scanning() -> str:
    """Name the modules that the scans load into a process."""
    program = "import sys, ledger.store.sqlite_scans; print(*sys.modules)"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout


def children() -> set[int]:
    """Name the processes that this one has started and that still are."""
    told = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return {int(pid) for pid in told.split()}


def test_pieces_that_two_connections_read_are_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fact once, by position, wherever a piece ends; who stops early leaves nothing open."""
    monkeypatch.setattr(postgres_scans, "_PIECE", 300)
    with Ledger.create(new_server(tmp_path), clock=lambda: NOW) as ledger:
        ledger.append([sat(number) for number in range(1_000)])
        for after, upto in ((0, 1_000), (299, 600), (300, 601), (999, 1_000), (5, 5)):
            found = [n for batch in ledger.scans.facts(after, upto) for n in batch["position"]]
            assert [n.as_py() for n in found] == list(range(after + 1, upto + 1))
        begun = ledger.scans.facts(0, 1_000)
        next(begun)
        begun.close()


def test_what_cannot_be_packed_comes_row_by_row(tmp_path: Path) -> None:
    """A control character in a text, which no fact has but one that was put past the ledger."""
    address = new_server(tmp_path)
    with Ledger.create(address, clock=lambda: NOW) as ledger:
        ledger.append([sat(number) for number in range(20)])
        whole = [row for batch in ledger.scans.facts(0, 20) for row in batch.to_pylist()]
        with psycopg.connect(server().url()) as connection:
            odd = "UPDATE {}.events SET key = E'R-\\x1f' WHERE position = 10"
            connection.execute(sql.SQL(odd).format(sql.Identifier(address.schema)))
        whole[9]["key"] = "R-\x1f"
        assert [row for batch in ledger.scans.facts(0, 20) for row in batch.to_pylist()] == whole


def test_more_than_a_value_holds_is_not_packed(tmp_path: Path) -> None:
    """PostgreSQL has no values of more than a gigabyte."""
    with closing(Pool(new_server(tmp_path))) as pool:
        much = f"SELECT repeat('x', {1 << 30}) AS key"
        assert packed(pool, much, pa.schema([("key", pa.string())])) is None
