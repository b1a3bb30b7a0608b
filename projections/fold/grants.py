"""Exceptions that are active at an instant, and the sittings that use them."""

from collections.abc import Sequence
from typing import NamedTuple

from projections.fold.facts import GRANTED, NEVER, Facts, Question, Sittings


class Waiver(NamedTuple):
    """What active grants waive, as bits, and the first instant one of them runs out."""

    waives: int
    next_end: int


def used_by(start: Sequence[int], ordinal: Sequence[int], lo: int, hi: int,
            since: int, until: int) -> int:  # fmt: skip
    """Return the sitting, of lo to hi, that used a grant made at `since`; -1 when none did.

    "The first counted sitting at or after the grant's time uses every grant of that exam, needed or
    not" (spec section 4); one at or after `until`, when the grant had run out or was replaced, used
    nothing. `ordinal` is 0 where a sitting is not counted.
    """
    for s in range(lo, hi):
        if ordinal[s] > 0 and start[s] >= since:
            return s if start[s] < until else -1
    return -1


def active(facts: Facts, q: Question, i: int, t: int, sittings: Sittings, n: int) -> bool:
    """Return whether grant row `i` is active at `t`.

    "A grant is keyed by (candidate, exam, request_id); the last of its
    ExceptionGranted and ExceptionRevoked holds. It is active from its time
    until before valid_until, unless used" (spec section 4). Expects the
    ordinals that `walk` gave.
    """
    rows = facts.grants
    if rows.exam[i] != q.exam or rows.kind[i] != GRANTED or rows.time[i] > q.as_of:
        return False
    if not rows.position[i] <= q.known < rows.annulled[i] or rows.until[i] <= t:
        return False
    for j in range(i + 1, q.grants_hi):
        if rows.time[j] > q.as_of:
            break
        if (
            rows.exam[j] == q.exam
            and rows.key[j] == rows.key[i]
            and rows.position[j] <= q.known < rows.annulled[j]
        ):
            return False
    return used_by(sittings.start, sittings.ordinal, 0, n, rows.time[i], rows.until[i]) < 0


def waiver_at(facts: Facts, q: Question, t: int, sittings: Sittings, n: int) -> Waiver:
    """Return what the grants active at `t` waive together."""
    waives, next_end = 0, NEVER
    for i in range(q.grants_lo, q.grants_hi):
        if active(facts, q, i, t, sittings, n):
            waives |= facts.grants.waives[i]
            next_end = min(next_end, facts.grants.until[i])
    return Waiver(waives, next_end)
