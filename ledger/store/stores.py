"""Which store keeps the events of a ledger, by its address."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import cast

from ledger.store.file import check_file, create_file
from ledger.store.inspection import Inspection
from ledger.store.interface import Store, Writing
from ledger.store.locks import USUALLY, Waiting
from ledger.store.server import Address, Role, Server, postgres_module
from ledger.store.sqlite import SQLiteStore


def open_store(address: Address, *, read_only: bool, waiting: Waiting) -> Store:
    """Open what keeps the events; raises NoLedger, NotALedger or NewerSchema."""
    if isinstance(address, Server):
        store: Store = postgres_module("store.postgres").PostgresStore(
            address, read_only=read_only, waiting=waiting
        )
        return store
    check_file(address)
    return SQLiteStore(address, read_only=read_only, waiting=waiting)


def check_store(address: Address, waiting: Waiting = USUALLY) -> None:
    """Raise LedgerProblem unless there is a ledger that this release can read."""
    if isinstance(address, Server):
        open_store(address, read_only=True, waiting=waiting).close()
    else:
        check_file(address)


def create_schema(
    server: Server,
    begin: Callable[[Writing], object],
    *,
    id: str | None = None,
    roles: Iterable[tuple[str, Role]] = (),
) -> None:
    """Make a ledger in a database, wholly or not at all; LedgerProblem if one is there.

    `begin` writes what is in it from the beginning. It gets an `id` of its own unless one is named.
    `roles` of the server are let in.
    """
    postgres_module("store.postgres_making").create_schema(server, begin, id=id, roles=roles)


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


def create_store(address: Address, id: str) -> None:
    """Make an empty ledger of an id that another has had; LedgerProblem if one is there."""
    if isinstance(address, Server):
        create_schema(address, lambda writing: None, id=id)
    else:
        create_file(address, id=id)


def inspection_of(address: Address) -> Inspection:
    """Return what looks at the stored rows of a ledger."""
    if isinstance(address, Server):
        return cast(Inspection, postgres_module("store.postgres_integrity"))
    # Here, since who only asks needs no threads to look with, nor the logging they bring: 3 ms.
    from ledger.store import integrity

    return cast(Inspection, integrity)
