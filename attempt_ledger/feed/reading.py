"""Read the ledger for a feed: in order, from a position on, and whether more is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ledger.events import Recorded
from ledger.ledger import Ledger


class Chunk(NamedTuple):
    """Events that follow one another without a gap."""

    events: list[Recorded]
    last: bool
    """Whether they reached the head when they were read: nothing waits behind them."""


def never() -> bool:
    """Go on for ever."""
    return False


def chunks(ledger: Ledger, after: int, *, stop: Callable[[], bool] = never) -> Iterator[Chunk]:
    """Yield what comes after a position up to the present head, then end."""
    head = ledger.head().position

    def done() -> bool:
        return after >= head or stop()

    for events in ledger.follow(after, stop=done):
        after = events[-1].position
        if after >= head:
            yield Chunk([event for event in events if event.position <= head], True)
            return
        yield Chunk(events, False)


def chunks_for_ever(
    ledger: Ledger, after: int, *, stop: Callable[[], bool] = never
) -> Iterator[Chunk]:
    """Yield what comes after a position, then whatever comes, as it comes, until `stop`."""
    for events in ledger.follow(after, stop=stop):
        # What comes after this look is found by the follower's own next one.
        yield Chunk(events, events[-1].position >= ledger.head().position)
