"""Which certifications cover an exam, when they end, and when a pass is free again."""

from typing import NamedTuple

from projections.fold.catalogue import certification_definition, next_start
from projections.fold.facts import (
    EXPIRED,
    HELD,
    NEVER,
    NONE,
    CertificationRows,
    Facts,
    Question,
)

AFTER_EXPIRY = 0
NEVER_AGAIN = 1
ALWAYS = 2


class Holding(NamedTuple):
    """One certification of a candidate, by what is visible at an instant."""

    last: int
    """The row that earned or renewed it last."""
    renewals: int
    expired_at: int
    """When a CertExpired after that row says that it ended, NEVER when none does."""
    ends_at: int
    """The end: `expires_at` of the last row or, if earlier, `expired_at`; NEVER without end."""
    names_exam: bool
    """Whether any row that earned or renewed it names the exam."""


class Cover(NamedTuple):
    """How a candidate's certifications that cover an exam stand at an instant."""

    running_until: int
    """The latest end of those that run, NEVER for one without end, NONE when none runs."""
    lapsed_at: int
    """The latest end of those that ended, NONE when none has."""
    next_end: int
    """The first end still to come, NEVER if none."""
    row: int
    """The row that `running_until` comes from, -1 when none runs."""


NO_COVER = Cover(NONE, NONE, NEVER, -1)


def earns(rows: CertificationRows, i: int, known: int) -> bool:
    """Return whether row `i` earns or renews a certification, as known at a position."""
    return rows.kind[i] == HELD and rows.position[i] <= known < rows.annulled[i]


def first_earned(rows: CertificationRows, lo: int, i: int, known: int) -> bool:
    """Return whether row `i` earns its certification, and no row from `lo` on did before it."""
    if not earns(rows, i, known):
        return False
    for j in range(lo, i):
        if rows.certification[j] == rows.certification[i] and earns(rows, j, known):
            return False
    return True


def names_exam(rows: CertificationRows, i: int, exam: int) -> bool:
    """Return whether a row that earns a certification itself names the exam."""
    for k in range(rows.exam_lo[i], rows.exam_hi[i]):  # noqa: SIM110 (compiled: no generators)
        if rows.exam[k] == exam:
            return True
    return False


def holding(
    rows: CertificationRows, first: int, hi: int, by: int, known: int, exam: int
) -> Holding:
    """Return how the certification that row `first` earned stands by the rows up to `by`.

    "It ends at the expires_at of the last of these [CertEarned, CertRenewed] or, if a CertExpired
    follows that one, at the earlier of the two" (spec section 4). `hi` ends the candidate's rows;
    `exam` is looked for among those named, -1 for none.
    """
    last, renewals, expired_at, named = first, 0, NEVER, names_exam(rows, first, exam)
    for j in range(first + 1, hi):
        if rows.time[j] > by:
            break
        if rows.certification[j] != rows.certification[first]:
            continue
        if not rows.position[j] <= known < rows.annulled[j]:
            continue
        if rows.kind[j] == HELD:
            last, renewals, expired_at = j, renewals + 1, NEVER
            named = named or names_exam(rows, j, exam)
        elif rows.kind[j] == EXPIRED and expired_at == NEVER:
            expired_at = rows.time[j]
    until = rows.until[last]
    return Holding(last, renewals, expired_at, min(until, expired_at), named)


def defined_for(facts: Facts, certification: int, exam: int, at: int, known: int) -> bool:
    """Return whether a certification's definition at `at` names the exam."""
    defined = facts.defined
    definition = certification_definition(defined, certification, at, known)
    if definition < 0:
        return False
    for k in range(defined.exam_lo[definition], defined.exam_hi[definition]):
        if defined.exam[k] == exam:
            return True
    return False


def cover_at(facts: Facts, q: Question, t: int, defined_at: int) -> Cover:
    """Return how the certifications earned by `t` and covering the exam stand at `t`.

    "A certification covers X by its definition at A, or by `exams` of any CertEarned or CertRenewed
    of it by t; both earn it. Only events with time <= t are used for t" (spec section 4).
    `defined_at` is the instant whose definitions are meant.
    """
    rows, known = facts.certifications, q.known
    running_until, lapsed_at, next_end, row = NONE, NONE, NEVER, -1
    by = min(t, q.as_of)
    for i in range(q.certifications_lo, q.certifications_hi):
        if rows.time[i] > by:
            break
        if not first_earned(rows, q.certifications_lo, i, known):
            continue
        it = holding(rows, i, q.certifications_hi, by, known, q.exam)
        if not it.names_exam and not defined_for(
            facts, rows.certification[i], q.exam, defined_at, known
        ):
            continue
        end = it.ends_at
        if end > t:
            if end > running_until or (end == running_until and it.last < row):
                running_until, row = end, it.last
            next_end = min(next_end, end)
        else:
            lapsed_at = max(lapsed_at, end)
    return Cover(running_until, lapsed_at, next_end, row)


def free_again(start: int, cover: Cover, retake: int) -> bool:
    """Return whether a pass of a sitting begun at `start` is free again under `cover`.

    "Under always, at once; under never, never; under after-expiry, when a
    certification covering X that the candidate had earned by t ended after the
    sitting began and by t, and none of those earned by t still runs at t"
    (spec section 4).
    """
    if retake != AFTER_EXPIRY:
        return retake == ALWAYS
    return cover.running_until == NONE and cover.lapsed_at > start


def next_definition(facts: Facts, q: Question, at: int) -> int:
    """Return the first instant after `at` from which one of the certifications is defined anew."""
    rows, defined = facts.certifications, facts.defined
    first = NEVER
    for i in range(q.certifications_lo, q.certifications_hi):
        if rows.time[i] > q.as_of:
            break
        c = rows.certification[i]
        lo, hi = defined.lo[c], defined.hi[c]
        if lo < hi:
            start = next_start(
                defined.time, defined.position, defined.annulled, lo, hi, at, q.known
            )
            first = min(first, start)
    return first
