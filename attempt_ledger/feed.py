"""The feed: the ledger's events for whoever resumes by position, as lines or batches.

CloudEvents lines as `export` has them, or batches of them, one a line; into a stream that somebody
reads, or a file that a feed adds to for ever.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ledger.cloudevents import to_cloudevents, without_personal
from ledger.events import Recorded
from ledger.intake.source import LONGEST_LINE
from ledger.ledger import Ledger

_OPENING = b'{"specversion":"1.0","type":"'
_BLOCK = 1 << 16


class Chunk(NamedTuple):
    """Events that follow one another without a gap."""

    events: list[Recorded]
    last: bool
    """Whether they reached the head when they were read: nothing waits behind them."""


@dataclass(frozen=True)
class Form:
    """What a feed has in it, and how it is written."""

    types: frozenset[str] = frozenset()
    """Only events of these types; of all when empty."""
    personal: bool = True
    """Whether personal fields go out, as ciphertext, or are left out."""
    batch: int | None = None
    """At most so many events a line, as a JSON array; one a line without."""


class Piece(NamedTuple):
    """A piece of a feed: how many events it has in it, and its bytes, whole lines."""

    events: int
    content: bytes


class NotThisFeed(Exception):
    """The file cannot be gone on with; str() is one sentence that says why."""


def never() -> bool:
    """Go on for ever."""
    return False


def chunks(
    ledger: Ledger, after: int, *, follow: bool = False, stop: Callable[[], bool] = never
) -> Iterator[Chunk]:
    """Yield what comes after a position, up to the present head; following, whatever comes, too.

    Ends when `stop` returns true, which is called while nothing comes.
    """
    head = ledger.head().position

    def done() -> bool:
        return (not follow and after >= head) or stop()

    for events in ledger.follow(after, stop=done):
        after = events[-1].position
        if follow:
            # What comes after this look is found by the follower's own next one.
            yield Chunk(events, after >= ledger.head().position)
        else:
            yield Chunk([event for event in events if event.position <= head], after >= head)


def pieces(feed: Iterable[Chunk], form: Form) -> Iterator[Piece]:
    """Yield chunk after chunk as it is written, each as soon as it is there.

    A batch is full, or is all there is: none waits to be filled later.
    """
    pending: list[bytes] = []
    for events, last in feed:
        pending += [line.encode() for line in to_cloudevents(_chosen(events, form))]
        if form.batch is not None:
            batches, pending = _batches(pending, form.batch, last)
            if batches:
                lines = [b"[%b]\n" % b",".join(batch) for batch in batches]
                yield Piece(sum(map(len, batches)), b"".join(lines))
        elif pending:
            yield Piece(len(pending), b"\n".join([*pending, b""]))
            pending = []


def _batches(lines: list[bytes], most: int, last: bool) -> tuple[list[list[bytes]], list[bytes]]:
    """Return full batches, and what is left to fill the next, unless these are the last lines.

    A batch is full with so many lines, or when another would make it a line that `import` does not
    read any more.
    """
    batches: list[list[bytes]] = []
    batch: list[bytes] = []
    length = 0
    for line in lines:
        if len(batch) == most or (batch and length + len(line) + 4 > LONGEST_LINE):
            batches.append(batch)
            batch, length = [], 0
        batch.append(line)
        length += len(line) + 1
    if batch and (last or len(batch) == most):
        batches.append(batch)
        batch = []
    return batches, batch


def _chosen(events: Iterable[Recorded], form: Form) -> Iterable[Recorded]:
    if form.types:
        events = (event for event in events if event.type in form.types)
    return events if form.personal else map(without_personal, events)


def reader_gone(file: BinaryIO) -> bool:
    """Return whether nobody reads any more what is written here: only a pipe or socket knows."""
    try:
        descriptor = file.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


@contextmanager
def adding_to(path: Path, ledger: Ledger) -> Iterator[tuple[BinaryIO, int]]:
    """Open a feed's file to add to it; yields it, and the last position in it, 0 if it is empty.

    Half a line, left by a feed that was killed, is cut off. Raises NotThisFeed, and changes
    nothing, for a file whose last line is no event of this ledger, or that another feed writes;
    OSError, which names the file, if it cannot be opened or written.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotThisFeed(f"{path} is being written by another feed") from None
        end, line = _last_line(file)
        position = _position(line, path, ledger)
        file.truncate(end)
        file.seek(end)
        try:
            yield file, position
        except OSError as error:
            raise OSError(error.errno, error.strerror, error.filename or str(path)) from None


def _last_line(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the last whole line ends, and the line; of half a first line its beginning."""
    end = _line_start(file, file.seek(0, os.SEEK_END))
    start = _line_start(file, end - 1)
    file.seek(start)
    return end, file.read(end - start if end else len(_OPENING) + 1)


def _line_start(file: BinaryIO, end: int) -> int:
    """Return where the line begins that goes on at `end`: after a line end, or at 0."""
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _position(line: bytes, path: Path, ledger: Ledger) -> int:
    if not line.endswith(b"\n"):
        opening = line.removeprefix(b"[")
        if _OPENING[: len(opening)] == opening[: len(_OPENING)]:
            return 0
        raise NotThisFeed(f"{path} is no feed: it was left as it is")
    try:
        last = json.loads(line)
        named: dict[str, Any] = last[-1] if isinstance(last, list) else last
        position, key = int(named["sequence"]), (named["source"], named["id"])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise NotThisFeed(
            f"{path} is no feed, its last line is no event: it was left as it is"
        ) from None
    event = ledger.event(position)
    if event is None or (event.source, event.id) != key:
        raise NotThisFeed(
            f"{path} is a feed of another ledger: its last event is none of {ledger.path}'s"
        )
    return position
