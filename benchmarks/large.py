"""An append to a ledger of many events beside one to a twentieth of them, on both stores."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.data import copied, fresh, ledger_of
from benchmarks.measure import Figure, Options, alternately, middle
from benchmarks.postgres import server

if TYPE_CHECKING:
    from ledger.ledger import Ledger

_TIMES, _EACH = 20, 500
_AT_MOST = 1.3
_START = 1_600_000_000_000_000


def figures(options: Options) -> Iterator[Figure]:
    """Append to both in turn, each event durable before the next, of candidates all over."""
    sizes = (options.events, options.events // _TIMES)
    folder = fresh(options.scratch / "large")
    yield from _figure("a file", sizes, options, [
        _opened(copied(ledger_of(size), folder)) for size in sizes
    ])  # fmt: skip
    with server(fresh(options.scratch / "postgres")) as place:
        ledgers = []
        for size in sizes:
            ledgers.append(place.moved(ledger_of(size), f"of_{size}"))
        place.cluster.sql("VACUUM ANALYZE; CHECKPOINT")
        yield from _figure("PostgreSQL", sizes, options, ledgers)


def _opened(path: object) -> Ledger:
    from ledger.ledger import Ledger

    return Ledger.open(path, clock=lambda: time.time_ns() // 1000)  # type: ignore[arg-type]


def _figure(
    where: str, sizes: tuple[int, int], options: Options, ledgers: list[Ledger]
) -> Iterator[Figure]:
    from ledger.facts import Fact
    from ledger.models import ExamAttempted

    dice = random.Random(1)
    numbers = iter(range(1 << 30))

    def fact(ledger: Ledger, candidates: list[str]) -> Fact:
        number = next(numbers)
        event = ExamAttempted(exam="AZ-104", registration_id=f"N-{number:09d}", delivery="live")
        id = f"N-{number:09d}/attempted"
        return Fact("urn:vue", id, dice.choice(candidates), _START + number, event, "results-feed")

    with ExitStack() as stack:
        for ledger in ledgers:
            stack.enter_context(ledger)
        people = [ledger.scans.sample(ledger.head().position, 10 * _EACH) for ledger in ledgers]

        def appends(one: int) -> float:
            ready = [fact(ledgers[one], people[one]) for _ in range(_EACH)]
            began = time.perf_counter()
            for each in ready:
                ledgers[one].append([each])
            return (time.perf_counter() - began) / _EACH * 1000

        many, few = alternately(
            max(options.runs, 5), lambda: appends(0), lambda: appends(1), warm_up=1
        )
    yield Figure(
        "large", f"an append to {sizes[0]:,} events in {where}", "ms", middle(many), middle(few),
        f"{sizes[1]:,} events", at_most=_AT_MOST, all={"ours": many, "peer": few},
    )  # fmt: skip
