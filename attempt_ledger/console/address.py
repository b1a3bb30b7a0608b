"""What a page's address says: the moment, the zone, and links that keep both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from attempt_ledger.console.times import Clock
from attempt_ledger.moments import micros
from ledger.instants import format_instant
from retake_policies.zones import load_zone

KEPT: Final = ("as_of", "known_at", "zone", "lock", "scale", "order")
"""What every link of a page hands on."""
_MOMENTS: Final = ("as_of", "known_at", "to_as_of", "to_known_at")
ZONES: Final = ("UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles",
                "Asia/Kolkata", "Asia/Tokyo", "Australia/Sydney")  # fmt: skip
"""Offered by the switch, besides any other that the address names."""


class Address:
    """A page's own address: its path and its parameters, each once.

    `zone` names the clock of everything on the page, and of what is typed there.
    """

    def __init__(self, path: str, query: Mapping[str, str]) -> None:
        """Read an address; raises ValueError for a zone that there is not."""
        self.path = path
        self.query = {name: value for name, value in query.items() if value != ""}
        if (known := self.query.get("known_at")) is not None:
            self.query["known_at"] = known.partition(" · ")[0]  # as its field shows it
        name = self.query.get("zone", "UTC")
        self.clock = Clock() if name == "UTC" else Clock(load_zone(name), name)

    def get(self, name: str) -> str | None:
        """Return a parameter, None where it is absent or empty."""
        return self.query.get(name)

    @property
    def page(self) -> int:
        """Which page of rows is meant, from 1."""
        text = self.query.get("page", "")
        return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 10 else 1

    @property
    def zones(self) -> Sequence[str]:
        """The zones that the switch offers."""
        return ZONES if self.clock.name in ZONES else (self.clock.name, *ZONES)

    def to(self, path: str, **parameters: str | int | None) -> str:
        """Link to another page at the same moment, in the same zone."""
        kept = {name: self.query[name] for name in KEPT if name in self.query}
        return _link(path, kept | parameters)

    def here(self, **changes: str | int | None) -> str:
        """Link to this page with some parameters changed; None leaves one out."""
        return _link(self.path, {**self.query, **changes})

    def others(self, *names: str) -> Sequence[tuple[str, str]]:
        """Return the parameters but for some: what a form hands on beside its own fields."""
        return [(name, value) for name, value in self.query.items() if name not in names]

    def on_any_clock(self) -> Sequence[tuple[str, str]]:
        """Return the parameters but for the zone, for a switch to another: moments stay the same.

        What was typed on this clock would be another moment on that one.
        """
        return [(name, self._fixed(name, value)) for name, value in self.others("zone")]

    def _fixed(self, name: str, value: str) -> str:
        if name not in _MOMENTS or value.startswith("@"):
            return value
        try:
            return format_instant(micros(value, name, self.clock.zone))
        except ValueError:
            return value


def _link(path: str, parameters: Mapping[str, str | int | None]) -> str:
    words = {name: str(value) for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(words)}" if words else path
