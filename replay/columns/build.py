"""The whole store into parts, in bounded memory: split by candidate while it is read."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from threading import Thread

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

from ledger.store.scan import SCHEMA, sample_candidates, scan
from replay.columns.arrange import Numbers, arrange
from replay.columns.choose import PART_ROWS
from replay.columns.part import Part

Progress = Callable[[int], None]
"""Told how many more facts have been read."""

_SAMPLES_A_PART = 256
_READ_AHEAD = 4
_SORTED_AT_ONCE = 4  # each holds a part in memory, several times over


def build(
    path: Path,
    upto: int,
    exams: Numbers,
    certifications: Numbers,
    *,
    bounds: Sequence[str] | None = None,
    workers: int = 2,
    progress: Progress = lambda facts: None,
) -> Iterator[Part]:
    """Yield parts of every candidate's facts up to a position, in the order of candidates.

    The facts are first laid aside in a temporary folder, cut at candidates
    `bounds` name, or that a sample says are evenly apart; then each piece is sorted on its own.
    """
    if bounds is None:
        pieces = -(-upto // PART_ROWS)
        bounds = bounds_of(sample_candidates(path, upto, pieces * _SAMPLES_A_PART), pieces)
    with tempfile.TemporaryDirectory(prefix="attempt-ledger-") as folder:
        files = [Path(folder) / f"{piece}.arrows" for piece in range(len(bounds) + 1)]
        spread(read_ahead(scan(path, 0, upto)), bounds, files, progress)
        workers = min(workers, _SORTED_AT_ONCE)
        with ThreadPoolExecutor(workers) as pool:
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
    schema: pa.Schema = SCHEMA,
) -> None:
    """Write each fact to the file of its piece: file i holds candidates before bounds[i]."""
    with ExitStack() as stack:
        writers = [stack.enter_context(ipc.new_stream(str(file), schema)) for file in files]
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
