"""What the ledger asks of whatever keeps its events: the interface of a store.

A store keeps rows at positions 1, 2, 3 … without a gap, in the order in which they were committed,
and what the ledger remembers of itself, as names and values. Whoever writes another one makes it
pass `tests/test_store_contract.py`. Whatever goes wrong in it is a LedgerProblem.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ledger.events import Outline, Recorded, Row
from ledger.store.locks import Waiting
from ledger.store.server import Address

if TYPE_CHECKING:
    from ledger.store.scans import Scans

PAGE = 4096
"""So many rows, at most, are read at once."""


class Head(NamedTuple):
    """The last position and its recorded_at, (0, 0) in an empty ledger."""

    position: int
    recorded_at: int


class Found(NamedTuple):
    """A candidate found by `search`, and by what."""

    candidate: str
    by: str
    """``candidate``, ``registration_id`` or ``request_id``."""
    value: str


class Writing(Protocol):
    """What may be done inside the one write transaction."""

    position: int
    recorded_at: int
    """The last of each, (0, 0) in an empty ledger."""
    keeps_extensions: bool
    """Whether extension attributes can be kept; if not, no row that has them is inserted."""

    def insert(self, recorded_at: Sequence[int] | Iterator[int], rows: Sequence[Row]) -> int:
        """Insert rows at the next positions; stop before the first whose key is in the ledger.

        Returns how many went in.
        """

    def insert_one(self, recorded_at: int, row: Row) -> int:
        """Insert a row whose key is known to be new; returns its position."""

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the row of that key, of this transaction too."""

    def annulments(self, stream: str) -> dict[int, int]:
        """Return the annulled positions of a stream, each with that of its first annulment."""

    def is_forgotten(self, stream: str) -> bool:
        """Return whether a CandidateForgotten, of any version, is in the stream."""

    def about(self, name: str) -> str | None:
        """Return what the ledger remembers under a name."""

    def remember(self, name: str, value: str) -> None:
        """Remember a value under a name, with this transaction."""


class Watch(Protocol):
    """Tells whether anything was written, without reading an event."""

    def changed(self) -> bool:
        """Return whether anybody may have written since this was last called; at first, true."""

    def wait(self, seconds: float) -> None:
        """Wait so long before the next look, or until the store says that there is something."""

    def close(self) -> None:
        """Let go of what it takes to look."""


class Store(Protocol):
    """Keeps the events of one ledger. May be shared by threads, not across a fork.

    Each method that reads sees one state, of all that was committed; two calls may see two.
    """

    read_only: bool
    """Whether `writing` is refused."""
    waiting: Waiting
    """How long to wait for others that write, and whom to tell."""

    @property
    def address(self) -> Address:
        """Where it is. Who asks a server by this address asks over the store's connections."""

    @property
    def works_elsewhere(self) -> bool:
        """Whether a server does the work, so that this program can do something else meanwhile."""

    @property
    def keeps_extensions(self) -> bool:
        """Whether extension attributes of events can be kept."""

    def writing(self) -> AbstractContextManager[Writing]:
        """Open the one write transaction there can be; commit it at the end, durably.

        Rolls back if the body raises, or wrote nothing. Raises LedgerProblem when the store cannot
        take it; then nothing was changed.
        """

    def append_new(self, rows: Sequence[Row], now: int) -> int | None:
        """Append rows in fewer steps than a transaction takes, if the store knows how.

        All with one recorded_at, max(now, the last + 1); returns the first of their positions,
        durably. None where one of the keys is there, or it takes a transaction: then nothing was
        changed. Raises LedgerProblem as `writing` does.
        """

    def head(self) -> Head:
        """Return the last position and its recorded_at."""

    def position_at(self, known_at: int) -> int:
        """Return the last position with recorded_at ≤ `known_at` (microseconds), 0 if none."""

    def stream(
        self, stream: str, *, upto: int | None = None, exam: str | None = None
    ) -> list[Recorded]:
        """Return the events of one stream up to a position, by position.

        With `exam` those of other exams are left out; what is of no exam stays.
        """

    def outlines(self, stream: str, upto: int) -> Sequence[Outline | Recorded]:
        """Return what a standing is made of, of one stream up to a position, by position.

        Or all of them, where that is no slower.
        """

    def last(self, stream: str, upto: int) -> Head:
        """Return where the last event of a stream up to a position stands, and its recorded_at.

        (0, 0) for none.
        """

    def page(
        self, after: int, upto: int | None = None, *, topics: Sequence[str] = (), limit: int = PAGE
    ) -> list[Recorded]:
        """Return the first events after a position, by position; `topics` empty: of any."""

    def at(self, positions: Sequence[int]) -> list[Recorded]:
        """Return the events at some positions, in any order."""

    def kinds(self, kinds: Sequence[str], after: int, upto: int | None) -> list[Recorded]:
        """Return every event of streams of some kinds (``exam``) within a range, by position."""

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the event of that idempotency key, or None."""

    def keys_at(self, positions: Sequence[int]) -> dict[int, str | None]:
        """Return the key (registration, request or certification) of each event that there is."""

    def sources(self, most: int) -> list[str]:
        """Return the sources of the events, sorted by code point, at most so many."""

    def of_several_sources(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        """Return (stream, exam) of each key that events of more than one source name, sorted."""

    def of_topics(self, keys: Sequence[str], topics: Sequence[str]) -> list[tuple[str, str]]:
        """Return (stream, exam) of each key that an event of some topics names, sorted."""

    def subjects(self, kind: str, after: str) -> list[tuple[str, int]]:
        """Return the next subjects of a kind of stream, each with its first position.

        Sorted by code point, those that come after one (""), at most PAGE of them.
        """

    def is_forgotten(self, stream: str) -> bool:
        """Return whether a CandidateForgotten, of any version, is in the stream."""

    def forgotten(self) -> list[str]:
        """Return every stream with a CandidateForgotten, in any order. Looks at every event."""

    def search(self, text: str, limit: int) -> list[Found]:
        """Return candidates whose id, a registration id or a request id begins with `text`.

        By candidate id first, then by the others, each sorted by code point.
        """

    def about(self, name: str) -> str | None:
        """Return what the ledger remembers under a name."""

    def watch(self) -> Watch:
        """Return what tells whether anything was written; for one thread, to be closed."""

    def scans(self) -> Scans:
        """Return the same events as Arrow. Imports pyarrow, which few questions need."""

    def check(self) -> None:
        """Raise Redefined if something else than a ledger is kept in the same place."""

    def upgrade(self) -> bool:
        """Bring it to the format of new ledgers, wholly or not at all; return whether it was older.

        Raises LedgerProblem; then nothing was changed.
        """

    def close(self) -> None:
        """Close it. What was committed is durable without it."""
