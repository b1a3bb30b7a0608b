"""What the benches of the whole population share: the question they ask, and how it is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.measure import FOLDER

if TYPE_CHECKING:
    import pyarrow as pa

    from ledger.ledger import Ledger
    from projections.standing import Moment
    from replay.everyone import Everyone

CACHE: Final = FOLDER / "compiled"
DAY: Final = 86_400_000_000
_BEFORE_HEAD: Final = 60 * DAY


@contextmanager
def opened(path: Path, *, read_only: bool = True) -> Iterator[Ledger]:
    """Open a ledger at the clock's time."""
    from ledger.ledger import Ledger

    with Ledger.open(path, clock=lambda: time.time_ns() // 1000, read_only=read_only) as ledger:
        yield ledger


def everyone_of(ledger: Ledger, *, snapshot: bool = True) -> Everyone:
    """Ask about everybody anew, as a process that begins would; code is compiled already."""
    from replay.everyone import Everyone

    return Everyone(ledger, cache=CACHE, snapshot=snapshot)


def moment_of(ledger: Ledger) -> Moment:
    """Ask as of 60 days before the head, when people were waiting, with all that is known now."""
    from projections.standing import Moment

    head = ledger.head()
    return Moment(head.recorded_at - _BEFORE_HEAD, head.recorded_at, head.position)


def population(path: Path, *, snapshot: bool = True) -> pa.Table:
    """Open a ledger, ask about everybody, and have the answer in memory."""
    with opened(path) as ledger:
        return everyone_of(ledger, snapshot=snapshot).population(moment_of(ledger))


def columns_beside(path: Path) -> Path:
    """Name the folder of a ledger's snapshot."""
    return Path(f"{path}.columns")
