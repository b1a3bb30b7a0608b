"""Sixteen processes that write at once, one event at a time, while readers follow them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from attempt_ledger import clock
from drills.followers import Followers
from drills.ground import compile_rules, new_ledger
from drills.needs import Tool
from drills.processes import LONG, Writer, left_behind, merged, until
from drills.report import Finding, Options
from drills.visitors import come_and_go
from drills.whole import examine
from ledger.ledger import Ledger

NEEDS: tuple[Tool, ...] = ()

WRITERS = 16


def run(options: Options) -> Iterator[Finding]:
    """Let many write at once, and others follow them; then let programs come and go beside one."""
    compile_rules(options.scratch)
    yield _at_once(options)
    yield come_and_go(options.scratch, options.size(20, 2))


def _at_once(options: Options) -> Finding:
    """Let them write for some seconds; whoever follows must miss nothing and see nothing twice."""
    seconds = options.size(20, 3)
    folder = options.scratch
    path = new_ledger(folder, catalogue=True)
    words = ("--wait", "--seconds", str(seconds))
    writers = [Writer(folder, path, f"w{n:02}", *words) for n in range(WRITERS)]
    followers = Followers(folder, path)
    try:
        followers.start()
        for writer in writers:
            writer.start()
        until(lambda: all(writer.marks()[0][1] for writer in writers))  # each says that it is ready
        for writer in writers:
            writer.go()
        with Ledger.open(path, clock=clock.now, read_only=True) as ledger:
            seen = _followed(ledger, writers)
            head = ledger.head().position
        problems = [
            f"{writer.name} ended with exit code {writer.code()}: {writer.said()}"
            for writer in writers
            if writer.wait() != 0 or writer.errors.stat().st_size
        ]
        if seen != list(range(1, head + 1)):
            problems.append("a reader that followed did not see every position once, in order")
        problems += followers.problems()
    finally:
        for process in (*writers, *followers.all):
            process.stop()
    acknowledged, contradictions = merged(writers)
    whole = examine(path, acknowledged)
    counts = sorted(len(writer.waits) for writer in writers)
    worst = max(max(writer.waits, default=0) for writer in writers)
    return Finding(
        "writers",
        f"{WRITERS} writers for {seconds} s, 4 readers following",
        len(acknowledged),
        whole.lost,
        whole.doubled,
        (*problems, *contradictions, *whole.problems, *left_behind(folder)),
        note=(
            f"worst wait {worst / 1000:.0f} ms, {counts[0]:,} to {counts[-1]:,} appends a writer, "
            f"{sum(counts) / seconds:,.0f} a second"
        ),
    )


def _followed(ledger: Ledger, writers: Sequence[Writer]) -> list[int]:
    """Follow the ledger until all writers have ended, and all they wrote was seen."""
    seen: list[int] = []
    ends = time.monotonic() + LONG

    def done() -> bool:
        if time.monotonic() > ends:
            return True
        ended = all(writer.code() is not None for writer in writers)
        return ended and len(seen) >= ledger.head().position

    for rows in ledger.follow(0, interval=0.01, stop=done):
        seen.extend(row.position for row in rows)
    return seen
