"""Facts into sittings: which deliveries took place, and how each came out."""

from __future__ import annotations

from projections.fold.facts import (
    ATTEMPTED,
    FAILED,
    NONE,
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
    """Return what a result row makes of its sitting."""
    if kind == RESULT_PASSED:
        return PASSED
    if kind == RESULT_FAILED:
        return FAILED
    if kind == RESCORED:
        return PASSED if flag == 1 else FAILED
    return REVOKED


def gather(
    rows: SittingRows, lo: int, hi: int, as_of: int, known: int, without: int, out: Sittings
) -> int:
    """Fill `out` with the sittings visible at (as_of, known); return how many there are.

    "A sitting starts at its ExamAttempted's time (the first, if several) and
    ends at its ended_at, else at its start. A result without a visible
    ExamAttempted is itself taken as a sitting at the time of its first result,
    beta if that is BetaRescored; a ResultRevoked alone is no sitting. The
    outcome is that of the latest result or ResultRevoked." (spec section 4)

    `without` is a registration to leave out, -1 for none: a sitting is judged
    without itself. `out` must have room for hi - lo sittings.
    """
    n = 0
    for i in range(lo, hi):
        if rows.time[i] > as_of:
            break
        if not rows.position[i] <= known < rows.annulled[i] or rows.key[i] == without:
            continue
        key = rows.key[i]
        s = 0
        while s < n and out.key[s] != key:
            s += 1
        if s == n:
            n += 1
            out.key[s] = key
            out.opened_by[s] = -1
            out.attempted[s] = 0
            out.outcome[s] = PENDING
            out.outcome_row[s] = -1
        kind = rows.kind[i]
        if kind == ATTEMPTED:
            if out.attempted[s] == 0:
                out.attempted[s] = 1
                out.opened_by[s] = i
                out.start[s] = rows.time[i]
                out.end[s] = rows.until[i] if rows.until[i] != NONE else rows.time[i]
                out.beta[s] = rows.flag[i]
                out.position[s] = rows.position[i]
            continue
        out.outcome[s] = outcome_of(kind, rows.flag[i])
        out.outcome_row[s] = i
        if out.opened_by[s] == -1 and kind != RESULT_REVOKED:
            out.opened_by[s] = i
            out.start[s] = rows.time[i]
            out.end[s] = rows.time[i]
            out.beta[s] = 1 if kind == RESCORED else 0
            out.position[s] = rows.position[i]
    return in_order(out, n)


def in_order(out: Sittings, n: int) -> int:
    """Drop what was never opened and sort by (start, position); return how many are left.

    Nearly always in order already: only a result recorded without its attempt,
    or true before it, makes this move anything.
    """
    kept = 0
    for i in range(n):
        if out.opened_by[i] == -1:
            continue
        key, start, end, beta = out.key[i], out.start[i], out.end[i], out.beta[i]
        position, opened_by, attempted = out.position[i], out.opened_by[i], out.attempted[i]
        outcome, outcome_row = out.outcome[i], out.outcome_row[i]
        j = kept
        while j > 0 and (
            out.start[j - 1] > start
            or (out.start[j - 1] == start and out.position[j - 1] > position)
        ):
            copy(out, j - 1, j)
            j -= 1
        out.key[j], out.start[j], out.end[j], out.beta[j] = key, start, end, beta
        out.position[j], out.opened_by[j], out.attempted[j] = position, opened_by, attempted
        out.outcome[j], out.outcome_row[j] = outcome, outcome_row
        kept += 1
    return kept


def copy(out: Sittings, source: int, target: int) -> None:
    """Copy one sitting over another."""
    out.key[target] = out.key[source]
    out.start[target] = out.start[source]
    out.end[target] = out.end[source]
    out.beta[target] = out.beta[source]
    out.position[target] = out.position[source]
    out.opened_by[target] = out.opened_by[source]
    out.attempted[target] = out.attempted[source]
    out.outcome[target] = out.outcome[source]
    out.outcome_row[target] = out.outcome_row[source]
