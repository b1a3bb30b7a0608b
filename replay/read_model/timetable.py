"""Everybody as of a date, read from the timeline instead of being folded."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager import Error
from adbc_driver_sqlite import dbapi

from ledger.problems import LedgerProblem
from projections.tables import OPEN
from replay.population import SCHEMA
from replay.read_model.store import reading_uri

_READ = [name for name in SCHEMA.names if name != "eligible"]  # which the status says
_SELECT = f"SELECT {', '.join(_READ)} FROM standings WHERE "
_BATCH_ROWS = 65_536


def standings_as_of(
    path: Path, as_of: int, *, exam: str | None = None, status: str | None = None, workers: int = 2
) -> pa.Table:
    """Return everybody's standing as of an instant, on the knowledge that the views stand for.

    A table of `replay.population.SCHEMA`, in no order; `exam` and `status` leave out others.
    Raises LedgerProblem when the file cannot be read.
    """
    named = {"exam": exam, "status": status}
    given = {name: value for name, value in named.items() if value is not None}
    also = "".join(f" AND {name} = ?" for name in given)
    values = tuple(given.values())
    if len(given) == len(named):  # few: one look into the index of waiting lists
        some = f"valid_from <= ? AND valid_to > ?{also}"
        return _read(path, some, (as_of, as_of, *values))
    # Most of them have no end. Those are read in two parts, so that two threads share the work.
    middle = _middle(path, as_of)
    parts: list[tuple[str, tuple[Any, ...]]] = [
        (f"valid_to = {OPEN} AND valid_from <= ?{also}", (middle, *values)),
        (
            f"valid_to = {OPEN} AND valid_from > ? AND valid_from <= ?{also}",
            (middle, as_of, *values),
        ),
        (f"valid_to > ? AND valid_to < {OPEN} AND valid_from <= ?{also}", (as_of, as_of, *values)),
    ]
    with ThreadPoolExecutor(workers) as pool:
        return pa.concat_tables(pool.map(lambda part: _read(path, *part), parts))


def _middle(path: Path, as_of: int) -> int:
    """Return an instant about which the stretches without end, begun by `as_of`, may be halved."""
    with _cursor(path) as cursor:
        cursor.execute(f"SELECT min(valid_from) FROM standings WHERE valid_to = {OPEN}")
        (first,) = cursor.fetchone()
    return as_of if first is None else (first + as_of) // 2


def _read(path: Path, where: str, parameters: tuple[int | str, ...]) -> pa.Table:
    with _cursor(path) as cursor:
        cursor.execute(_SELECT + where, parameters)
        table = cursor.fetch_arrow_table()
    eligible = pc.equal(table["status"].cast(pa.string()), "eligible")
    return table.append_column("eligible", eligible).select(SCHEMA.names).cast(SCHEMA)


@contextmanager
def _cursor(path: Path) -> Iterator[Any]:
    try:
        with dbapi.connect(reading_uri(path)) as connection, connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 60000").fetchall()
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _BATCH_ROWS})
            yield cursor
    except Error as error:
        raise LedgerProblem(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
