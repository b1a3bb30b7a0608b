"""What happens to few: results revoked or annulled, exceptions asked for, the catalogue's entries.

Told with the project's own models, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Final, Literal, NamedTuple

import numpy as np

from benchmarks.histories.dice import Dice, Flags, Ints
from benchmarks.histories.sittings import FAILED, PASSED, PENDING, Sittings
from benchmarks.histories.world import DAY, NEVER, World, catalogue_facts
from ledger.facts import Fact
from ledger.fields import EventRef
from ledger.instants import SECOND
from ledger.models import (
    EventAnnulled,
    ExamAttempted,
    ExamFailed,
    ExamPassed,
    ExceptionGranted,
    ExceptionRejected,
    ExceptionRequested,
    ExceptionRevoked,
    ResultRevoked,
)

FEED: Final = "urn:vue"
DESK: Final = "urn:desk"
FEED_ACTOR: Final = "results-feed"
DESK_ACTOR: Final = "desk"
_HOUR: Final = 3600
_WAIVED: Final[dict[str, tuple[Literal["wait", "cap"], ...]]] = {
    "wait": ("wait",),
    "cap": ("cap",),
    "both": ("wait", "cap"),
}


class Story(NamedTuple):
    """One rare event, and when it arrived (seconds since 1970)."""

    arrival: int
    fact: Fact
    annuls: int = -1
    """For an annulment: the number of the annulled event among the mass events, else -1."""


def candidate_id(number: int) -> str:
    """Name a candidate."""
    return f"C-{10_000_000 + number:08d}"


def registration_id(number: int) -> str:
    """Name a sitting, by its place in the order of starts."""
    return f"R-{number:08d}"


def stories(
    world: World, dice: Dice, sittings: Sittings, known: Ints, *, plain: bool
) -> list[Story]:
    """Tell everything rare; `known` is when each sitting's attempt arrived.

    Of the mass events the attempts come first, one for each sitting; then a result for each
    sitting that has one: that is how an annulment names what it annuls.
    """
    told = [Story(fact.time // SECOND, fact) for fact in catalogue_facts(world)]
    pick = _Picker(world, dice, sittings, known)
    told += _revoked(pick)
    told += _annulled_sittings(pick)
    told += _annulled_results(pick)
    if not plain:
        told += _exceptions(pick)
    return told


class _Sat(NamedTuple):
    """One sitting in words."""

    number: int
    draw: int
    candidate: str
    exam: str
    registration: str
    start: int
    end: int
    outcome: int
    result_at: int
    known: int
    next_start: int
    attempt: int
    result: int


class _Picker:
    """Pick a few sittings, each with its own draws."""

    def __init__(self, world: World, dice: Dice, sittings: Sittings, known: Ints) -> None:
        self.world, self.dice, self.sittings, self.known = world, dice, sittings, known
        has_result = sittings.outcome != PENDING
        self.result = len(has_result) + np.cumsum(has_result) - 1

    def sat(self, why: str, share: tuple[float, float], chosen: Flags) -> Iterator[_Sat]:
        """Yield the chosen sittings whose draw lies in the range: two ranges share no sitting."""
        sittings = self.sittings
        drawn = self.dice.uniform(why, sittings.draw)
        hit = chosen & (drawn >= share[0]) & (drawn < share[1])
        for number in np.flatnonzero(hit).tolist():
            yield _Sat(
                number,
                int(sittings.draw[number]),
                candidate_id(int(sittings.candidate[number])),
                self.world.codes[sittings.exam[number]],
                registration_id(number),
                int(sittings.start[number]),
                int(sittings.end[number]),
                int(sittings.outcome[number]),
                int(sittings.result_at[number]),
                int(self.known[number]),
                int(sittings.next_start[number]),
                number,
                int(self.result[number]),
            )

    def days(self, what: str, sat: _Sat, low: int, high: int) -> int:
        """Draw a number of days and some hours, in seconds."""
        hours = (high - low) * 24
        return (low * 24 + int(self.dice.one(what, sat.draw) * hours)) * _HOUR

    def of(self, what: str, sat: _Sat, choices: tuple[str, ...]) -> str:
        """Draw one of several."""
        return choices[int(self.dice.one(what, sat.draw) * len(choices))]


def _fact(sat: _Sat, id: str, time: int, event: object, source: str = FEED) -> Fact:
    actor = FEED_ACTOR if source == FEED else DESK_ACTOR
    return Fact(source, id, sat.candidate, time * SECOND, event, actor)  # type: ignore[arg-type]


def _revoked(pick: _Picker) -> Iterator[Story]:
    """Yield of results that no longer stand, after an investigation."""
    sittings = pick.sittings
    passed = (sittings.outcome == PASSED) & (sittings.beta == 0)
    for sat in pick.sat("revoked", (0, 0.002), passed):
        time = sat.result_at + pick.days("revoked after", sat, 20, 60)
        event = ResultRevoked(exam=sat.exam, registration_id=sat.registration, reason="misconduct")
        yield Story(time + _HOUR, _fact(sat, f"{sat.registration}/revoked", time, event, DESK))


def _annulled_sittings(pick: _Picker) -> Iterator[Story]:
    """Yield of sittings that never took place: the attempt and its result, annulled."""
    for sat in pick.sat("mishap", (0, 0.0012), pick.sittings.beta == 0):
        known = _both_known(sat) + pick.days("mix-up found", sat, 2, 60)
        yield _annulment(sat, "attempted", known, sat.attempt, "another candidate's sitting")
        if sat.outcome != PENDING:
            yield _annulment(sat, "result", known, sat.result, "another candidate's sitting")


def _annulled_results(pick: _Picker) -> Iterator[Story]:
    """Yield of results that were recorded wrong: annulled, and said anew under a new id."""
    sittings = pick.sittings
    live = (sittings.beta == 0) & (sittings.outcome != PENDING)
    for sat in pick.sat("mishap", (0.0012, 0.0024), live):
        known = _both_known(sat) + pick.days("wrong result found", sat, 1, 40)
        yield _annulment(sat, "result", known, sat.result, "the score was read wrong")
        event = ExamFailed if sat.outcome == PASSED else ExamPassed
        right = event(exam=sat.exam, registration_id=sat.registration, score=690)
        yield Story(known, _fact(sat, f"{sat.registration}/result/2", sat.result_at, right))
    for sat in pick.sat("mishap", (0.0024, 0.0027), sittings.beta == 0):
        known = _both_known(sat) + 61 * DAY
        yield _annulment(sat, "attempted", known, sat.attempt, "it began later")
        later = ExamAttempted(exam=sat.exam, registration_id=sat.registration, delivery="live")
        yield Story(known, _fact(sat, f"{sat.registration}/attempted/2", sat.start + 7 * 60, later))


def _both_known(sat: _Sat) -> int:
    # A result is known three weeks after it is there at the latest, an attempt ten days after.
    return max(sat.known, sat.end if sat.outcome == PENDING else sat.result_at + 21 * DAY)


def _annulment(sat: _Sat, what: str, known: int, annuls: int, reason: str) -> Story:
    id = f"{sat.registration}/{what}"
    event = EventAnnulled(annuls=EventRef(source=FEED, id=id), reason=reason)
    return Story(known, _fact(sat, f"{id}/annulled", known - _HOUR, event, DESK), annuls)


def _exceptions(pick: _Picker) -> Iterator[Story]:
    """Yield of exceptions: most asked for by those who then sit before their wait is over."""
    sittings, numbers = pick.sittings, count(1)
    failed = (sittings.outcome == FAILED) & (sittings.beta == 0)
    hasty = failed & (sittings.next_start < NEVER)
    for sat in pick.sat("asks", (0, 0.4), hasty):
        gap = sat.next_start - sat.end
        if gap > 4 * _HOUR:
            yield from _asked(pick, sat, next(numbers), sat.end + gap // 4, sat.end + gap // 2)
    for sat in pick.sat("complains", (0, 0.002), failed & ~hasty):
        asked = sat.end + pick.days("complains after", sat, 0, 5) + _HOUR
        yield from _asked(pick, sat, next(numbers), asked, asked + pick.days("answer", sat, 1, 4))


def _asked(pick: _Picker, sat: _Sat, number: int, asked: int, answered: int) -> Iterator[Story]:
    request, exam = f"Q-{number:06d}", sat.exam
    case = None if pick.of("case", sat, ("no", "", "", "")) else f"VUE-{number:06d}"
    reasons = ("lab-crash", "internet-connectivity", "equipment-failure")
    yield Story(
        asked + 60,
        _fact(
            sat,
            f"{request}/requested",
            asked,
            ExceptionRequested(
                request_id=request,
                exam=exam,
                registration_id=sat.registration,
                reason=pick.of("because", sat, reasons),
                exam_number=exam,
                vue_case_number=case,
                candidate_id=sat.candidate,
            ),
            DESK,
        ),
    )
    tell: Callable[[str, int, object], Story] = lambda what, time, event: Story(  # noqa: E731
        time + 60, _fact(sat, f"{request}/{what}", time, event, DESK)
    )
    if case is None:
        missing = ("vue_case_number",)
        rejected = ExceptionRejected(
            request_id=request, exam=exam, missing=missing, why="incomplete"
        )
        yield tell("rejected", asked + 120, rejected)
        return
    waives = pick.of("waives", sat, ("wait", "wait", "both", "cap"))
    granted = ExceptionGranted(
        request_id=request,
        exam=exam,
        waives=_WAIVED[waives],
        valid_until=None if waives == "cap" else (answered + 90 * DAY) * SECOND,
    )
    yield tell("granted", answered, granted)
    if pick.of("withdrawn", sat, ("yes", *[""] * 15)):
        revoked = ExceptionRevoked(request_id=request, exam=exam, reason="granted by mistake")
        yield tell("withdrawn", answered + 2 * DAY, revoked)
