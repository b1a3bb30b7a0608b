"""The catalogue at an instant: which entry holds, which dates, which phase."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from projections.fold.facts import (
    CLOSED,
    IN_BETA,
    LIVE,
    NEVER,
    RETIRED_AT,
    WENT_LIVE,
    CertificationDefinitions,
    ExamDefinitions,
    Milestones,
)
from retake_policies.rules import version_in_force


class Dates(NamedTuple):
    """When an exam opens for beta, goes live and retires; NEVER where not known."""

    beta_opens_at: int
    live_at: int
    retires_at: int


class Coming(NamedTuple):
    """What comes after the dated entry that holds; NEVER where nothing does."""

    until: int
    """The first instant from which another entry holds."""
    other: int
    """The first from which one holds that says something else."""


NOTHING_COMES: Final = Coming(NEVER, NEVER)


def coming_after(
    starts: Sequence[int],
    position: Sequence[int],
    annulled: Sequence[int],
    alike: Sequence[int],
    differs: Sequence[int],
    row: int,
    i: int,
    hi: int,
    known: int,
) -> Coming:
    """Return what comes after entry `row`, of rows i to hi, which rise by `starts`.

    Of those that say the same only the first is looked at.
    """
    until = NEVER
    while i < hi:
        same = alike[i] == alike[row]
        if position[i] <= known < annulled[i]:
            until = min(until, starts[i])
            if not same:
                return Coming(until, starts[i])
        i = differs[i] if same and until < NEVER else i + 1
    return Coming(until, NEVER)


def after_in_time(time: Sequence[int], order: Sequence[int], lo: int, hi: int, at: int) -> int:
    """Return the first of places lo to hi of an order in time whose row is after `at`, else hi."""
    while lo < hi:
        middle = (lo + hi) // 2
        if time[order[middle]] <= at:
            lo = middle + 1
        else:
            hi = middle
    return lo


def exam_definition(exams: ExamDefinitions, exam: int, at: int, known: int) -> int:
    """Return the row of an exam's definition at an instant, -1 when none is known.

    "The known ExamAnnounced with the latest time <= as_of; before the first,
    the first (of equal times the later position)" (spec section 2).
    """
    if exam < 0:
        return -1
    lo, hi = exams.lo[exam], exams.hi[exam]
    return version_in_force(exams.time, exams.position, exams.annulled, lo, hi, at, known)


def certification_definition(
    defined: CertificationDefinitions, certification: int, at: int, known: int
) -> int:
    """Return the row of a certification's definition at an instant, -1 when none is known."""
    lo, hi = defined.lo[certification], defined.hi[certification]
    return version_in_force(defined.time, defined.position, defined.annulled, lo, hi, at, known)


def latest_milestone(milestones: Milestones, exam: int, kind: int, known: int) -> int:
    """Return the row of the latest known ExamWentLive or ExamRetired of an exam, -1 if none."""
    for i in range(milestones.hi[exam] - 1, milestones.lo[exam] - 1, -1):
        if milestones.kind[i] == kind and milestones.position[i] <= known < milestones.annulled[i]:
            return i
    return -1


def exam_dates(
    exams: ExamDefinitions, milestones: Milestones, exam: int, definition: int, known: int
) -> Dates:
    """Return an exam's dates by one of its definitions.

    The time of the latest known ExamWentLive or ExamRetired replaces the
    announced date, whatever as_of is (spec section 2).
    """
    live_at, retires_at = exams.live_at[definition], exams.retires_at[definition]
    live = latest_milestone(milestones, exam, WENT_LIVE, known)
    if live >= 0:
        live_at = milestones.time[live]
    gone = latest_milestone(milestones, exam, RETIRED_AT, known)
    if gone >= 0:
        retires_at = milestones.time[gone]
    return Dates(exams.beta_opens_at[definition], live_at, retires_at)


def phase(dates: Dates, at: int) -> int:
    """Return whether an exam is live, in beta or not open.

    "Live at A if live_at <= A or neither live_at nor beta_opens_at is known;
    otherwise in beta if beta_opens_at <= A; otherwise not open" (spec section 4).
    """
    if dates.live_at <= at or (dates.live_at == NEVER and dates.beta_opens_at == NEVER):
        return LIVE
    return IN_BETA if dates.beta_opens_at <= at else CLOSED


def next_date(dates: Dates, at: int) -> int:
    """Return the first of an exam's dates after an instant, NEVER if none."""
    first = dates.beta_opens_at if at < dates.beta_opens_at else NEVER
    if at < dates.live_at < first:
        first = dates.live_at
    return dates.retires_at if at < dates.retires_at < first else first
