"""Everybody by an engine of Spark's protocol, files written, beside the local engine's one file."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from benchmarks.data import fresh, ledger_of
from benchmarks.everyone import opened, population, snapshot_of
from benchmarks.measure import Figure, Options, alternately, middle, seconds

_PARTS = 8


def figures(options: Options) -> Iterator[Figure]:
    """Ask Sail, on the same cores; its start, and the loading of compiled rules, are apart."""
    import pyarrow.parquet as pq

    from ledger.tlog.note import SigningKey
    from replay.columns.published import place_of, publish
    from replay.engines import SparkEngine, answer_into, plan_of
    from replay.formats import About
    from replay.formats.rows import write_rows
    from replay.population import EVERYBODY

    whole = ledger_of(options.events)
    rows = population(whole).num_rows  # makes the column cache, and compiles
    folder = fresh(options.scratch / "engine")
    number = count()
    with opened(whole) as ledger, sail() as (url, _):
        snapshot = snapshot_of(ledger)
        columns = place_of(str(folder / "parts"))
        key = SigningKey.generate("attempt-ledger/bench")
        part_rows = -(-options.events // _PARTS)
        published = publish(ledger, columns, key, snapshot.engine, part_rows=part_rows)
        engine = SparkEngine(url, snapshot.engine.workers)

        def here() -> float:
            def answered() -> None:
                with open(folder / "here.parquet", "wb") as file:
                    write_rows(snapshot_of(ledger).everybody(), "parquet", file, About("Standings"))

            return seconds(answered)

        def there() -> float:
            into = place_of(str(folder / f"rows-{next(number)}"))

            def answered() -> None:
                plan = plan_of(snapshot_of(ledger), published, EVERYBODY)
                answer_into(engine, snapshot, plan, columns, into)

            return seconds(answered)

        mine, local = alternately(options.runs, there, here)
        there()
        written = sorted(Path(f"{folder}/rows-0").glob("*.parquet"))
        assert sum(pq.read_metadata(file).num_rows for file in written) == rows
    yield Figure(
        "engine", f"{rows:,} rows by Sail, files written", "s", middle(mine), middle(local),
        "the local engine, one file", at_most=2.0,
        note=f"{len(written)} parts, each with a receipt and the digest of its rows",
        all={"ours": mine, "peer": local},
    )  # fmt: skip


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
