"""The contract's fold, read plainly: slow, with datetimes and lists, one sentence after another.

Written from section 4 of the contract, not from the code, so that the two can be held against
each other. Instants are microseconds, as in a row; wall clocks are naive datetimes; None is "no
instant".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from plain_values import EPOCH, MICROSECOND, at

from ledger.events import Recorded
from retake_policies.durations import DAYS, MONTHS, TIME, Duration
from retake_policies.schema import Cap, Policy, PolicyError, parse_policy

DAY = 86_400_000_000
RESULTS = ("ExamPassed", "ExamFailed", "BetaRescored")


# --- the wall clock --------------------------------------------------------------------------

cached = lru_cache(maxsize=100_000)  # a law asks of the same sittings again and again


@cached
def wall(instant: int, zone: str) -> datetime:
    """What a clock of the zone shows."""
    return (EPOCH + instant * MICROSECOND).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@cached
def instant(clock: datetime, zone: str) -> int:
    """When it shows that: skipped, moved forward by the gap; shown twice, the first time."""
    return (clock.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC) - EPOCH) // MICROSECOND


@cached
def later(clock: datetime, period: Duration) -> datetime:
    """Add months (clamped to the month's end) or days on the wall clock."""
    assert period.unit in (DAYS, MONTHS)
    if period.unit == MONTHS:
        return clock + relativedelta(months=period.amount)
    return clock + timedelta(days=period.amount)


def midnight(day: date) -> datetime:
    """Return 00:00 of a date."""
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall clock


def period_end(start: int, period: Duration, zone: str) -> int:
    """Return 00:00 of the date of `start` plus the period."""
    return instant(midnight(later(midnight(wall(start, zone)), period)), zone)


def window_end(start: int, period: Duration, zone: str) -> int:
    """Return the same time of day a period after `start`."""
    return instant(later(wall(start, zone), period), zone)


def day_before(end: int, period: Duration, zone: str) -> int:
    """Return 00:00 of the date of `end` less the period."""
    return period_end(end, Duration(period.unit, -period.amount), zone)


def new_year(year: int, zone: str) -> int:
    """Return 00:00 of 1 January."""
    return instant(datetime(year, 1, 1), zone)  # noqa: DTZ001 - a wall clock


def starts_of(cap: Cap) -> tuple[str, ...]:
    """Return where the periods of a calendar cap begin: calendar-year is starts = ["01-01"]."""
    return ("01-01",) if cap.anchor == "calendar-year" else cap.starts or ()


def calendar_periods(cap: Cap, zone: str, first: int, last: int) -> list[int]:
    """Return the instants, rising, at which periods of a calendar cap begin, of those about some.

    Of days of the year those from the year before `first` to as many periods after `last` as a
    sitting is counted in; whole dates all.
    """
    starts = starts_of(cap)
    if len(starts[0]) > len("07-01"):
        return [instant(midnight(date.fromisoformat(text)), zone) for text in starts]
    until = wall(last, zone).year + cap.periods + 2
    years = range(wall(first, zone).year - 1, until)
    return [instant(midnight(date.fromisoformat(f"{year:04}-{day}")), zone)
            for year in years for day in starts]  # fmt: skip


def wait_end(base: int, wait: Duration, policy: Policy) -> int:
    """Return when a wait that runs from `base` is over, as `wait.days` has it."""
    zone = policy.wait.zone
    if wait.unit == TIME:
        return base + wait.amount
    if policy.wait.days == "elapsed":
        return window_end(base, wait, zone) if wait.unit == MONTHS else base + wait.amount * DAY
    that_date = midnight(later(midnight(wall(base, zone)), wait))
    if policy.wait.days == "calendar":
        return instant(that_date, zone)
    return instant(that_date + timedelta(days=1), zone)


def waits_from(sat: Sat, policy: Policy) -> int:
    """Return from when a wait after a sitting runs."""
    return sat.end if policy.wait.from_ == "end" else sat.start


def after_live(live_at: int, duration: Duration, policy: Policy) -> int:
    """Return a duration after an exam went live: days and months are of the policy's wall clock."""
    if duration.unit == TIME:
        return live_at + duration.amount
    return window_end(live_at, duration, policy.wait.zone)


# --- what is read ----------------------------------------------------------------------------


class Sat(NamedTuple):
    """A sitting."""

    registration: str
    start: int
    end: int
    position: int
    beta: bool
    outcome: str
    outcome_at: int | None


class Dates(NamedTuple):
    """An exam's dates."""

    beta_opens_at: int | None
    live_at: int | None
    retires_at: int | None


class Plain(NamedTuple):
    """A standing, without its words."""

    status: str
    reasons: list[tuple[str, int | None]]
    waived: list[tuple[str, int | None]]
    in_series: int
    period_ends_at: int | None
    policy: tuple[str, int, bool] | None
    expected: list[int]
    sittings: list[tuple[str, int, str, str, int | None, int | None]]
    """(registration, start, delivery, outcome, outcome_at, ordinal)."""


def by_time(rows: Iterable[Recorded]) -> list[Recorded]:
    """Sort: later in (time, position) wins wherever one fact replaces another."""
    return sorted(rows, key=lambda row: (row.occurred_at, row.position))


def latest(instants: Iterable[int | None]) -> int | None:
    """Return the latest; None is open-ended, so the latest of all."""
    every = list(instants)
    return None if None in every else max(i for i in every if i is not None)


@lru_cache(maxsize=1024)
def policy_or_none(toml: str) -> Policy | None:
    """Read a published policy; None if it is none."""
    try:
        return parse_policy(toml, "", published=True)
    except PolicyError:
        return None


def policies_of(rows: Iterable[Recorded]) -> list[Policy]:
    """Read published policies, in the order of the rows; what does not parse is none."""
    read = (policy_or_none(row.payload()["toml"]) for row in rows)
    return [policy for policy in read if policy is not None]


def reached(instant: int | None, t: int) -> bool:
    """Return whether a date is known and has come."""
    return instant is not None and instant <= t


class Reading:
    """One candidate and one exam, over the facts visible at (as_of, known)."""

    def __init__(
        self, rows: Sequence[Recorded], exam: str, as_of: int, known: int, who: str
    ) -> None:
        """Take the rows of the ledger: the catalogue's and any candidates'."""
        recorded = [row for row in rows if row.position <= known]
        annulled = {row.annuls for row in recorded}
        stands = [row for row in recorded if row.position not in annulled and row.annuls is None]
        self.exam = exam
        self.catalogue = [row for row in stands if not row.stream.startswith("candidate/")]
        self.visible = by_time(
            row for row in stands if row.stream == f"candidate/{who}" and row.occurred_at <= as_of
        )
        self.sittings = list(self.read_sittings())

    def of(self, *types: str) -> list[Recorded]:
        """Return the visible facts of some types, in order."""
        return [row for row in self.visible if row.type in types]

    def known(self, type: str, subject: str) -> list[Recorded]:
        """Return the known catalogue entries of a type and subject, in order."""
        return by_time(r for r in self.catalogue if r.type == type and r.subject == subject)

    def read_sittings(self) -> Iterator[Sat]:
        """Read the sittings, in (start, position) order."""
        mine = [r for r in self.of("ExamAttempted", "ResultRevoked", "SittingMissed", *RESULTS)
                if r.exam == self.exam]  # fmt: skip
        sittings = []
        for registration in {row.key for row in mine}:
            rows = [row for row in mine if row.key == registration]
            attempts = [row for row in rows if row.type == "ExamAttempted"]
            if attempts:  # missed before it began: that says nothing
                rows = [row for row in rows if row.type != "SittingMissed"
                        or row.occurred_at >= attempts[0].occurred_at]  # fmt: skip
            results = [row for row in rows if row.type in (*RESULTS, "SittingMissed")]
            if not attempts and not results:
                continue
            first = attempts[0] if attempts else results[0]
            data = first.payload()
            if attempts:
                beta, ended = data["delivery"] == "beta", data.get("ended_at")
            else:
                beta, ended = first.type == "BetaRescored", None
            decided = [row for row in rows if row.type != "ExamAttempted"]
            sittings.append(
                Sat(
                    registration=str(registration),
                    start=first.occurred_at,
                    end=first.occurred_at if ended is None else at(ended),
                    position=first.position,
                    beta=beta,
                    outcome=outcome_of(decided[-1]) if decided else "pending",
                    outcome_at=decided[-1].occurred_at if decided else None,
                )
            )
        yield from sorted(sittings, key=lambda sat: (sat.start, sat.position))

    # --- the catalogue at t ---

    def definition(self, type: str, subject: str, t: int) -> dict[str, Any] | None:
        """Return the entry of the latest time <= t; before the first, the first."""
        entries = self.known(type, subject)
        held = [row for row in entries if row.occurred_at <= t]
        if not held:
            held = [row for row in entries if row.occurred_at == entries[0].occurred_at]
        return held[-1].payload() if held else None

    def policy(self, id: str, t: int) -> Policy | None:
        """Return the version in force at t; before the first, the first."""
        published = policies_of(self.known("PolicyPublished", id))
        if not published:
            return None
        begun = [policy.effective_from for policy in published if policy.effective_from <= t]
        start = max(begun) if begun else min(policy.effective_from for policy in published)
        return [policy for policy in published if policy.effective_from == start][-1]

    def dates(self, announced: dict[str, Any]) -> Dates:
        """Return the exam's dates, as replaced by what came true."""
        dates = {name: announced.get(name) for name in Dates._fields}
        live, gone = self.known("ExamWentLive", self.exam), self.known("ExamRetired", self.exam)
        read = Dates(**{name: None if d is None else at(d) for name, d in dates.items()})
        return Dates(
            read.beta_opens_at,
            live[-1].occurred_at if live else read.live_at,
            gone[-1].occurred_at if gone else read.retires_at,
        )

    # --- free again ---

    def covering_ends(self, t: int, defined_at: int) -> list[int | None]:
        """Return when each certification earned by t and covering the exam ends; None: never."""
        ends: list[int | None] = []
        rows = [r for r in self.of("CertEarned", "CertRenewed", "CertExpired")
                if r.occurred_at <= t]  # fmt: skip
        for certification in {row.key for row in rows}:
            mine = [row for row in rows if row.key == certification]
            earned = [row for row in mine if row.type != "CertExpired"]
            if not earned:
                continue
            defined = self.definition("CertificationDefined", str(certification), defined_at)
            covered = set(defined["exams"]) if defined else set()
            for row in earned:
                covered |= set(row.payload().get("exams") or ())
            if self.exam not in covered:
                continue
            followed = mine[mine.index(earned[-1]) + 1 :]
            possible = [row.occurred_at for row in followed]
            if earned[-1].until is not None:
                possible.append(earned[-1].until)
            ends.append(min(possible, default=None))
        return ends

    def is_free_again(self, sat: Sat, t: int, defined_at: int, policy: Policy) -> bool:
        """Return whether a passed sitting is free again at t."""
        if policy.pass_.retake == "after":
            return free_after(sat, policy) <= t
        if policy.pass_.retake != "after-expiry":
            return policy.pass_.retake == "always"
        ends = self.covering_ends(t, defined_at)
        running = [end for end in ends if not reached(end, t)]
        if not running:
            return any(end is not None and end > sat.start for end in ends)
        last = latest(running)
        if policy.pass_.before_expiry is None or last is None:
            return False
        opens = day_before(last, policy.pass_.before_expiry, policy.wait.zone)
        return t >= opens and sat.start < opens

    # --- authorizations ---

    def is_authorized(self, t: int, counted: Sequence[Sat], policy: Policy) -> bool:
        """Return whether an authorization runs at t, once those counted were served."""
        rows = [r for r in self.of("AuthorizationGranted", "AuthorizationRevoked")
                if r.exam == self.exam]  # fmt: skip
        granted = []
        for id in {row.key for row in rows}:
            last = [row for row in rows if row.key == id][-1]
            if last.type == "AuthorizationGranted":
                granted.append(last)
        served = dict.fromkeys(granted, 0)

        def running(t: int) -> list[Recorded]:
            """Return those that run at t, the one that ends first before the others."""
            some = []
            for row in granted:
                own = row.payload().get("sittings")
                most = policy.authorization.sittings if own is None else own
                if (
                    row.occurred_at <= t
                    and not reached(row.until, t)
                    and (most is None or served[row] < most)
                ):
                    some.append(row)
            some.sort(key=lambda row: (row.occurred_at, row.position))
            return sorted(some, key=lambda row: (row.until is None, row.until or 0))

        for sat in counted:
            if able := running(sat.start):
                served[able[0]] += 1
        return bool(running(t))

    # --- the standing at t ---

    def standing(self, t: int) -> Plain:
        """Judge at t, over the visible facts and the catalogue at t."""
        announced = self.definition("ExamAnnounced", self.exam, t)
        policy = self.policy(announced["policy"], t) if announced else None
        if announced is None or policy is None:
            described = [described_sitting(sat, None) for sat in self.sittings]
            alone = [("unknown-exam", None)]
            return Plain("unknown-exam", alone, [], 0, None, None, [], described)
        dates = self.dates(announced)
        if reached(dates.live_at, t) or (dates.live_at is None and dates.beta_opens_at is None):
            phase = "live"
        else:
            phase = "beta" if reached(dates.beta_opens_at, t) else "not open"

        counted = [sat for sat in self.sittings if is_counted(sat, policy)]
        anchored = [cap for cap in policy.cap if cap.anchor in ("first-sitting", "last-sitting")
                    and cap.period is not None]  # fmt: skip
        zone = policy.wait.zone
        ordinals: list[int] = []
        period: int | None = None
        for i, sat in enumerate(counted):
            opens = self.opens(counted[:i], period, sat.start, t, policy)
            ordinals.append(1 if opens else ordinals[-1] + 1)
            if opens:
                period = None
            for cap in anchored:
                assert cap.period is not None
                if cap.anchor == "first-sitting" and opens:
                    period = period_end(sat.start, cap.period, zone)
                if cap.anchor == "last-sitting" and ordinals[-1] >= cap.sittings:
                    period = period_end(sat.start, cap.period, zone)
        opens_now = self.opens(counted, period, t, t, policy)
        in_series = 0 if opens_now else ordinals[-1]

        reasons: list[tuple[str, int | None]] = []
        expected: list[int] = []
        if reached(dates.retires_at, t):
            reasons.append(("retired", None))
        if phase == "not open":
            opening = [d for d in (dates.beta_opens_at, dates.live_at) if d is not None]
            reasons.append(("not-open", min(opening)))
        if policy.authorization.required and not self.is_authorized(t, counted, policy):
            reasons.append(("not-authorized", None))
        passed = [sat for sat in self.sittings if sat.outcome == "passed"]
        blocking = [sat for sat in passed if not self.is_free_again(sat, t, t, policy)]
        if blocking:
            reasons.append(("passed", self.passed_until(blocking, t, policy)))
        betas = [sat for sat in self.sittings if sat.beta]
        if phase == "beta" and len(betas) >= policy.beta.sittings:
            reasons.append(("beta-taken", dates.live_at))
        overdue: int | None = None
        if dates.live_at is not None and policy.beta.overdue_after_live is not None:
            overdue = after_live(dates.live_at, policy.beta.overdue_after_live, policy)
        pending: list[int | None] = []
        for sat in self.sittings:
            if sat.outcome == "pending" and not sat.beta:
                pending.append(None)
            elif sat.outcome == "pending" and phase != "beta" and not reached(overdue, t):
                pending.append(overdue)
                if dates.live_at is not None:
                    expected = [after_live(dates.live_at, duration, policy)
                                for duration in policy.beta.results_after_live or ()]  # fmt: skip
        if pending:
            reasons.append(("result-pending", latest(pending)))
        caps = []
        for cap in policy.cap:
            starts = [sat.start for sat in counted if cap.since is None or sat.start >= cap.since]
            if cap in anchored:
                if in_series >= cap.sittings and period is not None and t < period:
                    caps.append(period)
            elif cap.anchor in ("calendar", "calendar-year"):
                if starts:
                    caps += calendar_ends(cap, starts, t, zone)
            elif cap.period is None:
                if len(starts) >= cap.sittings:
                    caps.append(None)
            else:
                end_of = period_end if cap.by == "date" else window_end
                leave = sorted(end_of(start, cap.period, zone) for start in starts)
                inside = [end for end in leave if end > t]
                if len(inside) >= cap.sittings:
                    caps.append(inside[len(inside) - cap.sittings])
        if caps:
            reasons.append(("cap-reached", latest(caps)))
        if counted and counted[-1].outcome != "passed" and policy.wait.after:
            number = ordinals[-1]
            if policy.wait.within is not None:
                dates_of = [midnight(wall(sat.start, zone)) for sat in counted[-number:]]
                number = sum(later(day, policy.wait.within) > dates_of[-1] for day in dates_of)
            wait = policy.wait.after[min(number, len(policy.wait.after)) - 1]
            until = wait_end(waits_from(counted[-1], policy), wait, policy)
            if t < until:
                reasons.append(("waiting", until))

        waives = self.waives(t, counted)
        waived = [(code, until) for code, until in reasons if code in waives]
        reasons = [(code, until) for code, until in reasons if code not in waives]
        numbers = iter(ordinals)
        return Plain(
            reasons[0][0] if reasons else "eligible",
            reasons,
            waived,
            in_series,
            period if in_series else None,
            (policy.id, policy.effective_from, policy.effective_from > t),
            expected,
            [described_sitting(sat, next(numbers) if sat in counted else None)
             for sat in self.sittings],
        )  # fmt: skip

    def passed_until(self, blocking: Sequence[Sat], t: int, policy: Policy) -> int | None:
        """Return until when passes block that are not free again at t."""
        if policy.pass_.retake == "after":
            return max(free_after(sat, policy) for sat in blocking)
        if policy.pass_.retake != "after-expiry":
            return None
        running = [end for end in self.covering_ends(t, t) if not reached(end, t)]
        last = latest(running) if running else None
        if last is not None and policy.pass_.before_expiry is not None:
            opens = day_before(last, policy.pass_.before_expiry, policy.wait.zone)
            return opens if opens > t else last
        return last

    def opens(
        self, before: Sequence[Sat], period: int | None, start: int, t: int, policy: Policy
    ) -> bool:
        """Return whether a sitting at `start`, after those before it, opens a new series."""
        if not before or reached(period, start):
            return True
        return before[-1].outcome == "passed" and self.is_free_again(before[-1], start, t, policy)

    def waives(self, t: int, counted: Sequence[Sat]) -> set[str]:
        """Return the codes of the reasons that the active grants waive."""
        codes: set[str] = set()
        rows = [r for r in self.of("ExceptionGranted", "ExceptionRevoked") if r.exam == self.exam]
        for request in {row.key for row in rows}:
            last = [row for row in rows if row.key == request][-1]
            if last.type == "ExceptionRevoked" or reached(last.until, t):
                continue
            if any(sat.start >= last.occurred_at for sat in counted):
                continue
            named = {"wait": "waiting", "cap": "cap-reached", "passed": "passed"}
            codes |= {named[word] for word in last.payload()["waives"]}
        return codes


def outcome_of(row: Recorded) -> str:
    """Return what a result, or its revocation, makes of a sitting."""
    if row.type == "BetaRescored":
        return "passed" if row.payload()["passed"] else "failed"
    return {"ExamPassed": "passed", "ExamFailed": "failed", "ResultRevoked": "revoked",
            "SittingMissed": "missed"}[row.type]  # fmt: skip


def is_counted(sat: Sat, policy: Policy) -> bool:
    """Return whether waits and caps count a sitting."""
    if sat.outcome == "missed":
        return policy.missed.counts
    return policy.beta.counts or not sat.beta


def free_after(sat: Sat, policy: Policy) -> int:
    """Return when a passed sitting is free again under `retake = "after"`."""
    assert policy.pass_.after is not None
    return wait_end(waits_from(sat, policy), policy.pass_.after, policy)


def calendar_ends(cap: Cap, starts: Sequence[int], t: int, zone: str) -> list[int | None]:
    """Return when a calendar cap that is used up at t ends; nothing where it is not.

    Periods are numbered by how many boundaries lie at or before an instant: before the first of
    whole dates lies one period, and after the last another without end.
    """
    boundaries = calendar_periods(cap, zone, min(starts), t)

    def number(moment: int) -> int:
        return sum(boundary <= moment for boundary in boundaries)

    def counted(period: int) -> int:
        return sum(period - cap.periods < number(start) <= period for start in starts)

    if counted(number(t)) < cap.sittings:
        return []
    for period in range(number(t) + 1, len(boundaries) + 1):
        if counted(period) < cap.sittings:
            return [boundaries[period - 1]]
    return [None]


def described_sitting(
    sat: Sat, ordinal: int | None
) -> tuple[str, int, str, str, int | None, int | None]:
    """Describe a sitting as `Plain` does."""
    delivery = "beta" if sat.beta else "live"
    return (sat.registration, sat.start, delivery, sat.outcome, sat.outcome_at, ordinal)


# --- every instant at which anything could change --------------------------------------------


def boundaries(rows: Sequence[Recorded], exam: str) -> list[int]:
    """Return every instant at which a standing could change, and many at which none does.

    Of whatever is recorded, by whatever policy: dates, ends, and each rule applied to each sitting.
    """
    instants: set[int] = set()
    policies = policies_of(row for row in rows if row.type == "PolicyPublished")
    for row in rows:
        instants.add(row.occurred_at)
        if row.until is not None:
            instants.add(row.until)
        if row.type == "ExamAnnounced" and row.exam == exam:
            dates = [row.payload().get(name) for name in Dates._fields]
            instants |= {at(d) for d in dates if d is not None}
    lives = [at(row.payload()["live_at"]) for row in rows
             if row.type == "ExamAnnounced" and row.payload().get("live_at")]  # fmt: skip
    lives += [row.occurred_at for row in rows if row.type == "ExamWentLive"]
    starts = [row for row in rows if row.exam == exam and row.stream.startswith("candidate/")]
    for policy in policies:
        zone = policy.wait.zone
        instants.add(policy.effective_from)
        if policy.beta.overdue_after_live is not None:
            for live_at in lives:
                instants.add(after_live(live_at, policy.beta.overdue_after_live, policy))
        before_expiry = policy.pass_.before_expiry
        if before_expiry is not None:
            instants |= {day_before(row.until, before_expiry, zone)
                         for row in rows if row.until is not None}  # fmt: skip
        waits = [*policy.wait.after, *([policy.pass_.after] if policy.pass_.after else [])]
        for row in starts:
            start = row.occurred_at
            bases = [start] if row.until is None else [start, row.until]
            instants |= {wait_end(base, wait, policy) for base in bases for wait in waits}
            for cap in policy.cap:
                if cap.period is not None:
                    instants.add(period_end(start, cap.period, zone))
                    instants.add(window_end(start, cap.period, zone))
                elif starts_of(cap):
                    instants |= set(calendar_periods(cap, zone, start, start))
    return sorted(instants)


def first_after(instants: Iterable[int], t: int, holds: Any) -> int | None:
    """Return the first of some rising instants after t of which `holds` is true."""
    return next((i for i in instants if i > t and holds(i)), None)
