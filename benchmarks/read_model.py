"""The views: built from nothing, asked as of a date and for a waiting list, and followed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.data import copied, fresh, ledger_of
from benchmarks.everyone import moment_of, opened, population, snapshot_of
from benchmarks.measure import Figure, Options, Ran, alternately, attempt_ledger, middle, seconds

if TYPE_CHECKING:
    from ledger.facts import Fact

_EVENTS = 2_000_000
_ASKED_RATE = 40_000
_A_SECOND = 500
_APPENDED = 10_000
_EXAM = "AZ-104"
_WAITING = (
    "SELECT candidate, eligible_from FROM standings WHERE exam = ? AND status = 'waiting' "
    "AND valid_from <= ? AND valid_to > ?"
)


def figures(options: Options) -> Iterator[Figure]:
    """Build with the whole command; then ask, and follow, what was built."""
    events = min(options.events, _EVENTS)
    folder = fresh(options.scratch / "read_model")
    ledger = copied(ledger_of(events), folder)
    views = Path(f"{ledger}.views")
    attempt_ledger(ledger_of(min(events, 10_000)), "rebuild", "--views", folder / "warm.views")
    built: list[Ran] = []

    def building() -> float:
        views.unlink(missing_ok=True)
        built.append(attempt_ledger(ledger, "rebuild"))
        return events / built[-1].seconds

    (rates,) = alternately(min(options.runs, 3), building, warm_up=0)
    yield Figure(
        "read_model", f"rebuild of all views from {events:,} events", "/s", middle(rates),
        at_least=_ASKED_RATE, note="the whole command, to indexed tables", all={"ours": rates},
    )  # fmt: skip
    peaks = [ran.peak_mb for ran in built]
    yield Figure(
        "read_model", "peak memory of that", "MB", middle(peaks), all={"ours": peaks},
        note="pieces of 500,000 events, two at a time, whatever the size",
    )  # fmt: skip
    yield from _asked(options, ledger, views)
    yield _lag(ledger, views, events, options.share(_APPENDED))


def _asked(options: Options, path: Path, views: Path) -> Iterator[Figure]:
    from replay.population import Scope
    from replay.read_model.store import standings_as_of

    def replayed() -> int:
        return int(population(path).num_rows)

    with opened(path) as ledger:
        as_of = moment_of(ledger).as_of
    if replayed() != standings_as_of(views, as_of).num_rows:
        raise RuntimeError("the timeline and the replay tell of different people")
    mine, others = alternately(
        options.runs,
        lambda: seconds(lambda: standings_as_of(views, as_of)),
        lambda: seconds(replayed),
    )
    yield Figure(
        "read_model", "everybody as of a date from the timeline", "s", middle(mine), middle(others),
        "warm replay", at_most=2, note="to a table in memory, both; the timeline's in no order",
        all={"ours": mine, "peer": others},
    )  # fmt: skip

    with closing(sqlite3.connect(views)) as connection, opened(path) as ledger:
        snapshot = snapshot_of(ledger)
        assert snapshot.columns  # read before anything is measured

        def waiting() -> int:
            return len(connection.execute(_WAITING, (_EXAM, as_of, as_of)).fetchall())

        mine, others = alternately(
            options.runs,
            lambda: seconds(waiting),
            lambda: seconds(lambda: snapshot.everybody(Scope(_EXAM))),
        )
        count = waiting()
    yield Figure(
        "read_model", f"the waiting list of {_EXAM} on a day", "s", middle(mine), middle(others),
        "warm replay of that exam", at_least=50, note=f"{count:,} candidates; files open, both",
        all={"ours": mine, "peer": others},
    )  # fmt: skip


def _lag(path: Path, views: Path, events: int, appended: int) -> Figure:
    """Append for a while beside `project --follow`; see when each is in the views."""
    program = Path(sys.executable).with_name("attempt-ledger")
    command = [str(program), "--ledger", f"sqlite:///{path}", "project", "--follow"]
    committed: dict[int, float] = {}
    seen: list[tuple[float, int]] = []
    done = threading.Event()

    def look() -> None:
        with closing(sqlite3.connect(f"file:{views}?mode=ro", uri=True)) as connection:
            while not done.is_set():
                (position,) = connection.execute("SELECT position FROM position").fetchone()
                if not seen or position != seen[-1][1]:
                    seen.append((time.perf_counter(), position))
                time.sleep(0.002)

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as follower:
        assert follower.stderr is not None
        follower.stderr.readline()  # that it stands for the head
        watcher = threading.Thread(target=look)
        with opened(path, read_only=False) as ledger:
            people = [name for name, _ in zip(ledger.candidates(), range(50_000), strict=False)]
            facts = _facts(people)
            ledger.append([next(facts)])  # for the first one it loads what is compiled
            while _position(views) < ledger.head().position:
                time.sleep(0.1)
            watcher.start()
            begin = time.perf_counter()
            for number in range(appended):
                (outcome,) = ledger.append([next(facts)])
                committed[outcome.position] = time.perf_counter()  # type: ignore[union-attr]
                time.sleep(max(0.0, begin + number / _A_SECOND - time.perf_counter()))
            time.sleep(1)
            took = max(committed.values()) - begin
        done.set()
        watcher.join()
        follower.terminate()
    lags, at = [], 0
    for position, since in committed.items():
        while at < len(seen) - 1 and seen[at][1] < position:
            at += 1
        lags.append(seen[at][0] - since if seen[at][1] >= position else float("inf"))
    lags.sort()
    return Figure(
        "read_model", "lag of project --follow, 95th percentile", "s", lags[len(lags) * 95 // 100],
        at_most=0.2, note=f"{len(lags) / took:,.0f} appends/s for {took:.0f} s beside {events:,} "
        f"events; median {lags[len(lags) // 2]:.3f}, most {lags[-1]:.3f}",
        all={"ours": lags[:: max(1, len(lags) // 100)]},
    )  # fmt: skip


def _position(views: Path) -> int:
    with closing(sqlite3.connect(views)) as connection:
        return int(connection.execute("SELECT position FROM position").fetchone()[0])


def _facts(people: list[str]) -> Iterator[Fact]:
    """Make attempts and their results, by one candidate after another."""
    from ledger.facts import Fact
    from ledger.models import ExamAttempted, ExamFailed

    number = 0
    while True:
        who = people[number * 7919 % len(people)]
        registration = f"bench-{number}"
        now = time.time_ns() // 1000
        sat = ExamAttempted(exam=_EXAM, registration_id=registration, delivery="live")
        yield Fact("urn:bench", f"{registration}/attempted", who, now, sat, "bench")
        now = time.time_ns() // 1000
        failed = ExamFailed(exam=_EXAM, registration_id=registration)
        yield Fact("urn:bench", f"{registration}/result", who, now, failed, "bench")
        number += 1
