"""All facts read once and laid aside in pieces, split by candidate, to be folded one by one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
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
    # with, and closing the file there would let go of our locks (see `read_candidates`). Not by
    # multiprocessing, which would run the caller's own script again.
    asked = {
        "path": str(ledger.path),
        "upto": upto,
        "first": first,
        "bounds": list(bounds),
        "files": [str(file) for file in files],
    }
    with subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asked))
            process.stdin.close()
            for line in process.stdout:
                said = json.loads(line)
                if said is None:
                    return
                if isinstance(said, str):
                    raise LedgerProblem(said)
                told(said)
            raise LedgerProblem(
                f"the process that reads {ledger.path} ended before its time: try again"
            )
        finally:
            process.kill()


def main() -> None:
    """Lay aside what standard input asks for; count on standard output, then null or a sentence."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it, and ends this process

    def say(said: int | str | None) -> None:
        print(json.dumps(said), flush=True)

    asked = json.load(sys.stdin)
    files = [Path(file) for file in asked["files"]]
    facts = read_ahead(scan_recorded(Path(asked["path"]), asked["upto"]))
    try:
        _spread(facts, asked["first"], asked["bounds"], files, say)
    except LedgerProblem as problem:
        say(str(problem))
    else:
        say(None)


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


if __name__ == "__main__":
    main()
