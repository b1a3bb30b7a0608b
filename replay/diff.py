"""What differs between two moments, or would with further facts: whose standing, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pyarrow as pa

from ledger.events import Recorded
from projections.catalogue import Catalogue, annulments
from projections.fold.catalogue import certification_definition, exam_definition
from projections.fold.facts import NEVER, OUTCOMES
from projections.fold.rules import STATUSES
from projections.history import (
    AUTHORIZATION_KINDS,
    CERTIFICATION_KINDS,
    GRANT_KINDS,
    SITTING_KINDS,
)
from projections.standing import Moment
from projections.table import INSTANT, SMALL
from replay.columns.part import Ints, Part
from replay.population import (
    EVERYBODY,
    SCHEMA,
    Scope,
    candidate_and_exam,
    instants,
    over_groups,
    stand,
)
from replay.questions import Stood
from replay.snapshot import Snapshot
from replay.supposing import supposing
from retake_policies.rules import version_in_force

_STANDING = [field for field in SCHEMA if field.name not in ("candidate", "exam", "eligible")]

CHANGED = pa.schema(
    [
        ("candidate", pa.string()),
        ("exam", pa.string()),
        *((f"from_{field.name}", field.type) for field in _STANDING),
        *((f"to_{field.name}", field.type) for field in _STANDING),
        ("cause", pa.string()),
        ("events", pa.list_(pa.struct([("source", pa.string()), ("id", pa.string())]))),
    ]
)
"""One row a changed candidate and exam; null where there is no standing at that moment.

`cause` is `events`, then `events` names those visible in exactly one of the two
moments; else `catalogue` or `policy`, with the entries that changed; else `clock`.
"""


_OF_AN_EXAM = SITTING_KINDS.keys() | GRANT_KINDS.keys() | AUTHORIZATION_KINDS.keys()
"""The events of a candidate that bear on the standing for the exam that they name."""


def diff(before: Snapshot, after: Snapshot, scope: Scope = EVERYBODY) -> pa.Table:
    """Return every candidate and exam whose standing differs between two moments of one ledger.

    A table of `CHANGED`, sorted by candidate and exam. The moments may differ
    on either axis or on both.
    """
    late = max(before, after, key=lambda snapshot: snapshot.position)
    columns = late.columns  # which serve both: each fact bears its position
    before, after = late.at(before.moment), late.at(after.moment)
    for each in (before, after):
        assert each.columns is columns
        assert each.catalogue  # laid out before threads need it

    def fold(part: Part, wanted: Ints) -> pa.Table:
        old, new = stand(before, part, wanted), stand(after, part, wanted)
        there = (old.status >= 0) & (new.status >= 0)
        changed = old.status != new.status
        for one, other in zip(old[1:], new[1:], strict=True):
            changed |= there & (one != other)
        rows = np.flatnonzero(changed)
        return pa.table(
            [
                *candidate_and_exam(part, columns, rows),
                *standing_columns(old, rows),
                *standing_columns(new, rows),
            ],
            names=CHANGED.names[:-2],
        )

    table = over_groups(late, scope, fold)
    causes = list(causes_of(table, late, before.moment, after.moment))
    return table.append_column(
        "cause", pa.array([cause for cause, _ in causes], pa.string())
    ).append_column(
        "events",
        pa.array(
            [[{"source": row.source, "id": row.id} for row in rows] for _, rows in causes],
            CHANGED.field("events").type,
        ),
    )


def impact(snapshot: Snapshot, tried: Sequence[Recorded]) -> pa.Table:
    """Compare everybody's standing as of an instant with and without the facts of a dry run.

    `tried` are events as they would be recorded, at positions after the
    ledger's last (see `ledger.dry_run`); what others recorded since comes
    before them. A table of `CHANGED`.
    """
    here = snapshot.columns.position  # the head, or what others have recorded just now
    facts = list(moved_behind(here, tried))
    known = snapshot.at(Moment(snapshot.as_of, None, here))
    supposed = supposing(known, facts)
    people = {row.subject for row in facts if row.stream.startswith("candidate/")}
    is_catalogue = any(not row.stream.startswith("candidate/") for row in facts)
    scope = EVERYBODY if is_catalogue else Scope(candidates=frozenset(people))
    return diff(supposed.at(known.moment), supposed, scope)


def moved_behind(position: int, tried: Sequence[Recorded]) -> Iterator[Recorded]:
    """Yield events of a dry run at the positions after one, whatever they were tried after."""
    if not tried:
        return
    first = tried[0].position
    by = position + 1 - first
    for row in tried:
        annuls = row.annuls
        if annuls is not None and annuls >= first:
            annuls += by
        yield row._replace(position=row.position + by, annuls=annuls)


def standing_columns(stood: Stood, rows: Ints) -> list[pa.Array]:
    """Return one side of the table; null where the group has no standing."""
    absent = stood.status[rows] < 0
    return [
        pa.array(STATUSES, pa.string()).take(pa.array(stood.status[rows], mask=absent)),
        nulled(instants(stood.eligible_from, rows), absent),
        pa.array(stood.in_series[rows], SMALL, mask=absent),
        nulled(instants(stood.period_end, rows), absent),
        nulled(instants(stood.last_sitting_at, rows), absent),
        pa.array(OUTCOMES, pa.string()).take(
            pa.array(np.where(absent, 0, stood.last_outcome[rows]), mask=absent)
        ),
    ]


def nulled(column: pa.Array, absent: Ints) -> pa.Array:
    """Make null what belongs to no standing."""
    values = column.cast(pa.int64()).fill_null(NEVER).to_numpy()
    return pa.array(values, mask=absent | (values == NEVER)).cast(INSTANT)


def causes_of(
    table: pa.Table, late: Snapshot, before: Moment, after: Moment
) -> Iterator[tuple[str, list[Recorded]]]:
    """Yield the cause of each changed row, and the events that made the difference.

    `late` knows all that either moment does.
    """
    candidate: str | None = None
    differing, entries = Differing([], before, after), Entries(late, before, after)
    for name, exam in zip(table["candidate"].to_pylist(), table["exam"].to_pylist(), strict=True):
        if name != candidate:
            candidate, differing = name, Differing(late.events(name), before, after)
        made = differing.for_exam(exam, entries.covering.get(exam, set()))
        moved = [] if made else entries.moved(exam)
        if made:
            yield "events", made
        elif not moved:
            yield "clock", []
        elif all(row.stream.startswith("policy/") for row in moved):
            yield "policy", moved
        else:
            yield "catalogue", moved


class Entries:
    """The catalogue's entries, by what they are about, as two moments know them."""

    def __init__(self, late: Snapshot, before: Moment, after: Moment) -> None:
        """Arrange them, once for all exams. `late` knows all that either moment does."""
        self._catalogue, self._before, self._after = late.catalogue, before, after
        self._ends = annulments(late.entries)
        self._of: dict[str, list[Recorded]] = {}
        self._policies: dict[str, set[str]] = {}
        """By exam: the policies that it ever follows."""
        self.covering: dict[str, set[str]] = {}
        """By exam: the certifications that name it in any of their entries."""
        for row in late.entries:
            if row.annuls is not None:
                continue
            self._of.setdefault(row.stream, []).append(row)
            if row.type == "ExamAnnounced":
                self._policies.setdefault(row.subject, set()).add(row.payload()["policy"])
            elif row.type == "CertificationDefined":
                for exam in row.payload()["exams"]:
                    self.covering.setdefault(exam, set()).add(row.subject)
        self.moved = cache(self._moved)

    def _moved(self, exam: str) -> list[Recorded]:
        """Return the entries about an exam that are known, or hold, at one moment only.

        Entries of the exam, of the certifications that ever name it, and of the policies it ever
        follows.
        """
        covering = self.covering.get(exam, set())
        streams = [f"exam/{exam}"]
        streams += [f"policy/{policy}" for policy in self._policies.get(exam, ())]
        streams += [f"certification/{certification}" for certification in covering]
        earlier, later = (
            holding(exam, covering, self._catalogue, at) for at in (self._before, self._after)
        )
        rows = (row for stream in streams for row in self._of.get(stream, ()))
        moved = [
            row
            for row in rows
            if known(row, self._ends, self._before) != known(row, self._ends, self._after)
            or (row.position in earlier) != (row.position in later)
        ]
        return sorted(moved, key=lambda row: row.position)


def holding(exam: str, covering: set[str], catalogue: Catalogue, at: Moment) -> set[int]:
    """Return the positions of the entries that hold for an exam at a moment.

    `covering` are the certifications that are looked at.
    """
    definitions, versions = catalogue.definitions, catalogue.versions
    positions: set[int] = set()
    definition = exam_definition(definitions, catalogue.exams.get(exam, -1), at.as_of, at.position)
    if definition >= 0:
        positions.add(definitions.position[definition])
        policy = definitions.policy[definition]
        version = version_in_force(
            versions.effective_from, versions.position, versions.annulled,
            versions.lo[policy], versions.hi[policy], at.as_of, at.position,
        )  # fmt: skip
        if version >= 0:
            positions.add(versions.position[version])
    for name in covering:
        certification = catalogue.certifications[name]
        row = certification_definition(catalogue.defined, certification, at.as_of, at.position)
        if row >= 0:
            positions.add(catalogue.defined.position[row])
    return positions


class Differing:
    """A candidate's events that are visible at one of two moments only, by what they bear on."""

    def __init__(self, rows: Sequence[Recorded], before: Moment, after: Moment) -> None:
        """Find them, once for all exams."""
        ends = annulments(rows)
        self._of_exam: dict[str | None, list[Recorded]] = {}
        self._certified: list[Recorded] = []
        for row in rows:
            if row.type in CERTIFICATION_KINDS:
                self._certified += [row] if differs(row, ends, before, after) else []
            elif row.type in _OF_AN_EXAM and differs(row, ends, before, after):
                self._of_exam.setdefault(row.exam, []).append(row)
        self._naming: dict[str, set[str | None]] = {}
        """By exam: the certifications of which any of the candidate's own events names it."""
        for row in rows:
            if row.type in CERTIFICATION_KINDS and '"exams"' in row.data:
                for exam in row.payload().get("exams") or ():
                    self._naming.setdefault(exam, set()).add(row.key)

    def for_exam(self, exam: str, covering: set[str]) -> list[Recorded]:
        """Return those that can bear on a standing for an exam.

        A certification's can if the catalogue (`covering`) or any of the candidate's own events
        says that it covers the exam.
        """
        naming = self._naming.get(exam, set())
        certified = [row for row in self._certified if row.key in covering or row.key in naming]
        made = [*self._of_exam.get(exam, ()), *certified]
        return sorted(made, key=lambda row: row.position) if certified else made


def differs(row: Recorded, ends: dict[int, int], before: Moment, after: Moment) -> bool:
    """Return whether an event is visible at exactly one of two moments."""
    return visible(row, ends, before) != visible(row, ends, after)


def visible(row: Recorded, ends: dict[int, int], at: Moment) -> bool:
    """Return whether an event is visible: recorded, not annulled, and true by then."""
    return row.occurred_at <= at.as_of and known(row, ends, at)


def known(row: Recorded, ends: dict[int, int], at: Moment) -> bool:
    """Return whether an event is known and not known to be annulled."""
    return row.position <= at.position < ends.get(row.position, NEVER)
