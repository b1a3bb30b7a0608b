"""After an erasure: what was derived from a ledger is thrown away, by every door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from replay.columns.folder import folder_of, remove_columns
from replay.read_model.state import BeingKept, discard


def purged(
    ledger: Ledger, views: Path, *, name: Callable[[str, Path], str] = lambda what, path: f"{path}"
) -> Iterator[tuple[str, bool]]:
    """Throw away what was derived; yield sentences on it, each with whether it is as it should be.

    The read model and the columns hold no personal field, whatever was recorded. They go all the
    same: then nobody needs to believe that, of a file that an earlier release may have made.
    `name` writes what a file is, and where: by default where alone.
    """
    for what, path, remove in (
        ("the column cache", folder_of(ledger.path), remove_columns),
        ("the read model", views, discard),
    ):
        called = name(what, path)
        try:
            if remove(path):
                yield f"Removed {called}; it is built again when it is needed", True
        except BeingKept:
            yield (
                f"{called} is followed by another process: it was written anew, without free pages",
                True,
            )
        except LedgerProblem as problem:
            yield str(problem).replace(str(path), called), False
        except OSError as error:
            yield f"{called} cannot be removed: {error.strerror}", False
