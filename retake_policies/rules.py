"""Policies as integers, the form in which the fold walks them: one, many, and the one in force."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from retake_policies.zones import zone_table

if TYPE_CHECKING:  # pydantic stays out of the fast path
    from retake_policies.schema import Policy

WAIT_FROM: Final = ("start", "end")
WAIT_DAYS: Final = ("elapsed", "calendar", "clear")
CAP_ANCHOR: Final = ("first-sitting", "last-sitting", "rolling", "calendar-year")
FOR_LIFE: Final = 4
RETAKE: Final = ("after-expiry", "never", "always")
NO_OVERDUE: Final = -1


class Rules(NamedTuple):
    """One policy as integers: codes, counts, and (unit, amount) pairs of durations.

    A unit is 0 time (microseconds), 1 days, 2 months. Codes count from 0 in the order of the
    tuples above. Columns that share a prefix are parallel and may be empty.
    """

    wait_unit: Sequence[int]
    wait_amount: Sequence[int]
    wait_from_end: int  # 0 from the start of the sitting, 1 from its end
    wait_days: int  # 0 elapsed, 1 calendar, 2 clear
    zone_from: Sequence[int]  # UTC microseconds, rising; see zones.zone_table
    zone_offset: Sequence[int]  # microseconds east of UTC from then on
    cap_sittings: Sequence[int]
    cap_anchor: Sequence[int]  # 0 first-sitting, 1 last-sitting, 2 rolling, 3 calendar-year, 4 life
    cap_unit: Sequence[int]  # 1 days or 2 months; 0 (and amount 0) where there is no period
    cap_amount: Sequence[int]
    retake: int  # 0 after-expiry, 1 never, 2 always
    beta_sittings: int
    beta_counts: int  # 0 or 1
    expected_unit: Sequence[int]  # beta.results_after_live: empty, or the earliest and the latest
    expected_amount: Sequence[int]
    overdue_unit: int  # beta.overdue_after_live
    overdue_amount: int  # NO_OVERDUE (-1): a pending beta blocks on


def compile_rules(policy: "Policy") -> Rules:
    """Compile a policy; equal policies give equal rules.

    A cap without a period is for life, whatever its anchor, except `calendar-year`, which takes
    none. The zone is the policy's `wait.zone`, as this machine's zone data has it.
    """
    wait, beta, caps = policy.wait, policy.beta, policy.cap
    zone_from, zone_offset = zone_table(wait.zone)
    overdue = beta.overdue_after_live
    expected = beta.results_after_live or ()
    return Rules(
        wait_unit=tuple(duration.unit for duration in wait.after),
        wait_amount=tuple(duration.amount for duration in wait.after),
        wait_from_end=WAIT_FROM.index(wait.from_),
        wait_days=WAIT_DAYS.index(wait.days),
        zone_from=zone_from,
        zone_offset=zone_offset,
        cap_sittings=tuple(cap.sittings for cap in caps),
        cap_anchor=tuple(
            FOR_LIFE if cap.for_life else CAP_ANCHOR.index(cap.anchor) for cap in caps
        ),
        cap_unit=tuple(cap.period.unit if cap.period else 0 for cap in caps),
        cap_amount=tuple(cap.period.amount if cap.period else 0 for cap in caps),
        retake=RETAKE.index(policy.pass_.retake),
        beta_sittings=beta.sittings,
        beta_counts=int(beta.counts),
        expected_unit=tuple(duration.unit for duration in expected),
        expected_amount=tuple(duration.amount for duration in expected),
        overdue_unit=overdue.unit if overdue else 0,
        overdue_amount=overdue.amount if overdue else NO_OVERDUE,
    )


class RuleBook(NamedTuple):
    """Rules number v: its scalars at [v], its sequences from lo[v] to hi[v] of the shared ones."""

    wait_lo: Sequence[int]
    wait_hi: Sequence[int]
    wait_unit: Sequence[int]
    wait_amount: Sequence[int]
    wait_from_end: Sequence[int]
    wait_days: Sequence[int]
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
    retake: Sequence[int]
    beta_sittings: Sequence[int]
    beta_counts: Sequence[int]
    expected_lo: Sequence[int]
    expected_hi: Sequence[int]
    expected_unit: Sequence[int]
    expected_amount: Sequence[int]
    overdue_unit: Sequence[int]
    overdue_amount: Sequence[int]


def rule_book(all_rules: Iterable[Rules]) -> RuleBook:
    """Join rules end to end; the order gives them their numbers, from 0."""
    columns: dict[str, list[int]] = {name: [] for name in RuleBook._fields}
    for rules in all_rules:
        for run, names in (
            ("wait", ("wait_unit", "wait_amount")),
            ("zone", ("zone_from", "zone_offset")),
            ("cap", ("cap_sittings", "cap_anchor", "cap_unit", "cap_amount")),
            ("expected", ("expected_unit", "expected_amount")),
        ):
            columns[f"{run}_lo"].append(len(columns[names[0]]))
            for name in names:
                columns[name].extend(getattr(rules, name))
            columns[f"{run}_hi"].append(len(columns[names[0]]))
        for name in (
            "wait_from_end",
            "wait_days",
            "retake",
            "beta_sittings",
            "beta_counts",
            "overdue_unit",
            "overdue_amount",
        ):
            columns[name].append(getattr(rules, name))
    return RuleBook(**columns)


def rules_at(book: RuleBook, v: int) -> Rules:
    """Cut rules number `v` out of the book; compiled, the sequences are views.

    The arguments are those of `Rules`, in its order.
    """
    w, x = book.wait_lo[v], book.wait_hi[v]
    z, a = book.zone_lo[v], book.zone_hi[v]
    c, d = book.cap_lo[v], book.cap_hi[v]
    e, f = book.expected_lo[v], book.expected_hi[v]
    return Rules(
        book.wait_unit[w:x],
        book.wait_amount[w:x],
        book.wait_from_end[v],
        book.wait_days[v],
        book.zone_from[z:a],
        book.zone_offset[z:a],
        book.cap_sittings[c:d],
        book.cap_anchor[c:d],
        book.cap_unit[c:d],
        book.cap_amount[c:d],
        book.retake[v],
        book.beta_sittings[v],
        book.beta_counts[v],
        book.expected_unit[e:f],
        book.expected_amount[e:f],
        book.overdue_unit[v],
        book.overdue_amount[v],
    )


def version_in_force(
    effective_from: Sequence[int],
    time: Sequence[int],
    position: Sequence[int],
    annulled: Sequence[int],
    lo: int,
    hi: int,
    at: int,
    known: int,
) -> int:
    """Pick the row, of rows lo <= row < hi of one policy, that is in force at `at`.

    Parallel integer columns: `effective_from` and `time` (of the publishing event) in
    microseconds, `position` of that event, `annulled` the position of its annulment (any number
    beyond all positions when there is none). A row is known when position <= known < annulled.

    "In force at as_of is the known version with the latest effective_from <= as_of. Before the
    first, the first is used", and "of equal effective_from the one later in (time, position)".
    Returns -1 when no row is known; the answer is assumed when the row's effective_from > at.

    Compiles with numba as it stands, so: integers and one loop, no calls.
    """
    found = -1
    for row in range(lo, hi):
        if position[row] > known or annulled[row] <= known:
            continue
        if found < 0:
            found = row
            continue
        mine = effective_from[row]
        best = effective_from[found]
        if mine == best:
            if time[row] > time[found] or (
                time[row] == time[found] and position[row] > position[found]
            ):
                found = row
        elif mine <= at:
            if best > at or mine > best:
                found = row
        elif best > at and mine < best:
            found = row
    return found
