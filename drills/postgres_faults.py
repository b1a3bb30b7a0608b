"""What else befalls a ledger on a server: killed in an import, a full disk, a failover, clocks.

Each user gets one sentence, and no acknowledged event is lost or doubled.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from attempt_ledger import clock
from drills.cluster import Cluster
from drills.forgetful import ForgetfulServer
from drills.life import results
from drills.postgres_ground import call, compared, fact, folders, new_ledger, said_by
from drills.report import Finding, Options
from drills.whole import Key
from ledger.instants import SECOND
from ledger.ledger import Ledger
from ledger.outcomes import Appended
from ledger.problems import LedgerProblem
from ledger.store.locks import Waiting
from ledger.store.server import Server

_DAY = 86_400 * SECOND
_SETTINGS = "shared_buffers = 16MB\nautovacuum = off\n"
_TOLD = re.compile(r"([\d,]+) events? recorded")


def faults(options: Options, version: int) -> Iterator[Finding]:
    """Have each of them once; of what can be repeated, as often as asked."""
    yield killed_in_an_import(options, version)
    yield full_disk(options, version)
    yield failover(options, version)
    yield few_connections(options, version)
    yield clocks(options, version)


def _of_results(rows: int) -> dict[Key, int | None]:
    return {
        ("urn:csv", f"R-{row}/{what}"): None
        for row in range(rows)
        for what in ("attempted", "result")
    }


# -- killed and started again in the middle of an import


def killed_in_an_import(options: Options, version: int) -> Finding:
    """Cut the power under an import, start the server, import again; at random moments."""
    dice, times, rows = (
        random.Random(options.seed),
        options.size(12, 1),
        options.size(12_000, 1_500),
    )
    history = options.scratch / "results.csv"
    history.write_text(results(rows))
    problems: list[str] = []
    undone = interrupted = 0
    with ForgetfulServer(version) as server:
        for number in range(times):
            url = server.url(schema=f"import_{number}")
            address = new_ledger(url, options.scratch)
            importing = call(url, options.scratch, "--wait", "3", "import", history)
            while importing.poll() is None and _count(server, address.schema) < dice.randint(
                1, rows
            ):
                time.sleep(0.02)
            interrupted += importing.poll() is None
            undone += server.cut_power()
            said = said_by(importing)
            server.start()
            there = _count(server, address.schema)
            told = _TOLD.search(said.errors)
            if told is not None and int(told[1].replace(",", "")) > there:
                problems.append(f"import told of {told[1]} events, there are {there}")
            problems += said.problems(1, 2)
            again = said_by(call(url, options.scratch, "import", history))
            problems += again.problems(0, 1)
            found = compared("", address, _of_results(rows), problems)
            if found.lost or found.doubled:
                break
    return replace(
        found,
        what=f"{times} imports of {2 * rows:,} events cut off by a power cut, and called again",
        acknowledged=times * found.acknowledged,
        note=f"{interrupted} under way, {undone} unsynced writes undone",
    )


def _count(server: Cluster, schema: str) -> int:
    try:
        return int(server.sql(f"SELECT count(*) FROM {schema}.events"))
    except (RuntimeError, ValueError):
        return 0


# -- a disk that fills up


def full_disk(options: Options, version: int) -> Finding:
    """Import until the server's disk is full; then with more room again."""
    rows = options.size(40_000, 5_000)
    history = options.scratch / "long.csv"
    history.write_text(results(rows))
    with _small(options.size(160, 110)) as (folder, enlarge), ExitStack() as stack:
        server = Cluster(folder, version)
        server.make(_SETTINGS + "min_wal_size = 32MB\nmax_wal_size = 48MB\n")
        server.start()
        stack.callback(server.stop, "immediate")
        server("createdb", "exams")
        address = new_ledger(server.url(), options.scratch)
        free = os.statvfs(folder)
        ballast = folder / "ballast"
        room = rows * 300
        ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - room)))
        said = said_by(call(server.url(), options.scratch, "--wait", "5", "import", history))
        problems = said.problems(1, 2)
        if (
            "full" not in said.errors
            and "No space" not in said.errors
            and "lost" not in said.errors
        ):
            problems.append(f"the import does not say that the disk is full: {said.errors[-300:]}")
        enlarge()
        ballast.unlink()
        server.stop("immediate")
        server.start()
        there = _count(server, address.schema)
        told = _TOLD.search(said.errors)
        many = int(told[1].replace(",", "")) if told else 0
        if many > there:
            problems.append(f"import told of {many} events, there are {there}")
        again = said_by(call(server.url(), options.scratch, "import", history))
        problems += again.problems(0, 1)
        what = f"a disk that is full after {there:,} events, and larger again"
        return compared(what, address, _of_results(rows), problems)


@contextmanager
def _small(megabytes: int) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Make a disk of so many megabytes, for root; for others the folder is no smaller."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)]
    is_small = os.geteuid() == 0 and not subprocess.run(mount, check=False).returncode

    def enlarge() -> None:
        if is_small:
            options = f"remount,size={8 * megabytes}m"
            subprocess.run(["mount", "-o", options, str(folder)], check=True)

    try:
        yield folder, enlarge
    finally:
        if is_small:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


# -- failover to a synchronous standby


def failover(options: Options, version: int) -> Finding:
    """Kill a primary under writers, promote the standby that its commits waited for, verify."""
    acknowledged: dict[Key, int | None] = {}
    ended, goal = threading.Event(), options.size(600, 40)
    with folders(2) as (one, other), ExitStack() as stack:
        primary, standby = Cluster(one, version), Cluster(other, version)
        primary.make(_SETTINGS, sync=True)
        primary.start()
        stack.callback(primary.stop, "immediate")
        primary("createdb", "exams")
        primary.shell(f"pg_basebackup --pgdata={standby.data} --write-recovery-conf "
                      "--checkpoint=fast --no-sync")  # fmt: skip
        standby.set_up("", sync=True)
        standby.start()
        stack.callback(standby.stop, "immediate")
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'; SELECT pg_reload_conf()")
        _until(lambda: "sync" in primary.sql("SELECT sync_state FROM pg_stat_replication"))
        # One name for both, as users have it: so the home, and the log in it, stay the same.
        url = f"postgresql://exams@/exams?host={one},{other}&target_session_attrs=read-write"
        address = new_ledger(url, options.scratch)
        problems = said_by(call(url, options.scratch, "seal", "--new-key")).problems(0, 2)

        def write(name: str) -> None:
            number = 0
            while not ended.is_set():
                try:
                    with Ledger.open(address, clock=clock.now, waiting=Waiting(5.0)) as ledger:
                        while not ended.is_set():
                            made = fact(name, number)
                            (outcome,) = ledger.append([made])
                            position = getattr(outcome, "position", None)
                            acknowledged[made.source, made.id] = position
                            number += 1
                except LedgerProblem:
                    time.sleep(0.1)

        threads = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        _until(lambda: len(acknowledged) >= goal)
        primary.stop("immediate")
        before = len(acknowledged)
        standby("pg_ctl", "--pgdata", standby.data, "--wait", "promote")
        standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf()")
        _until(lambda: len(acknowledged) >= before + goal)
        ended.set()
        for thread in threads:
            thread.join(60)
        problems += said_by(call(url, options.scratch, "seal")).problems(0)
        problems += said_by(call(url, options.scratch, "verify")).problems(0)
        what = f"failover to a synchronous standby under 4 writers, after {before} events"
        return compared(what, address, acknowledged, problems)


def _until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if is_so():
            return
        time.sleep(0.05)
    raise RuntimeError("it took too long")


# -- more programs than connections, and clocks that jump


def few_connections(options: Options, version: int) -> Finding:
    """Have more writers than the server has connections: who gets none says so, and tries again."""
    each, writers = options.size(25, 4), 24
    refused: list[str] = []

    def write(address: Server, name: str) -> dict[Key, int | None]:
        done: dict[Key, int | None] = {}
        while len(done) < each:
            made = fact(name, len(done))
            try:
                with Ledger.open(address, clock=clock.now, waiting=Waiting(20.0)) as ledger:
                    (outcome,) = ledger.append([made])
                    done[made.source, made.id] = getattr(outcome, "position", None)
            except LedgerProblem as problem:
                refused.append(str(problem))
                time.sleep(random.uniform(0.01, 0.05))
        return done

    with _one(version, "max_connections = 12\n") as server:
        address = new_ledger(server.url(), options.scratch)
        acknowledged = _together([
            lambda n=n: write(address, f"w{n}")  # type: ignore[misc]
            for n in range(writers)
        ])  # fmt: skip
        others = {each for each in refused if "has no connection left" not in each}
        what = f"{writers} writers of a server with 12 connections"
        note = f"{len(refused)} said that there is none left"
        return compared(what, address, acknowledged, sorted(others)[:3], note)


def clocks(options: Options, version: int) -> Finding:
    """Have two machines write, the clock of one of which jumps days back and forth."""
    each, dice = options.size(400, 40), random.Random(options.seed)

    def jumping() -> int:
        return clock.now() + dice.randint(-9, 0) * _DAY

    def write(address: Server, name: str, now: Callable[[], int]) -> dict[Key, int | None]:
        done: dict[Key, int | None] = {}
        with Ledger.open(address, clock=now) as ledger:
            for number in range(each):
                made = fact(name, number)
                (outcome,) = ledger.append([made])
                assert isinstance(outcome, Appended), outcome
                done[made.source, made.id] = outcome.position
        return done

    with _one(version) as server:
        address = new_ledger(server.url(), options.scratch)
        acknowledged = _together([
            lambda: write(address, "steady", clock.now),
            lambda: write(address, "jumping", jumping),
        ])  # fmt: skip
        what = "two writers, the clock of one jumping up to nine days back"
        return compared(what, address, acknowledged, [])


def _together(works: Sequence[Callable[[], dict[Key, int | None]]]) -> dict[Key, int | None]:
    """Do works at once; return what all of them were told. Raises what one of them raises."""
    found: dict[Key, int | None] = {}
    failed: list[BaseException] = []

    def do(work: Callable[[], dict[Key, int | None]]) -> None:
        try:
            found.update(work())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=do, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    if failed:
        raise failed[0]
    return found


@contextmanager
def _one(version: int, settings: str = "") -> Iterator[Cluster]:
    with folders(1) as (folder,):
        server = Cluster(folder, version)
        server.make(_SETTINGS + settings, sync=True)
        with server.running("immediate"):
            server("createdb", "exams")
            yield server
