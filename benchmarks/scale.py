"""What each command over a whole ledger costs: processor seconds, which other programs do not move.

At one size; docs/scale.md has those of several. Whole commands, each a process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks.data import fresh, ledger_of
from benchmarks.engine import sail
from benchmarks.everyone import columns_beside
from benchmarks.measure import Figure, Options, Ran, attempt_ledger, processor


def figures(options: Options) -> Iterator[Figure]:
    """Call each command once: what is measured is work, not time."""
    whole = ledger_of(options.events)
    folder = fresh(options.scratch / "scale")
    size = whole.stat().st_size / options.events
    yield Figure("scale", "the ledger's file, an event", "bytes", size)
    if not os.path.lexists(f"{whole}.signing-key"):
        yield _figure(options, "seal", attempt_ledger(whole, "seal", "--new-key"))
    attempt_ledger(whole, "replay", "--output", folder / "first.parquet")  # compiles the rules
    parts = ("--part-rows", str(max(options.events // 16, 1)), "--to", str(folder / "parts"))
    yield _figure(options, "columns build", attempt_ledger(whole, "columns", "build", *parts))
    for file in sorted(columns_beside(whole).glob("*")):
        if file.suffix in (".arrow", ".json"):
            file.unlink()
    for how in ("cold", "warm"):
        ran = attempt_ledger(whole, "replay", "--output", folder / f"{how}.parquet")
        yield _figure(options, f"replay, {how}, to one file", ran)
    with sail() as (url, process):
        ask = ("--engine", url, "--columns", folder / "parts", "--into")
        attempt_ledger(whole, "replay", *ask, folder / "first")  # loads the compiled rules
        before = processor(process)
        ran = attempt_ledger(whole, "replay", "--as-of", "2023-01-01", *ask, folder / "rows")
        spent = processor(process) - before
        yield _figure(options, "replay on Sail, to files", ran, and_there=spent)
    yield _figure(
        options, "violations", attempt_ledger(whole, "violations", "--output", folder / "v.csv")
    )
    out = folder / "events"
    yield _figure(
        options, "export --partitioned", attempt_ledger(whole, "export", "--partitioned", out)
    )
    stored = sum(file.stat().st_size for file in out.rglob("*.parquet"))
    yield Figure("scale", "the partitioned export, an event", "bytes", stored / options.events)
    stored = sum(file.stat().st_size for file in (folder / "parts").glob("*.arrow"))
    yield Figure("scale", "built columns, an event", "bytes", stored / options.events)


def _figure(options: Options, what: str, ran: Ran, and_there: float = 0.0) -> Figure:
    note = f"{ran.seconds:.1f} s by the clock, peak {ran.peak_mb:,.0f} MB"
    if and_there:
        note += f"; {and_there:.1f} s of it in Sail"
    each = (ran.processor + and_there) / options.events * 1e6
    return Figure(
        "scale", f"{what}, {options.events:,} events", "s", ran.processor + and_there,
        note=f"{each:.2f} µs an event; {note}",
    )  # fmt: skip
