"""Open a file or standard input as lines of text: plain, gzip or xz, known by its content.

Text is UTF-8, or of the encoding that a map names. A line that cannot be read as text is handed on
all the same (its bytes escaped, so that they can be written back unchanged) and named in
`Source.faults`: one bad line costs one row, not the file. What breaks the file itself is a
`SourceProblem` or, midway, a `BrokenSource`.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import stat
import sys
import tomllib
import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import PurePath
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self, cast

from ledger.events import Row
from ledger.intake.unpacking import BLOCK, UTF8_MARK, Bytes, Transcoded, Xz
from ledger.problems import LedgerProblem

LONGEST_LINE = 1 << 20
"""Bytes a line may have: a guard against a file that is no text, which may be one endless line."""
LARGEST_WORKBOOK = 256 << 20
LARGEST_WHOLE = 16 << 20
"""Bytes of a file that is read as a whole: a catalogue, a policy, a list of candidates."""

_SHOWN_OF_LONG_LINE = 200
_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\x00"
_LONG_KEY = re.compile(
    r"""(?<![\w-])(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){20}""", re.ASCII
)
_LONG_NUMBER = re.compile(r"[0-9_]{1001}")  # Python refuses those of 4,300 in words of its own
_ZIP = b"PK\x03\x04"
_UTF16 = "UTF-16 text"
_NOT_READ = {
    _ZIP: "a zip archive or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "a workbook of the old kind (.xls; a spreadsheet can save it as .xlsx)",
    b"BZh": "compressed with bzip2",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xff\xfe": _UTF16,
    b"\xfe\xff": _UTF16,
    b"SQLite format 3\x00": "an SQLite file",
    b"PAR1": "a Parquet file",
}
_COMPRESSIONS = (".gz", ".xz")


class SourceProblem(LedgerProblem):
    """The input cannot be opened or is not of a kind that is read here."""


class BrokenSource(SourceProblem):
    """The input ended or became unreadable midway; all lines before that were handed out."""


class Item(NamedTuple):
    """What a reader yields of one row (or line); plain values, so it crosses processes cheaply."""

    line: int
    """The line it begins on, counted from 1."""
    raw: Sequence[str] | str
    """Its fields, or its text, as they stand in the input."""
    rows: Sequence[Row]
    """What it says, for the ledger; empty if there is a problem, or it says nothing."""
    problem: str = ""
    """Why it cannot be taken; empty if it can."""
    kept: int | None = None
    """The recordedtime it came with, microseconds."""
    doubt: str = ""
    """Why a new fact that said it would be refused, though it is taken as it was recorded."""


class Source:
    """An input as lines of text, counted from 1, with its bytes counted for a progress bar.

    `path` is None for standard input, `name` is for people, `stem` and `extension` are those of
    the name without a compression's suffix (``results`` and ``.csv`` for ``results.csv.gz``),
    `size` the bytes of the file as it lies on the disk, `identity` what tells it from another of
    its name, both None if they cannot be known; `encoding` is that of a file that a map says is not
    UTF-8, `hint` what else helps with one that is not. `faults` has, for each line
    yielded so far that is no sound text and was not yet taken out, a sentence's end saying why.
    """

    def __init__(
        self,
        raw: io.RawIOBase | BinaryIO,
        path: str | None,
        status: os.stat_result | None = None,
        *,
        workbooks: bool = False,
        encoding: str | None = None,
    ) -> None:
        self.path = path
        self.name = name = "standard input" if path is None else path
        regular = status is not None and stat.S_ISREG(status.st_mode)
        self.size = status.st_size if status is not None and regular else None
        self.identity = (status.st_dev, status.st_ino) if status is not None else None
        self.faults: dict[int, str] = {}
        self.hint = ""
        plain = PurePath(path or "stdin")
        if plain.suffix.lower() in _COMPRESSIONS:
            plain = plain.with_suffix("")
        self.stem, self.extension = plain.stem, plain.suffix.lower()
        self._closing = raw
        self._raw = _Counted(raw, name)
        self.is_workbook = workbooks and self._raw.start.startswith(_ZIP)
        self._text = _uncompressed(self._raw, name, is_read=self.is_workbook, encoding=encoding)
        self.is_compressed = not isinstance(self._text, io.BufferedReader)
        self.encoding = None if self.is_workbook else encoding
        if self.encoding is not None:
            self._text = Transcoded(self._text, self.encoding)
        self._copy: BinaryIO | None = None
        self._ahead: list[bytes] = []  # chunks that were looked at before their lines
        self._offset = 0  # in the uncompressed bytes, of the next piece
        self._line = 0  # lines in the pieces before it

    @property
    def bytes_read(self) -> int:
        """Return how many bytes were read so far, compressed ones if the input is compressed."""
        return self._raw.count

    def first_bytes(self) -> bytes:
        """Return the beginning, without a byte order mark and leading blanks; b"" if empty.

        Call it before `lines`. Raises BrokenSource.
        """
        read = 0
        while read <= LONGEST_LINE and (chunk := self._chunk()):
            self._ahead.append(chunk)
            read += len(chunk)
            # Each blank is looked at once, however many there are: some inputs come byte by byte.
            if read >= len(UTF8_MARK) and not chunk.isspace() and (start := self._beginning()):
                return start
        return self._beginning()

    def lines(self) -> Iterator[str]:
        """Yield the lines in order, each with its line end as it is in the input.

        Bytes that are not UTF-8 come as lone surrogates (``surrogateescape``). Raises
        BrokenSource after the last whole line of an input that breaks off.
        """
        for piece in self._pieces():
            try:
                text = piece.decode()
            except UnicodeDecodeError:
                text = None
            if text is None or "\0" in text:
                yield from self._faulty(piece)
            else:
                self._line += text.count("\n")
                yield from io.StringIO(text, newline="\n")
            self._offset += len(piece)

    def file(self) -> BinaryIO:
        """Return the bytes as a file that can be read from anywhere, as a workbook is.

        It is a copy, since standard input can be read but once. Raises BrokenSource for one of
        more than 256 MB.
        """
        if self._copy is None:
            self._copy = cast(BinaryIO, SpooledTemporaryFile(LARGEST_WHOLE))  # noqa: SIM115 - by close()
            while chunk := self._chunk():
                self._copy.write(chunk)
                if self._copy.tell() > LARGEST_WORKBOOK:
                    raise BrokenSource(f"{self.name} is larger than {LARGEST_WORKBOOK:,} bytes")
            self._copy.seek(0)
        return self._copy

    def close(self) -> None:
        """Close the input (standard input stays open)."""
        if self._copy is not None:
            self._copy.close()
        if self.path is not None:
            self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _pieces(self) -> Iterator[bytes]:
        """Yield the input in pieces that are whole lines; the last may lack its line end."""
        chunk = b"".join(self._ahead)
        while len(chunk) < len(UTF8_MARK) and (more := self._chunk()):
            chunk += more
        if chunk.startswith(UTF8_MARK):
            chunk = chunk[len(UTF8_MARK) :]
            self._offset = len(UTF8_MARK)
        # A line's beginning, in as many parts as it came in: joined once, when its end is there.
        parts: list[bytes] = []
        length = 0
        while chunk or (chunk := self._chunk()):
            end = chunk.find(b"\n") + 1
            if length + (end or len(chunk)) > LONGEST_LINE:
                shown, chunk = self._past_long_line(b"".join((*parts, chunk)))
                parts, length = [], 0
                yield shown
                continue
            if end:
                end = chunk.rfind(b"\n") + 1
                yield b"".join((*parts, chunk[:end]))
                parts, length, chunk = [], 0, chunk[end:]
            parts.append(chunk)
            length += len(chunk)
            chunk = b""
        if length:
            yield b"".join(parts)

    def _beginning(self) -> bytes:
        return b"".join(self._ahead).removeprefix(UTF8_MARK).lstrip()

    def _past_long_line(self, start: bytes) -> tuple[bytes, bytes]:
        """Pass over a line that is too long: what is shown of it, and what comes after it."""
        self.faults[self._line + 1] = (
            f"is longer than {LONGEST_LINE:,} bytes; only its beginning is kept"
        )
        shown = start[:_SHOWN_OF_LONG_LINE].replace(b"\0", b"").replace(b'"', b"")
        if not shown.strip():
            shown = b"..."  # an empty line would be none, and nothing would be said of it
        chunk = start
        while (end := chunk.find(b"\n")) < 0:
            self._offset += len(chunk)
            chunk = self._chunk()
            if not chunk:
                return shown, b""
        self._offset += end + 1 - len(shown) - 1
        return shown + b"\n", chunk[end + 1 :]

    def _faulty(self, piece: bytes) -> Iterator[str]:
        """Yield the lines of a piece one by one, noting which are no sound text."""
        offset = self._offset
        for line in io.BytesIO(piece):
            self._line += 1
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                text = line.decode(errors="surrogateescape")
                where = f"byte 0x{line[error.start]:02X}"
                fault = (
                    f"is not UTF-8: {where} at offset {offset + error.start:,} of the text; save "
                    f"the file as UTF-8{self.hint}"
                )
                if self.encoding is not None:
                    fault = f"is not {self.encoding}, as the map says: {where}"
                self.faults.setdefault(self._line, fault)
            if "\0" in text:
                self.faults.setdefault(
                    self._line,
                    f"contains a NUL byte at offset {offset + line.index(0):,} of the text",
                )
            offset += len(line)
            yield text

    def _chunk(self) -> bytes:
        try:
            return self._text.read1(BLOCK)
        except (EOFError, OSError, zlib.error, lzma.LZMAError, UnicodeError) as error:
            reason = str(error) or type(error).__name__
            raise BrokenSource(
                f"{self.name} breaks off or is damaged after line {self._line:,}: {reason}"
            ) from error


def open_source(
    path: str,
    *,
    stdin: BinaryIO | None = None,
    workbooks: bool = False,
    encoding: str | None = None,
) -> Source:
    """Open a file, or with ``-`` standard input, whose stream a door may pass in.

    `encoding` is one that `text_encoding` names; None: UTF-8.

    Raises SourceProblem for a missing file, a folder, a file that may not be read, and for
    content of a kind that is recognised but not read here (UTF-16, a zip archive unless
    `workbooks` are read …).
    """
    if path == "-":
        stream = stdin if stdin is not None else sys.stdin.buffer
        return Source(stream, None, _status(stream), workbooks=workbooks, encoding=encoding)
    try:
        raw = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by Source
    except FileNotFoundError:
        raise SourceProblem(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise SourceProblem(f"{path} is a folder: name the files in it") from None
    except OSError as error:
        raise SourceProblem(f"{path} cannot be read: {error.strerror}") from None
    try:
        return Source(raw, path, _status(raw), workbooks=workbooks, encoding=encoding)
    except BaseException:
        raw.close()
        raise


def _status(stream: io.RawIOBase | BinaryIO) -> os.stat_result | None:
    try:
        return os.fstat(stream.fileno())
    except (OSError, AttributeError):
        return None


class _Counted(io.RawIOBase):
    """Bytes of an input, counted, after a look at the first ones."""

    def __init__(self, raw: io.RawIOBase | BinaryIO, name: str) -> None:
        self.count = 0
        self._raw = raw
        self._ahead = b""
        try:
            while len(self._ahead) < 16 and (more := raw.read(16 - len(self._ahead))):
                self._ahead += more
        except OSError as error:
            raise SourceProblem(f"{name} cannot be read: {error.strerror}") from None
        self.start = self._ahead

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._ahead:
            taken, self._ahead = self._ahead[: len(buffer)], self._ahead[len(buffer) :]
        else:
            read1 = getattr(self._raw, "read1", self._raw.read)
            taken = read1(len(buffer)) or b""
        buffer[: len(taken)] = taken
        self.count += len(taken)
        return len(taken)


def _uncompressed(raw: _Counted, name: str, *, is_read: bool, encoding: str | None) -> Bytes:
    for magic, kind in _NOT_READ.items():
        if raw.start.startswith(magic) and not is_read and (encoding is None or kind != _UTF16):
            hint = ', or say so in a map: encoding = "utf-16"' if kind == _UTF16 else ""
            raise SourceProblem(
                f"{name} is {kind}: what is read here is UTF-8 text, as it is or "
                f"compressed with gzip or xz{hint}"
            )
    buffered = io.BufferedReader(raw, BLOCK)
    if raw.start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=buffered)
    if raw.start.startswith(_XZ):
        return Xz(buffered)
    return buffered


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """Read a file of at most 16 MB as a whole, or with ``-`` standard input.

    Raises OSError for one that cannot be read, SourceProblem for one that is larger.
    """
    standard = os.fspath(path) == "-"
    with nullcontext(sys.stdin.buffer) if standard else open(path, "rb") as file:
        content = file.read(LARGEST_WHOLE + 1)
    if len(content) > LARGEST_WHOLE:
        raise SourceProblem(
            f"{'standard input' if standard else path} is larger than 16 MB: no file of this kind "
            "is that large, and it is not read"
        )
    return content


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML, in time that grows with its length; raises ValueError or RecursionError."""
    # `tomllib` takes the square of the parts of a dotted key.
    if _LONG_KEY.search(text):
        raise ValueError("a key has more than 20 parts")
    if _LONG_NUMBER.search(text):
        raise ValueError("a number has more than 1,000 digits")
    return tomllib.loads(text)
