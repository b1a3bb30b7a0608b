"""Connections to a PostgreSQL server: few, checked, and patient only for so long."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from threading import BoundedSemaphore, Lock
from typing import Any, Final

import psycopg
from psycopg import errors, generators
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.problems import LedgerProblem, Locked, NotDurable
from ledger.store.locks import SILENCE, Waiting
from ledger.store.postgres_problems import STARTING, problems
from ledger.store.server import Server

OLDEST: Final = 15
"""The first major version of PostgreSQL that this was tested on."""
MOST: Final = 8
"""So many connections one store opens at most; more threads than that wait for one."""

# What is wrong with a connection is raised, in our words: the driver need not say it as well.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

ANSWER_SECONDS = 600.0
"""So long an answer may take to begin, or to go on."""
PATIENCE: Final = 10.0
"""So long a question waits for a connection, unless whoever asks says otherwise."""
COMMIT_SECONDS = 30.0
"""So much longer than it waits for others a step of a transaction may take."""

_PREPARE_AT: Final = 5
"""A statement that a connection has executed so often is worth preparing."""

_SETTINGS: Final = {
    "connect_timeout": "10",
    "application_name": "attempt-ledger",
    "client_encoding": "UTF8",
    # A server that is gone is noticed, whoever waits for its answer.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Unless the URL says otherwise."""

PATH: Final = "SET search_path = pg_catalog, pg_temp"
"""First on every connection: no name of ours is looked up in another schema, whatever path a role
or a database is set to. A view named pg_trigger in front of the server's own would hide one."""

# A transaction whose program hangs must not keep others from appending for ever. Less than `on`
# would acknowledge what a crash takes back.
# What a role, a database or a URL sets besides would change what the statements mean: texts are
# sent in UTF8, names are compared as the catalogue writes them, appending needs read committed,
# and a commit that no standby confirmed is a mere warning.
_BEGIN: Final = f"""
{PATH};
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
SET default_transaction_isolation = 'read committed';
SET quote_all_identifiers = off;
SET idle_in_transaction_session_timeout = '60s';
SELECT set_config('synchronous_commit', 'on', false)
  WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
SELECT pg_is_in_recovery()
"""


_OF_COMMITS: Final = ("01000", "57P01")
"""The codes of a warning that a wait for a standby was cancelled, by somebody or by a shutdown."""


class NoAnswer(psycopg.OperationalError):
    """The server gave no answer for too long; the connection is closed."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that waits only so long for an answer: then it counts as lost."""

    answer_seconds = 0.0
    ended: list[str]
    """Why the server ends the session, nothing being asked: it may be closed a moment later."""
    overdue: Callable[[], object] | None = None
    """Called once an answer takes longer than SILENCE."""
    warned: list[str]
    """What the server has warned of, until somebody clears it: a commit that no standby confirmed
    is a mere warning."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take what the driver has connected."""
        super().__init__(*arguments, **named)
        warned, ended = self.warned, self.ended = [], []
        self._called: dict[str, tuple[bytes, int]] = {}

        def warn(diagnostic: errors.Diagnostic) -> None:
            if diagnostic.severity_nonlocalized == "FATAL":
                ended.append(diagnostic.message_primary or "")
            # Whoever grants what is there already is warned, too, of something else.
            if diagnostic.severity_nonlocalized == "WARNING" and diagnostic.sqlstate in _OF_COMMITS:
                warned.append(diagnostic.message_primary or "")

        self.add_notice_handler(warn)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Consume what the driver waits for; raises NoAnswer."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        most = self.answer_seconds or ANSWER_SECONDS
        try:
            # A moment more: a lock that the server waits for in silence is another matter.
            silence = SILENCE + interval
            if self.overdue is not None and most > silence:
                try:
                    return super().wait(gen, interval, silence)
                except errors._WaitTimeout:
                    self.overdue()
                    most -= silence
            return super().wait(gen, interval, most)
        except errors._WaitTimeout:
            self.close()
            raise NoAnswer("the server gave no answer for too long") from None

    def value(self, statement: str, values: Sequence[int | str | None]) -> str:
        """Return the value that a statement yields; raises psycopg.Error.

        For what is called all the time: what the driver looks up for each value of each call
        costs more of the processor than the server's whole answer. Prepared once it comes again.
        """
        sent: list[bytes | None] = []
        is_binary: list[int] = []  # texts, which so have a length: none ends at a NUL
        for value in values:
            is_binary.append(isinstance(value, str))
            sent.append(None if value is None else f"{value}".encode())
        name, times = self._called.get(statement, (b"ledger_%d" % len(self._called), 0))
        self._called[statement] = name, times + 1
        if times >= _PREPARE_AT:
            try:
                if times == _PREPARE_AT:
                    self.pgconn.send_prepare(name, statement.encode())
                    self._result()
                self.pgconn.send_query_prepared(name, sent, is_binary)
                return _only(self._result())
            except errors.InvalidSqlStatementName:  # so the driver has it after a ROLLBACK
                self._called[statement] = name, 0
        self.pgconn.send_query_params(statement.encode(), sent, None, is_binary)
        return _only(self._result())

    def _result(self) -> psycopg.pq.abc.PGresult:
        result: psycopg.pq.abc.PGresult = self.wait(generators.execute(self.pgconn))[-1]
        if result.status == _FAILED:
            raise errors.error_from_result(result, "utf-8")
        return result


def _only(result: psycopg.pq.abc.PGresult) -> str:
    """Return the one value of an answer; empty where that is null."""
    return (result.get_value(0, 0) or b"").decode()


def settle(connection: PatientConnection, statement: str, server: Server, waiting: Waiting) -> None:
    """Wait until what was read is durable, also on the standbys that a commit waits for."""
    with confirming(connection, server, waiting, "what was read is durable", "nothing was written"):
        connection.execute(statement)


@contextmanager
def confirming(
    connection: PatientConnection, server: Server, waiting: Waiting, what: str, so: str
) -> Iterator[None]:
    """Wait until the server confirms what the body has it do, or ends.

    What is waited for is said after SILENCE. Raises NotDurable after all of `waiting`, or where
    somebody cancelled the wait for a standby: `what` is not confirmed, and `so`.
    """
    before = connection.answer_seconds
    connection.answer_seconds = max(waiting.seconds, SILENCE)
    connection.warned.clear()
    with saying(connection, server, waiting):
        try:
            yield
        except NoAnswer:
            raise NotDurable(
                f"{server} did not confirm within {waiting.seconds:g} seconds that {what}: a "
                f"standby that it waits for is missing, or its disk is slow; {so}. Start the "
                "standby, take it out of synchronous_standby_names, or wait longer (--wait)"
            ) from None
        finally:
            connection.answer_seconds = before
    if connection.warned:
        raise NotDurable(
            f"{server}: no standby confirmed that {what} "
            f"({server.shown(connection.warned[0])}); {so}"
        )


@contextmanager
def saying(connection: PatientConnection, server: Server, waiting: Waiting) -> Iterator[None]:
    """Print after SILENCE that it is waited for what is recorded to be durable."""
    connection.overdue = lambda: waiting.notice(
        f"waiting for {server}: what is recorded is not durable yet, perhaps for want of a standby"
    )
    try:
        yield
    finally:
        connection.overdue = None


def process_shown(pid: int, program: str | None, host: str | None) -> str:
    """Return how a message names what has a lock."""
    where = f" from {host}" if host else ""
    return f"process {pid} of the server ({program or 'another program'}{where})"


@contextmanager
def connected(server: Server) -> Iterator[PatientConnection]:
    """Lend a connection of the pool that the address has, else one that ends with the body.

    Raises LedgerProblem, also for what goes wrong meanwhile.
    """
    # After a fork its connections are another process's.
    if server.pool is not None and server.pool.process == os.getpid():
        with server.pool.connection() as connection:
            yield connection
    else:
        with problems(server), closing(Pool(server).open()) as connection:
            yield connection


@contextmanager
def connections_kept(server: Server) -> Iterator[Server]:
    """Yield the same address, asked over connections that are kept from question to question."""
    with closing(Pool(server)) as pool:
        yield replace(server, pool=pool)


class Pool:
    """The connections of one store: made when they are needed, at most `MOST` of them.

    A connection that an error left unusable is closed, never handed out again. May be shared by
    threads.
    """

    def __init__(self, server: Server, *, patience: float = PATIENCE) -> None:
        """Open nothing yet; `patience` is how many seconds a thread waits for a connection."""
        self.server = server
        self.patience = patience
        self.process = os.getpid()
        self._free: list[PatientConnection] = []
        self._lock = Lock()
        self._is_closed = False
        self._places = BoundedSemaphore(MOST)
        self.is_standby = False
        """Whether the server is a standby, as of the last connection that was made."""

    @contextmanager
    def connection(self) -> Iterator[PatientConnection]:
        """Lend a connection in autocommit mode; raises LedgerProblem, also for errors meanwhile."""
        if not self._places.acquire(timeout=self.patience):
            raise Locked(
                f"{self.server}: all {MOST} connections of this program are in use, and have been "
                f"for {self.patience:g} seconds: nothing was written, try again"
            )
        try:
            with problems(self.server):
                connection = self._take()
                try:
                    yield connection
                finally:
                    self._put(connection)
        finally:
            self._places.release()

    def open(self) -> PatientConnection:
        """Open a connection of the caller's own, to be closed by it; raises psycopg.Error."""
        for left in reversed(range(int(self.patience / _AGAIN_SECONDS) + 1)):
            try:
                connection = PatientConnection.connect(self.conninfo(), autocommit=True)
                break
            except psycopg.OperationalError as error:
                # It restarts: whoever waits a moment need not notice. Nothing else is tried again.
                if STARTING not in str(error) or not left:
                    raise
                time.sleep(_AGAIN_SECONDS)
        try:
            if connection.info.server_version < OLDEST * 10_000:
                major = connection.info.server_version // 10_000
                raise LedgerProblem(
                    f"{self.server} is a PostgreSQL {major}: {OLDEST} or later is needed"
                )
            cursor = connection.execute(_BEGIN)
            while cursor.nextset():
                pass
            (self.is_standby,) = cursor.fetchone() or (False,)
        except BaseException:
            connection.close()
            raise
        return connection

    def conninfo(self) -> str:
        """Return how libpq is told to connect, with a password if there is one."""
        return make_conninfo(**{**_SETTINGS, **_words(self.server)})

    def close(self) -> None:
        """Close every connection: one that is in use as soon as it is no more."""
        with self._lock:
            free, self._free = self._free, []
            self._is_closed = True
        for connection in free:
            connection.close()

    def drop(self) -> None:
        """Forget every connection without a word: after a fork they are another process's."""
        self._free = []

    def _take(self) -> PatientConnection:
        while True:
            with self._lock:
                connection = self._free.pop() if self._free else None
            if connection is None:
                return self.open()
            if _is_alive(connection):
                return connection
            connection.close()

    def _put(self, connection: PatientConnection) -> None:
        connection.answer_seconds = 0.0
        with self._lock:
            if not self._is_closed and connection.pgconn.transaction_status == _IDLE:
                self._free.append(connection)
                return
        connection.close()


_IDLE: Final = psycopg.pq.TransactionStatus.IDLE
_FAILED: Final = psycopg.pq.ExecStatus.FATAL_ERROR
_AGAIN_SECONDS: Final = 0.1


def _is_alive(connection: PatientConnection) -> bool:
    """Return whether the server has not closed a connection meanwhile: it says so before it goes.

    Looks at what has arrived and asks nothing, so that a question costs one way and not two.
    """
    if connection.closed:
        return False
    with suppress(psycopg.Error):
        pgconn = connection.pgconn
        pgconn.consume_input()
        is_free = pgconn.status == psycopg.pq.ConnStatus.OK and not pgconn.is_busy()
        return is_free and not connection.ended
    return False


def _words(server: Server) -> dict[str, Any]:
    try:
        return conninfo_to_dict(server.conninfo)
    except psycopg.Error:  # whose text may show a part of the password
        raise LedgerProblem(
            f"{server} has a parameter that libpq does not know, or cannot read: see "
            "https://www.postgresql.org/docs/current/libpq-connect.html"
        ) from None
