"""All facts read once and laid aside in pieces, split by candidate, to be folded one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.compute as pc

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.store.scans import RECORDED
from replay.columns.build import bounds_of, read_ahead, spread

_SAMPLES_A_PIECE = 256


def cuts(ledger: Ledger, upto: int, pieces: int) -> tuple[str, ...]:
    """Return the candidates at which to cut everybody into so many pieces, at most, evenly."""
    return tuple(bounds_of(ledger.scans.sample(upto, pieces * _SAMPLES_A_PIECE), pieces))


def lay_aside(
    ledger: Ledger,
    upto: int,
    first: str | None,
    bounds: Sequence[str],
    files: Sequence[Path],
    told: Callable[[int], None],
) -> None:
    """Write every fact up to a position to the file of its piece; nobody before `first`.

    File i holds the candidates before bounds[i], as Arrow of `scans.RECORDED`, by position.
    Raises LedgerProblem when the ledger cannot be read, or a file not be written.
    """
    facts = read_ahead(ledger.scans.recorded(upto))
    if first is not None:
        facts = (batch.filter(pc.greater_equal(batch["candidate"], first)) for batch in facts)
    try:
        spread(facts, bounds, files, told, RECORDED)
    except OSError as error:
        raise LedgerProblem(
            f"{files[0].parent} cannot be written: {error.strerror or error}"
        ) from None
