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
    from replay.snapshot import Snapshot

CACHE: Final = FOLDER / "compiled"
DAY: Final = 86_400_000_000
_BEFORE_HEAD: Final = 60 * DAY


@contextmanager
def opened(path: Path, *, read_only: bool = True) -> Iterator[Ledger]:
    """Open a ledger at the clock's time."""
    from ledger.ledger import Ledger

    with Ledger.open(path, clock=lambda: time.time_ns() // 1000, read_only=read_only) as ledger:
        yield ledger


def moment_of(ledger: Ledger) -> Moment:
    """Ask as of 60 days before the head, when people were waiting, with all that is known now."""
    from projections.standing import Moment

    head = ledger.head()
    return Moment(head.recorded_at - _BEFORE_HEAD, head.recorded_at, head.position)


def snapshot_of(ledger: Ledger, *, keep_columns: bool = True) -> Snapshot:
    """Bind a ledger anew, as a process that begins would; code is compiled already."""
    from replay.snapshot import Engine, Snapshot

    return Snapshot(ledger, moment_of(ledger), Engine(CACHE, keep_columns=keep_columns))


def population(path: Path, *, keep_columns: bool = True) -> pa.Table:
    """Open a ledger, ask about everybody, and have the answer in memory."""
    with opened(path) as ledger:
        return snapshot_of(ledger, keep_columns=keep_columns).everybody()


def columns_beside(path: Path) -> Path:
    """Name the folder of a ledger's column cache."""
    return Path(f"{path}.columns")
