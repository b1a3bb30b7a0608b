"""Events as the rows that `Ledger.append` would have made of them, by template.

`tests/test_benchmarks.py` holds these rows equal to those of an import of their own export.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.histories.dice import Ints, mixed
from benchmarks.histories.events import (
    ATTEMPTED,
    ATTEMPTED_ENDLESS,
    EARNED,
    EXPIRED,
    OTHER,
    RENEWED,
    RESCORED_FAILED,
    RESCORED_PASSED,
    RESULT_FAILED,
    RESULT_PASSED,
    Events,
    Told,
)
from benchmarks.histories.sittings import Sittings
from benchmarks.histories.stories import FEED, FEED_ACTOR
from benchmarks.histories.texts import Bytes, digits, instants, rows_of, texts
from benchmarks.histories.world import NEVER, World
from ledger.events import Recorded, Row
from ledger.instants import SECOND

CHUNK: Final = 200_000
_TYPES: Final = dict(
    zip(
        Row._fields,
        [pa.int64(), *[pa.string()] * 7, *[pa.int64()] * 3, pa.string(), pa.string()],
        strict=True,
    )
)
_TOPIC: Final = {
    ATTEMPTED: "ExamAttempted",
    ATTEMPTED_ENDLESS: "ExamAttempted",
    RESULT_PASSED: "ExamPassed",
    RESULT_FAILED: "ExamFailed",
    RESCORED_PASSED: "BetaRescored",
    RESCORED_FAILED: "BetaRescored",
    EARNED: "CertEarned",
    EXPIRED: "CertExpired",
}
_CERTIFIER: Final = "urn:certifications"


class _Few(NamedTuple):
    """Rows of one kind, on their way."""

    time: Ints
    value: Ints
    draw: Ints
    candidate: Ints
    registration: Ints
    exam: Ints
    start: Ints
    end: Ints
    beta: Ints


def batches(world: World, told: Told) -> Iterator[pa.RecordBatch]:
    """Lay everything out in the order of positions, in batches with the ledger's columns."""
    for first in range(0, len(told.events.kind), CHUNK):
        events = Events._make(column[first : first + CHUNK] for column in told.events)
        yield _batch(world, told, events, first)


def recorded_at(arrival: Ints) -> Ints:
    """Return when the ledger took what had arrived: each minute all of it, in one transaction."""
    minutes = -(-arrival // 60)
    fraction = mixed(minutes.astype(np.uint64)) % np.uint64(SECOND)
    return minutes * 60 * SECOND + fraction.astype(np.int64)


def _batch(world: World, told: Told, events: Events, first: int) -> pa.RecordBatch:
    tables, places = [], []
    for kind in np.unique(events.kind).tolist():
        (place,) = np.nonzero(events.kind == kind)
        of = events.of[place]
        if kind == OTHER:
            tables.append(_others(told, of))
            places.append(place)
            continue
        sittings = told.sittings
        for part in _of_one_length(world, sittings, kind, of):
            here, whose = place[part], of[part]
            few = _few(sittings, whose, events.time[here], events.value[here])
            tables.append(_rows(world, kind, few))
            places.append(here)
    back = np.empty(len(events.kind), np.int64)
    back[np.concatenate(places)] = np.arange(len(back))
    table = pa.concat_tables(tables).combine_chunks().take(pa.array(back))
    positions = pa.array(np.arange(first + 1, first + 1 + len(back)))
    columns = [positions, pa.array(recorded_at(events.arrival))]
    columns += [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, names=list(Recorded._fields))


def _of_one_length(
    world: World, sittings: Sittings, kind: int, of: NDArray[np.int32]
) -> Iterator[NDArray[np.int64] | slice]:
    """Part rows so that each part's texts have one length: certifications by their name."""
    if kind < EARNED:
        yield slice(None)
        return
    certification = world.certification[sittings.exam[of]]
    for number in np.unique(certification).tolist():
        yield np.nonzero(certification == number)[0]


def _few(sittings: Sittings, of: NDArray[np.int32], time: Ints, value: Ints) -> _Few:
    return _Few(
        time,
        value,
        sittings.draw[of],
        sittings.candidate[of],
        of.astype(np.int64),
        sittings.exam[of],
        sittings.start[of],
        sittings.end[of],
        sittings.beta[of],
    )


def _rows(world: World, kind: int, few: _Few) -> pa.Table:
    if kind in (ATTEMPTED, ATTEMPTED_ENDLESS):
        return _attempts(world, kind, few)
    if kind < EARNED:
        return _results(world, kind, few)
    return _certified(world, kind, few)


def _attempts(world: World, kind: int, few: _Few) -> pa.Table:
    rows, number, exam = len(few.time), digits(few.registration, 8), _codes(world)[few.exam]
    delivery = rows_of(["live", "beta"])[few.beta]
    start = (b'{"exam":"', exam, b'","registration_id":"R-', number, b'","delivery":"', delivery)
    until = None
    if kind == ATTEMPTED:
        data = texts(*start, b'","ended_at":"', instants(few.end), b'"}', rows=rows)
        until = pa.array(few.end * SECOND)
    else:
        data = texts(*start, b'"}', rows=rows)
    return _table(
        few,
        topic="ExamAttempted:1",
        source=FEED,
        actor=FEED_ACTOR,
        id=texts(b"R-", number, b"/attempted", rows=rows),
        exam=texts(exam, rows=rows),
        key=texts(b"R-", number, rows=rows),
        flag=pa.array(few.beta),
        until=until,
        data=data,
    )


def _results(world: World, kind: int, few: _Few) -> pa.Table:
    rows, number, exam = len(few.time), digits(few.registration, 8), _codes(world)[few.exam]
    start = (b'{"exam":"', exam, b'","registration_id":"R-', number, b'"')
    passed = kind in (RESULT_PASSED, RESCORED_PASSED)
    is_beta = kind in (RESCORED_PASSED, RESCORED_FAILED)
    said = (b',"passed":true' if passed else b',"passed":false') if is_beta else b""
    # A pass is 700 or better of 1000; drawn by the low bits, so that it costs no draw of its own.
    spread = (mixed(few.draw.astype(np.uint64)) % np.uint64(300)).astype(np.int64)
    score = digits(spread + (700 if passed else 400), 3)
    return _table(
        few,
        topic=f"{_TOPIC[kind]}:1",
        source=FEED,
        actor=FEED_ACTOR,
        id=texts(b"R-", number, b"/result", rows=rows),
        exam=texts(exam, rows=rows),
        key=texts(b"R-", number, rows=rows),
        flag=pa.array(np.full(rows, int(passed))) if is_beta else None,
        data=texts(*start, said, b',"score":', score, b"}", rows=rows),
    )


def _certified(world: World, kind: int, few: _Few) -> pa.Table:
    rows, number = len(few.time), digits(few.registration, 8)
    name = world.certifications[world.certification[few.exam[0]]]
    what = {EARNED: "earned", EXPIRED: "expired"}.get(kind, f"renewed/{kind - RENEWED + 1}")
    expires = few.value[0] < NEVER and kind != EXPIRED  # all of one certification, or none
    start = (b'{"certification":"', name.encode(), b'"')
    end = (b',"expires_at":"', instants(few.value), b'"}') if expires else (b"}",)
    return _table(
        few,
        topic=f"{_TOPIC.get(kind, 'CertRenewed')}:1",
        source=_CERTIFIER,
        actor=None,
        id=texts(b"R-", number, f"/{what}".encode(), rows=rows),
        key=pa.array([name]).take(pa.array(np.zeros(rows, np.int64))),
        until=pa.array(few.value * SECOND) if expires else None,
        data=texts(*start, *end, rows=rows),
    )


def _table(few: _Few, **columns: pa.Array | str | None) -> pa.Table:
    """Complete one kind's columns; a plain text is the same in every row, None is null."""
    rows = len(few.time)
    columns["occurred_at"] = pa.array(few.time * SECOND)
    columns["stream"] = texts(b"candidate/C-", digits(few.candidate + 10_000_000, 8), rows=rows)
    arrays = []
    for name, type in _TYPES.items():
        value = columns.get(name)
        if value is None:
            value = pa.nulls(rows, type)
        elif isinstance(value, str):
            value = pa.array([value]).take(pa.array(np.zeros(rows, np.int64)))
        arrays.append(value)
    return pa.Table.from_arrays(arrays, names=list(_TYPES))


def _others(told: Told, of: NDArray[np.int32]) -> pa.Table:
    rows = []
    for number in of.tolist():
        story = told.stories[number]
        row = story.fact.row()
        if story.annuls >= 0:
            stream = f"candidate/{story.fact.subject}"
            row = row._replace(stream=stream, annuls=int(told.positions[story.annuls]))
        rows.append(row)
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, type) for column, type in zip(columns, _TYPES.values(), strict=True)]
    return pa.Table.from_arrays(arrays, names=list(_TYPES))


def _codes(world: World) -> Bytes:
    return rows_of(list(world.codes))
