"""How far a long call is: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ledger.problems import printable

if TYPE_CHECKING:
    from rich.progress import Progress

    from ledger.intake.report import Report


@contextmanager
def importing(name: str) -> Iterator[Callable[[Report, int, int | None], None] | None]:
    """Show rows, rate and time left while the body imports an input; None off a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _bar("{task.fields[rows]:,} rows", "{task.fields[rate]}")
    task = bar.add_task(printable(name), total=None, rows=0, rate="")

    def show(report: Report, done: int, size: int | None) -> None:
        elapsed = bar.tasks[0].elapsed
        rate = f"{report.read / elapsed:,.0f} rows/s" if elapsed else ""
        bar.update(task, completed=done, total=size, rows=report.read, rate=rate)

    with bar:
        yield show


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` are done, once the body tells that some are."""
    if not sys.stderr.isatty():
        yield lambda more: None
        return
    bar = _bar("{task.completed:,} of {task.total:,}")
    task = bar.add_task(what, total=total)

    def show(more: int) -> None:
        bar.start()
        bar.update(task, advance=more)

    try:
        yield show
    finally:
        bar.stop()


def _bar(*texts: str) -> Progress:
    # Here, since there is a bar on a terminal only, and for long calls only (60 ms).
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        *(TextColumn(text) for text in texts),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
