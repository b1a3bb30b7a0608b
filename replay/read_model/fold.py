"""All rows of some candidates from all their facts: one way, for a rebuild and for a follower.

The rows are those that `replay.tables` computes at any moment: here at the head, and for all time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ledger.events import Recorded
from projections.catalogue import Catalogue, catalogue_of
from projections.fold.facts import LAST, NEVER, OUTCOMES
from projections.fold.rules import ELIGIBLE, STATUSES
from projections.standing import Moment
from projections.table import Table
from projections.tables import CORRECTIONS, KEPT, OPEN, PROBLEMS, TIMELINE
from replay.columns.arrange import Numbers, arrange
from replay.columns.part import Ints
from replay.interpreted import Kernels
from replay.population import words
from replay.questions import Stretches
from replay.tables import OF_CANDIDATES, OF_CATALOGUE
from replay.tables.batch import Batch, InFacts, Late, LookUp, Setting, instants, table_of
from replay.tables.corrections import catalogue_corrections, corrections
from replay.tables.problems import catalogue_problems

Rows: TypeAlias = Mapping[str, pa.Table]
"""Rows for tables by name, as SQLite keeps them: `Table.plain`."""

_KEPT: Mapping[str, Table] = {table.name: table for table in KEPT}
ROOM = 1 << 18
"""How many stretches are made at once: what is held in memory besides the facts."""


class Folder:
    """Folds facts into rows, keeping numbers and catalogue at hand from one time to the next."""

    def __init__(self, kernels: Kernels, late: Late, of_several_sources: LookUp) -> None:
        """Begin with an empty catalogue; see `learn`."""
        self.late = late
        self._of_several_sources = of_several_sources
        self._kernels = kernels
        self._exams, self._certifications = Numbers([]), Numbers([])
        self._entries: dict[int, Recorded] = {}
        self._catalogue = catalogue_of(())

    def learn(self, rows: list[Recorded]) -> None:
        """Add more of the catalogue's events, in the order of their positions."""
        if rows:
            self._entries |= {row.position: row for row in rows}
            self._number_again()

    def _number_again(self) -> None:
        self._catalogue = catalogue_of(
            list(self._entries.values()), self._exams.names(), self._certifications.names()
        )
        self._exams.of(list(self._catalogue.exams))
        self._certifications.of(list(self._catalogue.certifications))

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of what was learned."""
        return self._catalogue

    def fold(self, facts: pa.Table, position: int, after: int = 0) -> Rows:
        """Fold all facts of some candidates up to a position; corrections only those after one.

        `facts` is of `ledger.store.scans.RECORDED`, by position.
        """
        part = arrange(facts, self._exams, self._certifications)
        exams, certifications = self._exams.names(), self._certifications.names()
        if (len(exams), len(certifications)) != (
            len(self._catalogue.exams),
            len(self._catalogue.certifications),
        ):
            self._number_again()
        setting = Setting(
            _ever(position), self._catalogue, exams, certifications, self._kernels, self.late
        )
        batch = Batch(part, InFacts(facts, self.late, self._of_several_sources), setting)
        made = {
            name: make(batch, _KEPT[name].names)
            for name, make in OF_CANDIDATES.items()
            if name != CORRECTIONS.name
        }
        made[TIMELINE.name] = timeline(batch)
        made[CORRECTIONS.name] = corrections(batch, CORRECTIONS.names, after)
        return _plain(made)

    def fold_catalogue(self, position: int, after: int = 0) -> Rows:
        """Fold the catalogue: its tables in full, its problems, its corrections after a position.

        What was learned must reach `position`.
        """
        moment, entries = _ever(position), self._entries.values()
        made = {
            name: make(self._catalogue, moment, _KEPT[name].names)
            for name, make in OF_CATALOGUE.items()
        }
        made[CORRECTIONS.name] = catalogue_corrections(
            entries, moment, self.late, CORRECTIONS.names, after
        )
        made[PROBLEMS.name] = catalogue_problems(self._catalogue, moment, PROBLEMS.names)
        return _plain(made)


def _ever(position: int) -> Moment:
    """Return the moment of the read model: all time, as known at a position."""
    return Moment(LAST, None, position)


def _plain(made: Rows) -> Rows:
    return {name: rows.cast(_KEPT[name].plain) for name, rows in made.items()}


def timeline(batch: Batch, room: int = ROOM) -> pa.Table:
    """Return rows of `TIMELINE` for whatever is known, sorted by candidate, exam and valid_from."""
    groups = len(batch.part.group_exam)
    scratch = batch.fold.scratch()
    first, tables = 0, [TIMELINE.schema.empty_table()]
    out = _stretches(room)
    while first < groups:
        end, count = batch.setting.kernels.stretch_all(
            batch.part.sittings, batch.fold.groups, batch.fold.facts, first, groups,
            batch.moment.position, scratch, room, out,
        )  # fmt: skip
        if end == first:  # not even one group has room
            room *= 4
            out = _stretches(room)
            continue
        tables.append(_table(batch, Stretches(*(np.array(column[:count]) for column in out))))  # type: ignore[arg-type]
        first = end
    return pa.concat_tables(tables)


def _stretches(room: int) -> Stretches:
    """Make room for so many stretches."""
    columns: Any = [np.empty(room, dtype=np.int64) for _ in Stretches._fields]
    return Stretches(*columns)


def _table(batch: Batch, found: Any) -> pa.Table:
    status: Ints = found.status
    return table_of(
        TIMELINE,
        {
            "candidate": lambda: batch.candidate_of(found.group),
            "exam": lambda: batch.exam_of(found.group),
            "valid_from": lambda: found.valid_from,
            "valid_to": lambda: np.where(found.valid_to == NEVER, OPEN, found.valid_to),
            "status": lambda: words(status, STATUSES),
            "eligible": lambda: status == ELIGIBLE,
            "eligible_from": lambda: instants(found.eligible_from),
            "sittings_in_series": lambda: found.in_series,
            "period_ends_at": lambda: instants(found.period_end),
            "last_sitting_at": lambda: found.last_sitting_at,
            "last_outcome": lambda: words(found.last_outcome, OUTCOMES),
        },
        TIMELINE.names,
    )


def stale_by(entries: Iterable[Recorded], catalogue: Catalogue) -> frozenset[str]:
    """Return the exams whose standings new entries may change, annulments among them.

    An exam's own entries bear on it; a policy's on every exam that has ever followed it; a
    certification's on every exam that it has ever named. `catalogue` must hold the entries.
    """
    stale: set[str] = set()
    for entry in entries:
        kind, _, subject = entry.stream.partition("/")
        if kind == "exam":
            stale.add(subject)
        elif kind == "policy":
            stale |= _following(catalogue, subject)
        elif kind == "certification":
            stale |= _named_by(catalogue, subject)
    return frozenset(stale)


def _following(catalogue: Catalogue, policy: str) -> set[str]:
    number = catalogue.policies.get(policy, -1)
    defined = catalogue.definitions
    return {
        exam
        for exam, e in catalogue.exams.items()
        if any(defined.policy[i] == number for i in range(defined.lo[e], defined.hi[e]))
    }


def _named_by(catalogue: Catalogue, certification: str) -> set[str]:
    number = catalogue.certifications.get(certification, -1)
    if number < 0:
        return set()
    codes, defined = list(catalogue.exams), catalogue.defined
    return {
        codes[defined.exam[k]]
        for i in range(defined.lo[number], defined.hi[number])
        for k in range(defined.exam_lo[i], defined.exam_hi[i])
    }
