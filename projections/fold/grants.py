"""Exceptions that are active at an instant, and the sittings that use them."""

from bisect import bisect_left
from collections.abc import Sequence

from projections.fold.catalogue import after_in_time
from projections.fold.facts import GRANTED, NEVER, Facts, Question


def used_by(counted: Sequence[int], since: int, until: int) -> int:
    """Return which counted sitting, of their starts, used a grant made at `since`; -1 for none.

    "The first counted sitting at or after the grant's time uses every grant of that exam, needed or
    not" (spec section 4); one at or after `until`, when the grant had run out or was replaced, used
    nothing.
    """
    s = bisect_left(counted, since)
    return s if s < len(counted) and counted[s] < until else -1


def holds(facts: Facts, q: Question, i: int) -> bool:
    """Return whether a row about an exception of the exam is visible, and holds of its request.

    "A grant is keyed by (candidate, exam, request_id); the last of its ExceptionGranted and
    ExceptionRevoked holds" (spec section 4).
    """
    rows, exam, key = facts.grants, facts.grants.exam[i], facts.grants.key[i]
    if exam != q.exam or rows.time[i] > q.as_of:
        return False
    if not rows.position[i] <= q.known < rows.annulled[i]:
        return False
    i += 1
    while i < q.grants_hi and rows.key[i] == key and rows.exam[i] == exam:
        if rows.time[i] > q.as_of:
            break
        if rows.position[i] <= q.known < rows.annulled[i]:
            return False
        i += 1
    return True


def is_active(facts: Facts, i: int, t: int, since: int) -> bool:
    """Return whether row `i`, which holds of its request, is a grant that is active at `t`.

    "It is active from its time until before valid_until, unless used" (spec section 4): by any
    counted sitting since, the last of which began at `since`.
    """
    rows = facts.grants
    return bool(rows.kind[i] == GRANTED and since < rows.time[i] and t < rows.until[i])


def waiver_at(facts: Facts, q: Question, t: int, since: int, bits: int) -> tuple[int, int]:
    """Return what the grants active at `t` waive together of the reasons in `bits`, as bits.

    And the first instant one of them runs out. `since` is when the last counted sitting began.
    """
    waives, next_end = 0, NEVER
    if bits == 0:
        return waives, next_end
    rows, order, lo = facts.grants, facts.in_time.grants, q.grants_lo
    k = after_in_time(rows.time, order, lo, q.grants_hi, q.as_of) - 1
    while k >= lo and rows.time[order[k]] > since:
        i = order[k]
        if rows.waives[i] & bits and is_active(facts, i, t, since) and holds(facts, q, i):
            waives |= rows.waives[i] & bits
            next_end = min(next_end, rows.until[i])
        k -= 1
    return waives, next_end
