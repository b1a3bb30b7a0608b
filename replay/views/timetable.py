"""Everybody as of a date, read from the timeline instead of being folded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_sqlite import dbapi

from ledger.problems import LedgerProblem
from projections.views.tables import OPEN
from replay.population import SCHEMA
from replay.views.store import reading_uri

_SELECT = f"SELECT {', '.join(SCHEMA.names)} FROM standings WHERE valid_from <= ? AND "
_FOR_EVER, _UNTIL_THEN = f"valid_to = {OPEN}", f"valid_to > ? AND valid_to < {OPEN}"
_BATCH_ROWS = 65_536


def standings_as_of(
    path: Path, as_of: int, *, exam: str | None = None, status: str | None = None
) -> pa.Table:
    """Give everybody's standing as of an instant, on the knowledge that the views stand for.

    A table of `replay.population.SCHEMA`, in no order; `exam` and `status` leave out others.
    Raises LedgerProblem when the file cannot be read.
    """
    also = "".join(f" AND {name} = ?" for name in ("exam", "status") if locals()[name] is not None)
    given = [value for value in (exam, status) if value is not None]
    if exam is not None and status is not None:
        return _read(path, f"{_SELECT}valid_to > ?{also}", [as_of, as_of, *given])
    # What has no end is about half of it: so two halves are read at once.
    with ThreadPoolExecutor(2) as pool:
        for_ever = pool.submit(_read, path, _SELECT + _FOR_EVER + also, [as_of, *given])
        ending = _read(path, _SELECT + _UNTIL_THEN + also, [as_of, as_of, *given])
        return pa.concat_tables([for_ever.result(), ending])


def _read(path: Path, select: str, parameters: list[int | str]) -> pa.Table:
    try:
        with dbapi.connect(reading_uri(path)) as connection, connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _BATCH_ROWS})
            cursor.execute(select, tuple(parameters))
            table = cursor.fetch_arrow_table()
    except Error as error:
        raise LedgerProblem(f"{path} cannot be read: {error}") from None
    return table.cast(SCHEMA)
