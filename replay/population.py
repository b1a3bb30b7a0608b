"""Everybody's standing at one moment: the compiled fold over columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.catalogue import Catalogue
from projections.fold.facts import NEVER, NONE, OUTCOMES, Facts, Sittings
from projections.fold.rules import STATUSES
from projections.standing import Moment
from replay.columns.build import Columns
from replay.columns.part import Ints, Part, places, replaced
from replay.compiled import Kernels
from replay.kernels import Groups, Stood

T = TypeVar("T")
INSTANT = pa.timestamp("us", tz="UTC")

SCHEMA = pa.schema(
    [
        ("candidate", pa.string()),
        ("exam", pa.string()),
        ("status", pa.string()),
        ("eligible", pa.bool_()),
        ("eligible_from", INSTANT),
        ("sittings_in_series", pa.int32()),
        ("period_ends_at", INSTANT),
        ("last_sitting_at", INSTANT),
        ("last_outcome", pa.string()),
    ]
)
"""The table of spec section 5; instants in microseconds UTC."""


class Scope(NamedTuple):
    """Whose standings are wanted: an exam or all, some candidates or all."""

    exam: str | None = None
    candidates: frozenset[str] | None = None


EVERYBODY = Scope()


def population(
    columns: Columns,
    catalogue: Catalogue,
    moment: Moment,
    kernels: Kernels,
    *,
    scope: Scope = EVERYBODY,
    workers: int = 2,
) -> pa.Table:
    """Return one row for each candidate and exam with a visible sitting, sorted by both.

    A table of `SCHEMA`. `columns` must reach `moment.position`, `catalogue`
    too, and number exams and certifications as the columns do (see
    `catalogue_for`). The same rows for any number of workers.
    """

    def fold(part: Part, skip: Ints | None) -> pa.Table:
        stood = stand(part, catalogue, moment, kernels, wanted_groups(part, skip, columns, scope))
        return table_of(part, columns, stood)

    return over_parts(columns, fold, workers)


def with_status(table: pa.Table, statuses: Sequence[str]) -> pa.Table:
    """Keep the rows of some statuses."""
    return table.filter(pc.is_in(table["status"], value_set=pa.array(statuses, pa.string())))


def over_parts(
    columns: Columns, fold: Callable[[Part, Ints | None], pa.Table], workers: int
) -> pa.Table:
    """Fold each part to a table on its own and put the tables together, sorted by candidate.

    The fold is given a part and which of its candidates to leave out, because
    the delta has all their facts anew; None for nobody.
    """
    delta = columns.delta
    skips = [None if delta is None else replaced(part, delta) for part in columns.base]
    with ThreadPoolExecutor(workers) as pool:
        tables = list(pool.map(fold, columns.base, skips))
        if delta is None:
            return pa.concat_tables(tables)
        fresh = fold(delta, None)
    return woven(pa.concat_tables(tables), fresh, columns)


def woven(base: pa.Table, fresh: pa.Table, columns: Columns) -> pa.Table:
    """Weave the delta's rows in among the base's; no candidate is in both."""
    if not fresh.num_rows:
        return base
    if not base.num_rows:
        return fresh
    # Both are sorted: what is left to find is before which row of the base each fresh one comes.
    names = fresh["candidate"].combine_chunks().dictionary_encode()
    at = places(base["candidate"], names.dictionary)[names.indices.to_numpy()]
    key = np.concatenate((2 * np.arange(base.num_rows, dtype=np.int64) + 1, 2 * at))
    order = np.argsort(key, kind="stable")
    return pa.concat_tables((base, fresh)).take(pa.array(order))


def wanted_groups(part: Part, skip: Ints | None, columns: Columns, scope: Scope) -> Ints:
    """Return of each group, by 1 or 0, whether it is asked about."""
    wanted = np.ones(len(part.group_exam), dtype=np.int8)
    if skip is not None:
        wanted[skip[part.group_candidate]] = 0
    if scope.exam is not None:
        number = columns.exams.index(scope.exam) if scope.exam in columns.exams else -1
        wanted[part.group_exam != number] = 0
    if scope.candidates is not None:
        names = pa.array(sorted(scope.candidates), pa.string())
        found = pc.is_in(part.candidates, value_set=names).to_numpy(zero_copy_only=False)
        wanted[~found[part.group_candidate]] = 0
    return wanted


def stand(
    part: Part, catalogue: Catalogue, moment: Moment, kernels: Kernels, wanted: Ints
) -> Stood:
    """Fold the groups of one part that are wanted."""
    groups = len(part.group_exam)
    out = Stood(
        status=np.empty(groups, dtype=np.int8),  # type: ignore[arg-type]
        eligible_from=np.empty(groups, dtype=np.int64),  # type: ignore[arg-type]
        in_series=np.empty(groups, dtype=np.int32),  # type: ignore[arg-type]
        period_end=np.empty(groups, dtype=np.int64),  # type: ignore[arg-type]
        last_sitting_at=np.empty(groups, dtype=np.int64),  # type: ignore[arg-type]
        last_outcome=np.empty(groups, dtype=np.int8),  # type: ignore[arg-type]
    )
    kernels.stand_all(
        part.sittings,
        groups_of(part),
        facts_of(part, catalogue),
        wanted,
        0,
        groups,
        moment.as_of,
        moment.position,
        scratch_for(part),
        out,
    )
    return out


def groups_of(part: Part) -> Groups:
    """Return a part's groups as the kernels take them."""
    return Groups(
        part.group_candidate,  # type: ignore[arg-type]
        part.group_exam,  # type: ignore[arg-type]
        part.group_lo,  # type: ignore[arg-type]
        part.group_hi,  # type: ignore[arg-type]
        part.certification_offset,  # type: ignore[arg-type]
        part.grant_offset,  # type: ignore[arg-type]
    )


def facts_of(part: Part, catalogue: Catalogue) -> Facts:
    """Return what a verdict looks up: the part's own facts and the catalogue, as columns."""
    return Facts(
        part.certifications,
        part.grants,
        as_columns(catalogue.definitions),
        as_columns(catalogue.milestones),
        as_columns(catalogue.defined),
        as_columns(catalogue.versions),
        as_columns(catalogue.rules),
    )


def as_columns(rows: T) -> T:
    """Turn the sequences of a named tuple into columns of 64-bit integers."""
    sequences: Any = rows
    columns: T = type(sequences)(*(np.array(column, dtype=np.int64) for column in sequences))
    return columns


def scratch_for(part: Part) -> Sittings:
    """Make room for the sittings of a part's longest group."""
    longest = int((part.group_hi - part.group_lo).max(initial=1))
    room: Any = [np.empty(longest, dtype=np.int64) for _ in Sittings._fields]
    return Sittings(*room)


def table_of(part: Part, columns: Columns, stood: Stood) -> pa.Table:
    """Turn the standings of a part's groups into rows of `SCHEMA`."""
    status: Any = stood.status
    there = np.flatnonzero(status >= 0)
    code = status[there]
    return pa.table(
        [
            part.candidates.take(pa.array(part.group_candidate[there])),
            words(part.group_exam[there], columns.exams),
            words(code, STATUSES),
            pa.array(code == 0),
            instants(stood.eligible_from, there),
            pa.array(np.asarray(stood.in_series)[there]),
            instants(stood.period_end, there),
            instants(stood.last_sitting_at, there),
            words(np.asarray(stood.last_outcome)[there], OUTCOMES),
        ],
        schema=SCHEMA,
    )


def words(numbers: Ints, names: Sequence[str]) -> pa.Array:
    """Return the names of numbers."""
    return pa.array(names, pa.string()).take(pa.array(numbers))


def instants(column: Any, rows: Ints) -> pa.Array:
    """Return instants of some rows, the sentinels as null."""
    values = np.asarray(column)[rows]
    return pa.array(values, mask=(values == NONE) | (values == NEVER)).cast(INSTANT)
