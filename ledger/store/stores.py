"""Which store keeps the events of a ledger, by its address."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ledger.store.file import check_file, create_file
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


def create_store(address: Address, id: str) -> None:
    """Make an empty ledger of an id that another has had; LedgerProblem if one is there."""
    if isinstance(address, Server):
        create_schema(address, lambda writing: None, id=id)
    else:
        create_file(address, id=id)
