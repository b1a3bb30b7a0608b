"""Programs that follow a ledger while others write: did they miss anything, or see it twice?"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path

from attempt_ledger import clock
from drills.ground import command, surroundings
from drills.processes import Process, until
from ledger.cloudevents import to_cloudevents
from ledger.ledger import Ledger
from ledger.tlog.checkpoint import log_paths, sealed_size


class Followers:
    """`seal`, `project` and `feed`, each with --follow, on one ledger."""

    def __init__(self, folder: Path, ledger: Path) -> None:
        self.ledger = ledger
        self.fed = folder / "feed.jsonl"
        self.views = Path(f"{ledger}.views")
        log = log_paths(ledger).folder
        self.sealer = Process(
            folder,
            "seal",
            command(ledger, "seal", "--follow"),
            signs=[log, log / "tile" / "0", ledger.parent],
        )
        self.keeper = Process(
            folder,
            "project",
            command(ledger, "project", "--follow"),
            signs=[self.views, Path(f"{self.views}-wal")],
        )
        self.feed = Process(
            folder,
            "feed",
            command(ledger, "feed", "--follow", "--output", self.fed),
            signs=[self.fed],
        )
        self.all = (self.sealer, self.keeper, self.feed)

    def start(self) -> None:
        """Start all three."""
        for process in self.all:
            process.start()

    def behind(self, head: int) -> list[str]:
        """Name those that do not stand at a position."""
        at: dict[str, Callable[[], int]] = {
            self.sealer.name: lambda: sealed_size(log_paths(self.ledger)),
            self.keeper.name: lambda: _kept(self.views),
            self.feed.name: lambda: _fed(self.fed),
        }
        return [name for name, position in at.items() if position() != head]

    def problems(self) -> Iterator[str]:
        """Let them come to the head, once nobody writes any more; end them, and look at each."""
        with Ledger.open(self.ledger, clock=clock.now, read_only=True) as ledger:
            head = ledger.head().position
            running = [process for process in self.all if process.code() is None]
            until(lambda: not self.behind(head) or len(running) < len(self.all), interval=0.02)
            for name in self.behind(head):
                yield f"{name} --follow does not come to position {head}"
            for process in self.all:
                if process not in running:
                    yield f"{process.name} --follow ended by itself: {process.said()}"
                process.interrupt()
            yield from self._missed(ledger)
        check = command(self.ledger, "rebuild", "--check")
        checked = subprocess.run(check, capture_output=True, text=True, env=surroundings())
        if checked.returncode:
            yield f"the views are not as they should be: {checked.stderr.strip()}"

    def _missed(self, ledger: Ledger) -> Iterator[str]:
        """Hold the feed's file, line by line, against what is in the ledger."""
        told = to_cloudevents(ledger.read())
        with self.fed.open(encoding="utf-8") as file:
            for position, (line, expected) in enumerate(zip_longest(file, told), 1):
                if line != (None if expected is None else f"{expected}\n"):
                    yield f"the feed has not position {position} in its line {position}"
                    return


def _kept(views: Path) -> int:
    """Return the position that views stand for."""
    try:
        with closing(sqlite3.connect(f"file:{views}?mode=rw", uri=True)) as connection:
            return int(connection.execute("SELECT position FROM position").fetchone()[0])
    except (sqlite3.Error, TypeError):
        return 0  # not made yet


def _fed(file: Path) -> int:
    """Return the position of the last whole line of a feed's file."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, opened.seek(0, os.SEEK_END) - (1 << 16)))
            lines = opened.read().split(b"\n")[:-1]
        return int(json.loads(lines[-1])["sequence"]) if lines else 0
    except (OSError, ValueError):
        return 0
