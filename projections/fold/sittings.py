"""Facts into sittings: which deliveries took place, and how each came out."""

from typing import Final, NamedTuple

from projections.fold.facts import (
    ATTEMPTED,
    FAILED,
    MISSED,
    NEVER,
    NONE,
    NOT_ATTENDED,
    PASSED,
    PENDING,
    RESCORED,
    RESULT_FAILED,
    RESULT_PASSED,
    RESULT_REVOKED,
    REVOKED,
    SittingRows,
    Sittings,
)


def outcome_of(kind: int, flag: int) -> int:
    """Return what a row that is no attempt makes of its sitting."""
    if kind == RESULT_PASSED:
        return PASSED
    if kind == RESULT_FAILED:
        return FAILED
    if kind == RESCORED:
        return PASSED if flag == 1 else FAILED
    return MISSED if kind == NOT_ATTENDED else REVOKED


def slot_of(out: Sittings, key: int, size: int) -> int:
    """Return the slot of a key in a table of `size` slots: the one it has, else the free one.

    A table rather than a search: with many sittings a search for each row is their square.
    """
    h = key % size
    while out.slot[h] >= 0 and out.key[out.slot[h]] != key:
        h = h + 1 if h + 1 < size else 0
    return h


class Gathered(NamedTuple):
    """The sittings of a run as they are visible at a moment, and how far its rows were read."""

    as_of: int
    known: int
    n: int
    """How many sittings there are."""
    same: int
    """How many of them, from the first on, are what they were at the moment before."""
    read: int
    """The row after those that were read."""
    taken: int
    """The row after the last that is visible."""
    missing: int
    """The first row that is true already and not known yet; of no meaning if `known_from` is
    NEVER."""
    known_from: int
    """The first position from which on such a row is known."""
    annulled_from: int
    """The first position from which on a row that is visible is annulled."""
    orphans: int
    """1 if a revocation came before anything else of its sitting."""


BEFORE_ALL: Final = Gathered(NONE, NONE, 0, 0, 0, 0, 0, NEVER, NONE, 0)
"""Before the first moment: whatever comes is gathered from the first row on."""


def gather(rows: SittingRows, lo: int, hi: int, as_of: int, known: int, out: Sittings) -> int:
    """Fill `out` with the sittings visible at (as_of, known); return how many there are.

    In (start, position) order; `out` must have room for hi - lo sittings. See `gather_on`.
    """
    return gather_on(rows, lo, hi, as_of, known, BEFORE_ALL, out).n


def gather_on(
    rows: SittingRows, lo: int, hi: int, as_of: int, known: int, before: Gathered, out: Sittings
) -> Gathered:
    """Go on from the sittings in `out`, gathered at a moment before, to those visible at another.

    "A sitting starts at its ExamAttempted's time (the first, if several) and
    ends at its ended_at, else at its start. A result without a visible
    ExamAttempted is itself taken as a sitting at the time of its first result,
    beta if that is BetaRescored; a ResultRevoked alone is no sitting. The
    outcome is that of the latest result, ResultRevoked or SittingMissed. Without a visible
    ExamAttempted the first result or SittingMissed gives start and delivery. A SittingMissed whose
    time lies before an attempted sitting's start says nothing." (spec section 4)

    Where as_of and known only rise, each row is read once: rows are in the order in which sittings
    begin. What does not come in that order, or is annulled, is gathered anew.
    """
    n, read, taken, missing = before.n, before.read, before.taken, before.missing
    known_from, annulled_from, orphans = before.known_from, before.annulled_from, before.orphans
    size = hi - lo
    if (
        as_of < before.as_of
        or not before.known <= known < annulled_from
        or (known_from <= known and missing < taken)
    ):
        n, read, taken, known_from, annulled_from, orphans = 0, lo, lo, NEVER, NEVER, 0
        for h in range(size):
            out.slot[h] = -1
    elif known_from <= known:
        read, known_from = missing, NEVER
    same = n
    while read < hi and rows.time[read] <= as_of:
        if rows.position[read] > known:
            missing = read if known_from == NEVER else missing
            known_from = min(known_from, rows.position[read])
        elif known < rows.annulled[read]:
            annulled_from, taken = min(annulled_from, rows.annulled[read]), read + 1
            s = out.slot[slot_of(out, rows.key[read], size)]
            if s < 0 and rows.kind[read] == RESULT_REVOKED:
                orphans = 1
            else:
                s = n if s < 0 else s
                if s == n and orphans == 1:
                    n = revoked_before(rows, lo, read, known, size, out, n)
                n = add_row(rows, read, size, out, n)
                if out.opened_by[s] == read and s < n - 1:
                    to_the_end(out, s, n, size)
                same = min(same, s)
        read += 1
    return Gathered(as_of, known, n, same, read, taken, missing, known_from, annulled_from, orphans)


def place_of(out: Sittings, key: int, size: int) -> int:
    """Return which sitting, of a run of `size` rows, has a key; -1 if none has."""
    return out.slot[slot_of(out, key, size)] if size > 0 else -1


def revoked_before(
    rows: SittingRows, lo: int, i: int, known: int, size: int, out: Sittings, n: int
) -> int:
    """Add the revocations that came before row `i`, which begins their sitting; see `add_row`."""
    for j in range(lo, i):
        if rows.key[j] == rows.key[i] and rows.position[j] <= known < rows.annulled[j]:
            n = add_row(rows, j, size, out, n)
    return n


def add_row(rows: SittingRows, i: int, size: int, out: Sittings, n: int) -> int:
    """Add a row that comes after those that are in the n sittings; return how many they are then.

    `size` is that of the table of slots. See `gather`.
    """
    key = rows.key[i]
    h = slot_of(out, key, size)
    s = out.slot[h]
    if s < 0:
        s = out.slot[h] = n
        n += 1
        out.key[s] = key
        out.opened_by[s] = -1
        out.outcome[s] = PENDING
        out.outcome_row[s] = -1
        out.result_row[s] = -1
    kind = rows.kind[i]
    if kind == ATTEMPTED:
        if out.opened_by[s] == -1 or rows.kind[out.opened_by[s]] != ATTEMPTED:
            out.opened_by[s] = i
            out.start[s] = rows.time[i]
            out.end[s] = rows.until[i] if rows.until[i] != NONE else rows.time[i]
            out.beta[s] = rows.flag[i]
            out.position[s] = rows.position[i]
            if out.outcome[s] == MISSED and rows.time[out.outcome_row[s]] < rows.time[i]:
                before = out.outcome_row[s] = out.result_row[s]
                out.outcome[s] = (
                    PENDING if before < 0 else outcome_of(rows.kind[before], rows.flag[before])
                )
        return n
    if kind != NOT_ATTENDED:
        out.result_row[s] = i
    out.outcome[s] = outcome_of(kind, rows.flag[i])
    out.outcome_row[s] = i
    if out.opened_by[s] == -1 and kind != RESULT_REVOKED:
        out.opened_by[s] = i
        out.start[s] = rows.time[i]
        out.end[s] = rows.time[i]
        out.beta[s] = 1 if kind == RESCORED else 0
        out.position[s] = rows.position[i]
    return n


def to_the_end(out: Sittings, s: int, n: int, size: int) -> None:
    """Move a sitting behind the others: it began later than its first result said."""
    for i in range(s, n - 1):
        swap(out, i, i + 1)
    for h in range(size):
        out.slot[h] = -1
    for i in range(n):
        out.slot[slot_of(out, out.key[i], size)] = i


def swap(out: Sittings, a: int, b: int) -> None:
    """Let two sittings change places."""
    out.key[a], out.key[b] = out.key[b], out.key[a]
    out.start[a], out.start[b] = out.start[b], out.start[a]
    out.end[a], out.end[b] = out.end[b], out.end[a]
    out.beta[a], out.beta[b] = out.beta[b], out.beta[a]
    out.position[a], out.position[b] = out.position[b], out.position[a]
    out.opened_by[a], out.opened_by[b] = out.opened_by[b], out.opened_by[a]
    out.outcome[a], out.outcome[b] = out.outcome[b], out.outcome[a]
    out.outcome_row[a], out.outcome_row[b] = out.outcome_row[b], out.outcome_row[a]
    out.result_row[a], out.result_row[b] = out.result_row[b], out.result_row[a]
