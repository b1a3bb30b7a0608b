"""`problems`: facts that do not fit. Nothing is refused for it, but it is told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

from projections.catalogue import Catalogue
from projections.fold.facts import ATTEMPTED, MISSED, NOT_ATTENDED, RESULT_REVOKED
from projections.fold.rules import ELIGIBLE, STATUSES, UNKNOWN_EXAM
from projections.standing import Moment
from projections.tables import PROBLEMS
from replay.columns.part import Ints
from replay.population import words
from replay.tables.batch import Batch, instants, rows_of, table_of, text


def problems(batch: Batch, names: Collection[str]) -> pa.Table:
    """Return a row for each visible fact of candidates that does not fit, by kind."""
    found, judged = batch.sittings, batch.judged
    kind = np.asarray(batch.part.sittings.kind)
    unknown = judged.status == UNKNOWN_EXAM
    early = ~unknown & (judged.status != ELIGIBLE) & (found.outcome != MISSED)
    opened = kind[found.row]

    def of_sittings(name: str, some: Ints, **more: Any) -> pa.Table:
        return _of_rows(batch, name, found.row[some], found.group[some], names, **more)

    return pa.concat_tables(
        [
            of_sittings("result-without-sitting", (opened != ATTEMPTED) & (opened != NOT_ATTENDED)),
            _of_rows(batch, "revocation-without-sitting", *_lonely(batch), names),
            of_sittings("unknown-exam", unknown),
            of_sittings(
                "not-eligible",
                early,
                detail=lambda: words(judged.status[early], STATUSES),
                until=lambda: instants(judged.eligible_from[early]),
            ),
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


def _lonely(batch: Batch) -> tuple[Ints, Ints]:
    """Return the rows that revoke a result of a sitting that there is not, and their groups."""
    rows, part, found, moment = batch.part.sittings, batch.part, batch.sittings, batch.moment
    position, time = np.asarray(rows.position), np.asarray(rows.time)
    visible = (position <= moment.position) & (np.asarray(rows.annulled) > moment.position)
    visible &= (time <= moment.as_of) & (np.asarray(rows.kind) == RESULT_REVOKED)
    revoked = np.flatnonzero(visible)
    if not len(revoked):
        return revoked, revoked
    key = np.asarray(rows.key).astype(np.int64)
    group = np.searchsorted(part.group_lo, revoked, side="right") - 1
    there = found.group.astype(np.int64) * (1 << 32) + key[found.row]
    lonely = ~np.isin(group.astype(np.int64) * (1 << 32) + key[revoked], there)
    lonely &= batch.wanted[group] > 0
    return revoked[lonely], group[lonely]


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
