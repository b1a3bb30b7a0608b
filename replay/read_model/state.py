"""How it stands with a file of views: how far it is, and whether it is sound. Reads, no more."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ledger.ledger import Ledger
from replay.read_model.store import DamagedViews, OtherViews, Views, differs, looked_at


class ViewsState(NamedTuple):
    """What a file of views is worth."""

    position: int
    """How far it is; 0 where it tells nothing."""
    stale: frozenset[str]
    """Exams whose rows are still to be folded again."""
    other: str | None
    """In what it differs from views of this ledger and release; then it is built anew."""
    damaged: bool
    """SQLite cannot read it."""


def views_state(ledger: Ledger, path: Path) -> ViewsState | None:
    """Look at a file of views; None if there is none. Raises LedgerProblem for any other file."""
    try:
        if not looked_at(path):
            return None
    except OtherViews as problem:
        return ViewsState(0, frozenset(), str(problem), False)
    try:
        with Views(path, wal=False, read_only=True) as views:
            if not views.is_sound():
                return ViewsState(0, frozenset(), None, True)
            stand = views.stand()
            stale = views.stale() if stand is not None else frozenset()
    except DamagedViews:
        return ViewsState(0, frozenset(), None, True)
    other = differs(stand, ledger)
    if stand is None or other is not None:
        return ViewsState(0, frozenset(), other, False)
    return ViewsState(stand.position, stale, None, False)
