"""`import` of a results CSV, as a whole command, beside writing the same rows without a check."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import rmtree

from benchmarks.data import fresh, results_csv
from benchmarks.measure import Figure, Options, Ran, alternately, attempt_ledger, middle, python

_PEAK_MB = 250


def figures(options: Options) -> Iterator[Figure]:
    """Import a tenth as many rows as events are asked for, twice as many events."""
    rows = max(100, options.events // 10)
    events = 2 * rows
    csv = results_csv(rows)
    folder = fresh(options.scratch / "importing")
    peaks: list[float] = []
    batches: list[int] = []

    def ours() -> float:
        ledger = folder / "ours.ledger"
        ran = imported(csv, ledger)
        peaks.append(ran.peak_mb)
        batches.append(batch_of(ledger, events))
        return events / ran.seconds

    def sqlite() -> float:
        target = _gone(folder / "plain.ledger")
        ran = python(
            "benchmarks.peers.plain", folder / "ours.ledger", target, "--batch", str(batches[-1])
        )
        return _rate(ran, events)

    def aggregates() -> float:
        target = _gone(folder / "aggregates.sqlite")
        ran = python(
            "benchmarks.peers.saving", folder / "ours.ledger", target,
            "--batch", str(batches[-1]), "--events", str(events),
        )  # fmt: skip
        return _rate(ran, events)

    mine, bare, others = alternately(min(options.runs, 3), ours, sqlite, aggregates, warm_up=0)
    what = f"import of {rows:,} results, whole command"
    note = f"{batches[-1]:,} events a transaction, as ours had"
    yield Figure(
        "importing", what, "/s", middle(mine), middle(bare), "sqlite3 executemany", at_least=0.4,
        note=f"executemany alone, rows at hand, {note}", all={"ours": mine, "peer": bare},
    )  # fmt: skip
    yield Figure(
        "importing", what, "/s", middle(mine), middle(others), "eventsourcing", at_least=2,
        note=f"its aggregates kept in memory, {note}", all={"ours": mine, "peer": others},
    )  # fmt: skip
    twice = imported(results_csv(2 * rows), folder / "twice.ledger").peak_mb
    yield Figure(
        "importing", f"peak memory of a process, {rows:,} results", "MB", max(peaks),
        at_most=_PEAK_MB, all={"ours": peaks},
    )  # fmt: skip
    yield Figure(
        "importing", f"peak memory of a process, {2 * rows:,} results", "MB", twice, max(peaks),
        f"{rows:,} results", at_most=1.05, all={"ours": [twice]},
    )  # fmt: skip


def imported(csv: Path, ledger: Path, *arguments: str) -> Ran:
    """Import a CSV into an empty ledger with the command line."""
    _gone(ledger)
    attempt_ledger(ledger, "init", "--bare")
    # Its exams are in no catalogue, which is said, with exit code 1.
    return attempt_ledger(ledger, "import", csv, *arguments, cwd=ledger.parent, odd=True)


def batch_of(ledger: Path, events: int) -> int:
    """Return how many events a transaction had: all of one share their recorded_at."""
    with closing(sqlite3.connect(ledger)) as connection:
        count, transactions = connection.execute(
            "SELECT count(*), count(DISTINCT recorded_at) FROM events"
        ).fetchone()
    if count != events:
        raise RuntimeError(f"{ledger} holds {count} events, not {events}")
    return int(count // transactions)


def _rate(ran: Ran, events: int) -> float:
    said = json.loads(ran.output)
    if said["rows"] != events:
        raise RuntimeError(f"the peer wrote {said['rows']} rows, not {events}")
    return events / float(said["seconds"])


def _gone(path: Path) -> Path:
    for each in path.parent.glob(f"{path.name}*"):
        if each.is_dir():  # the log that `init` began
            rmtree(each)
        else:
            each.unlink()
    return path
