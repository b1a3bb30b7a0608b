"""All facts read once and laid aside in pieces, split by candidate, to be folded one by one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.compute as pc

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.store.scan import RECORDED_SCHEMA, scan_recorded
from replay.columns.build import bounds_of, read_ahead, spread

_SAMPLES_A_PIECE = 256


def cuts(ledger: Ledger, upto: int, pieces: int) -> tuple[str, ...]:
    """Return the candidates at which to cut everybody into so many pieces, at most, evenly."""
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

    File i holds the candidates before bounds[i], as Arrow of `scan.RECORDED_SCHEMA`, by position.
    Raises LedgerProblem when the ledger cannot be read, or a file not be written.
    """
    facts = read_ahead(scan_recorded(ledger.path, upto))
    if first is not None:
        facts = (batch.filter(pc.greater_equal(batch["candidate"], first)) for batch in facts)
    try:
        spread(facts, bounds, files, told, RECORDED_SCHEMA)
    except OSError as error:
        raise LedgerProblem(
            f"{files[0].parent} cannot be written: {error.strerror or error}"
        ) from None
