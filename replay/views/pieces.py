"""All facts read once and laid aside in pieces, split by candidate, to be folded one by one."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.scan import RECORDED_SCHEMA, read_recorded, scan_recorded
from replay.columns.build import bounds_of, read_ahead, spread

SMALL = 50_000
"""Up to so many facts another process would take longer to start than to read them."""
_SAMPLES_A_PIECE = 256


def cuts(ledger: Ledger, upto: int, pieces: int) -> tuple[str, ...]:
    """Give the candidates at which to cut everybody into so many pieces, at most, evenly."""
    step = max(1, upto // max(1, pieces * _SAMPLES_A_PIECE))
    sample = ledger.recorder.values(
        "SELECT substr(stream, 11) FROM events WHERE position IN (SELECT value FROM json_each(?)) "
        "AND +stream >= 'candidate/' AND +stream < 'candidate0' ORDER BY 1",
        (json.dumps(list(range(step, upto + 1, step))),),
    )
    return tuple(bounds_of([name for (name,) in sample], pieces))


def lay_aside(
    ledger: Ledger,
    upto: int,
    first: str | None,
    bounds: Sequence[str],
    files: Sequence[Path],
    told: Callable[[int], None],
) -> None:
    """Write every fact up to a position to the file of its piece; nobody before `first`.

    File i holds the candidates before bounds[i], as Arrow of `ledger.scan.RECORDED_SCHEMA`, by
    position. Raises LedgerProblem when the ledger cannot be read, or a file not be written.
    """
    if upto <= SMALL:
        _spread(read_recorded(ledger, upto), first, bounds, files, told)
        return
    # In a process of its own: it reads with an SQLite other than this process has the ledger open
    # with, and closing the file there would let go of our locks (see `read_candidates`).
    context = get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    arguments = (ledger.path, upto, first, tuple(bounds), tuple(files), sending)
    process = context.Process(target=_apart, args=arguments, daemon=True)
    process.start()
    sending.close()
    try:
        while (said := _received(receiving, ledger.path)) is not None:
            told(said)
    finally:
        process.terminate()
        process.join()


def _received(receiving: Connection, path: Path) -> int | None:
    try:
        said: int | str | None = receiving.recv()
    except EOFError:
        said = f"the process that reads {path} ended before its time: try again"
    if isinstance(said, str):
        raise LedgerProblem(said)
    return said


def _apart(
    path: Path,
    upto: int,
    first: str | None,
    bounds: Sequence[str],
    files: Sequence[Path],
    sending: Connection,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it, and ends this process
    try:
        _spread(read_ahead(scan_recorded(path, upto)), first, bounds, files, sending.send)
    except LedgerProblem as problem:
        sending.send(str(problem))
    else:
        sending.send(None)


def _spread(
    facts: Iterator[pa.RecordBatch],
    first: str | None,
    bounds: Sequence[str],
    files: Sequence[Path],
    told: Callable[[int], None],
) -> None:
    if first is not None:
        facts = (batch.filter(pc.greater_equal(batch["candidate"], first)) for batch in facts)
    try:
        spread(facts, bounds, files, told, RECORDED_SCHEMA)
    except OSError as error:
        raise LedgerProblem(
            f"{files[0].parent} cannot be written: {error.strerror or error}"
        ) from None
