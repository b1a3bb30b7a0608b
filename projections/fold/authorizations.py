"""Authorizations: which hold, which sittings they serve, and whether one runs at an instant."""

from typing import Final, NamedTuple

from projections.fold.facts import (
    GRANTED,
    NEVER,
    NONE,
    AuthorizationRows,
    Facts,
    Question,
    Served,
    Sittings,
)
from projections.fold.heap import pop, push
from retake_policies.rules import Rules

UNBOUNDED: Final = 1 << 62
"""So many sittings as an authorization without a number may serve."""


# What `Served.of` has at which place.
IS_MADE: Final = 0
LO: Final = 1
"""Where the candidate's rows begin."""
EXAM: Final = 2
ALLOWED: Final = 3
AS_OF: Final = 4
KNOWN: Final = 5
READ: Final = 6
"""The row after those that are visible, or not known."""
CHANGES: Final = 7
"""The first position at which one of them becomes known or is annulled."""
LAST: Final = 8
"""The last that is visible, -1 when none is."""
SITTINGS: Final = 9
"""Over how many places the sittings were served."""
NEXT: Final = 10
"""The first row that was not granted yet when the last of them began."""
SIZE: Final = 11
"""How many run."""
LATEST: Final = 12
"""When the last of these ends."""


class Authorized(NamedTuple):
    """Whether a candidate is authorized to sit an exam at an instant."""

    runs: bool
    """Whether one runs that would serve a sitting then."""
    until: int
    """When the last of those that run ends: NEVER for one without end, or when none runs."""
    last: int
    """The last row about the exam's authorizations that is visible, -1 when there is none."""
    used: bool
    """Whether that row's authorization has served as many sittings as it may."""


NOT_ASKED: Final = Authorized(False, NEVER, -1, False)
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
    authorizations that hold may still serve. Goes on from the question before as far as that can
    be: where the sittings served are the same, and of the authorizations none holds otherwise.
    """
    if q.authorizations_lo == q.authorizations_hi:
        return Authorized(False, NEVER, -1, False)
    rows, room = facts.authorizations, sittings.served
    of, lo = room.of, q.authorizations_lo
    if not (can_go_on(q, allowed, room, n) and hold_on(rows, q, allowed, room)):
        begin_anew(q, allowed, room)
        hold_on(rows, q, allowed, room)
    for s in range(of[SITTINGS], n):
        if sittings.ordinal[s] > 0:
            serve_one(rows, lo, room, sittings.start[s])
    of[SITTINGS], room.recounted[0] = n, NEVER
    latest, i = of[LATEST] if of[SIZE] > 0 else NONE, of[NEXT]
    while i < of[READ] and rows.time[i] <= t:
        if room.left[i - lo] > 0:
            latest = max(latest, rows.until[i])
        i += 1
    last = of[LAST]
    if latest > t:
        return Authorized(True, latest, last, False)
    used = last >= 0 and rows.kind[last] == GRANTED and room.left[last - lo] == 0
    return Authorized(False, NEVER, last, used)


def can_go_on(q: Question, allowed: int, room: Served, n: int) -> bool:
    """Return whether what was served for a question before is served for this one."""
    of = room.of
    return (
        of[IS_MADE] == 1
        and of[LO] == q.authorizations_lo
        and of[EXAM] == q.exam
        and of[ALLOWED] == allowed
        and of[AS_OF] <= q.as_of
        and of[KNOWN] <= q.known < of[CHANGES]
        and of[SITTINGS] <= min(n, room.recounted[0])
    )


def begin_anew(q: Question, allowed: int, room: Served) -> None:
    """Let no sitting be served."""
    of = room.of
    of[IS_MADE], of[LO], of[EXAM], of[ALLOWED] = 1, q.authorizations_lo, q.exam, allowed
    of[READ] = of[NEXT] = q.authorizations_lo
    of[CHANGES], of[LAST], of[SITTINGS], of[SIZE], of[LATEST] = NEVER, -1, 0, 0, NONE


def hold_on(rows: AuthorizationRows, q: Question, allowed: int, room: Served) -> bool:
    """Write of each row how many sittings its authorization may serve, 0 where it does not hold.

    "The last of AuthorizationGranted and AuthorizationRevoked visible at A holds for every t;
    granted again under one id it starts afresh" (spec section 4). `allowed` is the policy's number,
    0 for any. Returns False where one that may have served holds no more.
    """
    of, lo = room.of, q.authorizations_lo
    of[AS_OF], of[KNOWN] = q.as_of, q.known
    while of[READ] < q.authorizations_hi and rows.time[of[READ]] <= q.as_of:
        i = of[READ]
        of[READ] += 1
        room.left[i - lo] = 0
        if rows.exam[i] != q.exam:
            continue
        first = rows.first[i]
        if first == i - lo:
            room.holds[first] = -1
        changes = rows.annulled[i] if rows.position[i] <= q.known else rows.position[i]
        if changes > q.known:
            of[CHANGES] = min(of[CHANGES], changes)
        if rows.position[i] <= q.known < rows.annulled[i]:
            before = room.holds[first]
            if before >= 0:
                if before < of[NEXT] and rows.kind[before] == GRANTED:
                    return False
                room.left[before - lo] = 0
            room.holds[first] = i
            if rows.kind[i] == GRANTED:
                room.left[i - lo] = rows.sittings[i] or allowed or UNBOUNDED
            of[LAST] = i
    return True


def serve_one(rows: AuthorizationRows, lo: int, room: Served, start: int) -> None:
    """Let a sitting that began at an instant be served by one of those that run then."""
    of = room.of
    size, i = of[SIZE], of[NEXT]
    while i < of[READ] and rows.time[i] <= start:
        if room.left[i - lo] > 0:
            of[LATEST] = rows.until[i] if size == 0 else max(of[LATEST], rows.until[i])
            size = push(rows.until, room.heap, size, i)
        i += 1
    while size > 0 and rows.until[room.heap[0]] <= start:
        size = pop(rows.until, room.heap, size)
    if size > 0:
        first = room.heap[0] - lo
        room.left[first] -= 1
        if room.left[first] == 0:
            size = pop(rows.until, room.heap, size)
    of[SIZE], of[NEXT] = size, i
