"""The vault: where the keys of a ledger are, what they encrypt in an append, and what they open."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from ledger.events import Recorded, Row
from ledger.privacy.cipher import Encryptor, associated_data, decrypt, encrypted_fields, tag
from ledger.privacy.key_file import (
    Erasure,
    KeyFile,
    create_key_file,
    identity_of,
    key_problems,
)
from ledger.problems import KeyFileProblem, LedgerProblem
from ledger.store.interface import Writing
from ledger.store.server import Address, Role, Server, postgres_module

if TYPE_CHECKING:
    from ledger.privacy.key_server import KeyServer, OpenKeyServer

KEY_FILE: Final = "key file"
"""The name under which a ledger remembers the id of its key file."""
ERASED: Final[Mapping[str, bool]] = {"erased": True}
"""What is shown in the place of a personal value that nobody can read any more."""
UNREADABLE: Final[Mapping[str, bool]] = {"unreadable": True}
"""What is shown in the place of one that this key does not open: another's, or changed."""


class OpenKeys:
    """Where a key file lies: opened when it is needed, and kept open as long as it lies there.

    A connection to a file that was moved away would write keys where nobody finds them again. So
    at each use the open file is compared with the one that lies there, and once more after a write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: KeyFile | None = None
        self._process = os.getpid()

    def key_file(self, remembered: str | None, *, begun: bool = False) -> KeyFile | None:
        """Return the key file; None if there is none and none is `remembered`.

        With a transaction `begun`, if so. Raises KeyFileProblem if it is missing, or
        is not the one `remembered` by its id.
        """
        with key_problems(self.path):
            found = identity_of(self.path)
            if found is None:
                self.close()
                if remembered is None:
                    return None
                raise KeyFileProblem(
                    f"the key file {self.path} is missing: put it back, or name the one this "
                    "ledger was written with; nothing was changed"
                )
            if self._open is None or self._open.identity != found:
                self.close()
                self._open = KeyFile(self.path)
            keys = self._open
            try:
                if begun:
                    keys.begin()
                keys.check(remembered)
            except BaseException:
                keys.rollback()
                raise
            return keys

    def problems(self) -> key_problems:
        """Turn what SQLite raises into one sentence about the key file."""
        return key_problems(self.path)

    def exists(self) -> bool:
        """Return whether there is a key file."""
        return self.path.exists()

    def create(self, id: str | None = None) -> None:
        """Make an empty one, with an id of its own, or this one."""
        create_key_file(self.path, id)

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._open is not None and self._process == os.getpid():
            self._open.close()
        self._open = None


def open_keys(address: Address) -> OpenKeys | OpenKeyServer:
    """Return where the keys of a ledger are; nothing is opened yet."""
    if isinstance(address, Server):
        opened: OpenKeyServer = postgres_module("privacy.key_server").OpenKeyServer(address)
        return opened
    return OpenKeys(address)


def create_keys(address: Address, roles: Sequence[tuple[str, Role]] = ()) -> None:
    """Make an empty key file, or a key store on a server, into which `roles` are let.

    Raises LedgerProblem if something is there already, or a file is to have roles.
    """
    if isinstance(address, Server):
        postgres_module("privacy.key_server").create_key_store(address, roles=roles)
    elif roles:
        raise LedgerProblem(f"{address} is a file: --keeper names roles of a server")
    else:
        create_key_file(address)


class Keyring:
    """What one append transaction does with keys; made by `Vault.keyring`, under the write lock.

    A context manager: what is done is durable at the end, and taken back if the body raises. The
    key file is opened when the first key is needed. That end comes before the ledger's own: a key
    is durable before the event that needs it, and destroyed before the event that says so. A
    crash in between leaves a key that nothing was encrypted with, or a key destroyed without its
    event, which `ledger.privacy.erasure.forget` completes.
    """

    def __init__(self, keys: OpenKeys | OpenKeyServer, writing: Writing) -> None:
        self._open = keys
        self._writing = writing
        self._keys: KeyFile | KeyServer | None = None
        self._is_known = False
        self._encryptors: dict[str, Encryptor] = {}

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

    def encrypt(self, row: Row, data: dict[str, Any], fields: Sequence[str]) -> Row | None:
        """Return the row with some fields of its data encrypted; makes the first key if need be.

        None if the candidate's key was destroyed: then no personal field is taken any more.
        """
        subject = row.stream[row.stream.index("/") + 1 :]
        encryptor = self._encryptors.get(subject) or self._encryptor(subject)
        if encryptor is None:
            return None
        for name in fields:
            associated = associated_data(subject, row.source, row.id, name)
            data[name] = encryptor.encrypt(associated, data[name])
        return row._replace(data=to_json(data).decode())

    def _encryptor(self, subject: str) -> Encryptor | None:
        keys = self._made()
        with self._open.problems():
            key, destroyed = keys.look_up(subject)
            if destroyed:
                return None
            encryptor = self._encryptors[subject] = Encryptor(key or keys.keep(subject))
        self._remember(keys)
        return encryptor

    def unopened(self, row: Row, data: Mapping[str, Any]) -> list[str]:
        """Name the encrypted fields of a row that the candidate's key does not open.

        None of them if there is no such key (any more): ciphertext then moves in as it is.
        """
        fields = encrypted_fields(row.topic, data)
        keys = self._found() if fields else None
        if keys is None:
            return []
        subject = row.stream.partition("/")[2]
        with self._open.problems():
            key, _ = keys.look_up(subject)
        if key is None:
            return []
        return [
            name
            for name in fields
            if decrypt(key, associated_data(subject, row.source, row.id, name), data[name]) is None
        ]

    def same_secret(self, stored: Recorded, field: str, old: Any, new: Any) -> bool:
        """Return whether two values of a personal field say the same (a `compare.SameSecret`).

        Without the key there is no telling a plain text from an encrypted one, and with the key
        destroyed nothing at all: then they count as the same, and the clear fields decide alone.
        """
        if isinstance(old, dict) and isinstance(new, dict) and old.get("hmac") == new.get("hmac"):
            return True
        keys = self._found()
        if keys is None:
            key, destroyed = None, False
        else:
            with self._open.problems():
                key, destroyed = keys.look_up(stored.subject)
        if destroyed:
            return True
        if old is None or new is None or (isinstance(old, dict) and isinstance(new, dict)):
            return False
        if key is None:
            return True
        associated = associated_data(stored.subject, stored.source, stored.id, field)
        one, other = (
            str(value.get("hmac")) if isinstance(value, dict) else tag(key, associated, value)
            for value in (old, new)
        )
        return hmac.compare_digest(one, other)

    def destroy(self, candidate: str) -> bool:
        """Destroy a candidate's key, if there is a key file; return whether there was."""
        self._encryptors.pop(candidate, None)
        keys = self._found()
        if keys is None:
            return False
        self._remember(keys)
        with self._open.problems():
            return keys.destroy(candidate)

    def register(self, erasure: Erasure) -> None:
        """Keep why a candidate was forgotten, in the key file, which is made if there is none."""
        keys = self.adopt()
        with self._open.problems():
            keys.destroy(erasure.candidate)
            keys.register(erasure)

    def file(self) -> KeyFile | KeyServer | None:
        """Return the open key file, for what else is done with it; None if there is none."""
        return self._found()

    def problems(self) -> AbstractContextManager[None]:
        """Turn what goes wrong with the keys that `file` or `adopt` returned into one sentence."""
        return self._open.problems()

    def adopt(self) -> KeyFile | KeyServer:
        """Return the open key file, which is this ledger's from now on; made if there is none."""
        keys = self._made()
        self._remember(keys)
        return keys

    def commit(self) -> None:
        """Make durable what was done; raises LedgerProblem when it cannot be."""
        if self._keys is not None:
            with self._open.problems():
                self._keys.commit()

    def _found(self) -> KeyFile | KeyServer | None:
        if self._keys is None:
            remembered = self._writing.about(KEY_FILE)
            self._keys = self._open.key_file(remembered, begun=True)
            self._is_known = remembered is not None
        return self._keys

    def _made(self) -> KeyFile | KeyServer:
        keys = self._found()
        if keys is None:
            self._open.create()
            keys = self._found()
            assert keys is not None
        return keys

    def _remember(self, keys: KeyFile | KeyServer) -> None:
        if not self._is_known:
            self._writing.remember(KEY_FILE, keys.id)
            self._is_known = True


class Vault:
    """Read the personal fields of one ledger with its key file.

    `remembered` tells the id of the key file the ledger was written with, or None as long as it
    has needed none: then a key file found at `path` is taken as its own, as when a history is
    moved in together with its keys. `forgotten` tells whether the ledger says that a candidate was
    forgotten: then no key counts, wherever it came from.
    """

    def __init__(
        self,
        path: Address,
        remembered: Callable[[], str | None],
        forgotten: Callable[[str], bool],
    ) -> None:
        self.path = path
        self._remembered = remembered
        self._forgotten = forgotten
        # One to read, by any thread, and one to write, by who holds the ledger's write lock.
        self._reading = open_keys(path)
        self._writing = open_keys(path)
        self._readers = RLock()

    def keyring(self, writing: Writing) -> Keyring:
        """Return the keys for one append transaction: a context manager."""
        return Keyring(self._writing, writing)

    def reveal(
        self, recorded: Recorded, *, erased: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the payload with personal fields in clear text.

        A field whose key is destroyed, or was never here, is left out; in the place of what was
        erased stands `erased`, if any, and in the place of a field that the key does not open
        `UNREADABLE`: whoever planted one must not keep the others from being read. Raises
        KeyFileProblem when the key file is missing or another.
        """
        data = recorded.payload()
        fields = encrypted_fields(recorded.topic, data)
        if not fields:
            return data
        subject = recorded.subject
        key, gone = (None, True) if self._forgotten(subject) else self.look_up(subject)
        for name in fields:
            if gone and erased is not None:
                data[name] = dict(erased)
            elif key is None:
                del data[name]
            else:
                associated = associated_data(subject, recorded.source, recorded.id, name)
                text = decrypt(key, associated, data[name])
                data[name] = dict(UNREADABLE) if text is None else text
        return data

    def key(self, candidate: str) -> bytes | None:
        """Return a candidate's key, None if there is none (any more)."""
        return self.look_up(candidate)[0]

    def look_up(self, candidate: str) -> tuple[bytes | None, bool]:
        """Return a candidate's key, and whether it was destroyed."""
        with self.reading() as keys:
            return (None, False) if keys is None else keys.look_up(candidate)

    @contextmanager
    def reading(self) -> Iterator[KeyFile | KeyServer | None]:
        """Open the key file to read; None if there is none yet."""
        remembered = self._remembered()
        with self._readers, self._reading.problems():
            yield self._reading.key_file(remembered)

    def is_there(self) -> bool:
        """Return whether there are keys: a key file, or a key store; raises LedgerProblem."""
        with self._readers:
            return self._reading.exists()

    def create(self, id: str) -> None:
        """Make an empty key file, or key store, of an id that another has had."""
        self._writing.create(id)

    def close(self) -> None:
        """Close the key file."""
        self._reading.close()
        self._writing.close()
