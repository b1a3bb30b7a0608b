"""Sealing a ledger in PostgreSQL on whatever machine: one at a time, each where the last ended."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

from ledger.store.postgres_pool import (
    PATIENCE,
    PatientConnection,
    Pool,
    confirming,
    connected,
    process_shown,
)
from ledger.store.postgres_problems import problems
from ledger.store.postgres_schema import quoted
from ledger.store.server import Server

_AGAIN_SECONDS: Final = 0.5


@contextmanager
def only_sealer(
    server: Server, ledger_id: str, notice: Callable[[str], object]
) -> Iterator[Callable[[], None]]:
    """Wait, however long, until no other sealer follows the ledger; then be that one.

    `notice` is called with one sentence if there is another. Yields what raises LedgerProblem once
    the connection is lost that keeps others waiting; the server ends their wait when it ends. Not
    what keeps the log whole: two sealers of one key sign the same tree, or one of them refuses.
    """
    key = int.from_bytes(hashlib.sha256(f"seal/{ledger_id}".encode()).digest()[:8]) >> 1
    # One of its own: the lock ends with the connection, and with nothing else.
    with problems(server), closing(Pool(server).open()) as connection:
        connection.answer_seconds = PATIENCE
        was_said = False
        while not _taken(connection, key):
            if not was_said:
                notice(f"waiting to seal {server}: {_holder(connection, key)} seals it already")
                was_said = True
            time.sleep(_AGAIN_SECONDS)

        def check() -> None:
            with problems(server):
                connection.execute("SELECT 1")

        yield check


def last_signed(server: Server, log: str) -> bytes | None:
    """Return the last checkpoint of a log that was signed, on whatever machine; LedgerProblem."""
    select = f"SELECT note FROM {quoted(server.schema)}.signed WHERE log = %s"
    with connected(server) as connection:
        found = connection.execute(select, (log,)).fetchone()
        return None if found is None else str(found[0]).encode()


def keep_last_signed(server: Server, log: str, size: int, note: bytes) -> None:
    """Keep a checkpoint of so many events that is about to be published; raises LedgerProblem."""
    keep = f"SELECT {quoted(server.schema)}.keep_signed(%s, %s, %s)"
    what, so = "it keeps what was signed", "nothing was published"
    with (
        connected(server) as connection,
        confirming(connection, server, server.waiting, what, so),
    ):
        connection.execute(keep, (log, size, note.decode()))


def _taken(connection: PatientConnection, key: int) -> bool:
    ((is_taken,),) = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchall()
    return bool(is_taken)


def _holder(connection: PatientConnection, key: int) -> str:
    found = connection.execute(
        "SELECT l.pid, a.application_name, a.client_addr::text FROM pg_locks l "
        "LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND l.classid::bigint = %s AND l.objid::bigint = %s AND l.objsubid = 1",
        (key >> 32, key & 0xFFFFFFFF),
    ).fetchone()
    return "another program" if found is None else process_shown(*found)
