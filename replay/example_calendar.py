"""A calendar that shows a policy's rules on one candidate, computed by the fold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from ledger.facts import Fact
from ledger.fields import Event
from ledger.models import (
    AuthorizationGranted,
    CertEarned,
    ExamAttempted,
    ExamFailed,
    ExamPassed,
    SittingMissed,
)
from ledger.problems import LedgerProblem
from projections.answers import Standing
from projections.sentences import Show, shown_in
from replay.stories import CANDIDATE, SOURCE, Story
from retake_policies.schema import Policy, parse_policy
from retake_policies.zones import load_zone

EXAM: Final = "X"
_NINE: Final = time(9)
_MOST: Final = 13
"""Rows of failures that are shown at most."""
_LAST_YEAR: Final = 9900
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Row(NamedTuple):
    """One line of the calendar; instants are microseconds UTC."""

    story: str
    """Which of the stories: they have no facts in common."""
    at: int
    happens: str
    """What the candidate does, or what is done for them."""
    free_from: int | None
    """When the exam may be taken next; None when it never can on these facts."""
    why: str
    """The sentence of the reason that blocks until then, else of the first; empty without one."""


def example_calendar(text: str, where: str) -> Iterator[Row]:
    """Yield what a policy (TOML text) answers to one candidate who fails again and again.

    The first sitting is on the first 1 March from the policy's beginning on, each later one at the
    first 9 o'clock (the policy's zone) at which the candidate is free. Then, on facts of their own,
    a pass, and a sitting that is missed where such count. Raises PolicyError, and LedgerProblem for
    one that begins where the calendar ends.
    """
    policy = parse_policy(text, where)
    calendar = _Calendar(policy, text)
    yield from calendar.failures()
    yield from calendar.pass_alone()
    if policy.missed.counts:
        yield from calendar.missed_alone()


class _Calendar:
    """The story so far, and the clock on the wall."""

    def __init__(self, policy: Policy, text: str) -> None:
        self._policy, self._text = policy, text
        self._zone = load_zone(policy.wait.zone)
        in_zone = shown_in(self._zone, "")
        self._show: Show = lambda instant: in_zone(instant).rstrip()
        begin = _wall(policy.effective_from, self._zone)
        if begin.year > _LAST_YEAR:
            raise LedgerProblem(
                f"{policy.id} is in force from {begin.year} on: too late for an example calendar"
            )
        first = datetime(begin.year, 3, 1, 9, tzinfo=self._zone)
        self._first = first if first >= begin else first.replace(year=begin.year + 1)
        self._facts: list[Fact] = []
        self._story = ""

    def failures(self) -> Iterator[Row]:
        """Yield failure after failure, until the last wait and every limit were seen once."""
        yield from self._begun("failing")
        at = self._first
        caps = [cap.sittings for cap in self._policy.cap]
        serves = self._policy.authorization.sittings
        enough = max([len(self._policy.wait.after) + 1, *caps, (serves or 0) + 1, 2])
        for _ in range(min(enough, _MOST)):
            self._sit(at, ExamFailed)
            standing = self._standing(at)
            yield self._row(at, "fail", standing)
            codes = {reason.code for reason in standing.reasons}
            if standing.eligible_from is None and "not-authorized" in codes:
                others = [
                    reason.until for reason in standing.reasons if reason.code != "not-authorized"
                ]
                if None in others:
                    return
                free = max([_micros(at), *(until for until in others if until is not None)])
                at = self._next_nine(at, free)
                self._authorize(at)
                yield self._row(at, "get a new authorization", self._standing(at))
                continue
            if standing.eligible_from is None and not standing.eligible:
                return
            at = self._next_nine(at, standing.eligible_from or _micros(at))

    def pass_alone(self) -> Iterator[Row]:
        """Yield a pass, with a certification of two years where one bears on it."""
        yield from self._begun("passing")
        at = self._first
        self._sit(at, ExamPassed)
        happens = "pass"
        if self._policy.pass_.retake == "after-expiry":
            ends = at.replace(year=at.year + 2)
            earned = CertEarned(certification="C", expires_at=_micros(ends), exams=(EXAM,))
            self._add("earned", at, earned)
            happens = f"pass, and be certified until {ends.date()}"
        yield self._row(at, happens, self._standing(at))

    def missed_alone(self) -> Iterator[Row]:
        """Yield a sitting to which the candidate does not come."""
        yield from self._begun("not coming")
        self._add("missed", self._first, SittingMissed(exam=EXAM, registration_id="R-0"))
        yield self._row(self._first, "do not come", self._standing(self._first))

    def _begun(self, story: str) -> Iterator[Row]:
        self._facts.clear()
        self._story = story
        if self._policy.authorization.required:
            self._authorize(self._first)
            yield self._row(self._first, "get an authorization", self._standing(self._first))

    def _authorize(self, at: datetime) -> None:
        event = AuthorizationGranted(exam=EXAM, authorization_id=f"A-{len(self._facts)}")
        self._add(event.authorization_id, at, event)

    def _sit(self, at: datetime, result: type[ExamFailed] | type[ExamPassed]) -> None:
        name = f"R-{len(self._facts)}"
        attempt = ExamAttempted(exam=EXAM, registration_id=name, delivery="live", ended_at=None)
        self._add(f"{name}/attempted", at, attempt)
        self._add(f"{name}/result", at, result(exam=EXAM, registration_id=name))

    def _add(self, id: str, at: datetime, event: Event) -> None:
        self._facts.append(Fact(SOURCE, id, CANDIDATE, _micros(at), event))

    def _standing(self, at: datetime) -> Standing:
        story = Story({self._policy.id: [self._text]}, self._facts, exams={EXAM: self._policy.id})
        return story.standing(EXAM, _micros(at), self._show)

    def _next_nine(self, at: datetime, free: int) -> datetime:
        """Return the first 9 o'clock after a sitting at which the candidate is free."""
        earliest = _wall(free, self._zone)
        day = max(earliest.date(), at.date() + timedelta(1))
        nine = datetime.combine(day, _NINE, self._zone)
        return nine if nine >= earliest else datetime.combine(day + timedelta(1), _NINE, self._zone)

    def _row(self, at: datetime, happens: str, standing: Standing) -> Row:
        free = standing.as_of if standing.eligible else standing.eligible_from
        last = [reason.text for reason in standing.reasons if reason.until == free]
        texts = [*last, *(reason.text for reason in standing.reasons)]
        return Row(self._story, _micros(at), happens, free, texts[0] if texts else "")


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _wall(instant: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone)
