"""What every page is made from: its address, and the ledger at the moment that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from attempt_ledger.access import Access
from attempt_ledger.api.problems import BadQuestion
from attempt_ledger.api.register import Register
from attempt_ledger.console.address import Address
from attempt_ledger.console.candidate import Slider
from attempt_ledger.console.times import DAY, Step, instant_step, position_step
from attempt_ledger.moments import known, micros
from ledger.instants import MAX_INSTANT, MIN_INSTANT
from replay.snapshot import Known, Snapshot, recorded_at


class View(NamedTuple):
    """A page's question."""

    address: Address
    snapshot: Snapshot
    """The ledger at the page's moment."""
    latest: Snapshot
    """The same instant, with all that is known."""
    now: int
    """The present instant, microseconds UTC."""
    access: Access
    """How the ledger is opened, for what looks at more than its events."""
    register: Register
    """Who may, and who read what is personal."""

    @property
    def looking_back(self) -> bool:
        """Whether the address names a moment."""
        return self.address.get("as_of") is not None or self.address.get("known_at") is not None

    def instant(self, name: str) -> int | None:
        """Return a parameter that is an instant as people type it; raises BadQuestion."""
        text = self.address.get(name)
        if text is None:
            return None
        try:
            return micros(text, name, self.address.clock.zone)
        except ValueError as error:
            raise BadQuestion(str(error)) from None

    def known(self, name: str) -> Known | None:
        """Return a parameter that is a known_at, an instant or a position; raises BadQuestion."""
        text = self.address.get(name)
        if text is None:
            return None
        try:
            return known(text, name, self.address.clock.zone)
        except ValueError as error:
            raise BadQuestion(str(error)) from None


class Content(NamedTuple):
    """A page: its template, and what that writes."""

    template: str
    values: Mapping[str, Any]
    status: int = 200


def moment_bar(view: View) -> tuple[Slider, Slider]:
    """Return the two axes of a page about many: fields without steps."""
    clock, snapshot = view.address.clock, view.snapshot
    known = snapshot.moment.known_at
    shown = f"@{snapshot.position}" + ("" if known is None else f" · {clock.field(known)}")

    def day(at: int) -> Step | None:
        return instant_step(at, clock) if MIN_INSTANT <= at <= MAX_INSTANT else None

    def event(position: int) -> Step | None:
        recorded = recorded_at(snapshot.ledger, position)
        return None if recorded is None else position_step(position, recorded, clock)

    return (
        Slider("as_of", "As of", (), 0, clock.field(snapshot.as_of),
               day(snapshot.as_of - DAY), day(snapshot.as_of + DAY),
               view.address.get("as_of") is None, "now"),
        Slider("known_at", "Known at", (), 0, shown,
               event(snapshot.position - 1), event(snapshot.position + 1),
               view.address.get("known_at") is None, "all that is known"),
    )  # fmt: skip
