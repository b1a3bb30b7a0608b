"""Personal fields: sealed one by one under the candidate's key, and read with it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger.events import EVENT_TYPES, Recorded, Row
from ledger.keyfile import KeyFile, create_key_file, open_key_file
from ledger.problems import KeyFileProblem

PERSONAL_TYPES = frozenset(name for name, event in EVENT_TYPES.items() if event.personal)
_NONCE_BYTES = 12


def associated_data(subject: str, source: str, id: str, field: str) -> bytes:
    """Bind a personal value to its place: (subject, source, id, field) as a JSON array, UTF-8."""
    return json.dumps([subject, source, id, field], ensure_ascii=False).encode()


def seal(key: bytes, place: bytes, text: str) -> dict[str, str]:
    """Encrypt `text` for its place (AES-256-GCM) and tag it (HMAC-SHA256 over place and text).

    The tag is under the same key and the same for the same text at the same place: by it a
    duplicate is told from a conflict without decrypting, and by nobody without the key.
    """
    # The library takes 40 ms to import; most commands never meet a personal field.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, text.encode(), place)
    return {
        "ciphertext": base64.b64encode(nonce + sealed).decode(),
        "hmac": tag(key, place, text),
    }


def unseal(key: bytes, place: bytes, sealed: dict[str, str]) -> str | None:
    """Decrypt what `seal` made; None if the key or the place is another."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    raw = base64.b64decode(sealed["ciphertext"])
    try:
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place).decode()
    except InvalidTag:
        return None


def tag(key: bytes, place: bytes, text: str) -> str:
    """Return the HMAC-SHA256, in hexadecimal, of a personal text at its place."""
    return hmac.new(key, place + text.encode(), hashlib.sha256).hexdigest()


class Vault:
    """Seal and reveal the personal fields of one ledger with its key file.

    `remembered` tells the id of the key file the ledger was written with, or None as long as it
    has needed none: then a key file found at `path` is taken as its own, as when a history is
    moved in together with its keys.
    """

    def __init__(self, path: Path, remembered: Callable[[], str | None]) -> None:
        self.path = path
        self._remembered = remembered

    def reveal(self, recorded: Recorded) -> dict[str, Any]:
        """Return the payload with personal fields in clear text.

        A field whose key is destroyed, or was never here, is left out. Raises KeyFileProblem when
        the key file is missing or another, or a field does not decrypt.
        """
        data = recorded.payload()
        fields = [
            name
            for name in EVENT_TYPES[recorded.type].personal & data.keys()
            if isinstance(data[name], dict)
        ]
        if not fields:
            return data
        key = self.key(recorded.subject)
        for name in fields:
            if key is None:
                del data[name]
                continue
            place = associated_data(recorded.subject, recorded.source, recorded.id, name)
            text = unseal(key, place, data[name])
            if text is None:
                raise KeyFileProblem(
                    f"data.{name} of {recorded.source} {recorded.id} does not open with the key "
                    f"in {self.path}: it was sealed with another, or changed"
                )
            data[name] = text
        return data

    def key(self, candidate: str) -> bytes | None:
        """Return a candidate's key, None if there is none (any more)."""
        with self._open() as keys:
            return None if keys is None else keys.key(candidate)

    def is_destroyed(self, candidate: str) -> bool:
        """Tell whether a candidate had a key that was destroyed."""
        with self._open() as keys:
            return keys is not None and keys.is_destroyed(candidate)

    @contextmanager
    def _open(self) -> Iterator[KeyFile | None]:
        remembered = self._remembered()
        if remembered is None and not self.path.exists():
            yield None
        else:
            with open_key_file(self.path, remembered) as keys:
                yield keys

    def same_secret(self, stored: Recorded, field: str, old: Any, new: Any) -> bool:
        """Tell whether two values of a personal field say the same (a `compare.SameSecret`).

        Without the key there is no telling a plain text from a sealed one, and with the key
        destroyed nothing at all: then they count as the same, and the clear fields decide alone.
        """
        if isinstance(old, dict) and isinstance(new, dict):
            return old["hmac"] == new["hmac"] or self.is_destroyed(stored.subject)
        if old is None or new is None:
            return self.is_destroyed(stored.subject)
        key = self.key(stored.subject)
        if key is None:
            return True
        place = associated_data(stored.subject, stored.source, stored.id, field)
        told, other = (
            value["hmac"] if isinstance(value, dict) else tag(key, place, value)
            for value in (old, new)
        )
        return hmac.compare_digest(told, other)

    def seal_row(self, row: Row) -> tuple[Row, str] | None:
        """Return the row with its plain personal fields sealed, and the key file's id.

        The candidate's key is durable in the key file when this returns. None if the candidate's
        key was destroyed: a forgotten candidate's personal fields are refused.
        """
        subject = row.stream.partition("/")[2]
        remembered = self._remembered()
        if remembered is None and not self.path.exists():
            create_key_file(self.path)
        data: dict[str, Any] = json.loads(row.data)
        with open_key_file(self.path, remembered) as keys:
            if keys.is_destroyed(subject):
                return None
            key = keys.make_key(subject)
            for name in plain_fields(row):
                place = associated_data(subject, row.source, row.id, name)
                data[name] = seal(key, place, data[name])
            text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
            return row._replace(data=text), keys.id


def plain_fields(row: Row) -> list[str]:
    """Name the personal fields of a row that are still plain text."""
    personal = EVENT_TYPES[row.topic.partition(":")[0]].personal
    if not personal:
        return []
    data = json.loads(row.data)
    return [name for name in data if name in personal and isinstance(data[name], str)]
