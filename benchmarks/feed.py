"""The feed to a file, whole command: lines, batches, one type; and what a feed that waits costs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.data import fresh, ledger_of
from benchmarks.measure import Figure, Options, alternately, attempt_ledger, middle, processor

_ASKED_RATE = 100_000
_IDLE_SECONDS = 5


def figures(options: Options) -> Iterator[Figure]:
    """Write the whole ledger, a fifth as many events as are asked for, to a file."""
    events = max(100, options.events // 5)
    ledger = ledger_of(events)
    folder = fresh(options.scratch / "feed")
    peaks: list[float] = []

    def fed(*words: str) -> float:
        output = folder / "feed.jsonl"
        output.unlink(missing_ok=True)  # into a file that is there it would go on
        ran = attempt_ledger(ledger, "feed", *words, "--output", output)
        peaks.append(ran.peak_mb)
        return events / ran.seconds

    lines, batches, chosen = alternately(
        min(options.runs, 3),
        lambda: fed(),
        lambda: fed("--batch", "500"),
        lambda: fed("--type", "ExamPassed"),
        warm_up=0,
    )
    what = f"feed of {events:,} events to a file"
    yield Figure("feed", what, "/s", middle(lines), at_least=_ASKED_RATE, all={"ours": lines})
    yield Figure(
        "feed", "the same in batches of 500", "/s", middle(batches), at_least=_ASKED_RATE,
        all={"ours": batches},
    )  # fmt: skip
    yield Figure(
        "feed", "the same, one type of them", "/s", middle(chosen), all={"ours": chosen},
        note="events read, of which about a quarter are written",
    )  # fmt: skip
    yield Figure("feed", "peak memory of a feed", "MB", max(peaks), all={"ours": peaks})
    idle = options.share(_IDLE_SECONDS)
    busy = _idle(ledger, events, folder / "idle.jsonl", idle)
    shutil.rmtree(folder)
    yield Figure(
        "feed", f"processor time of a feed that waits for {idle} s", "s", busy, all={"ours": [busy]}
    )


def _idle(ledger: Path, events: int, output: Path, seconds: int) -> float:
    """Follow from the head, where nothing comes, and measure what that takes."""
    program = Path(sys.executable).with_name("attempt-ledger")
    words = ["feed", "--after", str(events), "--follow", "--output", str(output)]
    with subprocess.Popen([program, "--ledger", f"sqlite:///{ledger}", *words]) as process:
        while not output.exists():
            time.sleep(0.01)
        time.sleep(0.5)
        before = processor(process.pid)
        time.sleep(seconds)
        spent = processor(process.pid) - before
        process.terminate()
    return spent
