"""Stored rows, looked at past the store's own questions: what may be looked for, what is found.

For sealing, verification, backup and the doctor; `ledger.store.sealing` says who looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

MOST_FOUND: Final = 20
"""So much of what is wrong with a ledger is named; more would be of the same kind."""
WIDTH: Final = 15
"""So many columns a row has."""

Values: TypeAlias = Sequence[Any]
"""The columns of a row as `ledger.events.Recorded` has them, of whatever type they are found."""
Packed: TypeAlias = tuple[str, str, str | None]
"""A row as its store packs it: all columns but the last two as the members of one JSON object, in
their order and without blanks, and then those two, `data` and `extensions`, as they are stored.

A third of the time that it takes to hand over each column by itself, and to write it out here.
"""
Look: TypeAlias = Callable[[], tuple[int, int]]
"""Returns what tells one state of a ledger from another, and the last position in it or later.

In this order: what is written in between is seen as new the next time.
"""


class Reading(NamedTuple):
    """A ledger open to read rows of: of the first to the last position, in their order."""

    packed: Callable[..., list[Packed]]
    """Packs each row. A row with a value of another type than its column's is packed unlike any of
    ours, or raises ValueError, as text does that is not UTF-8; ``typed=True`` leaves it out."""
    found: Callable[[int, int], list[Values]]
    """Whatever the rows hold. Bytes that are no UTF-8 come as surrogates, of which no leaf record
    can be made."""


class Finding(NamedTuple):
    """One thing that is wrong."""

    position: int | None
    """The position it is about, the first of several; None: the log or the ledger as a whole."""
    sentence: str


class Seen(NamedTuple):
    """The last position of a ledger, and what is wrong with its table."""

    head: int
    findings: list[Finding]


class Inspection(Protocol):
    """What a module offers that looks at stored rows past the store; all raise LedgerProblem."""

    def reading(self, address: Any) -> AbstractContextManager[Reading]:
        """Open a ledger to read rows of, in the order of the table itself."""

    def watching(self, address: Any) -> AbstractContextManager[Look]:
        """Open a ledger to look again and again whether anybody wrote to it."""

    def last_position(self, address: Any) -> int:
        """Return the last position that has a row, 0 if none; it never holds another event."""

    def id_of(self, address: Any) -> str:
        """Return a ledger's own id, which is in no event, or an empty text."""

    def definitions(self, address: Any) -> list[str]:
        """Return a sentence for what is defined otherwise than a ledger does."""

    def inspect(self, address: Any, sealed: int) -> Seen:
        """Look at a ledger of which `sealed` events were signed."""

    def read_through(self, address: Any) -> AbstractContextManager[Callable[[], list[Finding]]]:
        """Have the whole of it read meanwhile; what was found wrong is returned by the call."""


def of_positions(first: int, last: int, problem: str) -> Finding:
    """Return what is wrong with a run of positions."""
    return Finding(first, f"positions {first} to {last} cannot be read: {problem}")


def missing(position: int, head: int) -> Finding:
    """Return that a position has no row, though later ones have."""
    return Finding(position, f"position {position} is missing, and {head} is the last")


def ends(address: object, first: int, head: int, sealed: int) -> list[Finding]:
    """Return what is wrong with the ends of a table of which `sealed` events were signed."""
    findings = []
    if first < 1:
        findings.append(
            Finding(first, f"position {first} was put in: the ledger's first position is 1")
        )
    if head < sealed:
        gone = f"position {sealed} is" if head + 1 == sealed else f"{head + 1} to {sealed} are"
        findings.append(
            Finding(
                head + 1,
                f"{address} ends at position {head}, but {sealed} events were signed: {gone} gone; "
                "it was cut off, or is an old copy put back",
            )
        )
    return findings
