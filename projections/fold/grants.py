"""Exceptions that are active at an instant, and the sittings that use them."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from projections.fold.facts import GRANTED, NEVER, Facts, Question


class Waiver(NamedTuple):
    """What active grants waive, as bits, and the first instant one of them runs out."""

    waives: int
    next_end: int


def used_by(counted: Sequence[int], since: int, until: int) -> int:
    """Return which counted sitting, of their starts, used a grant made at `since`; -1 for none.

    "The first counted sitting at or after the grant's time uses every grant of that exam, needed or
    not" (spec section 4); one at or after `until`, when the grant had run out or was replaced, used
    nothing.
    """
    s = bisect_left(counted, since)
    return s if s < len(counted) and counted[s] < until else -1


def decision_of(facts: Facts, q: Question, i: int) -> tuple[int, int]:
    """Return the row that holds of the request whose rows begin at `i`, and where they end.

    "A grant is keyed by (candidate, exam, request_id); the last of its ExceptionGranted and
    ExceptionRevoked holds" (spec section 4). -1 where none is visible.
    """
    rows, exam, key, holds = facts.grants, facts.grants.exam[i], facts.grants.key[i], -1
    while i < q.grants_hi and rows.key[i] == key and rows.exam[i] == exam:
        if rows.time[i] <= q.as_of and rows.position[i] <= q.known < rows.annulled[i]:
            holds = i
        i += 1
    return (holds if exam == q.exam else -1), i


def is_active(facts: Facts, i: int, t: int, since: int) -> bool:
    """Return whether row `i`, which holds of its request, is a grant that is active at `t`.

    "It is active from its time until before valid_until, unless used" (spec section 4): by any
    counted sitting since, the last of which began at `since`.
    """
    rows = facts.grants
    return bool(rows.kind[i] == GRANTED and since < rows.time[i] and t < rows.until[i])


def waiver_at(facts: Facts, q: Question, t: int, since: int, bits: int) -> Waiver:
    """Return what the grants active at `t` waive together of the reasons in `bits`.

    `since` is when the last counted sitting began.
    """
    waives, next_end = 0, NEVER
    i = q.grants_lo if bits != 0 else q.grants_hi
    while i < q.grants_hi:
        row, i = decision_of(facts, q, i)
        if row >= 0 and facts.grants.waives[row] & bits and is_active(facts, row, t, since):
            waives |= facts.grants.waives[row] & bits
            next_end = min(next_end, facts.grants.until[row])
    return Waiver(waives, next_end)
