"""The keys of one append transaction: personal fields are encrypted, compared, and destroyed."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from pydantic_core import to_json

from ledger.events import Recorded, Row
from ledger.privacy.cipher import Sealer, associated_data, opens, places, sealed_fields, tag
from ledger.privacy.key_file import Erasure, KeyFile, create_key_file
from ledger.privacy.key_place import KeyPlace
from ledger.privacy.key_storage import key_problems
from ledger.store.sqlite import Writing

KEY_FILE: Final = "key file"
"""The name under which a ledger remembers the id of its key file."""


class Keyring:
    """What one append transaction does with keys; made by `Vault.keyring`, under the write lock.

    A context manager: what is done is durable at the end, and taken back if the body raises. The
    key file is opened when the first key is needed. That end comes before the ledger's own: a key
    is durable before the event that needs it, and destroyed before the event that says so. A
    crash in between leaves a key that nothing was encrypted with, or a key destroyed without its
    event, which `ledger.privacy.erasure.forget` completes.
    """

    def __init__(self, place: KeyPlace, writing: Writing) -> None:
        self._place = place
        self._writing = writing
        self._keys: KeyFile | None = None
        self._is_known = False
        self._sealers: dict[str, Sealer] = {}

    def __enter__(self) -> Keyring:
        """Begin; nothing is opened yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit, or roll back."""
        if self._keys is None:
            return
        try:
            if error is None:
                self.commit()
        finally:
            self._keys.rollback()

    def seal(self, row: Row, data: dict[str, Any], fields: Sequence[str]) -> Row | None:
        """Return the row with some fields of its data encrypted; makes the first key if need be.

        None if the candidate's key was destroyed: then no personal field is taken any more.
        """
        subject = row.stream[row.stream.index("/") + 1 :]
        sealer = self._sealers.get(subject) or self._sealer(subject)
        if sealer is None:
            return None
        for name, place in zip(fields, places(subject, row.source, row.id, fields), strict=True):
            data[name] = sealer.seal(place, data[name])
        return Row._make((*row[:-1], to_json(data).decode()))

    def _sealer(self, subject: str) -> Sealer | None:
        keys = self._made()
        with key_problems(self._place.path):
            key, destroyed = keys.look_up(subject)
            if destroyed:
                return None
            sealer = self._sealers[subject] = Sealer(key or keys.keep(subject))
        self._remember(keys)
        return sealer

    def unopened(self, row: Row, data: Mapping[str, Any]) -> list[str]:
        """Name the encrypted fields of a row that the candidate's key does not open.

        None if there is no such key (any more): ciphertext then moves in as it is.
        """
        fields = sealed_fields(row.topic, data)
        keys = self._found() if fields else None
        if keys is None:
            return []
        subject = row.stream.partition("/")[2]
        with key_problems(self._place.path):
            key, _ = keys.look_up(subject)
        if key is None:
            return []
        bound = places(subject, row.source, row.id, fields)
        return [
            name
            for name, place in zip(fields, bound, strict=True)
            if opens(key, place, data[name]) is None
        ]

    def same_secret(self, stored: Recorded, field: str, old: Any, new: Any) -> bool:
        """Return whether two values of a personal field say the same (a `compare.SameSecret`).

        Without the key there is no telling a plain text from a sealed one, and with the key
        destroyed nothing at all: then they count as the same, and the clear fields decide alone.
        """
        if isinstance(old, dict) and isinstance(new, dict) and old["hmac"] == new["hmac"]:
            return True
        keys = self._found()
        if keys is None:
            key, destroyed = None, False
        else:
            with key_problems(self._place.path):
                key, destroyed = keys.look_up(stored.subject)
        if destroyed:
            return True
        if old is None or new is None or (isinstance(old, dict) and isinstance(new, dict)):
            return False
        if key is None:
            return True
        place = associated_data(stored.subject, stored.source, stored.id, field)
        told, other = (
            value["hmac"] if isinstance(value, dict) else tag(key, place, value)
            for value in (old, new)
        )
        return hmac.compare_digest(told, other)

    def destroy(self, candidate: str) -> bool:
        """Destroy a candidate's key, if there is a key file; tell whether there was a key."""
        self._sealers.pop(candidate, None)
        keys = self._found()
        if keys is None:
            return False
        self._remember(keys)
        with key_problems(self._place.path):
            return keys.destroy(candidate)

    def register(self, erasure: Erasure) -> None:
        """Keep why a candidate was forgotten, in the key file, which is made if there is none."""
        keys = self.adopt()
        with key_problems(self._place.path):
            keys.destroy(erasure.candidate)
            keys.register(erasure)

    def file(self) -> KeyFile | None:
        """Return the open key file, for what else is done with it; None if there is none."""
        return self._found()

    def adopt(self) -> KeyFile:
        """Return the open key file, which is this ledger's from now on; made if there is none."""
        keys = self._made()
        self._remember(keys)
        return keys

    def commit(self) -> None:
        """Make durable what was done; raises LedgerProblem when it cannot be."""
        if self._keys is not None:
            with key_problems(self._place.path):
                self._keys.commit()

    def _found(self) -> KeyFile | None:
        if self._keys is None:
            remembered = self._writing.about(KEY_FILE)
            self._keys = self._place.key_file(remembered, begun=True)
            self._is_known = remembered is not None
        return self._keys

    def _made(self) -> KeyFile:
        keys = self._found()
        if keys is None:
            create_key_file(self._place.path)
            keys = self._found()
            assert keys is not None
        return keys

    def _remember(self, keys: KeyFile) -> None:
        if not self._is_known:
            self._writing.remember(KEY_FILE, keys.id)
            self._is_known = True
