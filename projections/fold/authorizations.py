"""Authorizations: which hold, which sittings they serve, and whether one runs at an instant."""

from typing import Final, NamedTuple

from projections.fold.facts import (
    GRANTED,
    NEVER,
    AuthorizationRows,
    Facts,
    Question,
    Sittings,
)
from projections.fold.heap import pop, push
from retake_policies.rules import Rules

UNBOUNDED: Final = 1 << 62
"""So many sittings as an authorization without a number may serve."""


class Authorized(NamedTuple):
    """Whether a candidate is authorized to sit an exam at an instant."""

    row: int
    """The row of the authorization that would serve a sitting then, -1 when none runs."""
    until: int
    """When the last of those that run ends: NEVER for one without end, or when none runs."""
    last: int
    """The last row about the exam's authorizations that is visible, -1 when there is none."""
    used: bool
    """Whether that row's authorization has served as many sittings as it may."""


NOT_ASKED: Final = Authorized(-1, NEVER, -1, False)
"""Where the policy requires none."""


def authorized_at(
    facts: Facts, q: Question, rules: Rules, sittings: Sittings, n: int, t: int
) -> Authorized:
    """Return whether an authorization runs at `t`, after those that served the sittings before.

    "One runs at t from its time until before valid_until, unless it has served as many counted
    sittings as it may (its own `sittings`, else the policy's). Each counted sitting, in walk order,
    is served by one that runs at its start: by the one that ends first, of equal ends the earlier
    by (time, position); none running, by none" (spec section 4). Expects the ordinals that `walk`
    gave.
    """
    if rules.authorization_required == 0:
        return NOT_ASKED
    return serve(facts, q, rules.authorization_sittings, sittings, n, t)


def serve(
    facts: Facts, q: Question, allowed: int, sittings: Sittings, n: int, t: int
) -> Authorized:
    """Let each counted sitting be served, and return what runs at `t`; see `authorized_at`.

    `allowed` is the policy's number of sittings, 0 for any. Leaves in `left` how many each of the
    authorizations that hold may still serve.
    """
    rows, lo, hi = facts.authorizations, q.authorizations_lo, q.authorizations_hi
    last = hold(rows, lo, hi, q, allowed, sittings)
    size, i = 0, lo
    for s in range(n):
        if sittings.ordinal[s] == 0:
            continue
        start = sittings.start[s]
        while i < hi and rows.time[i] <= start:
            if sittings.left[i - lo] > 0:
                size = push(rows.until, sittings.heap, size, i)
            i += 1
        while size > 0 and rows.until[sittings.heap[0]] <= start:
            size = pop(rows.until, sittings.heap, size)
        if size > 0:
            first = sittings.heap[0] - lo
            sittings.left[first] -= 1
            if sittings.left[first] == 0:
                size = pop(rows.until, sittings.heap, size)
    while i < hi and rows.time[i] <= t:
        if sittings.left[i - lo] > 0:
            size = push(rows.until, sittings.heap, size, i)
        i += 1
    while size > 0 and rows.until[sittings.heap[0]] <= t:
        size = pop(rows.until, sittings.heap, size)
    if size == 0:
        used = last >= 0 and rows.kind[last] == GRANTED and sittings.left[last - lo] == 0
        return Authorized(-1, NEVER, last, used)
    until = rows.until[sittings.heap[0]]
    for k in range(1, size):
        until = max(until, rows.until[sittings.heap[k]])
    return Authorized(sittings.heap[0], until, last, False)


def hold(
    rows: AuthorizationRows, lo: int, hi: int, q: Question, allowed: int, sittings: Sittings
) -> int:
    """Write of each row how many sittings its authorization may serve, 0 where it does not hold.

    "The last of AuthorizationGranted and AuthorizationRevoked visible at A holds for every t;
    granted again under one id it starts afresh" (spec section 4). `allowed` is the policy's number,
    0 for any. Returns the last row about the exam that is visible, -1 for none.
    """
    last = -1
    for i in range(lo, hi):
        sittings.left[i - lo] = 0
        if rows.exam[i] != q.exam:
            continue
        first = rows.first[i]
        if first == i - lo:
            sittings.heap[first] = first  # the row of the authorization that holds so far
        if rows.time[i] <= q.as_of and rows.position[i] <= q.known < rows.annulled[i]:
            sittings.left[sittings.heap[first]] = 0
            sittings.heap[first] = i - lo
            if rows.kind[i] == GRANTED:
                sittings.left[i - lo] = rows.sittings[i] or allowed or UNBOUNDED
            last = i
    return last
