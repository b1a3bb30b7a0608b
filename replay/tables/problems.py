"""`problems`: facts that do not fit. Nothing is refused for it, but it is reported."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.intake.odd import (
    LATE,
    LATE_RESULT,
    LONG,
    LONG_SITTING,
    RESULT_BEFORE_SITTING,
    SOURCES_DISAGREE,
)
from projections.catalogue import Catalogue
from projections.fold.facts import (
    ATTEMPTED,
    MISSED,
    NOT_ATTENDED,
    RESCORED,
    RESULT_FAILED,
    RESULT_PASSED,
    RESULT_REVOKED,
)
from projections.fold.rules import ELIGIBLE, STATUSES
from projections.fold.rules import UNKNOWN_EXAM as NOT_ANNOUNCED
from projections.problems import UNKNOWN_EXAM, disagreement
from projections.standing import Moment
from projections.tables import PROBLEMS
from replay.columns.part import Ints
from replay.population import words
from replay.tables.batch import Batch, instants, rows_of, table_of, text

_RESULTS: Final = (RESULT_PASSED, RESULT_FAILED, RESCORED)


def problems(batch: Batch, names: Collection[str]) -> pa.Table:
    """Return a row for each visible fact of candidates that does not fit, by kind."""
    found, judged, facts = batch.sittings, batch.judged, _facts(batch)
    rows = batch.part.sittings
    kind, time = np.asarray(rows.kind), np.asarray(rows.time)
    opened = kind[found.row]
    unknown = judged.status == NOT_ANNOUNCED
    untimely = ~unknown & (judged.status != ELIGIBLE) & (found.outcome != MISSED)
    long = (opened == ATTEMPTED) & (np.subtract(found.end, found.start) > LONG)

    result = np.isin(kind[facts.row], _RESULTS)
    revokes_nothing = (kind[facts.row] == RESULT_REVOKED) & (facts.sitting < 0)
    late = result & np.isin(np.asarray(rows.position)[facts.row], _late_positions(batch))
    # Of a sitting that nobody said the start of, the first result is taken for the start.
    early = result & (facts.sitting >= 0)
    early[early] = opened[facts.sitting[early]] == ATTEMPTED
    early[early] = time[facts.row[early]] < found.start[facts.sitting[early]]
    disagreeing, details = _disagreements(batch, facts)

    def of_sittings(name: str, some: Ints, **more: Any) -> pa.Table:
        return _of_rows(batch, name, found.row[some], found.group[some], names, **more)

    def of_facts(name: str, some: Ints, **more: Any) -> pa.Table:
        return _of_rows(batch, name, facts.row[some], facts.group[some], names, **more)

    return pa.concat_tables(
        [
            of_sittings("result-without-sitting", (opened != ATTEMPTED) & (opened != NOT_ATTENDED)),
            of_facts("revocation-without-sitting", revokes_nothing),
            of_sittings(
                "not-eligible",
                untimely,
                detail=lambda: words(judged.status[untimely], STATUSES),
                until=lambda: instants(judged.eligible_from[untimely]),
            ),
            of_sittings(
                SOURCES_DISAGREE, disagreeing, detail=lambda: pa.array(details, pa.string())
            ),
            of_sittings(UNKNOWN_EXAM, unknown),
            of_facts(RESULT_BEFORE_SITTING, early, until=lambda: found.start[facts.sitting[early]]),
            of_sittings(LONG_SITTING, long, until=lambda: found.end[long]),
            of_facts(LATE_RESULT, late),
            _very_late(batch, names),
        ]
    )


def _of_rows(
    batch: Batch, kind: str, rows: Ints, groups: Ints, names: Collection[str], **more: Any
) -> pa.Table:
    """Return problems of rows of the part's sittings, each with its group."""
    part = batch.part.sittings
    position = np.asarray(part.position)[rows]
    return table_of(
        PROBLEMS,
        {
            "kind": lambda: [kind] * len(rows),
            "position": lambda: position,
            "candidate": lambda: batch.candidate_of(groups),
            "exam": lambda: batch.exam_of(groups),
            "key": lambda: batch.events.keys(position),
            "at": lambda: np.asarray(part.time)[rows],
            "recorded_at": lambda: batch.events.recorded_at(position),
            "detail": lambda: pa.nulls(len(rows), pa.string()),
            "until": lambda: pa.nulls(len(rows), pa.int64()),
            **more,
        },
        names,
    )


class _Facts(NamedTuple):
    """The visible rows of sittings of the groups that are wanted, in the order of the part."""

    row: Ints
    group: Ints
    sitting: Ints
    """Which of the batch's sittings it is about; -1 for none."""


def _facts(batch: Batch) -> _Facts:
    rows, part, found, moment = batch.part.sittings, batch.part, batch.sittings, batch.moment
    visible = np.asarray(rows.position) <= moment.position
    visible &= np.asarray(rows.annulled) > moment.position
    visible &= np.asarray(rows.time) <= moment.as_of
    row = np.flatnonzero(visible)
    group = np.searchsorted(part.group_lo, row, side="right") - 1
    wanted = batch.wanted[group] > 0
    row, group = row[wanted], group[wanted]
    if not len(found.row):
        return _Facts(row, group, np.full(len(row), -1))

    def named(groups: Ints, of: Ints) -> Ints:
        numbers: Ints = groups.astype(np.int64) * (1 << 32) + np.asarray(rows.key)[of]
        return numbers

    there, mine = named(found.group, found.row), named(group, row)
    order = np.argsort(there)
    at = order[np.minimum(np.searchsorted(there, mine, sorter=order), len(there) - 1)]
    return _Facts(row, group, np.where(there[at] == mine, at, -1))


def _late_positions(batch: Batch) -> Ints:
    """Return the facts that are late enough for a late result: none that was moved in."""
    events = batch.events.corrections
    lag = events["recorded_at"].to_numpy() - events["true_at"].to_numpy()
    positions: Ints = events["position"].to_numpy()[
        (lag > LATE) & (events["annuls"].to_numpy() == 0)
    ]
    return positions


def _disagreements(batch: Batch, facts: _Facts) -> tuple[Ints, list[str]]:
    """Return the sittings about which sources disagree, and of each a sentence on who says what.

    Only where there are two attempts or two outcomes are events looked at one by one.
    """
    sittings, rows = len(batch.sittings.row), batch.part.sittings
    kind, of_one = np.asarray(rows.kind)[facts.row], facts.sitting >= 0
    several = np.zeros(sittings, dtype=bool)
    for kinds in ((ATTEMPTED,), (*_RESULTS, NOT_ATTENDED)):
        some = facts.sitting[of_one & np.isin(kind, kinds)]
        several |= np.bincount(some, minlength=sittings) > 1
    chosen = np.flatnonzero(of_one)
    chosen = chosen[several[facts.sitting[chosen]]]
    positions = np.asarray(rows.position)[facts.row[chosen]].tolist()
    events = batch.events.of_several_sources(positions)
    by_sitting: dict[int, list[Recorded]] = {}
    for position, sitting in zip(positions, facts.sitting[chosen].tolist(), strict=True):
        if position in events:
            by_sitting.setdefault(sitting, []).append(events[position])
    found = {
        sitting: differ[0]
        for sitting, events in sorted(by_sitting.items())
        if (differ := disagreement(events, format_instant)) is not None
    }
    return np.array([*found], dtype=np.int64), [*found.values()]


def _very_late(batch: Batch, names: Collection[str]) -> pa.Table:
    """Return the facts that came so late that a published month was wrong."""
    events = batch.events.corrections
    annuls, position = events["annuls"].to_numpy(), events["position"].to_numpy()
    lag = events["recorded_at"].to_numpy() - events["true_at"].to_numpy()
    some = (lag >= batch.setting.late.very_late) & (annuls == 0) & ~np.isin(position, annuls)
    some &= events["true_at"].to_numpy() <= batch.moment.as_of
    events, _ = batch.of_candidates(events.filter(pa.array(some)))

    count = events.num_rows
    return table_of(
        PROBLEMS,
        {
            "kind": lambda: ["late"] * count,
            "position": lambda: events["position"],
            "candidate": lambda: events["candidate"],
            "exam": lambda: text(events["exam"]),
            "key": lambda: text(events["key"]),
            "at": lambda: events["true_at"],
            "recorded_at": lambda: events["recorded_at"],
            "detail": lambda: pa.nulls(count, pa.string()),
            "until": lambda: pa.nulls(count, pa.int64()),
        },
        names,
    )


def catalogue_problems(catalogue: Catalogue, moment: Moment, names: Collection[str]) -> pa.Table:
    """Return a row for each published policy that does not parse and is not annulled."""
    rows = [
        {
            "kind": "unreadable-policy",
            "position": row.position,
            "key": row.subject,
            "at": row.occurred_at,
            "recorded_at": row.recorded_at,
            "detail": str(problem),
        }
        for (row, problem), annulled in zip(
            catalogue.unreadable, catalogue.unreadable_annulled, strict=True
        )
        if row.position <= moment.position < annulled and row.occurred_at <= moment.as_of
    ]
    return rows_of(PROBLEMS, rows, names)
