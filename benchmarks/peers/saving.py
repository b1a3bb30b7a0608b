"""Save a ledger's events as `eventsourcing`'s aggregates, in batches."""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from itertools import islice
from pathlib import Path

from benchmarks.peers.aggregates import Candidate, application, save_all
from ledger.events import Recorded


def save(source: Path, target: Path, batch: int, events: int) -> tuple[int, float]:
    """Save the first events of a ledger; return how many, and the seconds it took.

    Reading them is not counted. The candidates stay in memory, which spares it reading them back.
    """
    reading = sqlite3.connect(source)
    select = f"SELECT * FROM events ORDER BY position LIMIT {events}"
    rows = map(Recorded._make, reading.execute(select))
    app, known = application(target), dict[str, Candidate]()
    count, spent = 0, 0.0
    while some := list(islice(rows, batch)):
        began = time.perf_counter()
        save_all(app, some, known)
        spent += time.perf_counter() - began
        count += len(some)
    app.close()
    reading.close()
    return count, spent


def main() -> None:
    """Save in a process of its own, and print what it came to as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    given = parser.parse_args()
    count, spent = save(given.source, given.target, given.batch, given.events)
    print(json.dumps({"rows": count, "seconds": spent}))


if __name__ == "__main__":
    main()
