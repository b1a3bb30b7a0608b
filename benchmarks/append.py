"""One durable append at a time: the ledger, plain sqlite3, eventsourcing's aggregates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

from benchmarks.data import fresh
from benchmarks.measure import Figure, Options, alternately, middle


def figures(options: Options) -> Iterator[Figure]:
    """Append fact after fact, each on the disk before the next begins."""
    from benchmarks.peers.aggregates import Candidate, application
    from benchmarks.peers.plain import Plain
    from ledger.facts import Fact
    from ledger.ledger import Ledger
    from ledger.models import ExamAttempted

    each = min(1_000, max(20, options.events // 1_000))
    folder = fresh(options.scratch / "append")
    start = 1_600_000_000_000_000

    def fact(number: int) -> Fact:
        registration = f"R-{number:08d}"
        sat = start + number * 60_000_000
        event = ExamAttempted(
            exam="AZ-104", registration_id=registration, delivery="live", ended_at=sat + 3_600_000
        )
        id, candidate = f"{registration}/attempted", f"C-{number // 20:08d}"
        return Fact("urn:vue", id, candidate, sat, event, "results-feed")

    facts = map(fact, range(1 << 30))
    rows = map(lambda number: fact(number).row(), range(1 << 30))  # noqa: C417
    app = application(folder / "aggregates.sqlite")
    # What is measured is one more event of a candidate known already.
    people = [Candidate(f"candidate/C-{number:08d}") for number in range(each)]
    app.save(*people)
    ids = [person.id for person in people]
    at_hand = [Candidate(f"candidate/D-{number:08d}") for number in range(50)]
    app.save(*at_hand)
    numbers = count(1)

    def sits(person: Candidate) -> None:
        number = next(numbers)
        person.attempt("AZ-104", f"R-{number:08d}", "live", start + number, start + number)
        app.save(person)

    with (
        Ledger.create(folder / "ours.ledger", clock=lambda: time.time_ns() // 1000) as ledger,
        Plain(folder / "plain.ledger") as plain,
    ):

        def ours() -> float:
            ready = [next(facts) for _ in range(each)]
            began = time.perf_counter()
            for one in ready:
                ledger.append([one])
            return each / (time.perf_counter() - began)

        def sqlite() -> float:
            ready = [next(rows) for _ in range(each)]
            began = time.perf_counter()
            for one in ready:
                plain.commit(one)
            return each / (time.perf_counter() - began)

        def aggregates() -> float:
            began = time.perf_counter()
            for id in ids:
                sits(app.repository.get(id))
            return each / (time.perf_counter() - began)

        def kept() -> float:
            began = time.perf_counter()
            for number in range(each):
                sits(at_hand[number % len(at_hand)])
            return each / (time.perf_counter() - began)

        sides = (ours, sqlite, aggregates, kept)
        mine, bare, others, others_kept = alternately(max(options.runs, 5), *sides)
    app.close()
    what = "one durable append at a time"
    yield Figure(
        "append", what, "/s", middle(mine), middle(bare), "sqlite3", at_least=0.6,
        all={"ours": mine, "peer": bare},
    )  # fmt: skip
    yield Figure(
        "append", what, "/s", middle(mine), middle(others), "eventsourcing", at_least=1.5,
        note="its aggregates as its manual has it: get, command, save",
        all={"ours": mine, "peer": others},
    )  # fmt: skip
    yield Figure(
        "append", "the same, aggregates kept in memory", "/s", middle(mine), middle(others_kept),
        "eventsourcing", all={"ours": mine, "peer": others_kept},
    )  # fmt: skip
