"""A results CSV read in a second process, so that reading and writing overlap on two cores."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.events import row_of
from ledger.intake.results import CsvSettings, ResultsReader
from ledger.intake.source import BrokenSource, Item, Source, SourceProblem, open_source
from ledger.problems import LedgerProblem

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

WORTH_BYTES = 4 << 20
"""From this size on a second process pays: some 50,000 rows. It takes a third of a second to start.
"""

_COMPRESSED_TO = 8  # how many times smaller a results CSV is when compressed
_ITEMS_SENT = 256
_MESSAGES_AHEAD = 32  # some 5 MB: more rows than a transaction of 50 ms takes


def pays_a_process(source: Source) -> bool:
    """Return whether an input can be read by another process, and is large enough to pay for it."""
    if source.path is None or source.size is None or source.is_workbook:
        return False
    return source.size * (_COMPRESSED_TO if source.is_compressed else 1) >= WORTH_BYTES


# As `_make` does it, without a look at how many values there are: this runs once for each row.
_item: Callable[[tuple[Any, ...]], Item] = partial(tuple.__new__, Item)


class _Message(NamedTuple):
    """What the reading process sends: plain values, which cost half as much as models."""

    items: list[tuple[int, list[str], list[tuple[Any, ...]], str, int | None, str]]
    bytes_read: int
    ended: bool
    problem: str
    """Why it ended before the input did; empty if it did not."""


class ReadingProcess:
    """A `ResultsReader` at work in another process; the file's header is sound already."""

    def __init__(self, source: Source, settings: CsvSettings) -> None:
        # Most imports are small, and need not pay for loading it: 8 ms.
        from multiprocessing import get_context

        self.bytes_read = 0
        self._path = source.name
        # Not forked: a child must have neither our threads' locks nor SQLite's files.
        context = get_context("spawn")
        self._receiving, sending = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_read, args=(source.name, source.identity, settings, sending), daemon=True
        )
        with _no_interrupt():
            self._process.start()
        sending.close()
        # A pipe holds little: without somebody who empties it meanwhile, the reader would wait for
        # the end of each transaction.
        self._messages: Queue[bytes | None] = Queue(_MESSAGES_AHEAD)
        self._thread = Thread(target=self._receive, daemon=True)
        self._thread.start()

    def items(self) -> Iterator[Item]:
        """Yield every row in order; raises BrokenSource, or LedgerProblem if the reader died."""
        while (received := self._messages.get()) is not None:
            message: _Message = pickle.loads(received)
            self.bytes_read = message.bytes_read
            for line, fields, rows, problem, kept, doubt in message.items:
                yield _item((line, fields, list(map(row_of, rows)), problem, kept, doubt))
            if message.problem:
                raise BrokenSource(message.problem)
            if message.ended:
                return
        raise LedgerProblem(
            f"the process that reads {self._path} ended before its time: run the import again"
        )

    def close(self) -> None:
        """End the process, wherever it is."""
        self._process.terminate()
        while self._thread.is_alive():
            with suppress(Empty):
                self._messages.get(timeout=0.01)
        self._process.join()
        self._process.close()
        self._receiving.close()

    def _receive(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._messages.put(self._receiving.recv_bytes())
        self._messages.put(None)


def _read(
    path: str, identity: tuple[int, int] | None, settings: CsvSettings, sending: Connection
) -> None:
    """Read the file and send its rows: all that the other process does."""
    bytes_read, ended_by = 0, ""
    with suppress(BrokenPipeError):  # nobody is there any more to read for
        try:
            with open_source(path, encoding=settings.map.encoding) as source:
                if source.identity != identity:
                    raise SourceProblem(f"{path} was replaced while it was read: run it again")
                items = ResultsReader(source, settings).items()
                while some := [
                    (line, list(raw), list(map(tuple, rows)), problem, kept, doubt)
                    for line, raw, rows, problem, kept, doubt in islice(items, _ITEMS_SENT)
                ]:
                    bytes_read = source.bytes_read
                    _send(sending, _Message(some, bytes_read, False, ""))
        except LedgerProblem as problem:
            ended_by = str(problem)
        _send(sending, _Message([], bytes_read, True, ended_by))


def _send(sending: Connection, message: _Message) -> None:
    sending.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Start a process that Ctrl-C does not reach: it is ended by the one that started it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
