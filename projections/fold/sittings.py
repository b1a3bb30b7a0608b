"""Facts into sittings: which deliveries took place, and how each came out."""

from __future__ import annotations

from projections.fold.facts import (
    ATTEMPTED,
    FAILED,
    MISSED,
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


def gather(
    rows: SittingRows, lo: int, hi: int, as_of: int, known: int, without: int, out: Sittings
) -> int:
    """Fill `out` with the sittings visible at (as_of, known); return how many there are.

    "A sitting starts at its ExamAttempted's time (the first, if several) and
    ends at its ended_at, else at its start. A result without a visible
    ExamAttempted is itself taken as a sitting at the time of its first result,
    beta if that is BetaRescored; a ResultRevoked alone is no sitting. The
    outcome is that of the latest result, ResultRevoked or SittingMissed. Without a visible
    ExamAttempted the first result or SittingMissed gives start and delivery. A SittingMissed whose
    time lies before an attempted sitting's start says nothing." (spec section 4)

    `without` is a registration to leave out, -1 for none: a sitting is judged
    without itself. `out` must have room for hi - lo sittings.
    """
    n, size = 0, hi - lo
    for h in range(size):
        out.slot[h] = -1
    for i in range(lo, hi):
        if rows.time[i] > as_of:
            break
        if not rows.position[i] <= known < rows.annulled[i] or rows.key[i] == without:
            continue
        n = add_row(rows, i, size, out, n)
    return in_order(out, n)


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


def in_order(out: Sittings, n: int) -> int:
    """Drop what was never opened and sort by (start, position); return how many are left.

    Nearly always in order already: only a result recorded without its attempt,
    or true before it, makes this move anything.
    """
    kept = 0
    for i in range(n):
        if out.opened_by[i] == -1:
            continue
        if i > kept:
            swap(out, i, kept)
        j = kept
        while j > 0 and comes_before(out, j, j - 1):
            swap(out, j - 1, j)
            j -= 1
        kept += 1
    return kept


def comes_before(out: Sittings, a: int, b: int) -> bool:
    """Return whether sitting `a` comes before sitting `b`, in (start, position) order."""
    return out.start[a] < out.start[b] or (
        out.start[a] == out.start[b] and out.position[a] < out.position[b]
    )


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
