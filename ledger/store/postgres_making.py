"""Making a ledger's schema in a database, and letting others use it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg

from ledger.problems import LedgerProblem
from ledger.store.postgres_pool import PatientConnection, confirming, connected
from ledger.store.postgres_schema import LEDGER, Layout, grants, quoted, statements
from ledger.store.postgres_writing import PostgresWriting
from ledger.store.schema import SCHEMA_VERSION
from ledger.store.server import Role, Server


def create_schema(
    server: Server,
    begin: Callable[[PostgresWriting], object] = lambda writing: None,
    *,
    id: str | None = None,
    roles: Iterable[tuple[str, Role]] = (),
) -> None:
    """Make a ledger, wholly or not at all; LedgerProblem if something is there already.

    `begin` writes what is in it from the beginning, in the transaction that makes it, and that
    lets `roles` in; LedgerProblem for one that is not there.
    """
    about = {"ledger": id or secrets.token_hex(16), "format": str(SCHEMA_VERSION)}
    with making(server, LEDGER, about, roles) as connection:
        begin(PostgresWriting(connection, server, (0, 0)))


@contextmanager
def making(
    server: Server, layout: Layout, about: Mapping[str, str], roles: Iterable[tuple[str, Role]] = ()
) -> Iterator[psycopg.Connection[Any]]:
    """Make a schema of a layout, with what the body writes into it, wholly or not at all."""
    with connected(server) as connection:
        _check_encoding(connection, server)
        try:
            # Durable when this returns: this transaction commits as the connection does.
            with _confirmed(connection, server), connection.transaction():
                for statement in statements(server.schema, layout, about):
                    connection.execute(statement)
                yield connection
                _grant(connection, server, layout, roles)
        except psycopg.errors.DuplicateSchema:
            raise LedgerProblem(
                f"{server}: there is a schema {quoted(server.schema)} already: nothing was "
                "changed; name another with ?schema="
            ) from None
        except psycopg.errors.UniqueViolation:  # two at once
            raise LedgerProblem(f"{server} is already there: nothing was changed") from None


def _confirmed(connection: PatientConnection, server: Server) -> AbstractContextManager[None]:
    so = "it may be there all the same: look before you go on"
    return confirming(connection, server, server.waiting, "it is durable", so)


def _check_encoding(connection: psycopg.Connection[Any], server: Server) -> None:
    (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("",)
    if encoding != "UTF8":
        raise LedgerProblem(
            f"{server}: the database is in {encoding}, and a ledger needs one in UTF8 "
            "(createdb --encoding=UTF8 --template=template0)"
        )


def grant(server: Server, roles: Iterable[tuple[str, Role]], layout: Layout = LEDGER) -> None:
    """Let roles do what their kind may, and nothing else; all of them or none."""
    with (
        connected(server) as connection,
        _confirmed(connection, server),
        connection.transaction(),
    ):
        _grant(connection, server, layout, roles)


def _grant(
    connection: psycopg.Connection[Any],
    server: Server,
    layout: Layout,
    roles: Iterable[tuple[str, Role]],
) -> None:
    try:
        for role, kind in roles:
            if role == "public":  # which PostgreSQL takes for everybody, quoted or not
                raise LedgerProblem(
                    f"{server}: public is no role, but everybody: name roles; nothing was changed"
                )
            for statement in grants(server.schema, layout, role, kind):
                connection.execute(statement)
    except psycopg.errors.UndefinedObject as error:
        raise LedgerProblem(
            f"{server}: {server.shown(error.diag.message_primary or '')}: make it first, with "
            "createuser; nothing was changed"
        ) from None
