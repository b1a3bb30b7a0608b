"""How sentences for a candidate write instants, numbers and lengths; nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from ledger.instants import format_instant
from ledger.problems import LedgerProblem
from retake_policies.durations import DAYS, Duration, say_duration

Show = Callable[[int], str]
"""How an instant (microseconds UTC) is written in a sentence."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shown_in(zone: tzinfo, name: str) -> Show:
    """Make a `Show` for a zone: `2021-03-15 09:00 UTC`, finer only where it has to be."""

    def show(instant: int) -> str:
        try:
            local = (EPOCH + timedelta(microseconds=instant)).astimezone(zone)
        except OverflowError:
            raise LedgerProblem(
                "an instant of the answer lies outside the years 1 to 9999, which cannot be written"
            ) from None
        fine = "microseconds" if local.microsecond else "seconds" if local.second else "minutes"
        return f"{local.replace(tzinfo=None).isoformat(' ', fine)} {name}"

    return show


def _in_utc(instant: int) -> str:
    text = format_instant(instant)
    return f"{text[:10]} {text[11:-1].removesuffix(':00')} UTC"


IN_UTC: Show = _in_utc
"""As `shown_in` writes it in UTC, in half of its time: the text of each day is kept."""

_DATE = len("2021-03-15 ")


def shown_beside(zone: tzinfo, name: str) -> Show:
    """Make a `Show` that writes UTC, and beside it another zone: its date too where that differs.

    `2021-03-15 09:00 UTC (05:00 America/New_York)`; for UTC itself just `2021-03-15 09:00 UTC`.
    """
    if zone is UTC:
        return IN_UTC
    local = shown_in(zone, name)

    def show(instant: int) -> str:
        utc, there = IN_UTC(instant), local(instant)
        return f"{utc} ({there.removeprefix(utc[:_DATE])})"

    return show


def times(count: int) -> str:
    """Return how often: once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def span(first: Duration, last: Duration) -> str:
    """Return a range of two durations in words: 7 to 10 days."""
    if first.unit == last.unit == DAYS:
        return f"{first.amount} to {say_duration(last)}"
    return f"{say_duration(first)} to {say_duration(last)}"


def listed(names: Sequence[str]) -> str:
    """Enumerate names: `a, b and c`; `nothing` for none.

    >>> listed(["wait", "cap"])
    'wait and cap'
    """
    *others, last = names or ("nothing",)
    return f"{', '.join(others)} and {last}" if others else last
