"""A ledger in PostgreSQL, on a server of its own: appends, import, and the columns from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.data import fresh, ledger_of, results_csv
from benchmarks.measure import HERE, Figure, Options, alternately, attempt_ledger, middle, seconds
from drills.cluster import Cluster, programs
from drills.forgetful import compiled_shim
from ledger.store.server import Server, read_server

if TYPE_CHECKING:
    from ledger.facts import Fact
    from ledger.ledger import Ledger

_WRITERS = 8
_SECONDS = 2.0
_MOST_EACH = 12_000
"""Facts that are ready before one writer begins, as they are where one appends beside others."""
_MOST_ROWS, _MOST_EVENTS = 250_000, 2_000_000
_FLUSHES, _BLOCK = 200, 8_192
_FLUSH_MS = 2.0
_SLOWER_US = 1_200
"""With a disk as quick as this machine's, one writer is bound by the processor: so besides, with a
sync that takes as long as most disks take."""
_START = 1_600_000_000_000_000
_SETTINGS = "shared_buffers = 256MB\nmax_wal_size = 4GB\nmax_connections = 60"


def figures(options: Options) -> Iterator[Figure]:
    """Measure on the newest server that is here; its disk is the one of the temporary folder."""
    with server(fresh(options.scratch / "postgres")) as place:
        flush = place.flush_ms()
        yield Figure("postgres", "one flush", "ms", flush, note=f"PostgreSQL {place.version}")
        yield from _one_at_a_time(place, options)
        yield from _together(place, options, flush, ", a process each")
        yield from _importing(place, options)
        yield from _columns(place, options)
    with server(fresh(options.scratch / "postgres"), _SLOWER_US) as place:
        slower = _SLOWER_US / 1000
        yield from _together(place, options, flush + slower, f", each sync {slower:g} ms slower")


class Place(NamedTuple):
    """A server, and a folder for what belongs to ledgers on it."""

    cluster: Cluster
    homes: Path
    version: int

    def address(self, schema: str) -> Server:
        """Return where a ledger is, its home made."""
        address = read_server(self.cluster.url(schema=schema), self.homes)
        address.home.parent.mkdir(parents=True, exist_ok=True)
        return address

    def moved(self, path: Path, schema: str) -> Ledger:
        """Return a ledger with the events of another, opened; they come by COPY, as its owner may.

        `move` would append them, at a fifth of the rate.
        """
        import psycopg

        from benchmarks.everyone import opened
        from ledger.events import Recorded
        from ledger.ledger import Ledger
        from ledger.store.stores import create_store

        address = self.address(schema)
        into = f"COPY {schema}.events ({', '.join(Recorded._fields)}) FROM STDIN"
        with opened(path) as source, psycopg.connect(self.cluster.url()) as connection:
            create_store(address, str(source.about("ledger")))
            with connection.cursor().copy(into) as copy:
                for row in source.read():
                    copy.write_row(row)
        return Ledger.open(address, clock=_now)

    def flush_ms(self) -> float:
        """Return how long the disk takes over a block, in the middle of many."""
        path = self.cluster.data / "flushed"
        took = []
        with path.open("wb", buffering=0) as file:
            for _ in range(_FLUSHES):
                began = time.perf_counter()
                file.write(bytes(_BLOCK))
                os.fdatasync(file.fileno())
                took.append(time.perf_counter() - began)
        path.unlink()
        return middle(took) * 1000

    def processor(self) -> float:
        """Return the server's seconds of processor time, those of ended processes included."""
        first = (self.cluster.data / "postmaster.pid").read_text().split()[0]
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parent, *fields = path.read_text().rpartition(")")[2].split()[1:]
                if path.parent.name == first:
                    ticks += sum(map(int, fields[9:13]))  # its own, and its children's that ended
                elif parent == first:
                    ticks += sum(map(int, fields[9:11]))
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(homes: Path, slower_us: int = 0) -> Iterator[Place]:
    """Run a server, whose disk is that of the temporary folder, or slower at each sync."""
    with tempfile.TemporaryDirectory(prefix="pg") as name:  # a socket's path must be short
        folder = Path(name)
        folder.chmod(0o755)
        version = max(programs())
        cluster = Cluster(folder, version)
        cluster.make(_SETTINGS, sync=True)
        between = folder / "wal_shim.so"
        if slower_us:
            shutil.copy(compiled_shim(), between)
        shim = {"LD_PRELOAD": str(between), "WAL_DELAY_US": str(slower_us)} if slower_us else {}
        cluster.start(shim)
        try:
            cluster("createdb", "exams")
            yield Place(cluster, homes, version)
        finally:
            cluster.stop("immediate")


def _now() -> int:
    return time.time_ns() // 1000


def _facts(name: str) -> Iterator[Fact]:
    from ledger.facts import Fact
    from ledger.models import ExamAttempted

    for number in range(1 << 30):
        registration, sat = f"{name}-{number:08d}", _START + number * 60_000_000
        event = ExamAttempted(
            exam="AZ-104", registration_id=registration, delivery="live", ended_at=sat + 3_600_000
        )
        id, candidate = f"{registration}/attempted", f"C-{number // 20:08d}"
        yield Fact("urn:vue", id, candidate, sat, event, "results-feed")


def _one_at_a_time(place: Place, options: Options) -> Iterator[Figure]:
    """Append fact after fact, each durable before the next begins."""
    from benchmarks.peers.aggregates import Candidate
    from benchmarks.peers.in_postgres import Plain, application
    from ledger.ledger import Ledger

    each = min(1_000, max(50, options.events // 5_000))
    address = place.address("single")
    facts, rows = _facts("R"), (fact.row() for fact in _facts("R"))
    app = application(place.cluster)
    people = [Candidate(f"candidate/C-{number:08d}") for number in range(each)]
    app.save(*people)
    plain = Plain(place.cluster, "single_rows")
    with Ledger.create(address, clock=_now) as ledger:

        def ours() -> float:
            ready = [next(facts) for _ in range(each)]
            return each / seconds(lambda: [ledger.append([one]) for one in ready])

        def inserts() -> float:
            ready = [next(rows) for _ in range(each)]
            began = time.perf_counter()
            for one in ready:
                plain.commit(one)
            return each / (time.perf_counter() - began)

        def aggregates() -> float:
            began = time.perf_counter()
            for number, person in enumerate(people):
                kept: Candidate = app.repository.get(person.id)
                kept.attempt("AZ-104", f"R-{number:08d}", "live", _START, _START)
                app.save(kept)
            return each / (time.perf_counter() - began)

        mine, bare, others = alternately(max(options.runs, 3), ours, inserts, aggregates)
    app.close()
    plain.close()
    what = "one durable append at a time"
    yield Figure(
        "postgres", what, "/s", middle(mine), middle(bare), "psycopg INSERT", at_least=0.5,
        all={"ours": mine, "peer": bare},
    )  # fmt: skip
    yield Figure(
        "postgres", what, "/s", middle(mine), middle(others), "eventsourcing.postgres",
        at_least=1.5, note="its aggregates as its manual has it: get, command, save",
        all={"ours": mine, "peer": others},
    )  # fmt: skip


def _together(place: Place, options: Options, flush: float, how: str) -> Iterator[Figure]:
    """Have as many processes append, each one event at a time, as fast as they can."""
    from ledger.ledger import Ledger

    Ledger.create(place.address("together"), clock=_now).close()
    late: list[float] = []
    busy: dict[int, list[float]] = {1: [], _WRITERS: []}

    def by(writers: int) -> float:
        written = _written(place, writers)
        busy[writers].append(written.processor / len(written.took))
        if writers > 1:
            late.append(quantiles(written.took, n=100)[98] * 1000)
        return len(written.took) / _SECONDS

    alone, together = alternately(
        min(options.runs, 3), lambda: by(1), lambda: by(_WRITERS), warm_up=0
    )
    each, crowded = middle(busy[1]), middle(busy[_WRITERS])
    cores = len(os.sched_getaffinity(0))
    most = cores / crowded
    what, note = f"{_WRITERS} writers together{how}", f"one flush {flush:.2f} ms"
    arithmetic = (
        f"{note}; an append takes {each * 1000:.2f} ms of processor alone and {crowded * 1000:.2f} "
        f"among {_WRITERS}, so {cores} cores give at most {most:,.0f}/s, "
        f"{most / middle(alone):.2f} times one writer"
    )
    yield Figure(
        "postgres", what, "/s", middle(together), middle(alone), "one writer", at_least=2.5,
        note=arithmetic, all={"ours": together, "peer": alone},
    )  # fmt: skip
    yield Figure(
        "postgres", f"{what}, p99", "ms", middle(late),
        at_most=40 if flush <= _FLUSH_MS else None, note=note, all={"ours": late},
    )  # fmt: skip


class Written(NamedTuple):
    """What some writers did who began at once."""

    took: list[float]
    """Seconds, of each append."""
    processor: float
    """Seconds of processor time of all of them, and of the server meanwhile."""


def _written(place: Place, writers: int) -> Written:
    """Have so many writers append for some seconds."""
    words = [sys.executable, "-m", __name__, place.cluster.url(schema="together"), str(place.homes)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*words, f"{time.time_ns()}-{number}"],
                    cwd=HERE.parent,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(writers)
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        before = place.processor()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [json.loads(process.communicate()[0]) for process in processes]
        processor = place.processor() - before + sum(answer["processor"] for answer in answers)
    return Written([each for answer in answers for each in answer["took"]], processor)


def _write(url: str, homes: str, name: str) -> None:
    """Append for some seconds, once a line comes; print how long each took."""
    from ledger.ledger import Ledger

    facts, took = list(islice(_facts(name), _MOST_EACH)), []
    address = read_server(url, Path(homes))
    with Ledger.open(address, clock=_now) as ledger:
        ledger.append([facts.pop()])
        print("ready", flush=True)
        sys.stdin.readline()
        began_at = time.process_time()
        end = time.perf_counter() + _SECONDS
        while (began := time.perf_counter()) < end:
            ledger.append([facts.pop()])
            took.append(time.perf_counter() - began)
        processor = time.process_time() - began_at
    print(json.dumps({"took": took, "processor": processor}))


def _importing(place: Place, options: Options) -> Iterator[Figure]:
    """Import a results CSV with the command, beside one COPY of the rows that it came to."""
    from benchmarks.peers.in_postgres import Plain, copied_out

    count = max(100, min(_MOST_ROWS, options.events // 10))
    events, csv, numbers = 2 * count, results_csv(count), iter(range(1 << 30))
    plain, last, batches = Plain(place.cluster, "copied"), "", list[int]()

    def ours() -> float:
        nonlocal last
        last = f"imported_{next(numbers)}"
        home = ("--home", place.homes)
        attempt_ledger(place.cluster.url(schema=last), *home, "init", "--bare")
        # Its exams are in no catalogue, which is said, with exit code 1.
        ran = attempt_ledger(
            place.cluster.url(schema=last), *home, "import", csv, cwd=place.homes, odd=True
        )
        return events / ran.seconds

    def copy() -> float:
        rows = copied_out(place.cluster, f"{last}.events").splitlines(keepends=True)
        if len(rows) != events:
            raise RuntimeError(f"the import came to {len(rows)} events, not {events}")
        select = f"SELECT count(DISTINCT recorded_at) FROM {last}.events"
        batches.append(events // int(place.cluster.sql(select)))
        cut = [b"".join(rows[n : n + batches[-1]]) for n in range(0, events, batches[-1])]
        return events / seconds(lambda: plain.copy(cut))

    mine, bare = alternately(min(options.runs, 3), ours, copy, warm_up=0)
    plain.close()
    yield Figure(
        "postgres", f"import of {count:,} results, whole command", "/s", middle(mine),
        middle(bare), "COPY", at_least=0.4, all={"ours": mine, "peer": bare},
        note="COPY alone, of the same rows, at hand as text, into a table with the same indexes, "
        f"{batches[-1]:,} a transaction, as ours had",
    )  # fmt: skip


def _columns(place: Place, options: Options) -> Iterator[Figure]:
    """Lay everybody's facts out as columns, with none there."""
    from replay.columns.build import passing

    events = min(options.events, _MOST_EVENTS)
    with place.moved(ledger_of(events), "columns") as ledger:
        place.cluster.sql("VACUUM ANALYZE; CHECKPOINT")

        spent: list[float] = []

        def ours() -> float:
            before = time.process_time() + place.processor()
            took = seconds(lambda: passing(ledger, events))
            spent.append(time.process_time() + place.processor() - before)
            return events / took

        (mine,) = alternately(min(options.runs, 3), ours)
    cores = len(os.sched_getaffinity(0))
    yield Figure(
        "postgres", f"columns of {events:,} events, cold", "/s", middle(mine), at_least=400_000,
        note=f"from the server to columns in memory; program and server take {middle(spent):.2f} s "
        f"of the processor, so {cores} cores give at most {cores * events / middle(spent):,.0f}/s",
        all={"ours": mine},
    )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Write, as one of several."""
    _write(*arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
