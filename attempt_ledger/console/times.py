"""How pages write instants: on the clock of one zone, as a person reads them out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from ledger.instants import MAX_INSTANT, MIN_INSTANT, format_instant
from projections.sentences import EPOCH, Show, shown_in

DAY = 86_400_000_000
HOUR = 3_600_000_000


class Clock:
    """Writes instants (microseconds UTC) on the clock of a zone."""

    def __init__(self, zone: tzinfo = UTC, name: str = "UTC") -> None:
        """Make the clock of a zone, and its name as people write it."""
        self.zone = zone
        self.name = name

    @property
    def show(self) -> Show | None:
        """How sentences write instants; None for UTC: with the policy's zone beside it."""
        return None if self.zone is UTC else shown_in(self.zone, self.name)

    def local(self, instant: int) -> datetime:
        """Return an instant as that clock shows it; outside the years 1 to 9999 their end."""
        whole = min(max(instant, MIN_INSTANT), MAX_INSTANT)
        at = EPOCH + timedelta(microseconds=whole)
        try:
            return at.astimezone(self.zone)
        except OverflowError:  # the clock of the zone is past them already
            return at

    def spoken(self, instant: int) -> str:
        """Write an instant to be read out on the telephone: Wednesday 23 March 2022, 11:00."""
        at = self.local(instant)
        return f"{at:%A} {at.day} {at:%B %Y}, {self._time(at)}"

    def day(self, instant: int) -> str:
        """Write the day alone: 23 March 2022."""
        at = self.local(instant)
        return f"{at.day} {at:%B %Y}"

    def brief(self, instant: int) -> str:
        """Write an instant shortly, and wholly: 23 Mar 2022 11:00."""
        at = self.local(instant)
        return f"{at.day} {at:%b %Y} {self._time(at)}"

    def minute(self, instant: int) -> str:
        """Write an instant to the minute, for a table: 23 Mar 2022 11:00."""
        at = self.local(instant)
        return f"{at.day} {at:%b %Y %H:%M}"

    def field(self, instant: int) -> str:
        """Write an instant for a field that takes it back: 2022-03-23 11:00."""
        at = self.local(instant)
        text = f"{at.date().isoformat()} {self._time(at)}"
        return text if self.zone is not UTC else f"{text} UTC"

    def _time(self, at: datetime) -> str:
        fine = "microseconds" if at.microsecond else "seconds" if at.second else "minutes"
        return at.time().isoformat(fine)


class Step(NamedTuple):
    """A moment at which something changes: what the address says, how it is read out, and when."""

    value: str
    text: str
    at: int
    """Microseconds UTC."""


def instant_step(instant: int, clock: Clock) -> Step:
    """Make a step of as_of."""
    return Step(format_instant(instant), clock.brief(instant), instant)


def position_step(position: int, recorded_at: int, clock: Clock) -> Step:
    """Make a step of known_at."""
    return Step(f"@{position}", f"@{position} · {clock.brief(recorded_at)}", recorded_at)


def distance(of: int, to: int) -> str:
    """Write how far one instant lies from another: in 11 days, 3 hours ago, now.

    >>> distance(0, 11 * DAY)
    'in 11 days'
    >>> distance(3 * HOUR, 0)
    '3 hours ago'
    """
    span = abs(to - of)
    for size, unit in ((DAY, "day"), (HOUR, "hour"), (60_000_000, "minute")):
        if count := span // size:
            words = f"{count:,} {unit}{'' if count == 1 else 's'}"
            return f"in {words}" if to > of else f"{words} ago"
    return "now"
