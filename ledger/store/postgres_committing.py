"""The order of commits: one transaction at a time appends, and says what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from threading import Event, Lock, Timer
from typing import Any, Final, TypeVar

import psycopg

from ledger.events import Row
from ledger.problems import LedgerProblem
from ledger.store import postgres_pool
from ledger.store.locks import SILENCE, USUALLY, Waiting
from ledger.store.postgres_pool import PatientConnection, Pool, process_shown, saying, settle
from ledger.store.postgres_problems import problem_of
from ledger.store.postgres_schema import quoted
from ledger.store.postgres_writing import PostgresWriting, Statements, texts_of
from ledger.store.server import Server

Answer = TypeVar("Answer")

_AGAIN_SECONDS: Final = 0.2
_NOTIFY_SECONDS: Final = 0.05
"""Followers are woken so long after an append."""
_NOTIFY_AGAIN_SECONDS: Final = 0.25
"""And at most so often by one store: eight that append all the time would spend a twentieth of two
processors on it, and followers look by themselves as well."""


class Transactions:
    """The write transactions of one store, one after the other."""

    def __init__(self, server: Server, pool: Pool) -> None:
        self._server = server
        self._pool = pool
        self._statements = Statements(server.schema)
        self._waiting: Waiting = USUALLY
        self._guard = Lock()
        self._is_news = False
        self._is_closed = False
        self._timer: Timer | None = None

    @contextmanager
    def writing(self, waiting: Waiting) -> Iterator[PostgresWriting]:
        """Open a transaction, and commit it at the end, durably.

        A commit whose answer is lost is asked after, by the key of the last row: it stands, or
        nothing does. Only where the server cannot be asked for as long as is to be waited, the
        problem says that it is not known; the same call again settles that too.
        """
        self._waiting = waiting
        with self._pool.connection() as first:
            connection, head = first, self._begun(first)
            if head is None:  # the server went away while nothing was under way
                connection = self._pool.open()
                head = self._begun(connection, again=False)
                assert head is not None
            writing = PostgresWriting(connection, self._server, head)
            try:
                yield writing
                self._finish(connection, writing)
            except BaseException:
                if not connection.closed:
                    with suppress(psycopg.Error):
                        connection.execute("ROLLBACK")
                raise
            finally:
                if connection is not first:
                    connection.close()

    def append_new(self, rows: Sequence[Row], now: int, known: int, waiting: Waiting) -> int | None:
        """Append rows in one call and one flush; return the first position.

        None, and nothing was changed, where a key is there already, or others keep the lock. Up to
        the position `known` nothing can be of this call.
        """
        self._waiting = waiting
        seconds = min(SILENCE, waiting.seconds)
        values: list[Any] = [f"{max(1, round(seconds * 1000))}", now]
        if len(rows) == 1:
            statement, values = self._statements.commit_one, [*values, *rows[0]]
        else:
            statement, values = self._statements.commit_new, [*values, len(rows), *texts_of(rows)]
        with self._pool.connection() as connection:
            process = connection.pgconn.backend_pid
            connection.answer_seconds = seconds + postgres_pool.COMMIT_SECONDS
            connection.warned.clear()
            try:
                with saying(connection, self._server, waiting):
                    first = int(connection.value(statement, values))
            except (psycopg.errors.UniqueViolation, psycopg.errors.LockNotAvailable):
                return None
            except psycopg.OperationalError:  # before it committed, or after
                first = self._asked_after(process, lambda later: later.place_of(rows)) or 0
                if first <= known:
                    return None
            except psycopg.Error as error:
                self._check_recorded(connection, rows[-1], known, error)
                raise
            self._check_confirmed(connection)
        self._wake()
        return first

    def _begun(
        self, connection: PatientConnection, *, again: bool = True
    ) -> tuple[int, int] | None:
        """Begin, and acquire the order lock; None if the connection turns out to be lost."""
        for seconds in self._waiting.steps(self._server, lambda: self._holder(connection)):
            try:
                return self._order(connection, seconds)
            except psycopg.errors.LockNotAvailable:
                connection.execute("ROLLBACK")
            except psycopg.OperationalError:
                if again and connection.closed:
                    return None
                raise
        raise AssertionError("unreachable")

    def _order(self, connection: PatientConnection, seconds: float) -> tuple[int, int]:
        milliseconds = max(1, round(seconds * 1000))
        connection.answer_seconds = seconds + postgres_pool.COMMIT_SECONDS
        cursor = connection.execute(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off; "
            f"SET LOCAL lock_timeout = {milliseconds}; {self._statements.begin}"
        )
        while cursor.nextset():
            pass
        ((position, recorded_at),) = cursor.fetchall()
        return int(position), int(recorded_at)

    def _holder(self, connection: PatientConnection) -> str:
        """Return who has the order lock, as far as the server says."""
        with suppress(psycopg.Error):
            found = connection.execute(
                "SELECT l.pid, a.application_name, a.client_addr::text FROM pg_locks l "
                "JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = "
                "c.relnamespace LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
                "WHERE n.nspname = %s AND c.relname = 'append_order' AND l.granted",
                (self._server.schema,),
            ).fetchone()
            if found is not None:
                return process_shown(*found)
        return "another program"

    def _finish(self, connection: PatientConnection, writing: PostgresWriting) -> None:
        """Commit, and wait until it is durable; what was only read is waited for likewise."""
        process = connection.info.backend_pid  # which a connection that is lost no longer says
        end = "COMMIT" if writing.wrote else "ROLLBACK"
        connection.warned.clear()
        try:
            with saying(connection, self._server, self._waiting):
                cursor = connection.execute(f"{end}; {self._statements.settle}")
            if writing.wrote and cursor.statusmessage == "ROLLBACK":
                raise LedgerProblem(f"{self._server} rolled back: nothing was written")
        except psycopg.Error as error:
            if not writing.wrote:
                raise
            connection.close()
            if not self._asked_after(process, writing.stands_in):
                raise problem_of(error, self._server) from error
        self._check_confirmed(connection)
        if writing.wrote:
            self._wake()

    def _check_confirmed(self, connection: PatientConnection) -> None:
        """Raise LedgerProblem for a commit that a standby did not confirm."""
        if connection.warned:
            warned = self._server.shown(connection.warned[0])
            raise LedgerProblem(
                f"{self._server} recorded it, but no standby confirmed that ({warned}): repeat "
                "the call, nothing will be there twice"
            )

    def _check_recorded(
        self, connection: PatientConnection, row: Row, known: int, error: psycopg.Error
    ) -> None:
        """Raise LedgerProblem where what failed in a call came after its commit: the flush.

        Up to the position `known` nothing can be of this call.
        """
        if error.diag.context is None or connection.closed:  # the call itself was refused
            return
        found = connection.execute(
            f"SELECT 1 FROM {self._statements.events} WHERE source = %s AND id = %s "
            "AND position > %s",
            (row.source, row.id, known),
        )
        if found.fetchone() is not None:
            message = self._server.shown(error.diag.message_primary or str(error))
            raise LedgerProblem(
                f"{self._server} recorded it, but cannot confirm that it is durable ({message}): "
                "repeat the call once it can, nothing will be there twice"
            ) from error

    def _asked_after(self, process: int, ask: Callable[[PostgresWriting], Answer]) -> Answer:
        """Ask a later transaction what became of one whose answer was lost.

        What it says is durable. Raises LedgerProblem where nobody can be asked for so long.
        """
        # In seconds, not in calls: one to a machine that is gone takes as long as it likes.
        ended = Event()
        timer = Timer(self._waiting.seconds, ended.set)
        timer.daemon = True
        timer.start()
        try:
            while True:
                try:
                    return self._answered(process, ask)
                except (psycopg.Error, LedgerProblem) as other:
                    last = other
                if ended.wait(_AGAIN_SECONDS):
                    break
        finally:
            timer.cancel()
        raise LedgerProblem(
            f"{self._server} was lost while it committed, and cannot be asked whether it did "
            f"({self._server.shown(str(last))}): repeat the call once it runs, nothing will be "
            "there twice"
        ) from last

    def _answered(self, process: int, ask: Callable[[PostgresWriting], Answer]) -> Answer:
        """Ask under the order lock, which a lost transaction kept until it ended somehow.

        A server that has not noticed that its program is gone is made to.
        """
        schema = quoted(self._server.schema)
        with closing(self._pool.open()) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.pid = %s AND "
                f"l.relation = '{schema}.append_order'::regclass",
                (process,),
            )
            head = self._order(connection, max(1.0, self._waiting.seconds))
            answer = ask(PostgresWriting(connection, self._server, head))
            settle(connection, f"ROLLBACK; {self._statements.settle}", self._server, self._waiting)
            return answer

    def _wake(self) -> None:
        """Wake who follows, soon: once for all that is committed meanwhile.

        In a transaction of its own: a notification queues every commit that there is.
        """
        with self._guard:
            self._is_news = True
            if self._timer is None:
                self._look_in(_NOTIFY_SECONDS)

    def _look_in(self, seconds: float) -> None:
        self._timer = Timer(seconds, self._notify)
        self._timer.daemon = True
        self._timer.start()

    def _notify(self) -> None:
        with self._guard:
            is_news, self._is_news = self._is_news, False
            if not is_news:
                self._timer = None
                return
        with suppress(LedgerProblem), self._pool.connection() as connection:
            # They look by themselves, too: nothing is lost with a notification.
            connection.execute(
                "BEGIN; SET LOCAL synchronous_commit = off; "
                f"NOTIFY {quoted(self._server.schema)}; COMMIT"
            )
        with self._guard:
            if not self._is_closed:
                self._look_in(_NOTIFY_AGAIN_SECONDS)

    def close(self) -> None:
        """Wake who follows now, if that is still to be done."""
        with self._guard:
            timer, self._is_closed = self._timer, True
        if timer is not None:
            timer.cancel()
            timer.join()
            self._notify()
