"""The demo's other candidates: sittings and certifications drawn from a seed.

Only `random()` is drawn from, and only plain arithmetic done with it: its sequence is the same
in every Python and on every machine, which the other methods of `random` do not promise.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from facts import Line, Sitting, at, certified

FIRST_DAY = at("2021-01-11T08:00")
LAST_MOMENT = at("2023-12-31T18:00")

# What the candidates know of the rules, in hours after each failed sitting of a period. Most keep
# to them. These are habits, not the policies: the ledger judges by retake_policies/data alone.
_HABITS = {
    "general": (24, 336, 336, 336, 0),
    "mta-mce": (24, 168, 168, 168, 168),
    "mos": (24, 48, 48, 48, 48),
}
_CAPPED = {"general", "mta-mce"}

# How often each exam is chosen, and how often a first sitting passes.
_TASTE = {
    "AZ-104": (14, 0.50), "AZ-500": (8, 0.46), "AZ-700": (4, 0.48), "AZ-900": (18, 0.68),
    "DP-203": (7, 0.45), "MS-900": (9, 0.66), "SC-100": (4, 0.42), "SC-900": (9, 0.64),
    "62-193": (3, 0.60), "98-361": (5, 0.52), "98-388": (4, 0.48),
    "77-727": (4, 0.62), "MO-100": (6, 0.66), "MO-200": (8, 0.58),
}  # fmt: skip
_FUNDAMENTALS = {"AZ-900", "MS-900", "SC-900"}
# Role-based certifications ran for two years, those earned from this day on for one.
_ONE_YEAR_FROM = at("2021-06-30")


@dataclass(frozen=True)
class Exam:
    """What the draw needs of an exam: instants, None where there is none."""

    code: str
    policy: str
    beta_opens_at: datetime | None
    live_at: datetime
    retires_at: datetime | None
    certification: str


class Dice:
    """A seeded source of draws."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def whole(self, low: int, high: int) -> int:
        """Draw a whole number from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def soon(self, days: float) -> timedelta:
        """Draw a delay of up to that many days, the short ones more often."""
        return timedelta(seconds=int(self._random() * self._random() * days * 86_400))

    def between(self, low: datetime, high: datetime) -> datetime:
        return low + timedelta(seconds=int(self._random() * (high - low).total_seconds()))

    def pick(self, weights: Mapping[str, int]) -> str:
        mark = self._random() * sum(weights.values())
        total = 0
        for name, weight in weights.items():
            total += weight
            if mark < total:
                return name
        raise ValueError("nothing to pick from")


@dataclass(frozen=True)
class Population:
    """What was drawn: sittings numbered in the order they began, and certification lines."""

    sittings: Sequence[Sitting]
    certifications: Sequence[Line]


def draw(
    seed: int,
    exams: Mapping[str, Exam],
    *,
    first: int,
    count: int,
    betas: int,
    certify: bool,
    numbers_from: int,
) -> Population:
    """Draw `count` candidates C-<first>…; each beta is sat by `betas` of them.

    With `certify` passes earn certifications, some lapse, and some who lapsed sit again.
    """
    dice = Dice(seed)
    sittings: list[Sitting] = []
    held: list[Line] = []
    in_beta = [
        code
        for code, exam in exams.items()
        if exam.beta_opens_at is not None and exam.beta_opens_at > FIRST_DAY
    ]
    for index in range(count):
        candidate = f"C-{first + index}"
        chosen: list[str] = []
        if index < betas * len(in_beta):
            chosen.append(in_beta[index % len(in_beta)])
            sittings += _beta_and_after(dice, candidate, exams[chosen[0]])
        for _ in range(dice.whole(1, 3) - len(chosen)):
            code = dice.pick({c: w for c, (w, _) in _TASTE.items() if c not in chosen})
            chosen.append(code)
            exam = exams[code]
            closes = min(exam.retires_at or LAST_MOMENT, LAST_MOMENT)
            start = dice.between(max(exam.live_at, FIRST_DAY), closes - timedelta(days=3))
            career = _Career(dice, candidate, exam, closes, certify)
            sittings += career.sit_from(start)
            held += career.certifications
    return Population(_numbered(sittings, numbers_from), held)


class _Career:
    """One candidate's live sittings of one exam."""

    def __init__(
        self, dice: Dice, candidate: str, exam: Exam, closes: datetime, certify: bool
    ) -> None:
        self.dice, self.candidate, self.exam = dice, candidate, exam
        self.closes, self.certify = closes, certify
        self.unlucky = dice.chance(0.06)  # hardly ever passes, hardly ever gives up
        self.hurried = dice.chance(0.12)  # does not always wait
        self.certifications: list[Line] = []

    def sit_from(self, start: datetime, *, better: float = 0.0) -> Iterator[Sitting]:
        """Yield sittings from that moment on, until passed for good, given up, or closed."""
        dice, moment, ordinal = self.dice, _open_hour(start), 1
        period_ends = _a_year_after(moment)
        while moment < self.closes:
            chance = 0.02 if self.unlucky else _TASTE[self.exam.code][1] + better + 0.06 * ordinal
            sitting = _sitting(dice, self.candidate, self.exam, moment, dice.chance(chance))
            yield sitting
            if sitting.outcome == "pending":
                return
            if sitting.outcome == "pass":
                again = self._after_a_pass(sitting)
                if again is not None:
                    yield from self.sit_from(again, better=0.25)
                return
            stubborn = self.unlucky and self.exam.policy in _CAPPED
            if dice.chance(0.05 if stubborn else 0.16):
                return
            wait = timedelta(hours=_HABITS[self.exam.policy][min(ordinal, 5) - 1])
            if self.hurried and dice.chance(0.4):
                wait *= 0.6
            later = _open_hour(moment + wait + dice.soon(40 if ordinal > 1 else 20))
            over = later >= period_ends
            capped = self.exam.policy in _CAPPED and ordinal >= 5 and not over
            if capped and not (self.hurried and dice.chance(0.5)):
                later, over = _open_hour(period_ends + dice.soon(60)), True
            moment, ordinal = later, ordinal + 1
            if over:
                ordinal, period_ends = 1, _a_year_after(moment)

    def _after_a_pass(self, sitting: Sitting) -> datetime | None:
        """Certify; give the moment from which the candidate sits again, if ever."""
        dice = self.dice
        passed = sitting.result_at or sitting.ended_at
        if self.exam.policy == "mos" and dice.chance(0.15):
            return passed + dice.soon(200)  # allowed there
        if not self.certify:
            return passed + dice.soon(90) if dice.chance(0.012) else None
        when = (passed + timedelta(days=1)).replace(hour=2, minute=0)
        if self.exam.policy != "general" or self.exam.code in _FUNDAMENTALS:
            self._certify("CertEarned", when)
            return None
        ends = _a_year_after(when, years=2 if when < _ONE_YEAR_FROM else 1)
        self._certify("CertEarned", when, ends)
        while dice.chance(0.55):
            when = _open_hour(ends - timedelta(days=dice.whole(10, 170)))
            ends = _a_year_after(ends)
            self._certify("CertRenewed", when, ends)
        self._certify("CertExpired", ends)
        return ends + dice.soon(120) if dice.chance(0.5) else None

    def _certify(self, name: str, when: datetime, ends: datetime | None = None) -> None:
        number = len(self.certifications) + 1
        line = certified(name, self.candidate, self.exam.certification, number, when, ends)
        self.certifications.append(line)


def _beta_and_after(dice: Dice, candidate: str, exam: Exam) -> Iterator[Sitting]:
    """Yield one beta sitting and, if it was failed or never rescored, perhaps live ones."""
    assert exam.beta_opens_at is not None
    start = dice.between(exam.beta_opens_at, exam.live_at - timedelta(days=2))
    passed, lost = dice.chance(0.55), dice.chance(0.1)
    rescored = exam.live_at + timedelta(days=dice.whole(7, 9), hours=dice.whole(8, 18))
    sitting = replace(
        _sitting(dice, candidate, exam, _open_hour(start), passed),
        source="urn:vue",
        delivery="beta",
        outcome="pending" if lost else "pass" if passed else "fail",
        result_at=None if lost else rescored,
    )
    yield sitting
    if (lost or not passed) and dice.chance(0.65):
        start = exam.live_at + timedelta(days=16) + dice.soon(90)
        yield from _Career(dice, candidate, exam, LAST_MOMENT, False).sit_from(start, better=0.1)


def _sitting(dice: Dice, candidate: str, exam: Exam, start: datetime, passed: bool) -> Sitting:
    """Return one live sitting: its length, centre and score drawn; not yet numbered."""
    long = exam.policy == "general" and exam.code not in _FUNDAMENTALS
    ended = start + timedelta(minutes=dice.whole(70, 120) if long else dice.whole(25, 55))
    score = dice.whole(700, 940) if passed else 699 - dice.whole(0, 18) * dice.whole(0, 18)
    online = dice.chance(0.35)
    centre = "urn:onvue" if online else "urn:vue"
    source = centre if exam.policy == "general" else "urn:certiport"
    result_at = None
    if dice.chance(0.1):  # looked at by a person first
        late = ended + timedelta(days=dice.whole(1, 6))
        result_at = late.replace(hour=dice.whole(8, 17), minute=0)
    outcome = "pass" if passed else "fail"
    # Some results are lost for good; of those of the last fortnight many are not in yet.
    if dice.chance(0.005) or (start > LAST_MOMENT - timedelta(days=14) and dice.chance(0.4)):
        outcome = "pending"
    if (result_at or ended) > LAST_MOMENT:
        outcome = "pending"
    return Sitting(
        candidate, exam.code, "", source, start, ended, "live", outcome, result_at, score
    )


def _numbered(sittings: Sequence[Sitting], numbers_from: int) -> list[Sitting]:
    """Return the sittings in the order they began, with registrations counted up in that order."""
    ordered = sorted(sittings, key=lambda s: (s.started_at, s.candidate, s.exam))
    return [
        replace(s, registration_id=f"{'CP' if s.source == 'urn:certiport' else 'R'}-{number}")
        for number, s in enumerate(ordered, start=numbers_from)
    ]


def _open_hour(moment: datetime) -> datetime:
    """Return a later quarter of an hour, if it is not one between 08:00 and 17:00, Sundays not."""
    minutes = -(-(moment.minute * 60 + moment.second) // 900) * 15
    moment = moment.replace(minute=0, second=0, microsecond=0) + timedelta(minutes=minutes)
    if moment.hour < 8:
        moment += timedelta(hours=8)
    if moment.hour >= 17:
        moment += timedelta(hours=15)
    return moment + timedelta(days=1) if moment.weekday() == 6 else moment


def _a_year_after(moment: datetime, *, years: int = 1) -> datetime:
    """Return 00:00 of the same date some years on, 28 February for a 29th."""
    day = 28 if (moment.month, moment.day) == (2, 29) else moment.day
    return moment.replace(
        year=moment.year + years, day=day, hour=0, minute=0, second=0, microsecond=0
    )
