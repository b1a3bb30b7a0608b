"""Stored rows, looked at past the store's own questions: for sealing, verification, the doctor."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from ledger.store import integrity
from ledger.store.findings import Finding, Look, Read, Seen
from ledger.store.server import Address, Server, postgres_module


class Inspection(Protocol):
    """What a module offers that looks at stored rows past the store; all raise LedgerProblem."""

    def reading(self, address: Any) -> AbstractContextManager[Read]:
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


def inspection_of(address: Address) -> Inspection:
    """Return what looks at the stored rows of a ledger."""
    if isinstance(address, Server):
        return cast(Inspection, postgres_module("store.postgres_integrity"))
    return cast(Inspection, integrity)
