"""Certifications as candidates hold them: earned, renewed, and when they end."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from projections.fold.facts import EXPIRED, HELD, NEVER
from projections.tables import CERTIFICATIONS
from replay.read_model.batch import Given, instants, table_of, words


def certifications(given: Given) -> pa.Table:
    """Return a row for each candidate and certification earned, by candidate and when first earned.

    "It ends at the expires_at of the last of these or, if a CertExpired follows that one, at the
    earlier of the two" (spec section 4).
    """
    part, rows = given.part, given.part.certifications
    kind, time, until = np.asarray(rows.kind), np.asarray(rows.time), np.asarray(rows.until)
    known = np.asarray(rows.annulled) > given.setting.position
    candidate = np.repeat(np.arange(len(part.candidates)), np.diff(part.certification_offset))
    key = candidate * (1 << 32) + np.asarray(rows.certification)

    held = np.flatnonzero((kind == HELD) & known)
    held = held[np.argsort(key[held], kind="stable")]  # rows are by time within a candidate
    keys, first, count = np.unique(key[held], return_index=True, return_counts=True)
    earned, last = held[first], held[first + count - 1]
    expired_at = np.full(len(keys), NEVER)
    ended = np.flatnonzero((kind == EXPIRED) & known)
    if len(keys):
        of = np.minimum(np.searchsorted(keys, key[ended]), len(keys) - 1)
        follows = (keys[of] == key[ended]) & (ended > last[of])
        np.minimum.at(expired_at, of[follows], time[ended[follows]])
    return table_of(
        CERTIFICATIONS,
        candidate=part.candidates.take(pa.array(candidate[earned])),
        certification=words(
            np.asarray(rows.certification)[earned].astype(np.int64), given.certification_names
        ),
        earned_at=time[earned],
        renewed_at=pa.array(time[last], mask=count == 1) if len(keys) else [],
        renewals=count - 1,
        expires_at=instants(until[last]),
        expired_at=instants(expired_at),
        ends_at=instants(np.minimum(until[last], expired_at)),
    )
