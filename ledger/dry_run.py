"""What appending would do, found out without recording anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from ledger.appending import Appending
from ledger.events import Recorded, Row
from ledger.ledger import Ledger
from ledger.models import CandidateForgotten
from ledger.outcomes import Refused
from ledger.privacy.vault import KEY_FILE, Keyring, Vault, open_keys
from ledger.store.interface import Head
from ledger.store.server import Server


class DryRun(Ledger):
    """A ledger as it would be: what is appended goes to memory, on top of what is recorded.

    Duplicates, conflicts and refusals are those of the ledger itself. Personal fields are not
    encrypted, since no key may be made for what is not recorded; nothing is written anywhere.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Begin at a ledger's head; it stays the caller's to close."""
        super().__init__(
            ledger.env,
            server=ledger.path if isinstance(ledger.path, Server) else None,
            clock=ledger.clock,
            keys=ledger.vault.path,
            read_only=True,
        )
        # By the ledger's word, not its own: a dry run is closed at its last use, by its user.
        self.vault = Vault(ledger.vault.path, lambda: ledger.about(KEY_FILE), ledger.is_forgotten)
        self.base = super().head()
        self.appended: list[Recorded] = []
        """What would have been recorded, by position."""
        self._by_key: dict[tuple[str, str], Recorded] = {}
        self._by_stream: dict[str, list[Recorded]] = defaultdict(list)
        self._of_key: dict[str, list[Recorded]] = defaultdict(list)

    def append_new(self, rows: Sequence[Row | Refused]) -> None:
        """Return None: the store is not asked to append anything."""

    @contextmanager
    def appending(self) -> Iterator[Appending]:
        """Open one transaction, of which nothing is recorded."""
        writing = _DryWriting(self)
        with closing(open_keys(self.vault.path)) as keys:
            keyring = _Unencrypting(keys, writing)
            yield Appending(writing, keyring, self.clock(), upcasts=self._upcasts)
        self.appended += writing.rows
        self._by_key |= writing.by_key
        for row in writing.rows:
            self._by_stream[row.stream].append(row)
            if row.key is not None and row.exam is not None:
                self._of_key[row.key].append(row)

    def head(self) -> Head:
        """Return the last position, recorded or tried, and when it was recorded."""
        return Head(*self.appended[-1][:2]) if self.appended else super().head()

    def sources(self) -> set[str]:
        """Return the sources of events, recorded or tried."""
        return {*super().sources(), *(row.source for row in self.appended)}

    def of_several_sources(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        """Return (candidate, exam) of registrations that may be spoken of by several sources.

        Those that are tried are: what is recorded of each is not looked up.
        """
        found = {(row.subject, row.exam or "") for key in keys for row in self._of_key[key]}
        return sorted({*super().of_several_sources(keys), *found})

    def stream(
        self, stream: str, *, upto: int | None = None, exam: str | None = None
    ) -> list[Recorded]:
        """Return the events of one stream, tried ones last."""
        return super().stream(stream, upto=upto, exam=exam) + [
            row
            for row in self._by_stream[stream]
            if (upto is None or row.position <= upto) and (exam is None or row.exam in (None, exam))
        ]

    def outlines(self, stream: str, upto: int) -> list[Recorded]:
        """Return the events of one stream up to a position, tried ones last."""
        return self.stream(stream, upto=upto)

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the event of that idempotency key, recorded or tried."""
        return self._by_key.get((source, id)) or super().find(source, id)


class _DryWriting:
    """A `Writing` that writes to memory and looks into the ledger beneath."""

    def __init__(self, ledger: DryRun) -> None:
        self._ledger = ledger
        self.rows: list[Recorded] = []
        self.by_key: dict[tuple[str, str], Recorded] = {}
        self.keeps_extensions = ledger.store.keeps_extensions
        self.position, self.recorded_at = ledger.base
        if ledger.appended:
            self.position, self.recorded_at = ledger.appended[-1][:2]

    def insert(self, recorded_at: Sequence[int] | Iterator[int], rows: Sequence[Row]) -> int:
        """Insert nothing at once: each key must be looked for in the ledger first."""
        return 0

    def insert_one(self, recorded_at: int, row: Row) -> int:
        """Keep a row whose key is known to be new; return its position."""
        self.position += 1
        new = self.by_key[row.source, row.id] = Recorded(self.position, recorded_at, *row)
        self.rows.append(new)
        return self.position

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the row of that key, recorded or tried."""
        return self.by_key.get((source, id)) or self._ledger.find(source, id)

    def annulments(self, stream: str) -> dict[int, int]:
        """Return the annulled positions of a stream, recorded and tried."""
        rows = self._stream(stream)
        return {row.annuls: row.position for row in reversed(rows) if row.annuls is not None}

    def is_forgotten(self, stream: str) -> bool:
        """Return whether a CandidateForgotten is in the stream."""
        return any(row.type == CandidateForgotten.type for row in self._stream(stream))

    def about(self, name: str) -> str | None:
        """Return nothing: no key is made, so none needs to be the one that is remembered."""
        return None

    def remember(self, name: str, value: str) -> None:
        """Remember nothing."""

    def _stream(self, stream: str) -> list[Recorded]:
        return [*self._ledger.stream(stream), *(row for row in self.rows if row.stream == stream)]


class _Unencrypting(Keyring):
    """Leaves personal fields as they are, which bear on no standing, and every key alone."""

    def encrypt(self, row: Row, data: dict[str, Any], fields: Sequence[str]) -> Row:
        """Return the row back."""
        return row

    def destroy(self, candidate: str) -> bool:
        """Destroy nothing."""
        return False
