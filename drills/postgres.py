"""A PostgreSQL server whose power is cut, again and again, under writers and tailing readers.

What must hold: no acknowledged event is lost or doubled, no position is left out, and none that a
reader handed on ever holds another event. And the drill can fail: with a step of the protocol left
out, it does.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from attempt_ledger import clock
from drills.cluster import programs
from drills.forgetful import CC, ForgetfulServer
from drills.needs import Tool
from drills.postgres_faults import faults
from drills.postgres_ground import fact
from drills.postgres_keys import cut_keys, unflushed
from drills.report import Finding, Options
from ledger.events import Row
from ledger.ledger import Ledger
from ledger.outcomes import Appended, Duplicate
from ledger.problems import LedgerProblem
from ledger.store import postgres, postgres_committing
from ledger.store.locks import Waiting
from ledger.store.postgres_integrity import inspect
from ledger.store.postgres_schema import quoted
from ledger.store.postgres_writing import PostgresWriting, Statements, numbered
from ledger.store.server import read_server

NEEDS: tuple[Tool, ...] = (CC,)

WRITERS, READERS = 16, 2
_MOST_EVENTS, _MOST_SECONDS = 150, 4.0
"""So many events are acknowledged at most, or so long it takes, before the power is cut again."""
_DELAY_US = 2_000
_SLOW_DELAY_US = 30_000
"""Where a step is left out: harm can be done only while something is not synced yet."""
_LOOK = 0.005
_BATCHES: Final = (1, 1, 1, 1, 5, 40)

Key = tuple[str, str]


def run(options: Options) -> Iterator[Finding]:
    """Cut the power of each version that is here; then of the newest, with each step left out."""
    versions = sorted(programs())
    for version in versions[-1:] if options.slice else versions:
        cuts = options.size(max(200 // len(versions), 70), 3)
        yield cut(f"{cuts} power cuts, PostgreSQL {version}", version, cuts, options.seed)
    cuts = options.size(100, 3)
    yield cut_keys(f"{cuts} power cuts of a key store", versions[-1], cuts, options.seed)
    yield from faults(options, versions[-1])
    for left in () if options.slice else LEFT_OUT:
        with left.out():
            what = f"power cuts without {left.name}"
            found = cut(
                what, versions[-1], 60, options.seed, until_found=True, delay_us=_SLOW_DELAY_US
            )
        yield expected(found)
    if not options.slice:
        with unflushed():
            what = "power cuts of a key store without its flush before the event"
            found = cut_keys(
                what, versions[-1], 60, options.seed, until_found=True, delay_us=_SLOW_DELAY_US
            )
        yield expected(found)


def cut(
    what: str,
    version: int,
    cuts: int,
    seed: int,
    *,
    until_found: bool = False,
    delay_us: int = _DELAY_US,
) -> Finding:
    """Run a server and its users, and cut its power so many times, or until harm is seen.

    A sync takes `delay_us` longer than the disk does.
    """
    with ForgetfulServer(version, delay_us=delay_us) as server:
        life = _Life(server, random.Random(seed))
        life.begin()
        for _ in range(cuts):
            life.live_and_die()
            if until_found and life.problems:
                break
        life.end()
        return life.finding(what)


def expected(found: Finding) -> Finding:
    """Return what is reported of a drill that was to find something: sound if it did."""
    harm = found.lost + found.doubled + len(found.problems)
    return Finding(
        found.drill,
        found.what,
        found.acknowledged,
        0,
        0,
        () if harm else ("nothing was found, though a step was left out",),
        f"harm found as it should be: {found.lost} lost, {found.doubled} doubled, "
        f"{len(found.problems)} replaced or wrong",
    )


class _Life:
    """Writers, readers, and what each of them believes."""

    def __init__(self, server: ForgetfulServer, dice: random.Random) -> None:
        self.server = server
        self.dice = dice
        self.address = read_server(server.url(), server.folder / "homes")
        self.acknowledged: dict[Key, int] = {}
        self.handed_on: dict[int, Key] = {}
        self.problems: list[str] = []
        self.refused = ""
        self.undone = self.unanswered = 0
        self._ended = threading.Event()
        self._guard = threading.Lock()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Make the ledger, and start everybody."""
        self.address.home.parent.mkdir(parents=True)
        Ledger.create(self.address, clock=clock.now).close()
        works: list[Callable[[], None]] = [
            # Every other delivers what its neighbour does: at one moment, each under one key.
            lambda n=n: self._write(f"w{n // 2}", n)  # type: ignore[misc]
            for n in range(WRITERS)
        ]
        works += [self._read] * READERS
        for work in works:
            thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def live_and_die(self) -> None:
        """Let the server live for a moment, cut its power, start it again, and look."""
        goal = len(self.acknowledged) + self.dice.randint(1, _MOST_EVENTS)
        for _ in range(int(_MOST_SECONDS / _LOOK)):
            if len(self.acknowledged) >= goal:
                break
            time.sleep(_LOOK)
        time.sleep(self.dice.uniform(0, 0.01))
        self.undone += self.server.cut_power()
        self.server.start()
        self._compare()

    def end(self) -> None:
        """Let everybody end, and look once more."""
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
        self._compare()
        self.problems += [finding.sentence for finding in inspect(self.address, 0).findings]

    def finding(self, what: str) -> Finding:
        """Return what all of it came to."""
        with Ledger.open(self.address, clock=clock.now, read_only=True) as ledger:
            stored = [(row.position, (row.source, row.id)) for row in ledger.read()]
        at = dict(stored)
        lost = [key for key, position in self.acknowledged.items() if at.get(position) != key]
        counts = Counter(key for _, key in stored)
        replaced = [p for p, key in self.handed_on.items() if at.get(p) != key]
        if not self.acknowledged:
            self.problems.append(f"nothing was acknowledged: {self.refused}")
        if replaced:
            self.problems.append(
                f"{len(replaced)} positions that a reader had handed on hold another event or none"
            )
        if [position for position, _ in stored] != list(range(1, len(stored) + 1)):
            self.problems.append("positions are left out")
        return Finding(
            "postgres",
            f"{what}, {WRITERS} writers, {READERS} readers",
            len(self.acknowledged),
            len(lost),
            sum(count - 1 for count in counts.values()),
            tuple(dict.fromkeys(self.problems)),
            f"{self.undone} unsynced writes undone, {self.unanswered} appends without an answer",
        )

    def _compare(self) -> None:
        """See at once whether what was acknowledged is there: later writes could hide a loss."""
        with self._guard:
            believed = dict(self.acknowledged)
        for _ in range(50):
            with (
                suppress(LedgerProblem),
                Ledger.open(self.address, clock=clock.now, read_only=True) as ledger,
            ):
                at = {row.position: (row.source, row.id) for row in ledger.read()}
                gone = [key for key, position in believed.items() if at.get(position) != key]
                if gone:
                    self.problems.append(f"{len(gone)} acknowledged events are gone after a cut")
                return
            time.sleep(0.1)
        self.problems.append("the server did not come back")

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")

    def _opened(self, **how: Any) -> Ledger:
        """Open the ledger, however often its server is away meanwhile: that is no harm."""
        while True:
            try:
                return Ledger.open(self.address, clock=clock.now, **how)
            except LedgerProblem:
                if self._ended.is_set():
                    raise
                time.sleep(0.02)

    def _write(self, name: str, seed: int) -> None:
        dice, number = random.Random(seed), 0
        with self._opened(waiting=Waiting(20.0)) as ledger:
            while not self._ended.is_set():
                facts = [fact(name, number + n) for n in range(dice.choice(_BATCHES))]
                try:
                    outcomes = ledger.append(facts)
                except LedgerProblem as problem:
                    self.unanswered += 1
                    self.refused = str(problem)
                    time.sleep(0.02)
                    continue  # with the same facts, or some of them and more
                with self._guard:
                    for one, outcome in zip(facts, outcomes, strict=True):
                        self._acknowledge((one.source, one.id), outcome)
                number += len(facts)

    def _acknowledge(self, key: Key, outcome: object) -> None:
        if not isinstance(outcome, Appended | Duplicate):
            self.problems.append(f"{key} came to {outcome}")
            return
        before = self.acknowledged.setdefault(key, outcome.position)
        if before != outcome.position:
            self.problems.append(f"{key} was acknowledged at two positions")

    def _read(self) -> None:
        after = 0
        with self._opened(read_only=True) as ledger:
            while not self._ended.is_set():
                try:
                    for rows in ledger.follow(after, interval=0.001, stop=self._ended.is_set):
                        with self._guard:
                            for row in rows:
                                self._hand_on(row.position, (row.source, row.id), after)
                                after = row.position
                except LedgerProblem:
                    time.sleep(0.02)

    def _hand_on(self, position: int, key: Key, after: int) -> None:
        if self.handed_on.setdefault(position, key) != key:
            self.problems.append(f"position {position} was handed on as two events")
        if position != after + 1:
            self.problems.append(f"position {position} was handed on after {after}")


# -- steps of the protocol that are left out, to see that the drill finds it


class Left(NamedTuple):
    """A step, and what leaves it out."""

    name: str
    out: Callable[[], AbstractContextManager[Any]]


_ASYNCHRONOUS: Final = "set_config('synchronous_commit', 'off', true)"
_MESSAGE: Final = "pg_logical_emit_message(true, 'attempt-ledger', ''::text)"


class _Unsettled(Statements):
    """Waits for nothing, whether it appends in one step or in several."""

    settles = "SELECT 1"
    beside = _ASYNCHRONOUS

    def __init__(self, schema: str) -> None:
        super().__init__(schema)
        self.settle = self.settles
        values = numbered(len(Row._fields) + 1, 2)
        self.commit_one = (
            f"WITH s AS MATERIALIZED (SELECT {self.beside}, $1::text) "
            f"SELECT {quoted(schema)}.append_one({values}) FROM s"
        )


class _Unsynced(_Unsettled):
    """Emits the message, and commits that asynchronously too."""

    settles = f"SELECT {_ASYNCHRONOUS}, {_MESSAGE}"
    beside = f"{_ASYNCHRONOUS}, {_MESSAGE}"


_finish = postgres_committing.Transactions._finish


def _no_flush_for_duplicates(
    self: postgres_committing.Transactions, connection: Any, writing: PostgresWriting
) -> None:
    if writing.wrote:
        _finish(self, connection, writing)
    else:
        connection.execute("ROLLBACK")


def _flush_first(
    self: postgres.PostgresStore, statement: str, values: Any = (), *, upto: int | None = None
) -> list[Any]:
    with self.pool.connection() as connection:
        connection.execute(self._statements.settle)
        return list(connection.execute(statement, values or None).fetchall())


_COMMITTING = postgres_committing.Transactions
LEFT_OUT: Final = (
    Left(
        "the flush before acknowledging",
        lambda: patch.object(postgres_committing, "Statements", _Unsettled),
    ),
    Left("the reader's flush", lambda: patch.object(postgres, "Statements", _Unsettled)),
    Left(
        "the flush after the rows, but one before them",
        lambda: patch.object(postgres.PostgresStore, "_read", _flush_first),
    ),
    Left(
        "the flush for duplicates",
        lambda: patch.multiple(
            _COMMITTING, _finish=_no_flush_for_duplicates, append_new=lambda *_: None
        ),
    ),
    Left(
        "the wait for the flush's own commit",
        lambda: patch.object(postgres_committing, "Statements", _Unsynced),
    ),
)
