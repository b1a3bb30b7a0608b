"""Throw away what was derived from a ledger, when a candidate was forgotten.

The read model and the columns hold no personal field, whatever was recorded. They are thrown away
all the same: then nobody needs to believe that, of a file that an earlier release may have made.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from replay.columns.cache import folder_of, remove_columns
from replay.read_model.build import draft_of, remove
from replay.read_model.state import BeingKept, Other, is_there, keeping
from replay.read_model.store import ReadModel


class Purged(NamedTuple):
    """What became of what was derived."""

    removed: tuple[Path, ...]
    emptied: tuple[Path, ...]
    """Followed by another process just now: it stays, without its free pages and its log."""
    left: tuple[str, ...]
    """What could not be thrown away, and why: a sentence each."""


def purge(ledger: Ledger, views: Path) -> Purged:
    """Remove the column cache beside a ledger, and the read model; both are made anew.

    Whoever is reading them goes on with what was open. Never fails: what stays is told.
    """
    removed: list[Path] = []
    emptied: list[Path] = []
    left: list[str] = []
    columns = folder_of(ledger.path)
    for path, removes in (
        (columns, partial(remove_columns, ledger.path)),
        (views, partial(_remove_views, views)),
    ):
        try:
            if removes():
                removed.append(path)
        except BeingKept:
            emptied.append(path)
        except LedgerProblem as problem:
            left.append(str(problem))
        except OSError as error:
            left.append(f"{path} cannot be removed: {error.strerror}")
    return Purged(tuple(removed), tuple(emptied), tuple(left))


def _remove_views(path: Path) -> bool:
    """Remove a read model, what SQLite keeps beside it, and drafts of it; True if there were.

    Raises BeingKept if a process follows it, with the file emptied of all that is not in its
    tables; LedgerProblem for what is no read model, which is left.
    """
    drafts = (draft_of(path), Path(f"{path}.check"))
    if not any(each.exists() for each in (path, *drafts)):
        return False
    with suppress(Other):  # of another release, and ours
        is_there(path)
    try:
        with keeping(path):
            for each in (path, *drafts):
                remove(each)
    except BeingKept:
        if not path.exists():
            return False  # they are being built, of what the ledger says now
        with ReadModel(path) as model:
            model.compact()
        raise
    return True
