"""Events as leaves of the tree: the record that commits to a row, and rows hashed in pieces."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from json.encoder import encode_basestring as quoted
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from ledger.store.inspection import Packed, Reading, Values
from ledger.store.sealing import inspection_of
from ledger.store.server import Address
from ledger.tlog.tiles import WIDTH

Result = TypeVar("Result")

_TILES_AT_ONCE = 16
JOB_TILES = 128
"""Tiles of one piece of work: 32,768 rows, and so many files that are made durable together."""
WORTH_ROWS = 200_000
"""From so many rows on other processes are started, which takes them a third of a second."""


def leaf_record(row: Values) -> bytes:
    """Return a row as the leaf record: one line of JSON, UTF-8.

    Version 1 for a row without extension attributes, whatever the format of its ledger: a tree
    stays what it was. Version 2 for one with them: also the SHA-256 of their bytes.

    Integers in decimal, text quoted as RFC 8785 has it, null where a column has nothing; of `data`
    the SHA-256 of its bytes. Written out rather than left to a library, since its bytes are for
    ever. Raises TypeError, ValueError or AttributeError for values that no row of ours has.
    """
    (position, recorded_at, occurred_at, topic, stream, source, id, actor, exam, key, flag, until,
     annuls, data, extensions) = row  # fmt: skip
    columns = (
        f'{{"position":{position:d},"recorded_at":{recorded_at:d}'
        f',"occurred_at":{occurred_at:d},"topic":{quoted(topic)},"stream":{quoted(stream)}'
        f',"source":{quoted(source)},"id":{quoted(id)}'
        f',"actor":{"null" if actor is None else quoted(actor)}'
        f',"exam":{"null" if exam is None else quoted(exam)}'
        f',"key":{"null" if key is None else quoted(key)}'
        f',"flag":{"null" if flag is None else format(flag, "d")}'
        f',"until":{"null" if until is None else format(until, "d")}'
        f',"annuls":{"null" if annuls is None else format(annuls, "d")}}}'
    )
    return _record(columns, data, extensions)


def _record(columns: str, data: str, extensions: str | None) -> bytes:
    """Return the leaf record of a row of which all columns but two are a JSON object already."""
    version, more = 1, ""
    if extensions is not None:
        version, more = 2, f',"extensions_sha256":"{sha256(extensions.encode()).hexdigest()}"'
    digest = sha256(data.encode()).hexdigest()
    return f'{{"v":{version},{columns[1:-1]},"data_sha256":"{digest}"{more}}}'.encode()


def leaf_hashes(rows: Sequence[Packed]) -> list[bytes]:
    """Hash rows as leaves (RFC 6962: after a zero byte).

    What a store packed is the record's own text, unless something in it is escaped: JSON leaves a
    choice of how, so that is written out here.
    """
    return [
        sha256(
            b"\0"
            + (
                leaf_record((*json.loads(columns).values(), data, extensions))
                if "\\" in columns
                else _record(columns, data, extensions)
            )
        ).digest()
        for columns, data, extensions in rows
    ]


def leaf_hash_or_none(row: Values) -> bytes | None:
    """Hash a row; None if it holds what no row of ours can hold: then it is not as it was sealed.

    Such are bytes that are no text, or text where a number should be.
    """
    try:
        return sha256(b"\0" + leaf_record(row)).digest()
    except (TypeError, ValueError, AttributeError):
        return None


# -- rows, tile by tile


class Hashed(NamedTuple):
    """The leaves of one tile, as far as they were read."""

    tile: int
    leaves: list[bytes | None]
    """One for each position; None where there is no row, or one that cannot be ours."""
    present: frozenset[int] | None
    """The positions that have a row; None: all."""


def hash_tiles(address: Address, first: int, last: int, *, typed: bool = False) -> Iterator[Hashed]:
    """Hash the rows of positions `first` (the first of a tile) to `last`, a tile at a time.

    A row that cannot be ours has no leaf if `typed`, else none or one that no row of ours has: who
    compares leaves needs no more, and that is quicker. In flat memory, each few tiles a read of
    their own, so that writers are not kept from cleaning up. Raises LedgerProblem when the file
    cannot be read.
    """
    with inspection_of(address).reading(address) as reading:
        for start in range(first, last + 1, _TILES_AT_ONCE * WIDTH):
            end = min(start + _TILES_AT_ONCE * WIDTH - 1, last)
            leaves, present = _hashed(reading, start, end, typed)
            for at in range(0, len(leaves), WIDTH):
                yield Hashed((start + at - 1) // WIDTH, leaves[at : at + WIDTH], present)


def _hashed(
    reading: Reading, start: int, end: int, typed: bool
) -> tuple[list[bytes | None], frozenset[int] | None]:
    """Hash rows quickly where they are all there and all sound, else what can be hashed."""
    with suppress(TypeError, ValueError, AttributeError):
        rows = reading.packed(start, end, typed=typed)
        if len(rows) == end - start + 1:  # positions are whole and different: none is missing
            return list(leaf_hashes(rows)), None
    found = {row[0]: row for row in reading.found(start, end)}
    leaves = [
        leaf_hash_or_none(found[position]) if position in found else None
        for position in range(start, end + 1)
    ]
    return leaves, frozenset(found)


# -- by several processes


def pieces(begin: int, last: int) -> Iterator[tuple[int, int]]:
    """Cut the positions from a tile's first up to `last` into pieces of work: (first, last)."""
    step = JOB_TILES * WIDTH
    for first in range(begin * WIDTH + 1, last + 1, step):
        yield first, min(first + step - 1, last)


def shared_out(
    work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]], rows: int, processes: int
) -> Iterator[Result]:
    """Yield the result of each job, in order; raises what a job raises.

    By `processes` processes if there are enough rows for it, else by this one alone.
    """
    if processes <= 1 or rows < WORTH_ROWS:
        yield from (work(*job) for job in jobs)
        return
    # Here, since most sealings hash a few rows. Not forked: a child must have neither our threads'
    # locks nor SQLite's files.
    from multiprocessing import get_context

    executor = concurrent.futures.ProcessPoolExecutor(
        processes, get_context("spawn"), _end_with, (os.getpid(),)
    )
    try:
        with no_interrupt():  # which starts the processes
            results = executor.map(_call, ((work, job) for job in jobs))
        yield from results
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def no_interrupt() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: they are ended by the one that started them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(parent: int) -> None:
    """Let this process end when the one that started it was killed, which it would not notice.

    Each of a pool's processes holds the pipe of the work open for the others.
    """

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=look, daemon=True).start()


def _call(job: tuple[Callable[..., Result], tuple[Any, ...]]) -> Result:
    work, words = job
    return work(*words)
