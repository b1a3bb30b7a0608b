"""Every event as Parquet, by month of recording: files that are added to and never changed.

A file's name says the first position in it and its footer how many there are, so that the folder
itself says how far it reaches: no other state can disagree with it. Files appear in the order of
positions, each whole and on the disk before the next is begun.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem, shown
from projections.table import INSTANT, TEXT, WHOLE

SCHEMA: Final = pa.schema(
    [
        pa.field("position", WHOLE, nullable=False),
        pa.field("recorded_at", INSTANT, nullable=False),
        pa.field("occurred_at", INSTANT, nullable=False),
        pa.field("type", TEXT, nullable=False),
        pa.field("version", WHOLE, nullable=False),
        pa.field("subject_kind", TEXT, nullable=False),
        pa.field("subject", TEXT, nullable=False),
        pa.field("source", TEXT, nullable=False),
        pa.field("id", TEXT, nullable=False),
        ("actor", TEXT),
        ("exam", TEXT),
        ("key", TEXT),
        ("annuls", WHOLE),
        pa.field("data", TEXT, nullable=False),
        ("extensions", TEXT),
    ]
)
"""One row an event, by position. A change of it is another export: it may gain nothing, lose
nothing, and rename nothing."""

MONTH: Final = "recorded_month"
"""What the folders of months are named by, as Hive does: ``recorded_month=2021-03``."""
LEDGER: Final = b"attempt-ledger.ledger"
"""The ledger's id, in the metadata of each file."""

_MONTH: Final = re.compile(rf"{MONTH}=\d{{4}}-\d{{2}}")
_FILE: Final = re.compile(r"events-(\d{12})\.parquet")
_DRAFT: Final = re.compile(r"\.events-\d{12}\.parquet\.[0-9a-f]{8}")
_MOST: Final = 1_000_000
"""Rows of a file."""
_GROUP: Final = 65_536
"""Rows that are in memory at once, and of a row group."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class NotExported(LedgerProblem):
    """The folder is no earlier export of this ledger, or is not whole; str() is one sentence."""


class Exported(NamedTuple):
    """What an export added."""

    events: int
    files: int
    position: int
    """Up to which the folder holds every event now."""


def export_partitioned(
    ledger: Ledger,
    path: Path,
    *,
    most: int = _MOST,
    progress: Callable[[int], None] = lambda events: None,
) -> Exported:
    """Add to a folder the events that it lacks, up to the head as it is when this begins.

    The folder is made if it is not there. Files are as readable as the umask lets them be; personal
    fields are in them as ciphertext. Whoever dies in the middle leaves whole files and a draft,
    which no reader takes for a file and the next export removes. Raises NotExported, and changes
    nothing, where the folder holds anything but an earlier export of this ledger; OSError.
    """
    head = ledger.head().position
    with _folder(path) as root:
        last = begun = _reached(ledger, root, path)
        files = 0
        for month, rows in groupby(ledger.read(last, head), _month):
            with _month_folder(root, month, path) as folder:
                batches = _batches(rows, most)
                for batch in batches:
                    name = f"events-{last + 1:012d}.parquet"
                    with _whole(folder, name, path / month / name) as file:
                        last = _write(file, ledger, batch, batches, most, progress)
                    files += 1
        return Exported(last - begun, files, last)


def _month(row: Recorded) -> str:
    return f"{MONTH}={format_instant(row.recorded_at)[:7]}"


def _batches(rows: Iterator[Recorded], most: int) -> Iterator[list[Recorded]]:
    """Yield a month's rows as they come, as many at a time as a row group has."""
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == min(_GROUP, most):
            yield batch
            batch = []
    if batch:
        yield batch


def _write(
    file: Any,
    ledger: Ledger,
    batch: list[Recorded] | None,
    more: Iterator[list[Recorded]],
    most: int,
    progress: Callable[[int], None],
) -> int:
    """Write a file of a batch and those that follow it in its month; return its last position."""
    schema = SCHEMA.with_metadata({LEDGER: str(ledger.about("ledger")).encode()})
    written, last = 0, 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch is not None:
            writer.write_batch(_columns(batch, schema))
            written, last = written + len(batch), batch[-1].position
            progress(len(batch))
            batch = next(more, None) if written + _GROUP <= most else None
    return last


def _columns(rows: list[Recorded], schema: pa.Schema) -> pa.RecordBatch:
    values = [
        (
            row.position, row.recorded_at, row.occurred_at, row.type, row.version,
            *row.stream.split("/", 1), row.source, row.id, row.actor, row.exam, row.key,
            row.annuls, row.data, row.extensions,
        )
        for row in rows
    ]  # fmt: skip
    columns = zip(*values, strict=True)
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


# -- the folder


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """Open the folder, made if it is not there, for one export at a time."""
    try:
        path.mkdir(exist_ok=True)
    except FileExistsError:
        raise NotExported(f"{path} is a file: name a folder") from None
    descriptor = os.open(path, _FOLDER & ~os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotExported(
                f"another export writes to {path} just now: wait until it has ended"
            ) from None
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _month_folder(root: int, month: str, path: Path) -> Iterator[int]:
    with suppress(FileExistsError):
        os.mkdir(month, dir_fd=root)
        os.fsync(root)
    try:
        folder = os.open(month, _FOLDER, dir_fd=root)
    except NotADirectoryError:
        raise _strange(path, month) from None
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _whole(folder: int, name: str, path: Path) -> Iterator[Any]:
    """Open a new file that is there whole or not at all, and on the disk before the next."""
    draft = f".{name}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(draft, flags, 0o666, dir_fd=folder), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with suppress(OSError):
            os.unlink(draft, dir_fd=folder)


def _reached(ledger: Ledger, root: int, path: Path) -> int:
    """Return up to which position a folder holds every event of this ledger, 0 if it is empty.

    What a killed export left is removed, once everything else is as an export leaves it.
    """
    found: list[tuple[int, str, str]] = []
    drafts: list[tuple[str, str]] = []
    for month in sorted(os.listdir(root)):
        if _MONTH.fullmatch(month) is None:
            raise _strange(path, month)
        with _month_folder(root, month, path) as folder:
            for name in os.listdir(folder):
                if (named := _FILE.fullmatch(name)) is not None:
                    found.append((int(named[1]), month, name))
                elif _DRAFT.fullmatch(name):
                    drafts.append((month, name))
                else:
                    raise _strange(path, f"{month}/{name}")
    last = 0
    for first, month, name in sorted(found):
        if first != last + 1:
            raise NotExported(
                f"{path} lacks what comes after position {last}: {month}/{name} begins at {first}; "
                "export into a new folder"
            )
        with _month_folder(root, month, path) as folder:
            last += _rows(ledger, folder, name, path / month / name, newest=first == max(found)[0])
    for month, name in drafts:
        with _month_folder(root, month, path) as folder:
            os.unlink(name, dir_fd=folder)
    return last


def _rows(ledger: Ledger, folder: int, name: str, path: Path, *, newest: bool) -> int:
    """Return how many events a file has; the last of the newest has to be the ledger's."""
    # A pipe in its place would have us wait for whoever writes into it: Parquet it is not.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
        try:
            parquet = pq.ParquetFile(file)
            schema = parquet.schema_arrow
            rows = int(parquet.metadata.num_rows)
            if newest:
                group = parquet.read_row_group(parquet.num_row_groups - 1, list(_LAST))
                ended = group.slice(group.num_rows - 1).to_pylist()[0]
        except (pa.ArrowException, OSError, KeyError, IndexError) as error:
            raise NotExported(
                f"{path} is no whole Parquet file ({shown(str(error))}): export into a new folder"
            ) from None
    if not schema.equals(SCHEMA):
        raise NotExported(f"{path} has other columns than this release writes: export anew")
    if newest:
        event = ledger.event(ended["position"])
        now = None if event is None else (event.position, event.source, event.id)
        ours = (schema.metadata or {}).get(LEDGER) == str(ledger.about("ledger")).encode()
        if not ours or now != tuple(ended.values()):
            raise NotExported(
                f"{path} is of another ledger, or this one was put back from a copy since: event "
                f"{ended['position']} is another; export into a new folder"
            )
    return rows


_LAST: Final = ("position", "source", "id")


def _strange(path: Path, name: str) -> NotExported:
    return NotExported(
        f"{path} is no earlier export of events: it holds {shown(name)}; name another folder"
    )
