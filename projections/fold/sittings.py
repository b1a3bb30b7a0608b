"""Facts into sittings: which deliveries took place, and how each came out."""

from collections.abc import Sequence
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
from projections.fold.heap import pop, push


def outcome_of(kind: int, flag: int) -> int:
    """Return what a row that is no attempt makes of its sitting."""
    if kind == RESULT_PASSED:
        return PASSED
    if kind == RESULT_FAILED:
        return FAILED
    if kind == RESCORED:
        return PASSED if flag == 1 else FAILED
    return MISSED if kind == NOT_ATTENDED else REVOKED


class Gathered(NamedTuple):
    """The sittings of a run as they are visible at a moment, and how far its rows were read."""

    as_of: int
    known: int
    n: int
    """How many rows were read."""
    sittings: int
    """How many sittings there are."""
    last: int
    """The last of them, -1 when there is none."""
    due: int
    """How many of the rows that were read become known, or are annulled, only later."""
    same: int
    """How many places, from the first on, are what they were at the moment before."""
    touched: int
    """The place after the last that is another; 0 if none is."""


BEFORE_ALL: Final = Gathered(NONE, NONE, 0, 0, -1, 0, 0, 0)
"""Before the first moment: whatever comes is gathered from the first row on."""


def gather(rows: SittingRows, lo: int, hi: int, as_of: int, known: int, out: Sittings) -> int:
    """Fill `out` with the sittings visible at (as_of, known); return how many there are.

    In (start, position) order, without a gap; `out` must have room for hi - lo. See `gather_on`.
    """
    size, n = hi - lo, 0
    # Columns by names of their own: a field of a tuple is looked up in ten times the time.
    time, position, annulled, key = rows.time, rows.position, rows.annulled, rows.key
    slot, stands, opened_by, ordinal = out.slot, out.stands, out.opened_by, out.ordinal
    of, outcome, outcome_row, result_row = out.key, out.outcome, out.outcome_row, out.result_row
    out.served.recounted[0] = -1
    for h in range(size):
        slot[h] = -1
    for i in range(lo, hi):
        if time[i] > as_of:
            break
        if not position[i] <= known < annulled[i]:
            continue
        mine = key[i]
        h = mine % size
        if slot[h] >= 0 and key[lo + slot[h]] != mine:
            h = slot_of(key, lo, mine, size, slot)
        if slot[h] < 0:
            slot[h], stands[h], of[n] = i - lo, n, mine
            opened_by[n] = outcome_row[n] = result_row[n] = -1
            outcome[n], ordinal[n] = PENDING, 0
            n += 1
        s = stands[h]
        before = opened_by[s]
        add_row(rows, i, s, out)
        if (before != opened_by[s] and before >= 0) or opened_by[s] < 0:
            return gather_by_opening(rows, lo, hi, as_of, known, out)
    return n


def gather_by_opening(
    rows: SittingRows, lo: int, hi: int, as_of: int, known: int, out: Sittings
) -> int:
    """Do what `gather` does, where the first row of a sitting is not the one that opens it."""
    n = 0
    for s in range(gather_on(rows, lo, hi, as_of, known, BEFORE_ALL, 0, out).n):
        if out.opened_by[s] >= 0:
            move(out, s, n)
            n += 1
    return n


def gather_on(
    rows: SittingRows, lo: int, hi: int, as_of: int, known: int, before: Gathered, walked: int,
    out: Sittings,
) -> Gathered:  # fmt: skip
    """Go on from the sittings in `out`, gathered at a moment before, to those visible at another.

    "A sitting starts at its ExamAttempted's time (the first, if several) and
    ends at its ended_at, else at its start. A result without a visible
    ExamAttempted is itself taken as a sitting at the time of its first result,
    beta if that is BetaRescored; a ResultRevoked alone is no sitting. The
    outcome is that of the latest result, ResultRevoked or SittingMissed. Without a visible
    ExamAttempted the first result or SittingMissed gives start and delivery. A SittingMissed whose
    time lies before an attempted sitting's start says nothing." (spec section 4)

    Sittings are in (start, position) order: each stands, among the rows of the run, at the one that
    opens it, and where a row opens none there is a gap. As as_of and known only rise each row is
    read once; what becomes known late, or is annulled, changes no sitting but its own. Which of the
    first `walked` places are another than before is in the answer.
    """
    n, count, last, due = before.n, before.sittings, before.last, before.due
    size = hi - lo
    if n == 0:
        out.served.recounted[0] = -1
        for h in range(size):
            out.slot[h] = -1
    same, touched = walked, 0
    while True:
        late = due > 0 and out.due[out.changing[0]] <= known
        if late:
            j = out.changing[0]
            due = pop(out.due, out.changing, due)
        elif n < size and rows.time[lo + n] <= as_of:
            j = n
            n += 1
        else:
            break
        i = lo + j
        h = slot_of(rows.key, lo, rows.key[i], size, out.slot)
        if not late:
            link(rows, i, j, h, out)
        changes = rows.annulled[i] if rows.position[i] <= known else rows.position[i]
        if known < changes < NEVER:
            out.due[j] = changes
            due = push(out.due, out.changing, due, j)
        before_it = out.stands[h]
        if late:
            restate(rows, lo, known, h, out)
        elif rows.position[i] <= known < rows.annulled[i]:
            take_in(rows, lo, i, known, h, out)
        else:
            continue
        now = out.stands[h]
        count += int(now >= 0) - int(before_it >= 0)
        for s in (before_it, now):
            if 0 <= s < walked:
                same, touched = min(same, s), max(touched, s + 1)
        last = max(last, now)
        while last >= 0 and out.opened_by[last] < 0:
            last -= 1
    return Gathered(as_of, known, n, count, last, due, same, touched)


def slot_of(keys: Sequence[int], lo: int, key: int, size: int, slot: Sequence[int]) -> int:
    """Return the slot of a key in a table of `size` slots: the one it has, else the free one.

    A table rather than a search: with many sittings a search for each row is their square. `keys`
    are those of the rows from `lo` on, `slot` the table.
    """
    h = key % size
    while slot[h] >= 0 and keys[lo + slot[h]] != key:
        h = h + 1 if h + 1 < size else 0
    return h


def place_of(rows: SittingRows, lo: int, key: int, size: int, out: Sittings) -> int:
    """Return where the sitting with a key stands, of a run of `size` rows; -1 if there is none."""
    h = slot_of(rows.key, lo, key, size, out.slot)
    return out.stands[h] if out.slot[h] >= 0 else -1


def link(rows: SittingRows, i: int, j: int, h: int, out: Sittings) -> None:
    """Put a row that was read behind those of its sitting that were read before."""
    if out.slot[h] < 0:
        out.stands[h] = -1
    out.before[j], out.slot[h] = out.slot[h], j
    out.key[j], out.start[j], out.opened_by[j], out.ordinal[j] = rows.key[i], rows.time[i], -1, 0


def take_in(rows: SittingRows, lo: int, i: int, known: int, h: int, out: Sittings) -> None:
    """Let a visible row, after all that were read, bear on its sitting."""
    s = out.stands[h]
    if s >= 0 and (rows.kind[i] != ATTEMPTED or rows.kind[out.opened_by[s]] == ATTEMPTED):
        add_row(rows, i, s, out)
    elif rows.kind[i] != RESULT_REVOKED:
        restate(rows, lo, known, h, out)


def restate(rows: SittingRows, lo: int, known: int, h: int, out: Sittings) -> None:
    """Make a sitting anew of its visible rows, and let it stand where it belongs."""
    if out.stands[h] >= 0:
        begin(out.stands[h], out)
    out.stands[h] = -1
    j, visible = out.slot[h], 0
    while j >= 0:
        if rows.position[lo + j] <= known < rows.annulled[lo + j]:
            out.line[visible] = lo + j
            visible += 1
        k = out.before[j]
        while k >= 0 and rows.annulled[lo + k] <= known:
            k = out.before[k]  # annulled once and for all
        out.before[j] = k
        j = k
    if visible == 0:
        return
    s = out.line[0] - lo  # one of its own, so that nothing else stands there
    begin(s, out)
    for k in range(visible - 1, -1, -1):
        add_row(rows, out.line[k], s, out)
    opened_by = out.opened_by[s]
    if opened_by >= 0:
        out.stands[h] = opened_by - lo
        move(out, s, opened_by - lo)
    if opened_by - lo != s:
        begin(s, out)
        out.start[s] = rows.time[lo + s]


def begin(s: int, out: Sittings) -> None:
    """Let no sitting stand at a place."""
    out.opened_by[s] = out.outcome_row[s] = out.result_row[s] = -1
    out.outcome[s] = PENDING
    recount(out, s, 0)


def add_row(rows: SittingRows, i: int, s: int, out: Sittings) -> None:
    """Let a row bear on a sitting, after those that did already; see `gather_on`."""
    kind, opened_by = rows.kind[i], out.opened_by[s]
    if kind == ATTEMPTED:
        if opened_by == -1 or rows.kind[opened_by] != ATTEMPTED:
            time, until = rows.time[i], rows.until[i]
            out.opened_by[s] = i
            out.start[s] = time
            out.end[s] = until if until != NONE else time
            out.beta[s] = rows.flag[i]
            if out.outcome[s] == MISSED and rows.time[out.outcome_row[s]] < time:
                before = out.outcome_row[s] = out.result_row[s]
                out.outcome[s] = (
                    PENDING if before < 0 else outcome_of(rows.kind[before], rows.flag[before])
                )
        return
    if kind != NOT_ATTENDED:
        out.result_row[s] = i
    out.outcome[s] = outcome_of(kind, rows.flag[i])
    out.outcome_row[s] = i
    if opened_by == -1 and kind != RESULT_REVOKED:
        out.opened_by[s] = i
        out.start[s] = out.end[s] = rows.time[i]
        out.beta[s] = 1 if kind == RESCORED else 0


def recount(out: Sittings, s: int, ordinal: int) -> None:
    """Write the ordinal of the sitting at a place, 0 where none is counted."""
    if (out.ordinal[s] > 0) != (ordinal > 0) and s < out.served.recounted[0]:
        out.served.recounted[0] = s
    out.ordinal[s] = ordinal


def move(out: Sittings, a: int, b: int) -> None:
    """Let the sitting at `a` stand at `b`."""
    out.key[b], out.start[b], out.end[b], out.beta[b] = (
        out.key[a], out.start[a], out.end[a], out.beta[a],
    )  # fmt: skip
    out.opened_by[b] = out.opened_by[a]
    out.outcome[b], out.outcome_row[b] = out.outcome[a], out.outcome_row[a]
    out.result_row[b] = out.result_row[a]
    recount(out, b, out.ordinal[a])
