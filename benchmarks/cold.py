"""Everybody's standing with no column cache there: from the SQLite file to a result."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import fresh, ledger_of
from benchmarks.everyone import columns_beside, opened, population
from benchmarks.measure import Figure, Options, alternately, middle, seconds

_ASKED_RATE = 250_000
_SAMPLE = 100_000
_PAGE = 1_000


def figures(options: Options) -> Iterator[Figure]:
    """Replay as the command does where nothing is there yet: the column cache is made and kept."""
    from benchmarks.peers.aggregates import application, save_all

    path = ledger_of(options.events)
    population(path)  # so that the rules are compiled
    folder = fresh(options.scratch / "cold")
    app = application(folder / "aggregates.sqlite")
    with opened(path) as ledger:
        rows = list(ledger.read(upto=min(_SAMPLE, options.events)))
    known: dict[Any, Any] = {}
    for first in range(0, len(rows), _PAGE):
        save_all(app, rows[first : first + _PAGE], known)

    def ours() -> float:
        return options.events / seconds(lambda: replay_cold(path))

    def notifications() -> float:
        began, count, start = time.perf_counter(), 0, 1
        while page := app.recorder.select_notifications(start, _PAGE):
            for notification in page:
                app.mapper.to_domain_event(notification)
            count += len(page)
            start = page[-1].id + 1
        return count / (time.perf_counter() - began)

    mine, others = alternately(min(options.runs, 3), ours, notifications, warm_up=0)
    app.close()
    what = f"cold replay of {options.events:,} events"
    note = "the file in the system's cache; the column cache is written on the way"
    yield Figure(
        "cold", what, "/s", middle(mine), at_least=_ASKED_RATE, note=note, all={"ours": mine}
    )
    yield Figure(
        "cold", what, "/s", middle(mine), middle(others), "eventsourcing", at_least=6,
        note="its notifications read and mapped, nothing done with them",
        all={"ours": mine, "peer": others},
    )  # fmt: skip


def replay_cold(path: Path) -> None:
    """Ask about everybody with no column cache there."""
    shutil.rmtree(columns_beside(path), ignore_errors=True)
    population(path)
