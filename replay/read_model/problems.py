"""Facts that do not fit, as they are known now: nothing is refused, but it is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from projections.catalogue import Catalogue
from projections.fold.facts import ATTEMPTED, NEVER, NONE, RESULT_REVOKED
from projections.fold.rules import ELIGIBLE, STATUSES, UNKNOWN_EXAM
from projections.tables import PROBLEMS
from replay.columns.part import Ints
from replay.read_model.batch import Given, instants, rows_of, table_of, words
from replay.read_model.sittings import Sittings


def problems(given: Given, found: Sittings) -> pa.Table:
    """Return a row for each fact of candidates that does not fit, by kind and position."""
    kind = np.asarray(given.part.sittings.kind)
    position = np.asarray(given.part.sittings.position)
    opened = position[found.row]
    unknown = found.status == UNKNOWN_EXAM
    early = ~unknown & (found.status != ELIGIBLE)
    return pa.concat_tables(
        [
            _rows(given, "result-without-sitting", opened[kind[found.row] != ATTEMPTED]),
            _rows(given, "revocation-without-sitting", position[_lonely(given, found)]),
            _rows(given, "unknown-exam", opened[unknown]),
            _rows(
                given,
                "not-eligible",
                opened[early],
                detail=words(found.status[early], STATUSES),
                until=instants(found.eligible_from[early]),
            ),
            _rows(given, "late", _very_late(given)),
        ]
    )


def _lonely(given: Given, found: Sittings) -> Ints:
    """Return the rows that revoke a result of a sitting that there is not."""
    rows, part = given.part.sittings, given.part
    known = np.asarray(rows.annulled) > given.setting.position
    revoked = np.flatnonzero((np.asarray(rows.kind) == RESULT_REVOKED) & known)
    if not len(revoked):
        return revoked
    key = np.asarray(rows.key).astype(np.int64)
    group = np.searchsorted(part.group_lo, revoked, side="right") - 1
    there = found.group.astype(np.int64) * (1 << 32) + key[found.row]
    lonely: Ints = revoked[~np.isin(group.astype(np.int64) * (1 << 32) + key[revoked], there)]
    return lonely


def _very_late(given: Given) -> Ints:
    """Return the positions of facts that came so late that a published month was wrong."""
    recorded_at, occurred_at = given.numbers("recorded_at"), given.numbers("occurred_at")
    late = recorded_at - occurred_at >= given.setting.late.very_late
    late &= given.numbers("annuls") == NONE
    late &= ~np.isin(given.positions, given.annulled)
    return given.positions[late]


def _rows(
    given: Given, kind: str, positions: Ints, *, detail: Any = None, until: Any = None
) -> pa.Table:
    at = given.at(positions)
    count = len(at)
    return table_of(
        PROBLEMS,
        kind=[kind] * count,
        position=positions,
        candidate=given.table["candidate"].take(pa.array(at)),
        exam=given.texts("exam", at),
        key=given.texts("key", at),
        at=given.numbers("occurred_at")[at],
        recorded_at=given.numbers("recorded_at")[at],
        detail=pa.nulls(count, pa.string()) if detail is None else detail,
        until=pa.nulls(count, pa.int64()) if until is None else until,
    )


def catalogue_problems(catalogue: Catalogue, annulled: dict[int, int]) -> pa.Table:
    """Return a row for each published policy that does not parse and is not annulled."""
    return rows_of(
        PROBLEMS,
        [
            {
                "kind": "unreadable-policy",
                "position": row.position,
                "key": row.subject,
                "at": row.occurred_at,
                "recorded_at": row.recorded_at,
                "detail": str(problem),
            }
            for row, problem in catalogue.unreadable
            if annulled.get(row.position, NEVER) == NEVER
        ],
    )
