"""What appending would do, found out without recording anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from ledger.appending import Appending
from ledger.events import Recorded, Row
from ledger.ledger import Ledger
from ledger.privacy.vault import KEY_FILE, Keyring, OpenKeys, Vault
from ledger.store.schema import SCHEMA
from ledger.store.sqlite import Writing


class Rehearsal(Ledger):
    """A ledger as it would be: what is appended goes to memory, on top of what is recorded.

    Duplicates, conflicts and refusals are told as the ledger itself would tell them. Personal
    fields are not encrypted, since no key may be made for what is not recorded; nothing of a
    rehearsal is ever written anywhere.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Rehearse on a ledger, from its head on; it stays the caller's to close."""
        super().__init__(ledger.path, clock=ledger._clock, keys=ledger.vault.path, read_only=True)
        # By the ledger's word, not its own: a rehearsal is closed at its last use, by its user.
        self.vault = Vault(ledger.vault.path, lambda: ledger.about(KEY_FILE), ledger.is_forgotten)
        self.base = self.head()
        self._store = sqlite3.connect(":memory:", isolation_level=None)
        self._store.executescript(SCHEMA)

    @property
    def rehearsed(self) -> list[Recorded]:
        """What would have been recorded, by position."""
        return self._rows("ORDER BY position")

    @contextmanager
    def appending(self) -> Iterator[Appending]:
        """Hold one rehearsed transaction open."""
        self._store.execute("BEGIN")
        try:
            writing = _Rehearsed(self._store, self)
            with closing(OpenKeys(self.vault.path)) as keys:
                keyring = _Unencrypting(keys, writing)
                yield Appending(writing, keyring, self._clock(), upcasts=self._upcasts)
        except BaseException:
            self._store.execute("ROLLBACK")
            raise
        self._store.execute("COMMIT")

    def stream(
        self, stream: str, *, upto: int | None = None, exam: str | None = None
    ) -> list[Recorded]:
        """Return the events of one stream, rehearsed ones last."""
        more = self._rows("WHERE stream = ? ORDER BY position", (stream,))
        rows = super().stream(stream, upto=upto, exam=exam)
        return rows + [
            row
            for row in more
            if (upto is None or row.position <= upto) and (exam is None or row.exam in (None, exam))
        ]

    def close(self) -> None:
        """Forget everything."""
        self._store.close()
        super().close()

    def _rows(self, where: str, parameters: Sequence[object] = ()) -> list[Recorded]:
        found = self._store.execute(f"SELECT * FROM events {where}", parameters)
        return [Recorded._make(row) for row in found]


class _Rehearsed(Writing):
    """A transaction that writes to memory and looks into the ledger beneath."""

    def __init__(self, connection: sqlite3.Connection, ledger: Rehearsal) -> None:
        super().__init__(connection)
        self._ledger = ledger
        if not self.position:
            self.position, self.recorded_at = ledger.base

    def insert(self, recorded_at: Sequence[int] | Iterator[int], rows: Sequence[Row]) -> int:
        """Take nothing at once: each key must be looked for in the ledger first."""
        return 0

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the row of that key, recorded or rehearsed."""
        return super().find(source, id) or self._ledger.find(source, id)

    def annulled(self, stream: str, after: int) -> list[int]:
        """Return the positions that the events of a stream annul, recorded and rehearsed."""
        return [row.annuls for row in self._ledger.stream(stream) if row.annuls is not None]

    def is_forgotten(self, stream: str) -> bool:
        """Return whether a CandidateForgotten is in the stream."""
        return any(row.type == "CandidateForgotten" for row in self._ledger.stream(stream))


class _Unencrypting(Keyring):
    """Leaves personal fields as they are, which bear on no standing, and every key alone."""

    def encrypt(self, row: Row, data: dict[str, Any], fields: Sequence[str]) -> Row:
        """Return the row back."""
        return row

    def destroy(self, candidate: str) -> bool:
        """Destroy nothing."""
        return False
