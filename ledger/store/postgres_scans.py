"""The scans of a store in PostgreSQL: rows come by binary COPY, and become Arrow in the driver."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Literal

import psycopg
import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_postgresql import dbapi
from psycopg import errors, sql

from ledger.events import MARK
from ledger.models import ExceptionRequested
from ledger.problems import LedgerProblem
from ledger.store.postgres import PostgresStore
from ledger.store.postgres_packed import packed
from ledger.store.postgres_pool import PATH
from ledger.store.postgres_problems import problem_of
from ledger.store.postgres_schema import quoted
from ledger.store.scans import (
    CORRECTIONS,
    DESCRIBED,
    EXCEPTIONS,
    FACTS,
    RECORDED,
    SELECTED,
    Annulments,
    Clock,
    Selection,
)
from ledger.store.server import Server

_BATCHES: Final[dict[str, Any]] = {"adbc.postgresql.batch_size_hint_bytes": 8 << 20}

_CONNECTIONS: Final = 2
_PIECE: Final = 1 << 17
"""So many positions, some 15 MB of facts, are read at once by a connection."""

_COLUMNS: Final = (
    "SELECT position, occurred_at, topic, substr(stream, 11) AS candidate, "
    "coalesce(exam, '') AS exam, coalesce(key, '') AS key, flag, until, annuls, "
)
_OF_CANDIDATES: Final = "stream >= 'candidate/' AND stream < 'candidate0'"
_DATA: Final = "CASE WHEN exam IS NULL THEN data ELSE '' END AS data"

# Member by member as it stands, without those that are personal: their text never leaves here.
_PERSONAL: Final = ", ".join(f"'{name}'" for name in sorted(ExceptionRequested.personal))


def _stripped(data: str) -> str:
    return f"""(SELECT chr(123) || coalesce(string_agg(to_json(m.key)::text || ':' ||
      m.value::text, ',' ORDER BY m.n), '') || chr(125)
      FROM json_each({data}::json) WITH ORDINALITY AS m(key, value, n)
      WHERE m.key <> ALL (ARRAY[{_PERSONAL}]))"""


_EXCEPTION: Final = "{}topic >= 'Exception' AND {}topic < 'Exceptioo'"

_BACKFILLED: Final = f"(strpos(coalesce({{}}extensions, ''), '{MARK}') > 0)"

_RECORDED: Final = f"""{_COLUMNS}recorded_at, {_BACKFILLED.format("")}::int AS backfilled,
  CASE WHEN exam IS NULL THEN data
  WHEN {_EXCEPTION.format("", "")} THEN {_stripped("data")} ELSE '' END AS data
FROM {{events}} """

_DESCRIBED: Final = """
SELECT position, recorded_at, occurred_at, split_part(topic, ':', 1) AS type,
  substr(stream, strpos(stream, '/') + 1) AS subject, source, id, actor, exam, key, annuls,
  CASE WHEN annuls IS NOT NULL THEN data::json ->> 'reason' END AS reason
FROM {events} WHERE position > {after} AND position <= {upto} ORDER BY position
"""

_EXCEPTIONS: Final = f"""
SELECT e.position, e.occurred_at, e.topic, substr(e.stream, 11) AS candidate,
  coalesce(e.exam, '') AS exam, coalesce(e.key, '') AS key, e.until,
  {_stripped("e.data")} AS data
FROM {{events}} e
WHERE e.position <= {{upto}} AND {_EXCEPTION.format("e.", "e.")}
  AND NOT EXISTS (SELECT 1 FROM {{events}} a
    WHERE a.stream = e.stream AND a.annuls = e.position AND a.position <= {{upto}})
ORDER BY e.position
"""

# Of an annulment, what it annuls is what it is about, and when that was said to be true.
_CORRECTIONS: Final = f"""
SELECT e.position, e.recorded_at, coalesce(e.annuls, 0) AS annuls,
  substr(e.stream, 11) AS candidate, coalesce(a.topic, e.topic) AS topic,
  coalesce(a.occurred_at, e.occurred_at) AS true_at,
  CASE WHEN a.position IS NULL THEN coalesce(e.exam, '') ELSE coalesce(a.exam, '') END AS exam,
  CASE WHEN a.position IS NULL THEN coalesce(e.key, '') ELSE coalesce(a.key, '') END AS key
FROM {{events}} e LEFT JOIN {{events}} a ON a.position = e.annuls
WHERE e.position <= {{upto}} AND {_OF_CANDIDATES.replace("stream", "e.stream")}
  AND NOT {_BACKFILLED.format("e.")} AND (
  e.annuls IS NOT NULL OR e.recorded_at - e.occurred_at >= {{late}}
  OR (e.topic >= 'ResultRevoked:' AND e.topic < 'ResultRevoked;')
  OR (e.topic >= 'AuthorizationRevoked:' AND e.topic < 'AuthorizationRevoked;')
  OR (e.topic >= 'ExceptionRevoked:' AND e.topic < 'ExceptionRevoked;'))
ORDER BY e.position
"""
_SELECTED: Final = """
SELECT e.position, e.recorded_at, e.occurred_at, split_part(e.topic, ':', 1) AS type,
  split_part(e.stream, '/', 1) AS about, substr(e.stream, strpos(e.stream, '/') + 1) AS subject,
  coalesce(e.exam, a.exam, '') AS exam, coalesce(e.key, a.key, '') AS key, e.source, e.id,
  coalesce(e.actor, '') AS actor, coalesce(e.annuls, 0) AS annuls
FROM {events} e LEFT JOIN {events} a ON a.position = e.annuls
WHERE {where} ORDER BY {by}
"""


class PostgresScans:
    """The scans of a store in PostgreSQL; see `ledger.store.scans.Scans`."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._events = f"{quoted(store.server.schema)}.events"

    def facts(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield the facts of candidates in a range, by position, as FACTS."""
        select = f"{_COLUMNS}{_DATA} FROM {self._events} "
        return self._by_pieces(select, FACTS, after, upto)

    def _by_pieces(
        self, select: str, schema: pa.Schema, after: int, upto: int, of: str = _OF_CANDIDATES
    ) -> Iterator[pa.RecordBatch]:
        """Yield facts in a range, by position, of which no text is null; `of` says which.

        Pieces of it come by two connections: one processor would write rows no quicker than
        another lays them out.
        """
        self._store.settled(upto)
        coming: deque[Future[Iterable[pa.RecordBatch]]] = deque()
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for first in range(after, upto, _PIECE):
                last = min(first + _PIECE, upto)
                where = f"WHERE {_range(first, last)} AND {of} ORDER BY position"
                coming.append(pool.submit(self._piece, f"{select}{where}", schema, last))
                if len(coming) > _CONNECTIONS:
                    yield from coming.popleft().result()
            while coming:
                yield from coming.popleft().result()

    def _piece(self, select: str, schema: pa.Schema, upto: int) -> Iterable[pa.RecordBatch]:
        piece = packed(self._store.pool, select, schema)
        return self._copied(select, schema, upto) if piece is None else (piece,)

    def facts_of_touched(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield all facts up to `upto` of candidates who have one after `after`, in any order."""
        new = f"SELECT stream FROM {self._events} WHERE {_range(after, upto)} AND {_OF_CANDIDATES}"
        where = f"position <= {int(upto)} AND stream IN ({new})"
        return self._copied(f"{_COLUMNS}{_DATA} FROM {self._events} WHERE {where}", FACTS, upto)

    def recorded(self, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield the facts of candidates up to a position, by position, as RECORDED."""
        select = _RECORDED.format(events=self._events)
        return self._by_pieces(select, RECORDED, 0, upto)

    def recorded_of(self, candidates: Sequence[str], upto: int) -> pa.Table:
        """Return all facts of some candidates up to a position, by position, as RECORDED."""
        streams = [f"candidate/{name}" for name in candidates]
        if not streams:
            return RECORDED.empty_table()
        select = _RECORDED.format(events=self._events)
        where = f"stream = ANY ({_array(streams)}) AND position <= {int(upto)} ORDER BY position"
        return pa.Table.from_batches(
            self._copied(f"{select}WHERE {where}", RECORDED, upto), RECORDED
        )

    def described(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield every event in a range, by position, as DESCRIBED."""
        select = _DESCRIBED.format(events=self._events, after=int(after), upto=int(upto))
        return self._copied(select, DESCRIBED, upto)

    def sample(self, upto: int, count: int) -> list[str]:
        """Return the candidates of about `count` facts spread evenly over the ledger, sorted."""
        step = max(1, upto // max(1, count))
        rows = self._store.values(
            f"SELECT substr(stream, 11) FROM {self._events} "
            f"WHERE position = ANY (%s) AND {_OF_CANDIDATES}",
            (list(range(step, upto + 1, step)),),
        )
        return sorted(candidate for (candidate,) in rows)

    def clock(self, upto: int) -> Clock:
        """Return when every position up to one was recorded."""
        schema = pa.schema([(name, pa.int64()) for name in ("position", "recorded_at")])
        select = f"SELECT position, recorded_at FROM {self._events} "
        batches = self._by_pieces(select, schema, 0, upto, of="true")
        return Clock.of((b["position"].to_numpy(), b["recorded_at"].to_numpy()) for b in batches)

    def exceptions(self, upto: int) -> pa.Table:
        """Return the events about exceptions that are not annulled, by position, as EXCEPTIONS."""
        select = _EXCEPTIONS.format(events=self._events, upto=int(upto))
        return pa.Table.from_batches(self._copied(select, EXCEPTIONS, upto), EXCEPTIONS)

    def corrections(self, upto: int, late: int) -> pa.Table:
        """Return annulments, revocations and facts recorded `late` or more after they were true."""
        select = _CORRECTIONS.format(events=self._events, upto=int(upto), late=int(late))
        return pa.Table.from_batches(self._copied(select, CORRECTIONS, upto), CORRECTIONS)

    def backfilled(self, upto: int) -> int:
        """Return how many events up to a position were moved in as a migration."""
        select = f"SELECT count(*) FROM {self._events} WHERE {_range(0, upto)}"
        ((count,),) = self._store.values(f"{select} AND {_BACKFILLED.format('')}")
        return int(count)

    def select(
        self, wanted: Selection, *, order: Literal["position", "lag"] = "position"
    ) -> Iterator[pa.RecordBatch]:
        """Yield the wanted events as SELECTED, in flat memory."""
        by = "e.recorded_at - e.occurred_at DESC, e.position" if order == "lag" else "e.position"
        where = _where(wanted)
        if wanted.later_than is not None:
            where += f" AND NOT {_BACKFILLED.format('e.')}"
        select = _SELECTED.format(events=self._events, where=where, by=by)
        return self._copied(select, SELECTED, wanted.upto)

    def annulments(self, wanted: Selection, upto: int) -> Annulments:
        """Return what is annulled, as known at a position, of the events that may be wanted."""
        where = f"annuls IS NOT NULL AND {_range(wanted.after, upto)}"
        if wanted.streams is not None:
            where += f" AND stream = ANY ({_array(wanted.streams)})"
        select = f"SELECT annuls, position FROM {self._events} WHERE {where}"
        return Annulments.among(self._store.values(select.replace("%", "%%")))

    def _copied(self, select: str, schema: pa.Schema, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield what a SELECT gives; nothing is handed on that a crash could take back.

        On a connection of its own: whoever reads slowly keeps none from others.
        """
        self._store.settled(upto)
        server = self._store.server
        try:
            with (
                dbapi.connect(self._store.pool.conninfo(), autocommit=True) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(PATH)
                cursor.adbc_statement.set_options(**_BATCHES)
                cursor.execute(select)
                for batch in cursor.fetch_record_batch():
                    yield batch.cast(schema)
        except (Error, pa.ArrowException, OSError) as error:
            raise _problem(error, server) from error


def _problem(error: Exception, server: Server) -> LedgerProblem:
    """Return what went wrong with a scan, as `problem_of` has it."""
    try:
        kind = errors.lookup(str(getattr(error, "sqlstate", None)))
    except KeyError:
        kind = psycopg.OperationalError
    return problem_of(kind(str(error).rpartition("ERROR: ")[2]), server)


def _range(after: int, upto: int) -> str:
    return f"position > {int(after)} AND position <= {int(upto)}"


def _text(value: str) -> str:
    return sql.Literal(value).as_string(None)


def _array(values: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(map(_text, values))}]::text[]"


def _where(wanted: Selection) -> str:
    conditions = [f"e.position > {int(wanted.after)} AND e.position <= {int(wanted.upto)}"]
    if wanted.streams is not None:
        conditions.append(f"e.stream = ANY ({_array(wanted.streams)})")
    if wanted.types:
        each = (
            f"(e.topic >= {_text(f'{type}:')} AND e.topic < {_text(f'{type};')})"
            for type in wanted.types
        )
        conditions.append(f"({' OR '.join(each)})")
    for column, text in (
        ("e.source", wanted.source),
        ("e.actor", wanted.actor),
        ("coalesce(e.exam, a.exam)", wanted.exam),
    ):
        if text is not None:
            conditions.append(f"{column} = {_text(text)}")
    for condition, value in (
        ("e.occurred_at >= ", wanted.true_from),
        ("e.occurred_at < ", wanted.true_to),
        ("e.recorded_at - e.occurred_at > ", wanted.later_than),
    ):
        if value is not None:
            conditions.append(f"{condition}{int(value)}")
    return " AND ".join(conditions)
