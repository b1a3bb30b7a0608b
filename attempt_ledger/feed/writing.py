"""Write a feed: CloudEvents lines as `export` has them, or batches of them, one a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from attempt_ledger.feed.reading import Chunk
from ledger.cloudevents import to_cloudevents, without_personal
from ledger.events import Recorded


@dataclass(frozen=True)
class Form:
    """What a feed holds, and how it is written."""

    types: frozenset[str] = frozenset()
    """Only events of these types; of all when empty."""
    personal: bool = True
    """Whether personal fields go out, as ciphertext, or are left out."""
    batch: int | None = None
    """At most so many events a line, as a JSON array; one a line without."""


class Piece(NamedTuple):
    """A piece of a feed: how many events it holds, and its bytes, whole lines."""

    events: int
    content: bytes


def pieces(feed: Iterable[Chunk], form: Form) -> Iterator[Piece]:
    """Write chunk after chunk, each as soon as it is there.

    A batch is full, or holds all there is: none is held back to be filled later.
    """
    size = form.batch or 1
    pending: list[str] = []
    for events, last in feed:
        pending += to_cloudevents(_chosen(events, form))
        whole = len(pending) if last else len(pending) - len(pending) % size
        if whole:
            lines = pending[:whole]
            pending = pending[whole:]
            if form.batch is not None:
                lines = [
                    f"[{','.join(lines[start : start + size])}]" for start in range(0, whole, size)
                ]
            yield Piece(whole, "\n".join([*lines, ""]).encode())


def _chosen(events: Iterable[Recorded], form: Form) -> Iterable[Recorded]:
    if form.types:
        events = (event for event in events if event.type in form.types)
    return events if form.personal else map(without_personal, events)
