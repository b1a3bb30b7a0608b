"""Others' Parquet and Arrow files, read in a process of their own, in bounded memory and time.

The native code that reads them believes what they say of themselves: how much they unpack to, how
many rows there are, where texts end. A file of kilobytes may take gigabytes, or end the process.
So another process turns them into lines of JSON, and has no more memory than any output of ours
needs; whatever becomes of it is one sentence.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, Final

import pyarrow as pa

from replay.formats.arrow import arrow_batches
from replay.formats.child import command, confine, how_it_ended
from replay.formats.json import Foreign, json_bytes, texts_of_line
from replay.formats.parquet import parquet_batches, receipt_of_parquet

_MEMORY: Final = 1 << 30
_SECONDS: Final = 60
"""Of the processor, and one more for each _BYTES of the file: ours take a hundredth of it."""
_BYTES: Final = 100_000
_LONGEST: Final = 64 << 20
"""Bytes of a line that are read."""
READERS: Final[dict[str, Callable[[BinaryIO], Foreign]]] = {
    "parquet": parquet_batches,
    "arrow": arrow_batches,
}


def foreign_rows(file: BinaryIO, form: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a file of `parquet` or `arrow` as texts, the header first.

    Raises ValueError.
    """
    with _read(file, form) as lines:
        yield tuple(json.loads(_line(lines) or "[]"))
        while line := _line(lines):
            yield texts_of_line(line)


def own_rows(file: BinaryIO, form: str) -> Iterator[tuple[str, ...]]:
    """Yield the same of a file of our own, here and now."""
    names, batches = READERS[form](file)
    yield tuple(names)
    for batch in batches:
        yield from map(texts_of_line, json_bytes(batch).tobytes().splitlines())


def foreign_receipt(file: BinaryIO) -> bytes | None:
    """Return the receipt inside a Parquet file, None where there is none; raises ValueError."""
    with _read(file, "receipt") as lines:
        return lines.read(_LONGEST) or None


@contextmanager
def _read(file: BinaryIO, what: str) -> Iterator[IO[bytes]]:
    """Let a process read a file, and return what it writes; raises ValueError as it ends."""
    size = file.seek(0, 2)
    with tempfile.TemporaryFile() as errors:
        order = command(__name__, what, str(_SECONDS + size // _BYTES))
        with subprocess.Popen(order, stdin=file, stdout=subprocess.PIPE, stderr=errors) as child:
            assert child.stdout is not None
            try:
                yield child.stdout
                child.stdout.close()
                code = child.wait()
            finally:
                child.kill()
        errors.seek(0)
        if problem := how_it_ended(code, errors.read(), "what reads it"):
            raise ValueError(problem)


def _line(lines: IO[bytes]) -> bytes:
    line = lines.readline(_LONGEST)
    if len(line) == _LONGEST:
        raise ValueError("it has a row of more than 64 MB, as no output does")
    return line


def main(what: str, seconds: str) -> None:
    """Write onto standard output what is asked of the file that is standard input."""
    confine(_MEMORY, int(seconds))
    out = sys.stdout.buffer
    try:
        with open(0, "rb", closefd=False) as file:
            if what == "receipt":
                out.write(receipt_of_parquet(file) or b"")
            else:
                names, batches = READERS[what](file)
                out.write(json.dumps(names).encode() + b"\n")
                for batch in batches:
                    out.write(json_bytes(batch))
        out.flush()
    except MemoryError:  # before Arrow's, of which one is of both kinds
        sys.exit("it takes more than 1 GB to read, as no output does")
    except (ValueError, OSError, pa.ArrowException) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main(*sys.argv[1:])
