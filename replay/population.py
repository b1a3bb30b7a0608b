"""Everybody at one moment: the compiled fold over columns, and the table of standings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.store.scans import Clock
from projections.fold.facts import (
    NEVER,
    NONE,
    OUTCOMES,
    Facts,
)
from projections.fold.rules import STATUSES
from projections.table import INSTANT, SMALL
from projections.tables import STANDINGS
from replay.bound import Bound, Tables
from replay.columns.build import Columns
from replay.columns.in_time import in_time
from replay.columns.part import (
    INT8,
    INT32,
    INT64,
    Ints,
    Part,
    Types,
    places,
    replaced,
)
from replay.interpreted import Kernels
from replay.questions import Answers, Groups, Numbered, Questions, Scratch, Stood, room_for

SCHEMA = STANDINGS.schema
"""The table of spec section 5; instants in microseconds UTC."""


class Scope(NamedTuple):
    """Whose standings are wanted: of an exam, some or all; of some candidates or all."""

    exam: str | frozenset[str] | None = None
    candidates: frozenset[str] | None = None


EVERYBODY = Scope()


def everybody(snapshot: Bound, scope: Scope = EVERYBODY) -> pa.Table:
    """Return one row for each candidate and exam with a visible sitting, sorted by both.

    A table of `SCHEMA`; the same rows for any number of workers.
    """
    columns = snapshot.columns

    def fold(part: Part, wanted: Ints) -> pa.Table:
        return table_of(part, columns, stand(snapshot, part, wanted))

    return over_groups(snapshot, scope, fold)


def with_status(table: pa.Table, statuses: Sequence[str]) -> pa.Table:
    """Keep the rows of some statuses."""
    return table.filter(pc.is_in(table["status"], value_set=pa.array(statuses, pa.string())))


def over_groups(snapshot: Bound, scope: Scope, fold: Callable[[Part, Ints], pa.Table]) -> pa.Table:
    """Fold each part's groups to a table and put the tables together, sorted by candidate.

    The fold is called with a part and, of each of its groups, 1 or 0 for whether it is wanted.
    """
    columns, _ = snapshot.columns, snapshot.catalogue  # laid out once, before threads need them

    def fold_part(part: Part, skip: Ints | None) -> pa.Table:
        return fold(part, wanted_groups(part, skip, columns, scope))

    return over_parts(columns, fold_part, snapshot.engine.workers)


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
        run = pool.map if len(columns.base) > 1 else map  # one part needs no thread beside this one
        tables = list(run(fold, columns.base, skips))
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
    """Return of each group, by 1 or 0, whether it is wanted."""
    wanted = np.ones(len(part.group_exam), dtype=np.int8)
    if skip is not None:
        wanted[skip[part.group_candidate]] = 0
    if scope.exam is not None:
        exams = {scope.exam} if isinstance(scope.exam, str) else scope.exam
        numbers = [number for number, name in enumerate(columns.exams) if name in exams]
        wanted[~np.isin(part.group_exam, numbers)] = 0
    if scope.candidates is not None:
        names = pa.array(sorted(scope.candidates), pa.string())
        found = pc.is_in(part.candidates, value_set=names).to_numpy(zero_copy_only=False)
        wanted[~found[part.group_candidate]] = 0
    return wanted


# -- what the kernels say of a part


class PartFold:
    """A part laid out for the compiled fold, with the catalogue that it is judged by."""

    def __init__(self, part: Part, catalogue: Tables, kernels: Kernels) -> None:
        self.part = part
        self.groups = groups_of(part)
        self.facts = facts_of(part, catalogue)
        self.kernels = kernels

    def scratch(self) -> Scratch:
        """Make room for the part's longest group."""
        part, versions = self.part, len(self.facts.versions.time)
        longest = int((part.group_hi - part.group_lo).max(initial=1))
        authorized = int(np.diff(part.authorization_offset).max(initial=0))
        certified = int(np.diff(part.certification_offset).max(initial=0))
        return room_for(longest, authorized, certified, versions, partial(np.zeros, dtype=np.int64))

    def answers(
        self,
        group: Ints,
        as_of: Ints | int,
        known: Ints | int,
        without: Ints | int = -1,
        *,
        ahead: bool = True,
    ) -> Answers:
        """Answer questions about groups (-1: none), each as of and as known at its own moment.

        `without` is the key of a sitting to leave out, -1 for none. With `ahead`, `eligible_from`
        is looked for. Columns of numbers, parallel to `group`.
        """
        out: Any = Answers(*_empty(_ANSWERS, len(group)))
        questions, scratch = questions_of(group, as_of, known, without), self.scratch()
        self.kernels.answer_each(
            self.part.sittings, self.groups, self.facts, questions, int(ahead), scratch, out
        )
        return out  # type: ignore[no-any-return]

    def stood(
        self, group: Sequence[int] | Ints, as_of: int, known: int, *, changes: bool = False
    ) -> Stood:
        """Return where groups (-1: none) stand at one moment; columns parallel to `group`.

        With `changes`, also when anything changes next.
        """
        out: Any = Stood(*_empty(_STOOD, len(group)))
        asked = np.require(group, np.int64, ["C", "W"])
        self.kernels.stand_each(
            self.part.sittings, self.groups, self.facts, asked, as_of, known, int(changes),
            self.scratch(), out,
        )  # fmt: skip
        return out  # type: ignore[no-any-return]

    def sittings(self, wanted: Ints, as_of: int, known: int, *, ordinals: bool = True) -> Numbered:
        """Return each visible sitting of the wanted groups; its ordinal only if asked for.

        Columns of numbers, in the order of groups, starts and positions.
        """
        out: Any = Numbered(*_empty(_NUMBERED, len(self.part.sittings.kind)))
        count = self.kernels.number_sittings(
            self.part.sittings,
            self.groups,
            self.facts,
            wanted,
            0,
            len(wanted),
            as_of,
            known,
            int(ordinals),
            self.scratch().sittings,
            self.scratch(),
            out,
        )
        return Numbered(*(column[:count] for column in out))


def questions_of(
    group: Ints, as_of: Ints | int, known: Ints | int, without: Ints | int = -1
) -> Questions:
    """Return questions about groups as the kernels take them.

    Each column may be written to, though nobody does: a kernel is compiled anew for one that may
    not be, and there were four kinds of questions.
    """
    columns: Any = [
        np.require(column if np.ndim(column) else np.full(len(group), column), np.int64, ["C", "W"])
        for column in (group, as_of, known, without)
    ]
    return Questions(*columns)


def part_fold(snapshot: Bound, part: Part) -> PartFold:
    """Arrange a part to be judged by a snapshot's catalogue, numbered as its columns are."""
    assert snapshot.columns is not None
    return PartFold(part, snapshot.catalogue, snapshot.kernels)


# As narrow as they can be: half the time of a what-if went into pages written for the first time.
_ANSWERS: Types = {
    "status": INT8,
    "eligible_from": INT64,
    "waived": INT8,
    "sittings": INT32,
    "in_series": INT32,
    "period_end": INT64,
    "last_sitting_at": INT64,
    "last_outcome": INT8,
}
_STOOD: Types = {
    "status": INT8,
    "eligible_from": INT64,
    "in_series": INT32,
    "period_end": INT64,
    "last_sitting_at": INT64,
    "last_outcome": INT8,
    "changes": INT64,
}
_NUMBERED: Types = {
    "row": INT32,
    "group": INT32,
    "number": INT32,
    "start": INT64,
    "end": INT64,
    "beta": INT8,
    "outcome": INT8,
    "outcome_row": INT32,
    "ordinal": INT32,
    "previous": INT64,
    "wait_until": INT64,
}
for _types, _table in ((_ANSWERS, Answers), (_STOOD, Stood), (_NUMBERED, Numbered)):
    assert tuple(_types) == _table._fields


def _empty(types: Types, size: int) -> list[Any]:
    return [np.empty(size, dtype=kind) for kind in types.values()]


def stand(snapshot: Bound, part: Part, wanted: Ints) -> Stood:
    """Return where each group stands that is wanted; status -1 for the others."""
    group = np.where(wanted != 0, np.arange(len(wanted)), -1)
    return part_fold(snapshot, part).stood(group, snapshot.as_of, snapshot.position)


def sittings_of(snapshot: Bound, part: Part, wanted: Ints, *, ordinals: bool = False) -> Numbered:
    """Return each visible sitting of the wanted groups: see `PartFold.sittings`."""
    fold = part_fold(snapshot, part)
    return fold.sittings(wanted, snapshot.as_of, snapshot.position, ordinals=ordinals)


def judge(
    snapshot: Bound,
    part: Part,
    sittings: Numbered,
    *,
    then: Clock | None = None,
    ahead: bool = False,
) -> Answers:
    """Judge sittings, each at its own start and without itself (spec section 7, reading 13).

    By what the snapshot knows; with `then`, by what was known when each began, its own policy and
    catalogue too. With `ahead`, also from when the candidate would have been eligible.
    """
    columns: Any = sittings
    known: Any = snapshot.position
    if then is not None:
        known = then.position_at(np.asarray(part.sittings.time)[columns.row], known)
    without = np.asarray(part.sittings.key)[columns.row]
    fold = part_fold(snapshot, part)
    return fold.answers(columns.group, columns.start, known, without, ahead=ahead)


def groups_of(part: Part) -> Groups:
    """Return a part's groups as the kernels take them."""
    return Groups(
        part.group_candidate,  # type: ignore[arg-type]
        part.group_exam,  # type: ignore[arg-type]
        part.group_lo,  # type: ignore[arg-type]
        part.group_hi,  # type: ignore[arg-type]
        part.certification_offset,  # type: ignore[arg-type]
        part.grant_offset,  # type: ignore[arg-type]
        part.authorization_offset,  # type: ignore[arg-type]
    )


def facts_of(part: Part, catalogue: Tables) -> Facts:
    """Return what a verdict looks up: the part's own facts and the catalogue, as columns."""
    return Facts(
        part.certifications, part.grants, part.authorizations, in_time(part),
        *_as_columns(catalogue),
    )  # fmt: skip


def _as_columns(catalogue: Tables) -> list[Any]:
    """Return a catalogue's tables as columns of 64-bit integers, made once for many questions."""
    for one, made in tuple(_made):
        if one is catalogue:
            return made
    tables: tuple[Any, ...] = (
        catalogue.definitions, catalogue.milestones, catalogue.defined, catalogue.versions,
        catalogue.rules,
    )  # fmt: skip
    made = [
        type(table)(*(np.array(column, dtype=np.int64) for column in table)) for table in tables
    ]
    _made.append((catalogue, made))
    del _made[:-_KEPT]
    return made


_KEPT = 2
_made: list[tuple[Tables, list[Any]]] = []
"""The catalogues that were asked about last: a draft's and that in force in turn."""


def table_of(part: Part, columns: Columns, stood: Stood) -> pa.Table:
    """Turn the standings of a part's groups into rows of `SCHEMA`."""
    there = np.flatnonzero(stood.status >= 0)
    code = stood.status[there]
    return pa.table(
        [
            *candidate_and_exam(part, columns, there),
            words(code, STATUSES),
            pa.array(code == 0),
            instants(stood.eligible_from, there),
            pa.array(stood.in_series[there], SMALL),
            instants(stood.period_end, there),
            instants(stood.last_sitting_at, there),
            words(stood.last_outcome[there], OUTCOMES),
        ],
        schema=SCHEMA,
    )


def candidate_and_exam(part: Part, columns: Columns, groups: Ints) -> list[pa.Array]:
    """Return the candidates and the exams of some groups of a part."""
    candidates = part.candidates.take(pa.array(part.group_candidate[groups]))
    return [candidates, words(part.group_exam[groups], columns.exams)]


def words(numbers: Ints, names: Sequence[str]) -> pa.Array:
    """Return the names of numbers, null for a negative one."""
    return pa.array(names, pa.string()).take(pa.array(numbers, mask=numbers < 0))


def instants(column: Any, rows: Ints) -> pa.Array:
    """Return instants of some rows, the sentinels as null."""
    values = np.asarray(column)[rows]
    return pa.array(values, mask=(values == NONE) | (values == NEVER)).cast(INSTANT)
