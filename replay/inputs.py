"""The tables that reports are made of, at any moment, computed from the ledger itself.

Never from the views: a view knows the head alone, and may lag behind it, while a report must come
out the same in June as in March. The compiled columns make that cheap enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ledger.events import Recorded
from projections.catalogue import Catalogue
from projections.fold.facts import NEVER, NONE, OUTCOMES, PASSED, Question
from projections.fold.verdict import Setting, setting_at
from projections.reports.inputs import (
    CERTIFICATIONS,
    CORRECTIONS,
    EXAMS,
    EXCEPTIONS,
    INSTANT,
    LATE_AFTER,
    SITTINGS,
    Period,
    schema_of,
)
from projections.standing import Moment
from replay.certifications import held
from replay.columns.part import Ints, Part
from replay.everyone import Everyone
from replay.input_rows import (
    correction,
    ends_of_waits,
    expectations,
    known_or_none,
    recorded,
    request,
)
from replay.population import Scope, counted_before, over_parts, sittings_of, wanted_groups, words
from replay.violations import violations

_SITTINGS = schema_of(SITTINGS)


class InputsAt:
    """The inputs of reports at one moment; a table is computed when it is first asked for."""

    def __init__(
        self, everyone: Everyone, moment: Moment, period: Period, exam: str | None = None
    ) -> None:
        """Ask at a moment about a period, of one exam or all."""
        self.everyone = everyone
        self.moment = moment
        self.period = period
        self.scope = Scope(exam)

    @property
    def as_of(self) -> int:
        """The instant whose truth is asked about, microseconds UTC."""
        return self.moment.as_of

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue as far as it is known."""
        columns = self.everyone.columns(self.moment.position)
        return self.everyone.catalogue(columns, self.moment.position)

    @cached_property
    def standings(self) -> pa.Table:
        """Everybody's standing: the table of `population.SCHEMA`."""
        return self.everyone.population(self.moment, scope=self.scope)

    @cached_property
    def violations(self) -> pa.Table:
        """Sittings taken while not eligible."""
        return violations(self.everyone.at(self.moment), self.scope)

    @cached_property
    def sittings(self) -> pa.Table:
        """Every visible sitting, with its place in its series and the wait before it."""
        snapshot = self.everyone.at(self.moment)
        columns = snapshot.columns

        def fold(part: Part, skip: Ints | None) -> pa.Table:
            wanted = wanted_groups(part, skip, columns, self.scope)
            found: Any = sittings_of(snapshot, part, wanted, ordinals=True)
            position = np.asarray(part.sittings.position)
            time = np.asarray(part.sittings.time)
            before = counted_before(found.group, found.ordinal)
            retake = before >= 0
            waits = self.waits(part, found, before)
            decided = found.outcome_row >= 0
            by = np.where(decided, found.outcome_row, 0)
            return pa.table(
                [
                    part.candidates.take(pa.array(part.group_candidate[found.group])),
                    words(part.group_exam[found.group], columns.exams),
                    pa.array(found.start).cast(INSTANT),
                    pa.array(found.end).cast(INSTANT),
                    words(found.beta, ("live", "beta")),
                    words(found.outcome, OUTCOMES),
                    pa.array(_taken(time, by), mask=~decided).cast(INSTANT),
                    pa.array(found.number),
                    pa.array(found.ordinal, mask=found.ordinal == 0),
                    pa.array(_taken(found.start, before), mask=~retake).cast(INSTANT),
                    pa.array(waits, mask=waits == NONE).cast(INSTANT),
                    pa.array(_taken(position, found.row)),
                    pa.array(_taken(position, by), mask=~decided),
                ],
                schema=_SITTINGS,
            )

        return over_parts(columns, fold, self.everyone.workers)

    def waits(self, part: Part, found: Any, before: Ints) -> Ints:
        """Return for each retake until when the wait after the sitting before it ran, else NONE.

        By the policy in force at the retake's own start. After a pass there is none.
        """
        out: Ints = np.full(len(found.row), NONE, dtype=np.int64)
        asked = before >= 0
        asked[asked] = found.outcome[before[asked]] != PASSED
        exams = part.group_exam[found.group]
        for exam in np.unique(exams[asked]):
            mine = asked & (exams == exam)
            for start, end, setting in self.settings(int(exam)):
                rows = np.flatnonzero(mine & (found.start >= start) & (found.start < end))
                if setting.version < 0 or not len(rows):
                    continue
                rules = self.catalogue.published[setting.version].rules
                last = before[rows]
                begins = found.end[last] if rules.wait_from_end else found.start[last]
                out[rows] = ends_of_waits(rules, begins, found.ordinal[last])
        return out

    def settings(self, exam: int) -> Iterator[tuple[int, int, Setting]]:
        """Yield what catalogue and policies say of an exam, from when until before when."""
        facts = self.catalogue.facts
        q = Question(exam, self.moment.as_of, self.moment.position, 0, 0, 0, 0)
        t = NONE
        while t < NEVER:
            setting = setting_at(facts, q, t)
            yield t, setting.until, setting
            t = setting.until

    def setting(self, exam: int) -> Setting:
        """Return what catalogue and policies say of an exam at the moment."""
        q = Question(exam, self.moment.as_of, self.moment.position, 0, 0, 0, 0)
        return setting_at(self.catalogue.facts, q, self.moment.as_of)

    @cached_property
    def exams(self) -> pa.Table:
        """The exams that the catalogue knows, as defined at the moment."""
        rows = []
        for code in sorted(self.catalogue.exams):
            if self.scope.exam not in (None, code):
                continue
            setting = self.setting(self.catalogue.exams[code])
            if setting.definition >= 0:
                rows.append(self._exam(code, setting))
        return pa.Table.from_pylist(rows, schema=schema_of(EXAMS))

    def _exam(self, code: str, setting: Setting) -> dict[str, object]:
        said = self.catalogue.definition_events[setting.definition].payload()
        row: dict[str, object] = {"exam": code, "title": said["title"], "policy": said["policy"]}
        row |= {name: known_or_none(at) for name, at in setting.dates._asdict().items()}
        if setting.version >= 0:
            version = self.catalogue.published[setting.version]
            row["policy_sha256"] = version.policy.sha256
            row |= expectations(version.rules, setting.dates)
        return row

    @cached_property
    def exceptions(self) -> pa.Table:
        """Requests for exceptions, and what was decided."""
        found = self.everyone.ledger.scans.exceptions(self.moment.position)
        told: dict[tuple[str, str, str], list[Recorded]] = {}
        in_time = found.sort_by([("occurred_at", "ascending"), ("position", "ascending")])
        for row in in_time.to_pylist():
            if row["occurred_at"] <= self.as_of and self.scope.exam in (None, row["exam"]):
                key = (row["candidate"], row["exam"], row["key"])
                told.setdefault(key, []).append(recorded(row))
        rows = [request(*key, told[key], self.as_of) for key in sorted(told)]
        return pa.Table.from_pylist(rows, schema=schema_of(EXCEPTIONS))

    @cached_property
    def certifications(self) -> pa.Table:
        """Certifications held, or once held."""
        columns = self.everyone.columns(self.moment.position)
        schema = schema_of(CERTIFICATIONS)

        def fold(part: Part, skip: Ints | None) -> pa.Table:
            return held(part, skip, columns.certifications, self.moment, schema)

        table = over_parts(columns, fold, self.everyone.workers)
        return table.sort_by([("candidate", "ascending"), ("certification", "ascending")])

    @cached_property
    def corrections(self) -> pa.Table:
        """Facts that were late, annulments, revocations."""
        ledger = self.everyone.ledger
        found = ledger.scans.corrections(self.moment.position, LATE_AFTER)
        rows = (correction(row) for row in found.to_pylist())
        kept = [
            row
            for row in rows
            if row["true_at"] <= self.as_of and self.scope.exam in (None, row["exam"])
        ]
        return pa.Table.from_pylist(kept, schema=schema_of(CORRECTIONS))


def _taken(column: Any, rows: Ints) -> Ints:
    """Take rows of a column; where a row is negative, whatever stands there is masked later."""
    values: Ints = np.asarray(column)
    return values[np.maximum(rows, 0)] if len(values) else np.zeros(len(rows), dtype=np.int64)
