"""Personal values: encrypted under the candidate's key, and bound to it and to their field."""

from __future__ import annotations

import hashlib
import hmac
import os
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from json.encoder import encode_basestring as quoted
from typing import TYPE_CHECKING, Any, Final

from ledger.models import EVENT_TYPES
from ledger.privacy.key_file import KEY_BYTES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PERSONAL_TYPES: Final = frozenset(name for name, event in EVENT_TYPES.items() if event.personal)
_NONCE_BYTES: Final = 12
_SMALLEST: Final = 64
_FILL: Final = b"\xff"
"""No text in UTF-8 has this byte: so padding differs from text, and an old value has none."""


def associated_data(subject: str, source: str, id: str, field: str) -> bytes:
    """Return what binds a personal value to its field of one event: a JSON array, UTF-8."""
    return f"[{quoted(subject)}, {quoted(source)}, {quoted(id)}, {quoted(field)}]".encode()


class Encryptor:
    """One candidate's key, ready to encrypt many texts."""

    __slots__ = ("_cipher", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = _cipher(key)

    def encrypt(self, associated: bytes, text: str) -> dict[str, str]:
        """Encrypt a text (AES-256-GCM) and tag it (HMAC-SHA256 over associated data and text).

        The text is padded first: its length outlives the key, and would tell a short name from a
        long one for ever. The tag is over the text alone, as it was before there was padding, so
        that a duplicate of an old value is still one. It is under the same key, and the same for
        the same text in the same field: by it a duplicate is known from a conflict without
        decrypting, and by nobody without the key.
        """
        nonce, clear = os.urandom(_NONCE_BYTES), text.encode()
        return {
            "ciphertext": b2a_base64(
                nonce + self._cipher.encrypt(nonce, padded(clear), associated), newline=False
            ).decode(),
            "hmac": hmac.digest(self._key, associated + clear, "sha256").hex(),
        }


def padded(clear: bytes) -> bytes:
    """Fill a text up to 64 bytes, or to the next power of two above that.

    >>> [len(padded(b"x" * size)) for size in (0, 9, 33, 64, 65, 300)]
    [64, 64, 64, 64, 128, 512]
    """
    return clear.ljust(max(_SMALLEST, 1 << (len(clear) - 1).bit_length()), _FILL)


def decrypt(key: bytes, associated: bytes, encrypted: Mapping[str, str]) -> str | None:
    """Return the text that was encrypted, if this is its key and its field; else None.

    The ciphertext alone does not say which key it was made with: for AES-GCM one can be made that
    opens under two, with a text each. The HMAC does (collisions of SHA-256 aside), since our keys
    are all of one length: so both must hold, and nobody can show another key that gives another
    text. `docs/erasure.md` has more.
    """
    clear = opened(key, associated, encrypted)
    try:
        same = clear is not None and hmac.compare_digest(
            _tag(key, associated, clear), encrypted["hmac"]
        )
        return clear.decode() if same and clear is not None else None
    except (ValueError, KeyError, TypeError):  # no text of ours, whoever made it
        return None


def opened(key: bytes, associated: bytes, encrypted: Mapping[str, str]) -> bytes | None:
    """Decrypt a ciphertext, the half of `decrypt` that proves nothing; None if it does not open.

    Without its padding, if it has any: values of earlier releases have none.
    """
    cipher, library = _cipher(key), _library()
    try:
        raw = a2b_base64(encrypted["ciphertext"])
        clear: bytes = cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], associated)
    except (library.exceptions.InvalidTag, ValueError, KeyError, TypeError):
        return None
    return clear.rstrip(_FILL)


def tag(key: bytes, associated: bytes, text: str) -> str:
    """Return the HMAC-SHA256, in hexadecimal, of a personal text in its field."""
    return _tag(key, associated, text.encode())


def _tag(key: bytes, associated: bytes, clear: bytes) -> str:
    # The data is a JSON array, which says itself where it ends: no two pairs are written alike.
    return hmac.new(key, associated + clear, hashlib.sha256).hexdigest()


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:  # HMAC fills a shorter key up with zeros: it would be a second one
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    cipher: AESGCM = _library().hazmat.primitives.ciphers.aead.AESGCM(key)
    return cipher


def _library() -> Any:
    # It takes 7 ms to import; most commands never meet a personal field.
    import cryptography.hazmat.primitives.ciphers.aead

    return cryptography


def plain_fields(topic: str, data: Mapping[str, Any]) -> list[str]:
    """Name the personal fields of an event's data that are still plain text."""
    personal = EVENT_TYPES[topic.partition(":")[0]].personal
    return [name for name, value in data.items() if name in personal and isinstance(value, str)]


def encrypted_fields(topic: str, data: Mapping[str, Any]) -> list[str]:
    """Name the personal fields of an event's data that are encrypted."""
    personal = EVENT_TYPES[topic.partition(":")[0]].personal
    return [name for name, value in data.items() if name in personal and isinstance(value, dict)]
