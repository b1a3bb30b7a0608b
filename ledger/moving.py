"""A ledger moved into another store: every row as it is, at the position that it has."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

from ledger.durable import sync
from ledger.events import Row
from ledger.problems import LedgerProblem
from ledger.store.interface import PAGE, Store

Progress = Callable[[int], object]
"""Called with how many more events are done."""


def copy_events(source: Store, target: Store, progress: Progress = lambda more: None) -> int:
    """Copy what a target has not of a source's events; return the last position of both.

    Goes on where an earlier call ended, each page durable before the next; also with what was
    appended meanwhile. Raises LedgerProblem where the target's last event is not the source's at
    that position: then it is another ledger.
    """
    after = target.head().position
    if after and target.page(after - 1, after) != source.page(after - 1, after):
        raise LedgerProblem(
            f"what is there holds {after:,} events, and the last of them is another: it was not "
            "moved there from here, or was written to since; nothing was changed"
        )
    progress(after)
    while rows := source.page(after):
        with target.writing() as writing:
            times = [row.recorded_at for row in rows]
            inserted = writing.insert(times, [Row(*row[2:]) for row in rows])
        if inserted != len(rows):
            raise LedgerProblem(
                f"position {after + inserted + 1} has the source and id of another event: "
                "it cannot be moved; `verify` says more"
            )
        after = rows[-1].position
        progress(len(rows))
    return after


def differing(
    source: Store, target: Store, upto: int, progress: Progress = lambda more: None
) -> int | None:
    """Return the first position up to one that is not the same in both, every column; None if none.

    Reads both wholly.
    """
    for after in range(0, upto, PAGE):
        last = min(after + PAGE, upto)
        ours, theirs = source.page(after, last), target.page(after, last)
        for position, (one, other) in enumerate(zip_longest(ours, theirs), after + 1):
            if one != other:
                return position
        progress(last - after)
    return None


def copy_file(source: Path, target: Path) -> bool:
    """Copy a file that only its owner may read, durably; return whether there was one to copy.

    What is there already is left as it is if it is the same; else raises LedgerProblem. OSError.
    """
    if not source.exists():
        return False
    if target.exists():
        if target.read_bytes() == source.read_bytes():
            return True
        raise LedgerProblem(f"{target} is there already, and another: move it away first")
    draft = target.with_name(f".{target.name}.new")
    draft.unlink(missing_ok=True)
    with (
        source.open("rb") as reading,
        open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as writing,
    ):
        shutil.copyfileobj(reading, writing)
        writing.flush()
        os.fsync(writing.fileno())
    os.replace(draft, target)
    sync(target.parent)
    return True


def copy_folder(source: Path, target: Path) -> None:
    """Copy a log's folder, file by file, the checkpoint last: it stands for all the others."""
    if not source.is_dir():
        return
    last = ("checkpoint", "verified")
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and path.name != "lock"]
    for path in sorted(files, key=lambda path: path.name in last):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.name in last and place.exists():
            place.unlink()
        copy_file(path, place)
