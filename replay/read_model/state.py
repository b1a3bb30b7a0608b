"""How it stands with a file of views: how far it is, and whether it is sound. Reads, no more."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ledger.ledger import Ledger
from replay.read_model.store import DamagedReadModel, OtherReadModel, ReadModel, differs, looked_at


class State(NamedTuple):
    """What a file of views is worth."""

    position: int
    """How far it is; 0 where it tells nothing."""
    stale: frozenset[str]
    """Exams whose rows are still to be folded again."""
    other: str | None
    """In what it differs from views of this ledger and release; then it is built anew."""
    damaged: bool
    """SQLite cannot read it."""


def state_of(ledger: Ledger, path: Path) -> State | None:
    """Look at a file of views; None if there is none. Raises LedgerProblem for any other file."""
    try:
        if not looked_at(path):
            return None
    except OtherReadModel as problem:
        return State(0, frozenset(), str(problem), False)
    try:
        with ReadModel(path, wal=False, read_only=True) as model:
            if not model.is_sound():
                return State(0, frozenset(), None, True)
            stand = model.stand()
            stale = model.stale() if stand is not None else frozenset()
    except DamagedReadModel:
        return State(0, frozenset(), None, True)
    other = differs(stand, ledger)
    if stand is None or other is not None:
        return State(0, frozenset(), other, False)
    return State(stand.position, stale, None, False)
