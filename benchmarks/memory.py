"""Peak memory of a whole `replay`, from nothing and from the column cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from benchmarks.data import fresh, ledger_of
from benchmarks.everyone import columns_beside
from benchmarks.measure import Figure, Options, attempt_ledger

_ASKED_MB = 1_500


def figures(options: Options) -> Iterator[Figure]:
    """Run the command twice; this process stays small, since a child's peak begins with it."""
    path = ledger_of(options.events)
    folder = fresh(options.scratch / "memory")
    shutil.rmtree(columns_beside(path), ignore_errors=True)
    for how in ("cold", "warm"):
        ran = attempt_ledger(path, "replay", "--output", folder / "standings.parquet")
        yield Figure(
            "memory", f"peak memory of `replay` of {options.events:,} events, {how}", "MB",
            ran.peak_mb, at_most=_ASKED_MB, note=f"the whole command took {ran.seconds:.1f} s",
            all={"ours": [ran.peak_mb]},
        )  # fmt: skip
