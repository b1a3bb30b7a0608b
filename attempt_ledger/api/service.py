"""One ledger as the service has it open: what routes ask, and where they append."""

from __future__ import annotations

import os
import threading
from asyncio import Future, Task, create_task, get_running_loop
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import anyio
import anyio.to_thread

from attempt_ledger.access import Access
from attempt_ledger.api.problems import BadQuestion, Problem
from attempt_ledger.api.register import Register
from attempt_ledger.moments import known as known_of
from attempt_ledger.moments import micros
from ledger.events import Row
from ledger.intake.recording import from_outside
from ledger.ledger import Ledger
from ledger.outcomes import Outcome, Refused
from projections.standing import Moment
from replay.snapshot import Engine, Snapshot
from retake_policies.zones import load_zone

T = TypeVar("T")
Rows: TypeAlias = Sequence[Row | Refused]
"""What came from outside; a Refused takes the place of what is no row."""

HEAVY: Final = 4
"""So many questions about everybody are computed at once; others wait."""
WRITERS: Final = 4
"""So many appends wait for the write lock, each in a thread."""
TOGETHER: Final = 1_000
"""So many rows of several appends, at most, are written in one transaction."""
SEAL_SECONDS: Final = 1.0
"""What was appended is sealed this long after it at the latest, while the service runs."""


class _Opened:
    """A ledger's file, open to be read, until another file is put in its place."""

    def __init__(self, access: Access, engine: Engine, stack: ExitStack) -> None:
        self.ledger = stack.enter_context(access.open())
        self.path = os.fspath(self.ledger.path)
        self.file = _file(self.path)
        self.snapshot = Snapshot(self.ledger, Moment(0, None, 0), engine)


def _file(path: str) -> tuple[int, int] | None:
    """Return which file lies where a ledger is: `restore` puts another there."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


class _Appends:
    """Appends that come while another is written share the next transaction, and one sync.

    Each is answered for itself. What harms the transaction harms none but the one that brought it:
    then each is tried alone. To be used in the event loop.
    """

    def __init__(self, write: Callable[[Callable[[Ledger], Any]], Awaitable[Any]]) -> None:
        self._write = write
        self._waiting: deque[tuple[Rows, Future[list[Outcome]]]] = deque()
        self._task: Task[None] | None = None

    async def take(self, rows: Rows) -> list[Outcome]:
        """Append rows with what else waits; await what became of each."""
        answered: Future[list[Outcome]] = get_running_loop().create_future()
        self._waiting.append((rows, answered))
        if self._task is None:
            self._task = create_task(self._run())
        return await answered

    async def _run(self) -> None:
        try:
            while self._waiting:
                together = [self._waiting.popleft()]
                room = TOGETHER - len(together[0][0])
                while self._waiting and (room := room - len(self._waiting[0][0])) >= 0:
                    together.append(self._waiting.popleft())
                try:
                    await self._append(together)
                except Exception:
                    for each in together:
                        try:
                            await self._append([each])
                        except Exception as error:
                            _settle(each[1], error)
        finally:
            self._task = None

    async def _append(self, together: Sequence[tuple[Rows, Future[list[Outcome]]]]) -> None:
        def append(ledger: Ledger) -> list[list[Outcome]]:
            with ledger.appending() as appending:
                return [
                    appending.take(
                        [
                            row if isinstance(row, Refused) else from_outside(row, appending)
                            for row in rows
                        ]
                    )
                    for rows, _ in together
                ]

        for (_, answered), outcomes in zip(together, await self._write(append), strict=True):
            _settle(answered, outcomes)


def _settle(answered: Future[list[Outcome]], found: list[Outcome] | Exception) -> None:
    if answered.done():
        return  # who sent it has gone
    if isinstance(found, Exception):
        answered.set_exception(found)
    else:
        answered.set_result(found)


class Service:
    """A ledger that is served: opened once, asked by any number of requests.

    Made in the process that serves, closed with `close`.
    """

    def __init__(self, access: Access, engine: Engine, register: Register) -> None:
        """Open the ledger; raises LedgerProblem."""
        self.access = access
        self.register = register
        self.engine = engine
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._opened = _Opened(access, engine, self._stack)
        self._writer: tuple[tuple[int, int] | None, Ledger, ExitStack] | None = None
        self._unsealed = False
        self.stopping = threading.Event()
        """Set when the service is to stop: who waits for news ends then."""
        self.heavy = anyio.CapacityLimiter(HEAVY)
        self.writers = anyio.CapacityLimiter(WRITERS)
        self._appends = _Appends(self.write)

    # -- asking

    @property
    def base(self) -> Snapshot:
        """The ledger, to be bound at any moment; opened anew where it was restored meanwhile."""
        if _file(self._opened.path) != self._opened.file:
            self._reopen()
        return self._opened.snapshot

    @property
    def ledger(self) -> Ledger:
        """The ledger, to be read."""
        return self.base.ledger

    def _reopen(self) -> None:
        with self._lock:
            if _file(self._opened.path) == self._opened.file:
                return
            if _file(self._opened.path) is None:
                raise Problem("unavailable", "The ledger is not there: it is being restored.")
            # Others may still read the old file: it is closed with the service.
            self._opened = _Opened(self.access, self.engine, self._stack)

    def now(self) -> int:
        """Return the present instant, microseconds UTC."""
        return self.access.clock()

    def snapshot(
        self, as_of: str | None = None, known_at: str | None = None, zone: tzinfo | None = None
    ) -> Snapshot:
        """Bind the ledger at a moment as people type it, by default now; raises Problem."""
        base, now = self.base, self.now()
        try:
            at = now if as_of is None else micros(as_of, "as_of", zone)
            wanted = known_of(known_at, "known_at", zone)
        except ValueError as error:
            raise BadQuestion(str(error)) from None
        return base.bind(at, wanted, now=now)

    async def many(self, work: Callable[..., T], *words: Any) -> T:
        """Run what looks at everybody in a thread, a few at once; await its result."""
        return await anyio.to_thread.run_sync(work, *words, limiter=self.heavy)

    @property
    def views(self) -> Path:
        """The read model, where there is one."""
        return Path(f"{os.path.realpath(self.access.path)}.views")

    # -- writing

    def writing(self) -> Ledger:
        """Return the ledger, open to be appended to; raises LedgerProblem."""
        file = _file(os.fspath(self.ledger.path))
        with self._lock:
            if self._writer is None or self._writer[0] != file:
                if self._writer is not None:
                    self._writer[2].close()
                stack = ExitStack()
                ledger = stack.enter_context(self.access.open(to_write=True))
                self._writer = file, ledger, stack
            self._unsealed = True
            return self._writer[1]

    async def append(self, rows: Rows) -> list[Outcome]:
        """Append rows from outside, durably, in one transaction; await what became of each."""
        return await self._appends.take(rows)

    async def write(self, work: Callable[[Ledger], T]) -> T:
        """Run what appends in a thread; await its result. It is sealed soon after."""
        return await anyio.to_thread.run_sync(lambda: work(self.writing()), limiter=self.writers)

    async def keep_sealed(self) -> None:
        """Seal what was appended, every now and then, until cancelled."""
        while True:
            await anyio.sleep(SEAL_SECONDS)
            if self._unsealed:
                await anyio.to_thread.run_sync(self.seal, limiter=self.writers)

    def seal(self) -> None:
        """Seal what was appended through this service; never fails."""
        writer = self._writer
        self._unsealed = False
        if writer is not None:
            self.access.seal_after(writer[1])

    def close(self) -> None:
        """Seal what is left, and close the ledger."""
        if self._writer is not None:
            self._writer[2].close()  # which seals
        self._stack.close()


def zone_of(name: str | None) -> tzinfo | None:
    """Find a time zone by its name, None for none; raises Problem."""
    if name is None:
        return None
    try:
        return load_zone(name)
    except ValueError as error:
        raise BadQuestion(f"zone: {error}") from None
