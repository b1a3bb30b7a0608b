"""From (as_of, known_at) to an instant and a position, once for each question."""

from __future__ import annotations

from ledger.instants import format_instant
from ledger.ledger import Ledger
from projections.standing import Moment


class UnansweredMoment(Exception):
    """A moment that cannot be asked about; str() is one sentence."""


class Known:
    """What a question says of its known_at: nothing (the head), an instant, or a position."""

    __slots__ = ("instant", "position")

    def __init__(self, *, instant: int | None = None, position: int | None = None) -> None:
        """Take an instant (microseconds UTC), or a position, or neither for the head."""
        self.instant = instant
        self.position = position


HEAD = Known()


def moment_at(ledger: Ledger, as_of: int, known: Known, now: int) -> Moment:
    """Resolve a question's two axes against the ledger.

    known_at becomes the last position with recorded_at <= known_at; without
    one it is the head, whatever the clock says (spec section 1). The moment's
    own known_at is the instant asked for, else when its position was recorded.

    Raises UnansweredMoment for a known_at later than both the clock (`now`)
    and the head, since the answer could still change, and for a position that
    the ledger has not reached.
    """
    head = ledger.head()
    if known.position is not None:
        if known.position > head.position:
            raise UnansweredMoment(
                f"position {known.position} is not reached yet: the last is {head.position}"
            )
        return Moment(as_of, recorded_at(ledger, known.position), known.position)
    if known.instant is None:
        return Moment(as_of, head.recorded_at if head.position else None, head.position)
    if known.instant > max(now, head.recorded_at if head.position else now):
        raise UnansweredMoment(
            f"known_at {format_instant(known.instant)} lies in the future, where the answer could "
            f"still change: accepted is up to {format_instant(max(now, head.recorded_at))}"
        )
    return Moment(as_of, known.instant, ledger.position_at(known.instant))


def recorded_at(ledger: Ledger, position: int) -> int | None:
    """Return when a position was recorded; None for position 0, before the first."""
    for row in ledger.read(position - 1, position):
        return row.recorded_at
    return None
