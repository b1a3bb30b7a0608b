"""`corrections`: what the ledger learned late or took back, and what the standing was before."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import Recorded
from projections.fold.facts import NONE
from projections.fold.rules import STATUSES
from projections.history import CERTIFICATION_KINDS
from projections.standing import Moment
from projections.tables import CORRECTIONS
from replay.columns.part import Ints, offsets, ranges
from replay.population import words
from replay.tables.batch import (
    REVOCATIONS,
    Batch,
    Late,
    instants,
    rows_of,
    table_of,
    text,
)

KINDS: Final = ("annulment", "revocation", "late")
ANNULMENT, REVOCATION, LATE = range(3)
DAY: Final = 86_400_000_000


def corrections(batch: Batch, names: Collection[str], after: int = 0) -> pa.Table:
    """Return the rows of facts recorded after a position, by candidate.

    Each is judged by what was known just before it and with it, so that a row never changes
    whatever is recorded later.
    """
    events = batch.events.corrections
    lag = events["recorded_at"].to_numpy() - events["true_at"].to_numpy()
    type = pc.list_element(pc.split_pattern(events["topic"], ":", max_splits=1), 0)
    revokes = pc.is_in(type, value_set=pa.array(REVOCATIONS)).to_numpy()
    annuls = events["annuls"].to_numpy()
    kind = np.where(annuls > 0, ANNULMENT, np.where(revokes, REVOCATION, LATE))
    some = (kind != LATE) | (lag >= batch.setting.late.late)
    some &= (events["position"].to_numpy() > after) & (
        events["true_at"].to_numpy() <= batch.moment.as_of
    )
    events = events.append_column("kind", pa.array(kind)).append_column("type", type)
    events, candidate = batch.of_candidates(events.filter(pa.array(some)))

    which, group, of_certification = _borne_on(batch, events, candidate)
    events = events.take(pa.array(which))
    position, true_at = events["position"].to_numpy(), events["true_at"].to_numpy()
    recorded_at = events["recorded_at"].to_numpy()
    was = _stand(batch, group, true_at, position - 1)
    now = _stand(batch, group, true_at, position)
    known_before = _stand(batch, group, recorded_at, position - 1)
    known_after = _stand(batch, group, recorded_at, position)

    changed = (was[0] != now[0]) | (was[1] != now[1]) | (known_before[0] != known_after[0])
    kept = np.flatnonzero(_kept(position, ~of_certification | changed))
    # A certification that changes no standing bears on no exam: one row says that it came late.
    nowhere = of_certification & ~changed
    exam = text(events["exam"])
    exam = pc.if_else(pc.is_valid(exam), exam, batch.exam_of(np.where(nowhere, -1, group)))
    events = events.take(pa.array(kept))

    def status(stood: tuple[Ints, Ints]) -> pa.Array:
        return words(np.where(nowhere, -1, stood[0])[kept], STATUSES)

    def eligible_from(stood: tuple[Ints, Ints]) -> pa.Array:
        return instants(np.where(nowhere, NONE, stood[1])[kept])

    annuls = events["annuls"].to_numpy()
    return table_of(
        CORRECTIONS,
        {
            "position": lambda: events["position"],
            "number": lambda: _counted(position[kept]),
            "kind": lambda: words(events["kind"].to_numpy(), KINDS),
            "type": lambda: events["type"],
            "candidate": lambda: events["candidate"],
            "exam": lambda: exam.take(pa.array(kept)),
            "key": lambda: text(events["key"]),
            "annuls": lambda: pa.array(annuls, mask=annuls == 0),
            "true_at": lambda: events["true_at"],
            "recorded_at": lambda: events["recorded_at"],
            "lag_days": lambda: np.round((recorded_at - true_at)[kept] / DAY, 3),
            "was_status": lambda: status(was),
            "is_status": lambda: status(now),
            "was_eligible_from": lambda: eligible_from(was),
            "is_eligible_from": lambda: eligible_from(now),
            "told_before": lambda: status(known_before),
            "told_after": lambda: status(known_after),
        },
        names,
    )


def _borne_on(batch: Batch, events: pa.Table, candidate: Ints) -> tuple[Ints, Ints, Ints]:
    """Pair each fact with the groups that it may bear on; with -1 if there is none.

    A fact of an exam bears on that exam; one of a certification may on all of the candidate's.
    Returns which of the facts, the group, and whether it is of a certification.
    """
    part = batch.part
    group = batch.groups_at(candidate, events["exam"].to_pylist())
    certifying = pc.is_in(events["type"], value_set=pa.array(list(CERTIFICATION_KINDS)))
    of_certification = np.asarray(certifying.to_numpy())
    lo, hi = part.group_offset[candidate], part.group_offset[candidate + 1]
    many = of_certification & (lo < hi)
    length = np.where(many, hi - lo, 1)
    which = np.repeat(np.arange(len(candidate)), length)
    groups: Ints = group[which]
    groups[many[which]] = ranges(lo[many], hi[many])
    return which, groups, of_certification[which]


def _stand(batch: Batch, group: Ints, as_of: Ints, known: Ints) -> tuple[Ints, Ints]:
    """Return the status (-1: none) and eligible_from of each group, as of and as known then."""
    stood: Any = batch.fold.answers(group, as_of, known)
    there = stood.sittings > 0
    return np.where(there, stood.status, -1), np.where(there, stood.eligible_from, NONE)


def _kept(position: Ints, wanted: Ints) -> Ints:
    """Keep the rows that are wanted and, of a position that has none, its first."""
    first = np.append(True, position[1:] != position[:-1])[: len(position)]
    run = np.cumsum(first) - 1
    wanted_in_run = np.bincount(run, weights=wanted.astype(np.int64)) > 0
    kept: Ints = wanted | (first & ~wanted_in_run[run]) if len(run) else wanted
    return kept


def _counted(position: Ints) -> Ints:
    """Count the rows of each position from 1."""
    first = np.flatnonzero(np.append(True, position[1:] != position[:-1])[: len(position)])
    length = np.diff(np.append(first, len(position)))
    counted: Ints = np.arange(len(position)) - np.repeat(offsets(length)[:-1], length) + 1
    return counted


def catalogue_corrections(
    entries: Iterable[Recorded],
    moment: Moment,
    late: Late,
    names: Collection[str],
    after: int = 0,
) -> pa.Table:
    """Return the rows of late or annulled entries of the catalogue; they bear on everybody."""
    by_position = {entry.position: entry for entry in entries}
    rows = []
    for entry in by_position.values():
        about = entry if entry.annuls is None else by_position[entry.annuls]
        lag = entry.recorded_at - about.occurred_at
        if not after < entry.position <= moment.position or about.occurred_at > moment.as_of:
            continue
        if entry.backfilled or (entry.annuls is None and lag < late.late):
            continue
        rows.append(
            {
                "position": entry.position,
                "number": 1,
                "kind": KINDS[LATE if entry.annuls is None else ANNULMENT],
                "type": about.type,
                "exam": about.exam,
                "key": None if about.exam else about.subject,
                "annuls": entry.annuls,
                "true_at": about.occurred_at,
                "recorded_at": entry.recorded_at,
                "lag_days": round(lag / DAY, 3),
            }
        )
    return rows_of(CORRECTIONS, rows, names)
