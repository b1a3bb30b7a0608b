"""The transparency log: sealing, verifying, proving, and what appends lose to a follower."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

from benchmarks.data import copied, fresh, ledger_of
from benchmarks.measure import Figure, Options, alternately, middle, seconds

_PROOFS = 200
_NEW = 100
"""The part of the ledger that is new to an incremental verification: one in so many."""


def figures(options: Options) -> Iterator[Figure]:
    """Seal and verify a tenth of the events that are asked for: a million by default."""
    from ledger.cloudevents import to_cloudevent
    from ledger.ledger import Ledger
    from ledger.tlog.checkpoint import log_paths, need_verifier_key, sealed_size
    from ledger.tlog.proof import prove_event
    from ledger.tlog.sealer import check_unused, make_key, seal
    from ledger.tlog.verify import verify

    events = max(2_000, options.events // 10)
    runs = min(options.runs, 3)
    folder = fresh(options.scratch / "transparency")
    path = copied(ledger_of(events), folder)
    place = log_paths(path)
    check_unused(place)
    with Ledger.open(path, clock=lambda: 0, read_only=True) as ledger:
        id = str(ledger.about("ledger"))
        make_key(place, id)
        vkey = place.verifier_key.read_bytes()

        def emptied() -> None:
            rmtree(place.folder)
            place.folder.mkdir()
            place.verifier_key.write_bytes(vkey)
            Path(f"{place.key}.last").unlink(missing_ok=True)

        def anew() -> float:
            emptied()
            return events / seconds(lambda: seal(place, id, events))

        (sealing,) = alternately(runs, anew, warm_up=0)
        yield Figure(
            "transparency", f"sealing {events:,} events, synced", "/s", middle(sealing),
            at_least=60_000, all={"ours": sealing},
        )  # fmt: skip

        key = need_verifier_key(place)

        def full() -> float:
            return seconds(lambda: _sound(verify(place, key, full=True, processes=2).findings))

        def reading() -> float:
            return seconds(lambda: _read_and_hash(path))

        ours, plain = alternately(runs, full, reading, warm_up=0)
        yield Figure(
            "transparency", f"full verify of {events:,}, two processes", "s", middle(ours),
            middle(plain), "one process reading and hashing", at_most=2.0,
            all={"ours": ours, "peer": plain},
        )  # fmt: skip

        def some() -> float:
            """Verify what is new since a verification of all but the last of it."""
            emptied()
            seal(place, id, events - events // _NEW)
            _sound(verify(place, key).findings)
            seal(place, id, events)
            return seconds(lambda: _sound(verify(place, key).findings))

        (new,) = alternately(1, some, warm_up=0)
        yield Figure(
            "transparency", f"verify when one in {_NEW} is new", "s", middle(new), middle(ours),
            "all of it", at_most=0.05 if events >= 100_000 else None,
            all={"ours": new, "peer": ours},
        )  # fmt: skip

        dice = random.Random(1)
        took, beside = [], []
        for position in dice.sample(range(1, events + 1), _PROOFS):
            (event,) = ledger.read(position - 1, position)
            began = time.perf_counter()
            proof = prove_event(place, key, event)
            took.append(time.perf_counter() - began)
            beside.append(float(len(proof) - len(to_cloudevent(event).encode())))
        yield Figure(
            "transparency", "a proof", "ms", 1000 * middle(took), at_most=20,
            note=f"the slowest of {_PROOFS} took {1000 * max(took):.1f} ms",
            all={"ours": [1000 * each for each in took]},
        )  # fmt: skip
        yield Figure("transparency", "a proof beside its event", "bytes", max(beside), at_most=2048)
        assert sealed_size(place) == events
    yield _followed(options, fresh(folder / "followed"))
    rmtree(folder)


def _sound(findings: object) -> None:
    if findings:
        raise RuntimeError(f"the ledger does not verify: {findings}")


def _read_and_hash(path: Path) -> None:
    """Read every row and hash it as text: the least that a check of all rows could do."""
    with closing(sqlite3.connect(path)) as connection:
        cursor = connection.execute("SELECT * FROM events NOT INDEXED ORDER BY position")
        while rows := cursor.fetchmany(4096):
            for row in rows:
                sha256(repr(row).encode()).digest()


def _followed(options: Options, folder: Path) -> Figure:
    """Append one by one, each durable, with `seal --follow` beside it and without."""
    from ledger.facts import Fact
    from ledger.ledger import Ledger
    from ledger.models import ExamAttempted
    from ledger.tlog.checkpoint import log_paths, sealed_size
    from ledger.tlog.sealer import make_key, seal

    path = folder / "ours.ledger"
    each = min(4_000, max(50, options.events // 2_500))
    numbers = iter(range(1 << 30))

    def facts() -> list[Fact]:
        made = []
        for _ in range(each):
            number = next(numbers)
            registration = f"R-{number:08d}"
            event = ExamAttempted(exam="AZ-104", registration_id=registration, delivery="live")
            candidate, sat = f"C-{number // 20:08d}", 1_600_000_000_000_000 + number
            made.append(Fact("urn:vue", f"{registration}/attempted", candidate, sat, event))
        return made

    with Ledger.create(path, clock=lambda: time.time_ns() // 1000) as ledger:
        place, id = log_paths(path), str(ledger.about("ledger"))
        make_key(place, id)

        def appending() -> float:
            ready = facts()
            began = time.perf_counter()
            for fact in ready:
                ledger.append([fact])
            return each / (time.perf_counter() - began)

        def alone() -> float:
            rate = appending()
            seal(place, id, ledger.head().position)
            return rate

        def with_follower() -> float:
            ledger.append(facts()[:1])
            with _follower(path):
                while sealed_size(place) < ledger.head().position:
                    time.sleep(0.01)
                return appending()

        mine, bare = alternately(max(options.runs, 3), with_follower, alone)
    return Figure(
        "transparency", "appends one at a time, sealing following", "/s", middle(mine),
        middle(bare), "without", at_least=0.85, all={"ours": mine, "peer": bare},
    )  # fmt: skip


@contextmanager
def _follower(path: Path) -> Iterator[None]:
    program = Path(sys.executable).with_name("attempt-ledger")
    process = subprocess.Popen([program, "--ledger", f"sqlite:///{path}", "seal", "--follow"])
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
