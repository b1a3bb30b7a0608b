"""May this candidate sit this exam: beside rebuilding the aggregate that would have to say so."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.data import fresh, ledger_of
from benchmarks.measure import Figure, Options, alternately, attempt_ledger, middle

_EVENTS_EACH = 20
_QUESTIONS = 300


def figures(options: Options) -> Iterator[Figure]:
    """Ask about candidates with 20 events, in a ledger of a fifth of the events asked for."""
    from benchmarks.peers.aggregates import Candidate, application, tell
    from ledger.ledger import Ledger
    from projections.standing import Moment
    from replay.snapshot import Snapshot

    events = max(2_000, options.events // 5)
    path = ledger_of(events)
    asked = questions(path, options.share(_QUESTIONS, 30))
    folder = fresh(options.scratch / "standing")
    stored = min(events, 200_000)
    app = application(folder / "aggregates.sqlite")
    ids = []
    with Ledger.open(path, clock=lambda: time.time_ns() // 1000, read_only=True) as ledger:
        for candidate, _ in asked:
            person = Candidate(candidate)
            for row in ledger.stream(f"candidate/{candidate}"):
                tell(person, row)
            app.save(person)
            ids.append(person.id)
        _fill(app, ledger, stored - len(ids) * (_EVENTS_EACH + 1))
        head = ledger.head()
        snapshot = Snapshot(ledger, Moment(head.recorded_at, head.recorded_at, head.position))
        snapshot.standing(*asked[0])

        def ours() -> float:
            began = time.perf_counter()
            for candidate, exam in asked:
                snapshot.standing(candidate, exam)
            return len(asked) / (time.perf_counter() - began)

        def aggregates() -> float:
            began = time.perf_counter()
            for id in ids:
                app.repository.get(id)
            return len(ids) / (time.perf_counter() - began)

        mine, others = alternately(max(options.runs, 5), ours, aggregates)
    app.close()
    yield Figure(
        "standing", f"standings of {_EVENTS_EACH} events, among {events:,}", "/s",
        middle(mine), middle(others), "eventsourcing get", at_least=3.5,
        note=f"reasons included; its store holds {stored:,} events",
        all={"ours": mine, "peer": others},
    )  # fmt: skip
    whole = [attempt_ledger(path, "standing", *each).seconds for each in asked[: options.runs + 1]]
    yield Figure(
        "standing", "the whole `standing` command, disk warm", "s", middle(whole[1:]), at_most=0.2,
        all={"ours": whole[1:]},
    )  # fmt: skip


def questions(path: Path, count: int) -> list[tuple[str, str]]:
    """Return candidates with 20 events, spread over the ledger, each with its most-sat exam."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT stream FROM events WHERE stream >= 'candidate/' AND stream < 'candidate0' "
            "GROUP BY stream HAVING count(*) = ?",
            (_EVENTS_EACH,),
        ).fetchall()
        step = max(1, len(found) // count)
        return [
            (
                stream.removeprefix("candidate/"),
                connection.execute(
                    "SELECT exam FROM events WHERE stream = ? AND exam IS NOT NULL "
                    "GROUP BY exam ORDER BY count(*) DESC, exam LIMIT 1",
                    (stream,),
                ).fetchone()[0],
            )
            for (stream,) in found[::step][:count]
        ]


def _fill(app: object, ledger: object, events: int) -> None:
    """Put others' events beside those asked about, so that its store is of some size too."""
    from benchmarks.peers.aggregates import Candidate, save_all

    known: dict[str, Candidate] = {}
    batch = []
    for row in ledger.read(upto=max(0, events)):  # type: ignore[attr-defined]
        batch.append(row)
        if len(batch) == 1_000:
            save_all(app, batch, known)  # type: ignore[arg-type]
            batch = []
