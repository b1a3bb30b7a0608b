"""Do two ledgers give the same answers? Everybody's standing from both, at one moment."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ledger.ledger import Ledger
from projections.standing import Moment
from replay.columns.build import Progress
from replay.everyone import Everyone
from replay.receipts import digest_of


class Answers(NamedTuple):
    """What everybody's standing came to."""

    rows: int
    sha256: str
    """Of the rows as JSON Lines, as in a receipt."""


def answers_of(
    ledger: Ledger, moment: Moment, *, cache: Path | None, workers: int, progress: Progress
) -> Answers:
    """Fold everybody's standing at a moment, from the ledger itself, and sum it up.

    No snapshot beside it is read or written: the file is what is asked.
    """
    everyone = Everyone(ledger, cache=cache, snapshot=False, workers=workers, progress=progress)
    table = everyone.population(moment)
    return Answers(table.num_rows, digest_of(table))
