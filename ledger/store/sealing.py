"""What sealing, verification and the doctor ask of whatever keeps a ledger, by its address.

Apart from `stores`, so that a process that hashes rows starts quickly: it opens no store.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import cast

from ledger.store import integrity
from ledger.store.inspection import Inspection
from ledger.store.server import Address, Server, postgres_module


def inspection_of(address: Address) -> Inspection:
    """Return what looks at the stored rows of a ledger."""
    if isinstance(address, Server):
        return cast(Inspection, postgres_module("store.postgres_integrity"))
    return cast(Inspection, integrity)


def only_sealer(
    address: Address, ledger_id: str, notice: Callable[[str], object]
) -> AbstractContextManager[Callable[[], None]]:
    """Wait until nobody else follows to seal, on any machine; yield what checks that it is so.

    A file is sealed on one machine, where the log's own lock keeps others waiting.
    """
    if isinstance(address, Server):
        one: AbstractContextManager[Callable[[], None]] = postgres_module(
            "store.postgres_sealing"
        ).only_sealer(address, ledger_id, notice)
        return one
    return nullcontext(lambda: None)


def connections_kept(address: Address) -> AbstractContextManager[Address]:
    """Yield the same address, asked over connections that are kept from question to question."""
    if not isinstance(address, Server):
        return nullcontext(address)
    kept: AbstractContextManager[Address] = postgres_module("store.postgres_pool").connections_kept(
        address
    )
    return kept


def last_signed(address: Address, log: str) -> bytes | None:
    """Return the last checkpoint of a log that was signed on any machine, as its server keeps it.

    None where none was, or the ledger is a file: that is sealed on one machine. LedgerProblem.
    """
    if not isinstance(address, Server):
        return None
    note: bytes | None = postgres_module("store.postgres_sealing").last_signed(address, log)
    return note


def keep_last_signed(address: Address, log: str, size: int, note: bytes) -> None:
    """Keep a checkpoint that is about to be published where all machines see it; LedgerProblem."""
    if isinstance(address, Server):
        postgres_module("store.postgres_sealing").keep_last_signed(address, log, size, note)
