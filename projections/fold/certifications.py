"""Which certifications cover an exam, and when a pass is free again."""

from __future__ import annotations

from typing import NamedTuple

from projections.fold.catalogue import certification_definition, next_start
from projections.fold.facts import EXPIRED, HELD, NEVER, NONE, CertificationRows, Facts, Question

AFTER_EXPIRY = 0
NEVER_AGAIN = 1
ALWAYS = 2


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


NOTHING_HELD = Cover(NONE, NONE, NEVER, -1)


def names_exam(rows: CertificationRows, i: int, exam: int) -> bool:
    """Return whether a HELD row itself names the exam."""
    for k in range(rows.exam_lo[i], rows.exam_hi[i]):  # noqa: SIM110 (compiled: no generators)
        if rows.exam[k] == exam:
            return True
    return False


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

    "A certification covers X by its definition at A, or by `exams` of any
    CertEarned or CertRenewed of it by t; both earn it. It ends at the
    expires_at of the last of these or, if a CertExpired follows that one, at
    the earlier of the two. Only events with time <= t are used for t."
    (spec section 4). `defined_at` is the instant whose definitions are meant.
    """
    rows, known = facts.certifications, q.known
    running_until, lapsed_at, next_end, row = NONE, NONE, NEVER, -1
    by = t if t < q.as_of else q.as_of
    for i in range(q.certifications_lo, q.certifications_hi):
        if rows.time[i] > by:
            break
        if rows.kind[i] != HELD or not rows.position[i] <= known < rows.annulled[i]:
            continue
        certification = rows.certification[i]
        end = rows.until[i]
        last = True
        covers = names_exam(rows, i, q.exam)
        for j in range(q.certifications_lo, q.certifications_hi):
            if rows.time[j] > by:
                break
            if rows.certification[j] != certification or j == i:
                continue
            if not rows.position[j] <= known < rows.annulled[j]:
                continue
            if rows.kind[j] == HELD:
                if j > i:
                    last = False
                    break
                covers = covers or names_exam(rows, j, q.exam)
            elif j > i and rows.kind[j] == EXPIRED and rows.time[j] < end:
                end = rows.time[j]
        if not last:
            continue
        if not covers and not defined_for(facts, certification, q.exam, defined_at, known):
            continue
        if end > t:
            if end > running_until:
                running_until, row = end, i
            if end < next_end:
                next_end = end
        elif end > lapsed_at:
            lapsed_at = end
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
    """Return the first instant after `at` from which a held certification is defined anew."""
    rows, defined = facts.certifications, facts.defined
    first = NEVER
    for i in range(q.certifications_lo, q.certifications_hi):
        if rows.time[i] > q.as_of:
            break
        c = rows.certification[i]
        start = next_start(
            defined.time,
            defined.position,
            defined.annulled,
            defined.lo[c],
            defined.hi[c],
            at,
            q.known,
        )
        if start < first:
            first = start
    return first
