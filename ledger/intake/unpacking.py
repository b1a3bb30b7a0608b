"""Bytes of an input as bytes of UTF-8: unpacked, and out of another encoding."""

from __future__ import annotations

import codecs
import lzma
from typing import Final, Protocol

from ledger.problems import printable

BLOCK: Final = 1 << 18
"""Bytes read at once."""
UTF8_MARK: Final = b"\xef\xbb\xbf"
_MOST_UNPACKING: Final = 256 << 20  # bytes of memory; xz -9 asks for 65 MiB


class Bytes(Protocol):
    """What an input is read from."""

    def read1(self, size: int, /) -> bytes:
        """Return at most so many bytes, as soon as there are some; none at the end."""


class Xz:
    """An xz file, unpacked: as `lzma.LZMAFile`, which has no limit on a stream's memory."""

    def __init__(self, raw: Bytes) -> None:
        """Read from packed bytes."""
        self._raw = raw
        self._stream = lzma.LZMADecompressor(memlimit=_MOST_UNPACKING)

    def read1(self, size: int, /) -> bytes:
        """Return some bytes, unpacked; raises EOFError where they break off."""
        while True:
            data = b""
            if self._stream.eof:  # one stream may follow another
                data = self._stream.unused_data or self._raw.read1(BLOCK)
                if not data:
                    return b""
                self._stream = lzma.LZMADecompressor(memlimit=_MOST_UNPACKING)
            elif self._stream.needs_input and not (data := self._raw.read1(BLOCK)):
                raise EOFError("Compressed file ended before its end-of-stream marker")
            if unpacked := self._stream.decompress(data, size):
                return unpacked


def text_encoding(name: str) -> str:
    """Return the name by which an encoding is known here; raises ValueError with a sentence."""
    try:
        codec = codecs.lookup(name)
        plain = codec.name not in _NO_FILES and codec.decode(codec.encode("\n;")[0])[0] == "\n;"
    except (LookupError, ValueError, TypeError, AssertionError):
        plain = False
    if not plain:
        raise ValueError(
            f'"{printable(name)}" is no encoding known here; write one such as "cp1252", "latin-1" '
            'or "utf-16"'
        )
    return codec.name


_NO_FILES: Final = frozenset(
    ("idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7", "undefined")
)
"""Encodings that Python knows, and no file of results has."""


class Transcoded:
    """Text of another encoding as UTF-8; with a mark of UTF-8 at its beginning it is that already.

    Bytes that are none of the encoding stay what they are, which is no UTF-8, where the encoding
    has letters of a byte; else they raise UnicodeError.
    """

    def __init__(self, raw: Bytes, encoding: str) -> None:
        """Read from bytes of an encoding, one that `text_encoding` names."""
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._is_utf8: bool | None = None

    def read1(self, size: int, /) -> bytes:
        """Return some bytes of UTF-8; raises UnicodeError."""
        while True:
            chunk = self._raw.read1(size)
            if self._is_utf8 is None:
                while len(chunk) < len(UTF8_MARK) and (more := self._raw.read1(size)):
                    chunk += more
                self._is_utf8 = chunk.startswith(UTF8_MARK)
            if self._is_utf8:
                return chunk
            text = self._decoder.decode(chunk, final=not chunk)
            if text or not chunk:
                return text.encode(errors="surrogateescape")
