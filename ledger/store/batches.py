"""Rows of a SELECT as Arrow batches, read where it does no harm.

The ADBC driver makes no Python object for each value, but brings an SQLite of its own, and two of
them must not have one file open in one process: whoever closes it lets go of every lock that the
process holds on it (POSIX), those of the other too, and a writer's log could be swept away beneath
it (sqlite.org/howtocorrupt.html, section 2.2). So the driver reads in a process of its own, and few
rows are read by this process's SQLite.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import pyarrow as pa

from ledger.problems import LedgerProblem
from ledger.store.file import connect_reader, sqlite_uri, storage_problems
from ledger.store.schema import redefinitions

if TYPE_CHECKING:
    from adbc_driver_sqlite import dbapi

BATCH_ROWS: Final = 65_536

_WORTH_BYTES: Final = 32 << 20
"""In a smaller file all rows are read in less time than another process takes to start."""

_PIPE_BYTES: Final = 1 << 20

Values = Sequence[str | int]
"""Those of a SELECT's question marks."""


def few(path: Path, select: str, values: Values = ()) -> Iterator[pa.RecordBatch]:
    """Yield what a SELECT gives that yields few rows, though it may look at many.

    A column's type is settled in each batch, and is null where all of it is: cast it. Raises
    LedgerProblem when the file cannot be read.
    """
    with storage_problems(path), closing(connect_reader(path)) as connection:
        cursor = connection.execute(select, tuple(values))
        names = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(BATCH_ROWS):
            yield pa.record_batch([pa.array(each) for each in zip(*rows, strict=True)], names)


def many(path: Path, select: str, values: Values = ()) -> Iterator[pa.RecordBatch]:
    """Yield what a SELECT gives that yields a good part of the rows there are, as `few` does."""
    if path.stat().st_size < _WORTH_BYTES or _is_redefined(path):
        yield from few(path, select, values)
        return
    query = json.dumps({"path": str(path.absolute()), "select": select, "values": list(values)})
    # Not by multiprocessing, which would run the caller's own script again. With -P, since nothing
    # in the folder where the caller happens to be is to be imported.
    with subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with suppress(OSError):  # a kernel may allow less: then it is slower
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            process.stdin.write(query.encode())
            process.stdin.close()
            yield from _received(cast(BinaryIO, process.stdout))
            message = process.stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
            if process.wait() != 0:  # also where the stream ended early and looked complete
                raise LedgerProblem(f"{path} cannot be read: {message or 'its reader was killed'}")
        finally:
            process.kill()


def _is_redefined(path: Path) -> bool:
    """Return whether something may run in the file: the driver has no authorizer against that."""
    with storage_problems(path), closing(connect_reader(path)) as connection:
        return bool(redefinitions(connection))


def _received(stream: BinaryIO) -> Iterator[pa.RecordBatch]:
    try:
        with pa.ipc.open_stream(stream) as reader:
            yield from reader
    except (pa.ArrowInvalid, OSError):
        return  # cut off: how the process ended says why


def main() -> None:
    """Answer what standard input asks on standard output, as an Arrow stream.

    Exit code 1 and one sentence on standard error when the file cannot be read.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits has it, and ends this process
    query = json.load(sys.stdin)
    try:
        _send(Path(query["path"]), query["select"], query["values"])
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:
        print(str(error).partition("\n")[0], file=sys.stderr)
        sys.exit(1)


def _send(path: Path, select: str, values: Values) -> None:
    # Here, and so in that child process alone: the driver brings an SQLite of its own.
    from adbc_driver_sqlite import dbapi

    with (
        dbapi.connect(sqlite_uri(path, "mode=ro")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("PRAGMA trusted_schema = OFF")
        _set_batch_rows(cursor)
        cursor.execute(select, tuple(values) or None)
        reader = cursor.fetch_record_batch()
        with (
            pa.ipc.new_stream(sys.stdout.buffer, reader.schema) as stream,
            ThreadPoolExecutor(1) as ahead,
        ):
            batches = iter(reader)
            coming = ahead.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = ahead.submit(next, batches, None)
                stream.write_batch(batch)


def _set_batch_rows(cursor: dbapi.Cursor) -> None:
    options: dict[str, Any] = {"adbc.sqlite.query.batch_rows": BATCH_ROWS}
    cursor.adbc_statement.set_options(**options)


if __name__ == "__main__":
    main()
