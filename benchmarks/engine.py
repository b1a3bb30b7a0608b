"""Everybody by an engine of Spark's protocol, files written, beside the local engine's one file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from benchmarks.data import fresh, ledger_of
from benchmarks.everyone import opened, population, snapshot_of
from benchmarks.measure import Figure, Options, alternately, middle, processor, seconds

_PARTS = 8
_MORE = 1.3
"""Of ten million events are 1.5 million rows, and two million are asked for."""


def figures(options: Options) -> Iterator[Figure]:
    """Ask Sail, on the same cores; its start, and the loading of compiled rules, are apart."""
    import pyarrow.parquet as pq

    from ledger.tlog.note import SigningKey
    from replay.columns.published import place_of, publish
    from replay.engines import SparkEngine, answer_into, plan_of
    from replay.formats import About
    from replay.formats.rows import write_rows
    from replay.population import EVERYBODY

    events = int(options.events * _MORE)
    whole = ledger_of(events)
    rows = population(whole).num_rows  # makes the column cache, and compiles
    folder = fresh(options.scratch / "engine")
    number = count()
    spent: dict[str, list[float]] = {"here": [], "there": []}
    with opened(whole) as ledger, sail() as (url, server):
        snapshot = snapshot_of(ledger)
        columns = place_of(str(folder / "parts"))
        key = SigningKey.generate("attempt-ledger/bench")
        published = publish(ledger, columns, key, snapshot.engine, part_rows=-(-events // _PARTS))
        engine = SparkEngine(url, snapshot.engine.workers)

        def timed(where: str, work: Callable[[], None]) -> float:
            before = time.process_time() + processor(server)
            took = seconds(work)
            spent[where].append(time.process_time() + processor(server) - before)
            return took

        def here() -> None:
            with open(folder / "here.parquet", "wb") as file:
                write_rows(snapshot_of(ledger).everybody(), "parquet", file, About("Standings"))

        def there() -> None:
            into = place_of(str(folder / f"rows-{next(number)}"))
            plan = plan_of(snapshot_of(ledger), published, EVERYBODY)
            answer_into(engine, snapshot, plan, columns, into)

        mine, local = alternately(
            options.runs, lambda: timed("there", there), lambda: timed("here", here)
        )
        written = sorted((folder / "rows-0").glob("*.parquet"))
        assert sum(pq.read_metadata(file).num_rows for file in written) == rows
    yield Figure(
        "engine", f"{rows:,} rows by Sail, files written", "s", middle(mine), middle(local),
        "the local engine, one file", at_most=2.0,
        note=f"of {events:,} events; {len(written)} parts, each with a receipt and the digest of "
        f"its rows, which the one file is without; {middle(spent['there']):.2f} s of the "
        f"processor, and {middle(spent['here']):.2f}",
        all={"ours": mine, "peer": local},
    )  # fmt: skip
    shutil.rmtree(folder)


@contextmanager
def sail() -> Iterator[tuple[str, int]]:
    """Start a server; yield its address, and the number of its process."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [Path(sys.executable).with_name("sail"), "spark", "server", "--port", str(port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"sc://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait()
