"""Where a feed that goes on for ever is written: a file it adds to, or a stream somebody reads."""

from __future__ import annotations

import fcntl
import json
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ledger.ledger import Ledger

_OPENING = b'{"specversion":"1.0","type":"'
_BLOCK = 1 << 16


class NotThisFeed(Exception):
    """The file cannot be gone on with; str() is one sentence that says why."""


@contextmanager
def adding_to(path: Path, ledger: Ledger) -> Iterator[tuple[BinaryIO, int]]:
    """Open a feed's file to add to it; give it, and the last position in it, 0 if it is empty.

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
    """Find where the last whole line ends, and the line; of half a first line its beginning."""
    size = file.seek(0, os.SEEK_END)
    start, tail, end = size, b"", -1
    while start > 0:
        length = min(_BLOCK, start)
        start -= length
        file.seek(start)
        tail = file.read(length) + tail
        if end < 0 and b"\n" in tail:
            end = start + tail.rindex(b"\n") + 1
        if end >= 0 and b"\n" in tail[: end - start - 1]:
            break
    if end < 0:
        return 0, tail[: len(_OPENING) + 1]
    whole = tail[: end - start - 1]
    return end, whole[whole.rfind(b"\n") + 1 :] + b"\n"


def _position(line: bytes, path: Path, ledger: Ledger) -> int:
    if not line.endswith(b"\n"):
        opening = line.removeprefix(b"[")
        if _OPENING[: len(opening)] == opening[: len(_OPENING)]:
            return 0
        raise NotThisFeed(f"{path} is no feed: it was left as it is")
    try:
        last = json.loads(line)
        event: dict[str, Any] = last[-1] if isinstance(last, list) else last
        position, key = int(event["sequence"]), (event["source"], event["id"])
    except (ValueError, LookupError, TypeError):
        raise NotThisFeed(
            f"{path} is no feed, its last line is no event: it was left as it is"
        ) from None
    if [(row.source, row.id) for row in ledger.read(position - 1, position)] != [key]:
        raise NotThisFeed(
            f"{path} is a feed of another ledger: its last event is none of {ledger.path}'s"
        )
    return position


def reader_gone(file: BinaryIO) -> bool:
    """Return whether nobody reads any more what is written here: only a pipe or socket knows."""
    try:
        descriptor = file.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))
