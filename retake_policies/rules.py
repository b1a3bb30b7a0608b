"""Policies as integers, the form in which the fold walks them: one, many, and the one in force."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Final, NamedTuple

from retake_policies.durations import DAY, MONTHS, TIME
from retake_policies.zones import BEFORE_ALL, zone_table

if TYPE_CHECKING:  # pydantic stays out of the fast path
    from retake_policies.durations import Duration
    from retake_policies.schema import Cap, Policy

WAIT_FROM: Final = ("start", "end")
WAIT_DAYS: Final = ("elapsed", "calendar", "clear")
RETAKE: Final = ("after-expiry", "never", "always", "after")
AFTER_EXPIRY: Final = 0
NEVER_AGAIN: Final = 1
ALWAYS: Final = 2
AFTER: Final = 3
NO_OVERDUE: Final = -1

# What a cap counts within, as codes.
FIRST_SITTING: Final = 0
LAST_SITTING: Final = 1
ROLLING: Final = 2
CALENDAR_DAYS: Final = 3
"""Periods that begin on days of the year."""
FOR_LIFE: Final = 4
ROLLING_DATES: Final = 5
"""Rolling, by dates."""
CALENDAR_DATES: Final = 6
"""Periods that begin on whole dates."""

_ANCHORS: Final = {
    "first-sitting": FIRST_SITTING,
    "last-sitting": LAST_SITTING,
    "rolling": ROLLING,
    "calendar": CALENDAR_DAYS,
    "calendar-year": CALENDAR_DAYS,
}
_NEW_YEAR: Final = ("01-01",)
_EPOCH: Final = date(1970, 1, 1)


class Rules(NamedTuple):
    """One policy as integers: codes, counts, and (unit, amount) pairs of durations.

    A unit is 0 time (microseconds), 1 days, 2 months. Codes count from 0 in the order of the
    tuples above. Columns that share a prefix are parallel and may be empty.
    """

    wait_unit: Sequence[int]
    wait_amount: Sequence[int]
    wait_from_end: int  # 0 from the start of the sitting, 1 from its end
    wait_days: int  # 0 elapsed, 1 calendar, 2 clear
    wait_longest: int  # microseconds: no wait ends later than so long after it began
    within_unit: int  # wait.within: days or months
    within_amount: int  # 0: the ordinal picks the entry of wait.after
    zone_from: Sequence[int]  # UTC microseconds, rising; see zones.zone_table
    zone_offset: Sequence[int]  # microseconds east of UTC from then on
    cap_sittings: Sequence[int]
    cap_anchor: Sequence[int]  # FIRST_SITTING … CALENDAR_DATES
    cap_unit: Sequence[int]  # 1 days or 2 months; 0 (and amount 0) where there is no period
    cap_amount: Sequence[int]
    cap_since: Sequence[int]  # UTC microseconds, BEFORE_ALL where all sittings are counted
    cap_periods: Sequence[int]
    cap_start_lo: Sequence[int]  # of a calendar: starts[cap_start_lo:cap_start_hi]
    cap_start_hi: Sequence[int]
    start: Sequence[int]  # rising: days of the year as month * 100 + day, or days since 1970
    retake: int  # 0 after-expiry, 1 never, 2 always, 3 after
    pass_unit: int  # days or months: of `after` so long after the sitting, of `after-expiry`
    pass_amount: int  # so long before the end (0: not before it)
    authorization_required: int  # 0 or 1
    authorization_sittings: int  # that one serves, unless it says so itself; 0: any number
    missed_counts: int  # 0 or 1
    beta_sittings: int
    beta_counts: int  # 0 or 1
    expected_unit: Sequence[int]  # beta.results_after_live: empty, or the earliest and the latest
    expected_amount: Sequence[int]
    overdue_unit: int  # beta.overdue_after_live
    overdue_amount: int  # NO_OVERDUE (-1): a pending beta blocks on


def compile_rules(policy: "Policy") -> Rules:
    """Compile a policy; equal policies give equal rules.

    A cap without a period is for life, unless it goes by the calendar. The zone is the policy's
    `wait.zone`, as this machine's zone data has it.
    """
    wait, beta, caps = policy.wait, policy.beta, policy.cap
    zone_from, zone_offset = zone_table(wait.zone)
    within_unit, within_amount = wait.within or (0, 0)
    pass_unit, pass_amount = policy.pass_.after or policy.pass_.before_expiry or (0, 0)
    overdue_unit, overdue_amount = beta.overdue_after_live or (0, NO_OVERDUE)
    expected = beta.results_after_live or ()
    starts = [tuple(map(_start, cap_starts(cap))) for cap in caps]
    ends = tuple(accumulate(map(len, starts)))
    return Rules(
        wait_unit=tuple(duration.unit for duration in wait.after),
        wait_amount=tuple(duration.amount for duration in wait.after),
        wait_from_end=WAIT_FROM.index(wait.from_),
        wait_days=WAIT_DAYS.index(wait.days),
        wait_longest=max(map(_at_most, wait.after), default=0),
        within_unit=within_unit,
        within_amount=within_amount,
        zone_from=zone_from,
        zone_offset=zone_offset,
        cap_sittings=tuple(cap.sittings for cap in caps),
        cap_anchor=tuple(map(_anchor, caps)),
        cap_unit=tuple(cap.period.unit if cap.period else 0 for cap in caps),
        cap_amount=tuple(cap.period.amount if cap.period else 0 for cap in caps),
        cap_since=tuple(BEFORE_ALL if cap.since is None else cap.since for cap in caps),
        cap_periods=tuple(cap.periods for cap in caps),
        cap_start_lo=tuple(end - len(each) for end, each in zip(ends, starts, strict=True)),
        cap_start_hi=ends,
        start=tuple(chain(*starts)),
        retake=RETAKE.index(policy.pass_.retake),
        pass_unit=pass_unit,
        pass_amount=pass_amount,
        authorization_required=int(policy.authorization.required),
        authorization_sittings=policy.authorization.sittings or 0,
        missed_counts=int(policy.missed.counts),
        beta_sittings=beta.sittings,
        beta_counts=int(beta.counts),
        expected_unit=tuple(duration.unit for duration in expected),
        expected_amount=tuple(duration.amount for duration in expected),
        overdue_unit=overdue_unit,
        overdue_amount=overdue_amount,
    )


def cap_starts(cap: "Cap") -> tuple[str, ...]:
    """Return where the periods of a cap begin; none where it does not go by the calendar.

    "`calendar-year` is starts = ["01-01"]" (spec section 3).
    """
    return _NEW_YEAR if cap.anchor == "calendar-year" else cap.starts or ()


def _at_most(duration: "Duration") -> int:
    """Return microseconds that a wait does not outlast, however its days are counted.

    Beyond months of 31 days: a clear day more, and whatever a zone's clocks skip, Apia's whole day
    of 2011 among it.
    """
    if duration.unit == TIME:
        return duration.amount
    return (duration.amount * (31 if duration.unit == MONTHS else 1) + 4) * DAY


def _anchor(cap: "Cap") -> int:
    """Return the code of what a cap counts within."""
    if cap.for_life:
        return FOR_LIFE
    if cap.anchor == "rolling" and cap.by == "date":
        return ROLLING_DATES
    if cap.anchor == "calendar" and len(cap_starts(cap)[0]) > len("07-01"):
        return CALENDAR_DATES
    return _ANCHORS[cap.anchor]


def _start(text: str) -> int:
    """Return a day of the year as month * 100 + day, a date as days since 1970-01-01."""
    if len(text) == len("07-01"):
        return int(text.replace("-", ""))
    return (date.fromisoformat(text) - _EPOCH).days


class RuleBook(NamedTuple):
    """Rules number v: its scalars at [v], its sequences from lo[v] to hi[v] of the shared ones."""

    wait_lo: Sequence[int]
    wait_hi: Sequence[int]
    wait_unit: Sequence[int]
    wait_amount: Sequence[int]
    wait_from_end: Sequence[int]
    wait_days: Sequence[int]
    wait_longest: Sequence[int]
    within_unit: Sequence[int]
    within_amount: Sequence[int]
    zone_lo: Sequence[int]
    zone_hi: Sequence[int]
    zone_from: Sequence[int]
    zone_offset: Sequence[int]
    cap_lo: Sequence[int]
    cap_hi: Sequence[int]
    cap_sittings: Sequence[int]
    cap_anchor: Sequence[int]
    cap_unit: Sequence[int]
    cap_amount: Sequence[int]
    cap_since: Sequence[int]
    cap_periods: Sequence[int]
    cap_start_lo: Sequence[int]
    cap_start_hi: Sequence[int]
    start_lo: Sequence[int]
    start_hi: Sequence[int]
    start: Sequence[int]
    retake: Sequence[int]
    pass_unit: Sequence[int]
    pass_amount: Sequence[int]
    authorization_required: Sequence[int]
    authorization_sittings: Sequence[int]
    missed_counts: Sequence[int]
    beta_sittings: Sequence[int]
    beta_counts: Sequence[int]
    expected_lo: Sequence[int]
    expected_hi: Sequence[int]
    expected_unit: Sequence[int]
    expected_amount: Sequence[int]
    overdue_unit: Sequence[int]
    overdue_amount: Sequence[int]


_CAPS: Final = tuple(name for name in Rules._fields if name.startswith("cap_"))
_RUNS: Final = {
    "wait": ("wait_unit", "wait_amount"),
    "zone": ("zone_from", "zone_offset"),
    "cap": _CAPS,
    "start": ("start",),
    "expected": ("expected_unit", "expected_amount"),
}
"""The columns of each run; all others hold one number for each rules."""


def rule_book(all_rules: Iterable[Rules]) -> RuleBook:
    """Join rules end to end; the order gives them their numbers, from 0."""
    columns: dict[str, list[int]] = {name: [] for name in RuleBook._fields}
    in_runs = set(chain(*_RUNS.values()))
    for rules in all_rules:
        for run, names in _RUNS.items():
            columns[f"{run}_lo"].append(len(columns[names[0]]))
            for name in names:
                columns[name].extend(getattr(rules, name))
            columns[f"{run}_hi"].append(len(columns[names[0]]))
        for name in Rules._fields:
            if name not in in_runs:
                columns[name].append(getattr(rules, name))
    return RuleBook(**columns)


def rules_at(book: RuleBook, v: int) -> Rules:
    """Cut rules number `v` out of the book; compiled, the sequences are views.

    The arguments are those of `Rules`, in its order.
    """
    w, x = book.wait_lo[v], book.wait_hi[v]
    z, a = book.zone_lo[v], book.zone_hi[v]
    c, d = book.cap_lo[v], book.cap_hi[v]
    s, t = book.start_lo[v], book.start_hi[v]
    e, f = book.expected_lo[v], book.expected_hi[v]
    return Rules(
        book.wait_unit[w:x],
        book.wait_amount[w:x],
        book.wait_from_end[v],
        book.wait_days[v],
        book.wait_longest[v],
        book.within_unit[v],
        book.within_amount[v],
        book.zone_from[z:a],
        book.zone_offset[z:a],
        book.cap_sittings[c:d],
        book.cap_anchor[c:d],
        book.cap_unit[c:d],
        book.cap_amount[c:d],
        book.cap_since[c:d],
        book.cap_periods[c:d],
        book.cap_start_lo[c:d],
        book.cap_start_hi[c:d],
        book.start[s:t],
        book.retake[v],
        book.pass_unit[v],
        book.pass_amount[v],
        book.authorization_required[v],
        book.authorization_sittings[v],
        book.missed_counts[v],
        book.beta_sittings[v],
        book.beta_counts[v],
        book.expected_unit[e:f],
        book.expected_amount[e:f],
        book.overdue_unit[v],
        book.overdue_amount[v],
    )


def first_after(starts: Sequence[int], lo: int, hi: int, at: int) -> int:
    """Return the first of rows lo to hi, sorted by `starts`, that starts after `at`, else hi."""
    while lo < hi:
        middle = (lo + hi) // 2
        if starts[middle] <= at:
            lo = middle + 1
        else:
            hi = middle
    return lo


def version_in_force(
    starts: Sequence[int],
    position: Sequence[int],
    annulled: Sequence[int],
    lo: int,
    hi: int,
    at: int,
    known: int,
) -> int:
    """Pick the row, of rows lo <= row < hi of one policy or exam, that is in force at `at`.

    Parallel integer columns, sorted by (`starts`, time, `position`): `starts` in microseconds,
    `position` of the event, `annulled` the position of its annulment (any number beyond all
    positions when there is none). A row is known when position <= known < annulled.

    "In force at as_of is the known version with the latest effective_from <= as_of. Before the
    first, the first is used", and "of equal effective_from the one later in (time, position)".
    Returns -1 when no row is known; the answer is assumed when the row starts after `at`.
    """
    return in_force(starts, position, annulled, lo, first_after(starts, lo, hi, at), hi, known)


def in_force(
    starts: Sequence[int],
    position: Sequence[int],
    annulled: Sequence[int],
    lo: int,
    begun: int,
    hi: int,
    known: int,
) -> int:
    """Do what `version_in_force` does, where rows lo to `begun` are those that have begun."""
    for row in range(begun - 1, lo - 1, -1):
        if position[row] <= known < annulled[row]:
            return row
    found = -1
    for row in range(begun, hi):
        if found >= 0 and starts[row] > starts[found]:
            break
        if position[row] <= known < annulled[row]:
            found = row
    return found
