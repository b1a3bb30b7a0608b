"""Turn a policy into integers, the form in which the fold walks it."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Hold one policy as integers: codes, counts, and (unit, amount) pairs of durations.

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


def compile_rules(policy: Policy) -> Rules:
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
