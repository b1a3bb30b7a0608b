"""How a candidate's certifications cover an exam, carried along from one instant to another.

Each row of a certification is read once, in the order of time, and what it came to is written down:
the latest end of all that cover the exam. So an instant is answered by looking up the last row
before it. What becomes known late, or is annulled, is undone back to its time, and read again.
"""

from typing import Final

from projections.fold.catalogue import after_in_time
from projections.fold.certifications import (
    NO_COVER,
    Cover,
    is_among,
    named_at,
)
from projections.fold.facts import HELD, NEVER, NONE, Covers, Facts, Question
from projections.fold.heap import pop, push
from projections.fold.passes import window_opens
from retake_policies.rules import AFTER_EXPIRY, Rules, first_after

# What `Covers.of` has at which place.
LO: Final = 0
"""Where the candidate's rows begin."""
EXAM: Final = 1
KNOWN: Final = 2
"""The position that is known."""
DEFINED: Final = 3
"""How often definitions had changed by then."""
SINCE: Final = 4
"""From when the definitions hold that are meant."""
UNTIL: Final = 5
"""Until when they do, exclusive."""
READ: Final = 6
"""How many rows are read."""
DUE: Final = 7
"""How many of them become known, or are annulled, only later."""
TIMES: Final = 8
"""How often it was begun anew."""
OWN: Final = 9
"""How many certifications there are."""


def are_needed(q: Question, rules: Rules) -> bool:
    """Return whether the policy asks for certifications, and the candidate has any."""
    return rules.retake == AFTER_EXPIRY and q.certifications_lo < q.certifications_hi


def edition(facts: Facts, q: Question, rules: Rules, room: Covers, at: int) -> int:
    """Return a number that stays while a walk by the definitions at `at` can be gone on from.

    0 while none has asked how certifications cover the exam: a walk does where a sitting is passed.
    """
    if room.of[TIMES] == 0 or not are_needed(q, rules):
        return 0
    remember(facts, q, room, at)
    return room.of[TIMES]


def cover_at(
    facts: Facts, q: Question, rules: Rules, room: Covers, t: int, defined_at: int
) -> Cover:
    """Return how the certifications earned by `t` and covering the exam stand at `t`.

    "A certification covers X by its definition at A, or by `exams` of any CertEarned or CertRenewed
    of it by t; both earn it. Only events with time <= t are used for t" (spec section 4).
    `defined_at` is the instant whose definitions are meant.
    """
    if not are_needed(q, rules):
        return NO_COVER
    remember(facts, q, room, defined_at)
    by, lo = min(t, q.as_of), q.certifications_lo
    read_on(facts, q, room, by)
    order, time = facts.in_time.certifications, facts.certifications.time
    read = after_in_time(time, order, lo, lo + room.of[READ], by) - lo
    latest = room.latest[read - 1] if read > 0 else NONE
    if latest <= t:
        return Cover(NONE, latest, NEVER)
    return Cover(latest, NONE, window_opens(rules, latest))


def defined_until(q: Question, rules: Rules, room: Covers) -> int:
    """Return until when definitions are as they were where `cover_at` was asked last."""
    return room.of[UNTIL] if are_needed(q, rules) else NEVER


def remember(facts: Facts, q: Question, room: Covers, at: int) -> None:
    """Keep what was read, if it is of the same question and definitions; else begin anew."""
    of = room.of
    if of[LO] != q.certifications_lo or of[EXAM] != q.exam or not of[SINCE] <= at < of[UNTIL]:
        begin_anew(facts, q, room, at)
    elif q.known != of[KNOWN]:
        if of[KNOWN] < q.known:
            learn(facts, q, room)
        if q.known < of[KNOWN] or of[UNTIL] <= at:
            begin_anew(facts, q, room, at)


def defined_by(facts: Facts, known: int) -> int:
    """Count how often definitions of certifications became known or were annulled by a position."""
    return first_after(facts.defined.moved, 0, len(facts.defined.moved), known)


def begin_anew(facts: Facts, q: Question, room: Covers, at: int) -> None:
    """Forget all rows."""
    rows, lo = facts.certifications, q.certifications_lo
    size, own, until = q.certifications_hi - lo, 0, NEVER
    for j in range(size):
        same = j > 0 and rows.certification[lo + j] == rows.certification[lo + j - 1]
        room.first[j] = room.first[j - 1] if same else j
        room.end[j], room.due[j] = NONE, 0
        room.latest_of[j] = room.latest_of[size + j] = NONE
        if not same:
            named = named_at(facts, rows.certification[lo + j], q.exam, at, q.known)
            room.own[own], room.named[own], room.covers[j] = j, named.names, named.names
            until, own = min(until, named.until), own + 1
    room.of[LO], room.of[EXAM], room.of[KNOWN], room.of[OWN] = lo, q.exam, q.known, own
    room.of[DEFINED] = defined_by(facts, q.known)
    room.of[SINCE], room.of[UNTIL] = at, until
    room.of[READ], room.of[DUE] = 0, 0
    room.of[TIMES] += 1


def read_on(facts: Facts, q: Question, room: Covers, by: int) -> None:
    """Read the rows that are true by an instant, and were not read yet."""
    rows, lo, of = facts.certifications, q.certifications_lo, room.of
    k = of[READ]
    while lo + k < q.certifications_hi:
        i = facts.in_time.certifications[lo + k]
        if rows.time[i] > by:
            break
        c = room.first[i - lo]
        room.end_before[k], room.covers_before[k] = room.end[c], room.covers[c]
        changes = rows.annulled[i]
        if q.known < rows.position[i]:
            changes = rows.position[i]
        elif q.known < rows.annulled[i]:
            take_in(facts, q, room, i, c)
        if q.known < changes < NEVER and room.due[i - lo] == 0:
            room.due[i - lo] = changes
            of[DUE] = push(room.due, room.heap, of[DUE], i - lo)
        room.latest[k] = room.latest_of[1]
        k += 1
    of[READ] = k


def take_in(facts: Facts, q: Question, room: Covers, i: int, c: int) -> None:
    """Let a row bear on its certification, whose first row is `c` of the run.

    "It ends at the expires_at of the last of these [CertEarned, CertRenewed] or, if a CertExpired
    follows that one, at the earlier of the two" (spec section 4).
    """
    rows = facts.certifications
    if rows.kind[i] != HELD:
        if room.end[c] != NONE:
            put(q, room, c, min(room.end[c], rows.time[i]), room.covers[c])
        return
    covers = room.covers[c]
    if covers == 0:
        covers = int(is_among(rows.exam, rows.exam_lo[i], rows.exam_hi[i], q.exam))
    put(q, room, c, rows.until[i], covers)


def put(q: Question, room: Covers, c: int, end: int, covers: int) -> None:
    """Let a certification end at an instant, and find the latest end of all that cover the exam."""
    room.end[c], room.covers[c] = end, covers
    i = q.certifications_hi - q.certifications_lo + c
    room.latest_of[i] = end if covers == 1 else NONE
    while i > 1:
        i //= 2
        room.latest_of[i] = max(room.latest_of[2 * i], room.latest_of[2 * i + 1])


def learn(facts: Facts, q: Question, room: Covers) -> int:
    """Undo the rows read from the first on of which `q.known` knows otherwise; return its time.

    NEVER if it knows of none otherwise.
    """
    rows, lo, of = facts.certifications, q.certifications_lo, room.of
    moved, end = of[DEFINED], defined_by(facts, q.known)
    first = NEVER
    for i in range(moved, end):
        first = min(first, define_anew(facts, q, room, facts.defined.moved_of[i]))
    while of[DUE] > 0 and room.due[room.heap[0]] <= q.known:
        j = room.heap[0]
        of[DUE] = pop(room.due, room.heap, of[DUE])
        room.due[j] = 0
        first = min(first, rows.time[lo + j])
    k = of[READ]
    while k > 0:
        i = facts.in_time.certifications[lo + k - 1]
        if rows.time[i] < first:
            break
        k -= 1
        put(q, room, room.first[i - lo], room.end_before[k], room.covers_before[k])
    for i in range(moved, end):
        own = own_of(facts, q, room, facts.defined.moved_of[i])
        if own >= 0 and room.end[room.own[own]] == NONE:
            room.covers[room.own[own]] = room.named[own]
    of[READ], of[KNOWN], of[DEFINED] = k, q.known, end
    return first


def own_of(facts: Facts, q: Question, room: Covers, certification: int) -> int:
    """Return which of the candidate's certifications one is, -1 for none."""
    k, of = 0, facts.certifications.certification
    while k < room.of[OWN]:
        if of[q.certifications_lo + room.own[k]] == certification:
            return k
        k += 1
    return -1


def define_anew(facts: Facts, q: Question, room: Covers, certification: int) -> int:
    """Look at a certification's definition by `q.known`; return when its rows begin.

    NEVER where it names the exam as before, or none of the candidate's is meant.
    """
    k = own_of(facts, q, room, certification)
    if k < 0:
        return NEVER
    named = named_at(facts, certification, q.exam, room.of[SINCE], q.known)
    room.of[UNTIL] = min(room.of[UNTIL], named.until)
    if named.names == room.named[k]:
        return NEVER
    room.named[k] = named.names
    return facts.certifications.time[q.certifications_lo + room.own[k]]


def learned_from(facts: Facts, q: Question, room: Covers) -> int:
    """Return the first instant of which `q.known` knows otherwise than what was read; see `learn`.

    NEVER where nothing was read of this candidate and exam.
    """
    of = room.of
    if q.certifications_lo == q.certifications_hi or q.known <= of[KNOWN]:
        return NEVER
    if of[LO] != q.certifications_lo or of[EXAM] != q.exam:
        return NEVER
    return learn(facts, q, room)
