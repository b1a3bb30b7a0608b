"""What the errors of a PostgreSQL server mean, each in one sentence without a password."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import errors

from ledger.problems import (
    LedgerProblem,
    Locked,
    NoLedger,
    ReadOnly,
    Redefined,
    StoreFull,
)
from ledger.store.server import Server

STARTING: Final = "the database system is starting up"
"""What libpq says of a server that takes no connection yet."""


@contextmanager
def problems(server: Server) -> Iterator[None]:
    """Turn what the driver raises into one LedgerProblem about a server, without a password."""
    try:
        yield
    except psycopg.Error as error:
        raise problem_of(error, server) from error


def problem_of(error: psycopg.Error, server: Server) -> LedgerProblem:
    """Return what an error of the driver means; whenever one is raised, nothing was written."""
    diagnosed = error.diag.message_primary
    text = server.shown(diagnosed or str(error))
    for classes, make in _MEANINGS:
        if isinstance(error, classes):
            return make(server, text)
    if diagnosed is None and isinstance(error, psycopg.OperationalError):
        return _unreached(server, text)
    return LedgerProblem(f"{server}: {text}; nothing was written")


def _unreached(server: Server, text: str) -> LedgerProblem:
    """Return why no connection was made: libpq has words for it alone."""
    message = text.rpartition("FATAL: ")[2].strip() if "FATAL: " in text else text
    for part, meaning in (
        ("password authentication failed", "the server refuses this password, or this user"),
        ("no password supplied", "the server asks for a password, and there is none"),
        ("too many clients", "the server has no connection left: try again, or raise "
         "max_connections"),
        ("too many connections", "this user, or the database, may have no more connections: try "
         "again later"),
        ("remaining connection slots", "the server has no connection left: try again, or raise "
         "max_connections"),
        (STARTING, "the server is starting up: try again in a moment"),
        ("shutting down", "the server is shutting down: try again once it runs"),
    ):  # fmt: skip
        if part in message:
            return LedgerProblem(f"{server}: {meaning}; nothing was written")
    if message.startswith("database ") and message.endswith("does not exist"):
        return NoLedger(f"{server}: there is no such database; make it with createdb, then `init`")
    if message.startswith("role ") and message.endswith("does not exist"):
        return LedgerProblem(f"{server}: the server knows no such user; nothing was written")
    return LedgerProblem(f"{server} cannot be reached, or was lost: {message}; nothing was written")


Make = Callable[[Server, str], LedgerProblem]

# What is more exact comes first.
_MEANINGS: Final[tuple[tuple[tuple[type[psycopg.Error], ...], Make], ...]] = (
    (
        (errors.ReadOnlySqlTransaction,),
        lambda server, text: ReadOnly(
            f"{server} is a standby, or read-only: nothing was written; name the primary"
        ),
    ),
    (
        (errors.DiskFull,),
        lambda server, text: StoreFull(f"the disk of {server} is full: nothing was written"),
    ),
    (
        (errors.InsufficientPrivilege,),
        lambda server, text: ReadOnly(
            f"{server}: this user may not do that ({text}): nothing was written; "
            "docs/postgresql.md says what each role may do"
        ),
    ),
    (
        (errors.InvalidSchemaName, errors.UndefinedTable, errors.UndefinedFunction),
        lambda server, text: NoLedger(
            f"there is no ledger in {server}, or not all of one ({text}): name another schema, or "
            "make one with init"
        ),
    ),
    (
        (errors.InvalidObjectDefinition,),
        lambda server, text: Redefined(
            f"{server} was changed past the ledger, nothing was written: {text}; `verify` says more"
        ),
    ),
    (
        (errors.DeadlockDetected, errors.SerializationFailure),
        lambda server, text: LedgerProblem(
            f"{server}: another program kept what was needed, and waited for this one ({text}): "
            "nothing was written, try again"
        ),
    ),
    (
        (errors.LockNotAvailable,),
        lambda server, text: Locked(
            f"{server} is locked by another program: nothing was written, try again"
        ),
    ),
    (
        (errors.QueryCanceled,),
        lambda server, text: LedgerProblem(
            f"{server} ended the statement ({text}): nothing was written, try again"
        ),
    ),
    (
        (errors.ProgramLimitExceeded, errors.UntranslatableCharacter, psycopg.DataError),
        lambda server, text: LedgerProblem(
            f"{server} cannot keep this ({text}): nothing was written"
        ),
    ),
    (
        (errors.TooManyConnections,),
        lambda server, text: LedgerProblem(
            f"{server} has no connection left: try again, or raise max_connections"
        ),
    ),
)
