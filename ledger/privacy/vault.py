"""The vault: where the keys of a ledger are, and what they open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final

from ledger.events import Recorded
from ledger.privacy.cipher import associated_data, opens, sealed_fields
from ledger.privacy.key_file import KeyFile
from ledger.privacy.key_place import KeyPlace
from ledger.privacy.key_storage import key_problems
from ledger.privacy.keyring import Keyring
from ledger.store.sqlite import Writing

ERASED: Final[Mapping[str, bool]] = {"erased": True}
"""What is shown in the place of a personal value that nobody can read any more."""
UNREADABLE: Final[Mapping[str, bool]] = {"unreadable": True}
"""What is shown in the place of one that this key does not open: another's, or changed."""


class Vault:
    """Read the personal fields of one ledger with its key file.

    `remembered` tells the id of the key file the ledger was written with, or None as long as it
    has needed none: then a key file found at `path` is taken as its own, as when a history is
    moved in together with its keys. `forgotten` tells whether the ledger says that a candidate was
    forgotten: then no key counts, wherever it came from.
    """

    def __init__(
        self,
        path: Path,
        remembered: Callable[[], str | None],
        forgotten: Callable[[str], bool],
    ) -> None:
        self.path = path
        self._remembered = remembered
        self._forgotten = forgotten
        # One to read, by any thread, and one to write, by who holds the ledger's write lock.
        self._reading = KeyPlace(path)
        self._writing = KeyPlace(path)
        self._readers = RLock()

    def keyring(self, writing: Writing) -> Keyring:
        """Return the keys for one append transaction: a context manager."""
        return Keyring(self._writing, writing)

    def reveal(
        self, recorded: Recorded, *, erased: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the payload with personal fields in clear text.

        A field whose key is destroyed, or was never here, is left out; in the place of what was
        erased stands `erased`, if given, and in the place of a field that the key does not open
        `UNREADABLE`: whoever planted one must not keep the others from being read. Raises
        KeyFileProblem when the key file is missing or another.
        """
        data = recorded.payload()
        fields = sealed_fields(recorded.topic, data)
        if not fields:
            return data
        subject = recorded.subject
        key, gone = (None, True) if self._forgotten(subject) else self._look_up(subject)
        for name in fields:
            if gone and erased is not None:
                data[name] = dict(erased)
            elif key is None:
                del data[name]
            else:
                place = associated_data(subject, recorded.source, recorded.id, name)
                text = opens(key, place, data[name])
                data[name] = dict(UNREADABLE) if text is None else text
        return data

    def key(self, candidate: str) -> bytes | None:
        """Return a candidate's key, None if there is none (any more)."""
        return self._look_up(candidate)[0]

    def is_destroyed(self, candidate: str) -> bool:
        """Return whether a candidate's key was destroyed."""
        return self._look_up(candidate)[1]

    def _look_up(self, candidate: str) -> tuple[bytes | None, bool]:
        with self.reading() as keys:
            return (None, False) if keys is None else keys.look_up(candidate)

    @contextmanager
    def reading(self) -> Iterator[KeyFile | None]:
        """Open the key file to read; None if there is none yet."""
        remembered = self._remembered()
        with self._readers, key_problems(self.path):
            yield self._reading.key_file(remembered)

    def close(self) -> None:
        """Close the key file."""
        self._reading.close()
        self._writing.close()
