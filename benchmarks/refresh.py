"""The column cache brought up to date after a thousand new events."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from itertools import count, islice

from benchmarks.data import copied, fresh, ledger_of
from benchmarks.everyone import opened, population, snapshot_of
from benchmarks.measure import Figure, Options, middle, seconds

_NEW = 1_000
_ASKED_SECONDS = 1.0


def figures(options: Options) -> Iterator[Figure]:
    """Append results of candidates from all over the ledger, then refresh; several times over."""
    from ledger.facts import Fact
    from ledger.models import ExamAttempted, ExamFailed

    path = ledger_of(options.events)
    folder = fresh(options.scratch / "refresh")
    copy = copied(path, folder)
    population(copy)
    numbers, took = count(1), []
    with opened(copy, read_only=False) as ledger:
        step = max(1, options.events // 10 // _NEW)
        names = list(islice(ledger.candidates(), 0, None, step))
        for _ in range(options.runs + 1):
            now = time.time_ns() // 1000
            facts = []
            for number in islice(numbers, _NEW // 2):
                key, name = f"N-{number}", names[number * 7 % len(names)]
                sat = ExamAttempted(exam="AZ-104", registration_id=key, delivery="live")
                failed = ExamFailed(exam="AZ-104", registration_id=key, score=600)
                facts.append(Fact("urn:vue", f"{key}/attempted", name, now - 7_200_000_000, sat))
                facts.append(Fact("urn:vue", f"{key}/result", name, now - 3_600_000_000, failed))
            ledger.append(facts)
            snapshot = snapshot_of(ledger)
            took.append(seconds(lambda: snapshot.columns))  # noqa: B023 (called here)
    shutil.rmtree(folder)
    what = f"refresh of the column cache by {_NEW:,} events, {options.events:,} there"
    yield Figure(
        "refresh", what, "s", middle(took[1:]), at_most=_ASKED_SECONDS,
        note="opened and checked, the delta written and opened", all={"ours": took[1:]},
    )  # fmt: skip
