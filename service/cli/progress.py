"""How far an import is: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger.intake.report import Report

Told = Callable[["Report", int, int | None], None]


@contextmanager
def progress_bar(name: str) -> Iterator[Told | None]:
    """Show rows, rate and time left on standard error while the body runs; None off a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from service.cli.output import clean

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[rows]:,} rows"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(escape(clean(name)), total=None, rows=0, rate="")

    def told(report: Report, done: int, size: int | None) -> None:
        elapsed = bar.tasks[0].elapsed
        rate = f"{report.read / elapsed:,.0f}/s" if elapsed else ""
        bar.update(task, completed=done, total=size, rows=report.read, rate=rate)

    with bar:
        yield told
