"""The end of the ledger, read once for all who follow it: new events wake everybody who waits."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

import anyio

from attempt_ledger.api.service import Service
from ledger.cloudevents import to_cloudevents
from ledger.events import Recorded
from ledger.problems import LedgerProblem

KEPT: Final = 8_192
"""So many events are at hand for followers; who is further behind reads the store."""
PIECE: Final = 500
"""So many events, at most, are sent at once."""
READS: Final = 2
"""So many followers who are far behind are read for at once."""
AGAIN_SECONDS: Final = 0.5
"""When the ledger cannot be read, it is tried again so soon."""


class Entry(NamedTuple):
    """An event as followers take it."""

    position: int
    type: str
    source: str
    id: str
    frame: bytes
    """It as a server-sent event: CloudEvents JSON, personal fields as ciphertext."""


class News(NamedTuple):
    """What a follower of some types is sent next."""

    frames: bytes
    last: Entry | None
    """The last event in it, None where all were of other types."""
    upto: int
    """The position to go on from."""


def news_of(entries: Sequence[Entry], types: frozenset[str], upto: int) -> News:
    """Choose the events of some types, all where none is named."""
    wanted = [each for each in entries if not types or each.type in types]
    frames = b"".join([each.frame for each in wanted])
    return News(frames, wanted[-1] if wanted else None, upto)


def entries_of(rows: Sequence[Recorded]) -> list[Entry]:
    """Return events as followers take them."""
    return [
        Entry(
            row.position,
            row.type,
            row.source,
            row.id,
            f"id: {row.position}\ndata: {line}\n\n".encode(),
        )
        for row, line in zip(rows, to_cloudevents(rows), strict=True)
    ]


class Tail:
    """The last events, and a bell. Made and asked in the event loop; a thread reads the ledger."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._shared: dict[tuple[int, frozenset[str]], News] = {}
        self._bell = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, name="tail", daemon=True)
        self.position = service.ledger.head().position
        """The last position that is at hand."""
        self.ledger = service.ledger
        """The ledger that positions are of: another once it was restored."""
        self.reads = anyio.CapacityLimiter(READS)
        """For who is far behind: many of them at once would leave the loop no turn."""
        self.ended = False
        """Whether the service is to stop."""
        self._thread.start()

    def after(self, position: int, types: frozenset[str]) -> News | None:
        """Return what is new after a position; None where it is not at hand.

        Laid out once for all who have the same: they come in step, and get the same bytes.
        """
        count = self.position - position
        if count <= 0:
            return News(b"", None, position)
        if count > len(self._entries):
            return None
        found = self._shared.get((position, types))
        if found is None:
            start = len(self._entries) - count
            entries = list(islice(self._entries, start, start + PIECE))
            found = news_of(entries, types, entries[-1].position)
            self._shared[position, types] = found
        return found

    async def wait(self, seconds: float) -> bool:
        """Wait until something is new, or the service ends; return False when time is up."""
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Let everybody go who waits, and the thread end."""
        self._service.stopping.set()
        await asyncio.to_thread(self._thread.join)
        self._end()

    # -- in the thread

    def _follow(self) -> None:
        stopping, position = self._service.stopping, self.position
        ledger = self.ledger
        while not stopping.is_set():
            try:
                if self._service.ledger is not ledger:
                    ledger = self._service.ledger
                    position = ledger.head().position
                    self._call(self._begin_anew, ledger, position)

                def stop(of: object = ledger) -> bool:
                    return stopping.is_set() or self._service.ledger is not of

                for rows in ledger.follow(position, stop=stop):
                    position = rows[-1].position
                    self._call(self._arrived, entries_of(rows))
            except Exception as error:  # the ledger is being restored, or its server is away
                if not isinstance(error, LedgerProblem) and stopping.is_set():
                    break
                stopping.wait(AGAIN_SECONDS)
        self._call(self._end)

    def _call(self, function: object, *words: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *words)  # type: ignore[arg-type]

    # -- in the loop

    def _arrived(self, entries: Sequence[Entry]) -> None:
        self._entries.extend(entries)
        self._shared.clear()
        self.position = entries[-1].position
        self._ring()

    def _begin_anew(self, ledger: object, position: int) -> None:
        self._entries.clear()
        self._shared.clear()
        self.ledger = ledger  # type: ignore[assignment]
        self.position = position
        self._ring()

    def _end(self) -> None:
        self.ended = True
        self._ring()

    def _ring(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        if self.ended:
            self._bell.set()
        bell.set()
