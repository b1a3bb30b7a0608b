"""Where words go: data to standard output or a file, everything else to standard error."""

from __future__ import annotations

import io
import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from attempt_ledger.cli.replacing import NotReplaced, check_place, check_replaced
from ledger.problems import printable

PROGRAM = "attempt-ledger"
WIDTH = 80


def say(sentence: str) -> None:
    """Write to the person at the terminal something that is not data; never fails."""
    note(sentence if sentence.startswith("Usage: ") else f"{PROGRAM}: {sentence}")


def note(line: str) -> None:
    """Put a line on standard error as it is, without terminal escapes; never fails."""
    with suppress(OSError, ValueError):
        print(printable(line, keep="\n"), file=sys.stderr, flush=True)


def put(text: str) -> None:
    """Put data on standard output: as it is, but on a terminal with nothing that steers it."""
    with to_standard_output():
        sys.stdout.write(_for_terminal(text) if sys.stdout.isatty() else text)


def put_now(text: str) -> None:
    """Put data on standard output and see to it that it is out."""
    put(text)
    flush()


def flush() -> None:
    """See to it that what was put on standard output is out."""
    with to_standard_output():
        sys.stdout.flush()


def speak_utf8() -> None:
    """Write UTF-8 whatever the locale says: the same inputs give the same bytes.

    The name of a file goes out as the bytes that it is made of.
    """
    if sys.stdout is None:  # closed by the caller, as with >&-
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)


def _for_terminal(text: str) -> str:
    return printable(text, keep="\n\t")


class _Terminal(io.BufferedIOBase):
    """Standard output for the bytes of texts, none of which steers the terminal that it is."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        sys.stdout.write(_for_terminal(self._decoder.decode(bytes(data))))
        return len(data)

    def flush(self) -> None:
        sys.stdout.flush()


@contextmanager
def to_standard_output() -> Iterator[None]:
    """Name standard output in what the system says of writing to it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, "standard output") from None


@contextmanager
def text_to(path: Path | None, *, private: bool = False) -> Iterator[IO[str]]:
    """Open where text goes: standard output, or a file as in `bytes_to`; UTF-8, ``\\n``."""
    if path is None and not sys.stdout.isatty():
        with to_standard_output():
            yield sys.stdout
        return
    with bytes_to(path, private=private) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n", write_through=False)
        try:
            yield text
            text.flush()
        finally:
            with suppress(ValueError, OSError):
                text.detach()


@contextmanager
def bytes_to(path: Path | None, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open where bytes go: standard output, or a file that is there whole or not at all.

    A file is written beside its place and renamed when it is complete; until then what was there
    stays. What is no regular file (a pipe, /dev/null) is written as it is. A private one, which
    holds personal data, nobody else may read. Raises OSError, which names the file.
    """
    if path is None:
        with to_standard_output():
            sys.stdout.flush()
            yield cast(BinaryIO, _Terminal()) if sys.stdout.isatty() else sys.stdout.buffer
        return
    check_place(path)
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        with place.open("wb") as file:
            yield file
        return
    if place.exists() and not place.stat().st_mode & 0o200:
        raise NotReplaced(f"{path} may only be read, and is not replaced: name another file")
    # A name may be as long as one can be: 255 bytes.
    name = os.fsdecode(os.fsencode(place.name)[:240])
    draft = place.with_name(f".{name}.{os.urandom(4).hex()}")
    try:
        try:
            # Until it is whole nobody else reads it; then it is as wide as the file it replaces.
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        with os.fdopen(descriptor, "wb") as file:
            try:
                yield file
                file.flush()
                check_replaced(path, place, draft)
                os.fchmod(file.fileno(), _mode_of(place) & (0o600 if private else 0o777))
                os.fsync(file.fileno())
            except OSError as error:
                raise OSError(error.errno, error.strerror, error.filename or str(path)) from None
        os.replace(draft, place)
    finally:
        with suppress(OSError):
            draft.unlink()


def _mode_of(place: Path) -> int:
    """Return the mode of a file that is to be replaced, else that of a new one."""
    with suppress(FileNotFoundError):
        return place.stat().st_mode & 0o777
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
