"""Everybody's facts from the store into columns, in bounded memory: split, numbered, sorted."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from ledger.ledger import Ledger
from ledger.store.scans import FACTS, Scans
from replay.columns.arrange import Numbers, arrange
from replay.columns.part import PART_ROWS, Part

Progress = Callable[[int], None]
"""Called with how many more facts have been read."""

_SAMPLES_A_PART, _READ_AHEAD = 256, 4
_SORTED_AT_ONCE = 4  # each holds a part in memory, several times over


class Columns(NamedTuple):
    """Everybody's facts up to a position: base parts, and a delta that replaces candidates."""

    position: int
    base: tuple[Part, ...]
    delta: Part | None
    exams: tuple[str, ...]
    """The exam of each number in the parts."""
    certifications: tuple[str, ...]


def passing(
    ledger: Ledger,
    position: int,
    *,
    workers: int = 2,
    progress: Progress = lambda facts: None,
) -> Columns:
    """Return columns straight from the ledger, with no column cache read or left behind."""
    exams, certifications = Numbers([]), Numbers([])
    parts = build(ledger.scans, position, exams, certifications, workers=workers, progress=progress)
    return Columns(
        position=position,
        base=tuple(parts),
        delta=None,
        exams=tuple(exams.names()),
        certifications=tuple(certifications.names()),
    )


def build(
    scans: Scans,
    upto: int,
    exams: Numbers,
    certifications: Numbers,
    *,
    bounds: Sequence[str] | None = None,
    part_rows: int | None = None,
    workers: int = 2,
    progress: Progress = lambda facts: None,
) -> Iterator[Part]:
    """Yield parts of every candidate's facts up to a position, in the order of candidates.

    The facts are first laid aside in a temporary folder, cut at candidates
    `bounds` name, or that a sample says are evenly spread; then each piece is sorted on its own.
    """
    if bounds is None:
        pieces = -(-upto // (part_rows or PART_ROWS))
        bounds = bounds_of(scans.sample(upto, pieces * _SAMPLES_A_PART), pieces)
    with tempfile.TemporaryDirectory(prefix="attempt-ledger-") as folder:
        files = [Path(folder) / f"{piece}.arrows" for piece in range(len(bounds) + 1)]
        spread(read_ahead(scans.facts(0, upto)), bounds, files, progress)
        with ThreadPoolExecutor(workers := min(workers, _SORTED_AT_ONCE)) as pool:
            waiting: deque[Future[Part]] = deque()
            for file in files:
                waiting.append(pool.submit(_arranged, file, exams, certifications))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _arranged(file: Path, exams: Numbers, certifications: Numbers) -> Part:
    with file.open("rb") as opened, ipc.open_stream(opened) as stream:
        facts = stream.read_all()
    file.unlink()
    return arrange(facts, exams, certifications)


def bounds_of(names: Sequence[str], pieces: int) -> list[str]:
    """Return the candidates at which to cut a sorted sample into so many pieces, at most."""
    cuts = {names[len(names) * piece // pieces] for piece in range(1, pieces) if names}
    return sorted(cuts)


def spread(
    batches: Iterator[pa.RecordBatch],
    bounds: Sequence[str],
    files: Sequence[Path],
    progress: Progress,
    schema: pa.Schema = FACTS,
) -> None:
    """Write each fact to the file of its piece: file i holds candidates before bounds[i]."""
    with ExitStack() as stack:
        enter = stack.enter_context  # files are opened here: Arrow knows no name but in UTF-8
        writers = [enter(ipc.new_stream(enter(file.open("wb")), schema)) for file in files]
        for batch in batches:
            piece = np.zeros(batch.num_rows, dtype=np.int32)
            for bound in bounds:
                after = pc.greater_equal(batch["candidate"], bound)
                piece += after.to_numpy(zero_copy_only=False)
            order = np.argsort(piece, kind="stable")
            ends = np.searchsorted(piece[order], np.arange(len(files) + 1))
            sorted_batch = batch.take(pa.array(order))
            for n, writer in enumerate(writers):
                if ends[n] < ends[n + 1]:
                    writer.write_batch(sorted_batch.slice(ends[n], ends[n + 1] - ends[n]))
            progress(batch.num_rows)


def read_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Read in a thread of its own, a few batches ahead of whoever takes them."""
    queue: Queue[pa.RecordBatch | BaseException | None] = Queue(_READ_AHEAD)

    def read() -> None:
        try:
            for batch in batches:
                queue.put(batch)
            queue.put(None)
        except BaseException as problem:
            queue.put(problem)

    thread = Thread(target=read, daemon=True)
    thread.start()
    while (item := queue.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
    thread.join()
