"""How a server is set up that keeps a ledger, and how it does: for the doctor."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import psycopg

from ledger.store.postgres_integrity import first_gap
from ledger.store.postgres_pool import connected
from ledger.store.postgres_schema import quoted
from ledger.store.server import Server


class ServerState(NamedTuple):
    """What a server says of itself."""

    version: str
    is_standby: bool
    unsafe: tuple[str, ...]
    """Settings that lose events in a crash, as they are (``fsync = off``)."""
    standbys: int
    """How many standbys stream from it, as far as this user may see."""
    synchronous: int
    """How many of them a commit waits for."""
    waits_for: str
    """What synchronous_standby_names says; empty: a commit waits for none."""
    archives: bool
    archive_failed: bool
    """The last attempt to archive a segment failed."""
    connections: int
    most_connections: int
    now: int
    """Its clock, in microseconds."""


class Content(NamedTuple):
    """What is wrong with the rows of a ledger, each the first position; None: nothing."""

    missing: int | None
    falls: int | None


_ASK: Final = """
SELECT current_setting('server_version'), pg_is_in_recovery(),
  (SELECT coalesce(array_agg(name || ' = ' || setting ORDER BY name), ARRAY[]::text[])
   FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'),
  (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'),
  (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),
  current_setting('synchronous_standby_names'), current_setting('archive_mode') <> 'off',
  (SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)
   FROM pg_stat_archiver),
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  current_setting('max_connections')::bigint
    - current_setting('superuser_reserved_connections')::bigint,
  (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
"""


def state_of(server: Server) -> ServerState:
    """Ask a server how it is set up; raises LedgerProblem."""
    with connected(server) as connection:
        (row,) = connection.execute(_ASK).fetchall()
        return ServerState(*row)._replace(unsafe=tuple(row[2]))


def content_of(server: Server, *, after: int = 0) -> Content:
    """Look at the positions and times of a ledger's rows after one; raises LedgerProblem."""
    events = f"{quoted(server.schema)}.events"
    with connected(server) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")  # one state of it
        found = Content(first_gap(connection, events, after), _fall(connection, events, after))
        connection.execute("ROLLBACK")
        return found


def _fall(connection: psycopg.Connection[Any], events: str, after: int) -> int | None:
    found = connection.execute(
        "SELECT position FROM (SELECT position, recorded_at, lag(recorded_at) OVER "
        f"(ORDER BY position) AS before FROM {events} WHERE position >= %s) t "
        "WHERE recorded_at < before ORDER BY position LIMIT 1",
        (after,),
    ).fetchone()
    return None if found is None else int(found[0])
