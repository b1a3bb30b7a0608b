"""Which certifications cover an exam, and when they end."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from projections.fold.catalogue import certification_definition
from projections.fold.facts import (
    HELD,
    NEVER,
    NONE,
    CertificationRows,
    Facts,
    Question,
)
from retake_policies.rules import first_after


class Held(NamedTuple):
    """What holds of a certification of a candidate, by what is visible at an instant."""

    last: int
    """The row that earned or renewed it last, -1 when none has."""
    expired_at: int
    """When a CertExpired after that row says that it ended, NEVER when none does."""
    ends_at: int
    """The end: `expires_at` of that row or, if earlier, `expired_at`; NEVER without end."""


NOT_HELD: Final = Held(-1, NEVER, NEVER)


class Cover(NamedTuple):
    """How a candidate's certifications that cover an exam stand at an instant."""

    running_until: int
    """The latest end of those that run, NEVER for one without end, NONE when none runs."""
    lapsed_at: int
    """Where none runs: the latest end of those that ended, NONE when none has."""
    opens: int
    """From when a pass is free before `running_until`, NEVER where the policy frees none."""


NO_COVER: Final = Cover(NONE, NONE, NEVER)


def run_end(rows: CertificationRows, i: int, hi: int) -> int:
    """Return where the rows of one certification end that begin at `i`; `hi` ends them all."""
    j = i + 1
    while j < hi and rows.certification[j] == rows.certification[i]:
        j += 1
    return j


def names_exam(rows: CertificationRows, lo: int, hi: int, by: int, known: int, exam: int) -> bool:
    """Return whether any row that earned or renewed a certification by then names the exam."""
    for i in range(first_after(rows.time, lo, hi, by) - 1, lo - 1, -1):
        seen = rows.kind[i] == HELD and rows.position[i] <= known < rows.annulled[i]
        if seen and is_among(rows.exam, rows.exam_lo[i], rows.exam_hi[i], exam):
            return True
    return False


def is_among(exams: Sequence[int], lo: int, hi: int, exam: int) -> bool:
    """Return whether an exam is among those from lo to hi."""
    k = lo
    while k < hi and exams[k] != exam:
        k += 1
    return k < hi


def last_held(rows: CertificationRows, lo: int, hi: int, by: int, known: int) -> Held:
    """Return what holds of a certification, of rows lo to hi, by those that are true by `by`.

    "It ends at the expires_at of the last of these [CertEarned, CertRenewed] or, if a CertExpired
    follows that one, at the earlier of the two" (spec section 4). Read from the end: a renewal is
    all that counts of those before it.
    """
    expired_at = NEVER
    for i in range(first_after(rows.time, lo, hi, by) - 1, lo - 1, -1):
        if not rows.position[i] <= known < rows.annulled[i]:
            continue
        if rows.kind[i] == HELD:
            return Held(i, expired_at, min(rows.until[i], expired_at))
        expired_at = rows.time[i]
    return NOT_HELD


def earned_by(rows: CertificationRows, lo: int, last: int, known: int) -> tuple[int, int]:
    """Return the row that earned a certification first, and how often it was renewed since.

    Of rows lo to `last`, which is the one that holds.
    """
    first, renewals = last, 0
    for i in range(last - 1, lo - 1, -1):
        if rows.kind[i] == HELD and rows.position[i] <= known < rows.annulled[i]:
            first = i
            renewals += 1
    return first, renewals


def defined_for(facts: Facts, certification: int, exam: int, at: int, known: int) -> bool:
    """Return whether a certification's definition at `at` names the exam."""
    defined = facts.defined
    definition = certification_definition(defined, certification, at, known)
    if definition < 0:
        return False
    lo, hi = defined.exam_lo[definition], defined.exam_hi[definition]
    return is_among(defined.exam, lo, hi, exam)


def covers(facts: Facts, q: Question, lo: int, hi: int, by: int, defined_at: int) -> bool:
    """Return whether a certification, of rows lo to hi, covers the exam.

    "By its definition at A, or by `exams` of any CertEarned or CertRenewed of it by t" (spec
    section 4). `defined_at` is the instant whose definitions are meant.
    """
    rows = facts.certifications
    return defined_for(facts, rows.certification[lo], q.exam, defined_at, q.known) or names_exam(
        rows, lo, hi, by, q.known, q.exam
    )


def running_row(facts: Facts, q: Question, t: int, running_until: int) -> int:
    """Return the row that the latest end of those comes from that cover the exam and run at `t`.

    Of several that end then the one that holds longest. `running_until` is that end.
    """
    rows, by, row = facts.certifications, min(t, q.as_of), -1
    i = q.certifications_lo
    while i < q.certifications_hi:
        lo, i = i, run_end(rows, i, q.certifications_hi)
        it = last_held(rows, lo, i, by, q.known)
        if it.last < 0 or it.ends_at != running_until or not covers(facts, q, lo, i, by, t):
            continue
        if row < 0 or comes_first(rows, it.last, row):
            row = it.last
    return row


def comes_first(rows: CertificationRows, i: int, j: int) -> bool:
    """Return whether row `i` comes before row `j`, in (time, position) order."""
    return rows.time[i] < rows.time[j] or (
        rows.time[i] == rows.time[j] and rows.position[i] < rows.position[j]
    )


class Named(NamedTuple):
    """Whether a certification's definition names an exam, 1 or 0, and until when that stays so."""

    names: int
    until: int


NOT_NAMED: Final = Named(0, NEVER)
"""Where a certification was never defined."""


def named_at(facts: Facts, certification: int, exam: int, at: int, known: int) -> Named:
    """Return whether a certification's definition at `at` names an exam, and until when."""
    defined = facts.defined
    lo, hi = defined.lo[certification], defined.hi[certification]
    if lo == hi:
        return NOT_NAMED
    names = defined_for(facts, certification, exam, at, known)
    for i in range(first_after(defined.time, lo, hi, at), hi):
        if not defined.position[i] <= known < defined.annulled[i]:
            continue
        if is_among(defined.exam, defined.exam_lo[i], defined.exam_hi[i], exam) != names:
            return Named(int(names), defined.time[i])
    return Named(int(names), NEVER)
