"""Backups: the copy beside sqlite3's own, the whole commands, and how long a writer waits."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import rmtree

from benchmarks.data import copied, fresh, ledger_of
from benchmarks.measure import Figure, Options, alternately, attempt_ledger, middle, seconds


def figures(options: Options) -> Iterator[Figure]:
    """Back up and restore a tenth of the events that are asked for: a million by default."""
    from ledger.backup.staging import copy_file, drafting, file_state

    events = max(2_000, options.events // 10)
    runs = min(options.runs, 3)
    folder = fresh(options.scratch / "backup")
    path = copied(ledger_of(events), folder)
    attempt_ledger(path, "seal", "--new-key")
    megabytes = path.stat().st_size / 1e6

    def ours() -> float:
        target = folder / "ours"
        with drafting(target) as draft, file_state(path) as source:
            file = draft.paths.file
            return events / seconds(lambda: copy_file(source, file, target, lambda _: None))

    def plain() -> float:
        (folder / "plain").unlink(missing_ok=True)
        return events / seconds(lambda: _copy(path, folder / "plain"))

    mine, theirs = alternately(runs, ours, plain)
    yield Figure(
        "backup", f"copying {events:,} events, synced", "/s", middle(mine), middle(theirs),
        "sqlite3's backup",
        note=f"a file of {megabytes:,.0f} MB", all={"ours": mine, "peer": theirs},
    )  # fmt: skip

    target = folder / "backup.ledger"

    def backup() -> float:
        _remove(target)
        return attempt_ledger(path, "backup", target).seconds

    (whole,) = alternately(runs, backup, warm_up=0)
    yield Figure(
        "backup", f"backup of {events:,}, verified, whole command", "s", middle(whole),
        all={"ours": whole},
    )  # fmt: skip

    def restore() -> float:
        for each in folder.glob("new*"):
            _remove(each)
        return attempt_ledger(path, "restore", target, folder / "new").seconds

    (whole,) = alternately(runs, restore, warm_up=0)
    yield Figure(
        "backup", f"restore of {events:,}, with views, whole command", "s", middle(whole),
        all={"ours": whole},
    )  # fmt: skip
    yield from _waiting(path, folder, runs)
    rmtree(folder)


def _copy(path: Path, to: Path) -> None:
    """Copy as a program does that wants a copy and no more: all at once, then synced."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)
    descriptor = os.open(to, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    for each in (path, Path(f"{path}.tlog")):
        if each.is_dir():
            rmtree(each)
        else:
            each.unlink(missing_ok=True)


def _waiting(path: Path, folder: Path, runs: int) -> Iterator[Figure]:
    """Append one by one, each durable, while a backup is made, and as long without."""
    from ledger.facts import Fact
    from ledger.ledger import Ledger
    from ledger.models import ExamAttempted

    numbers = iter(range(1 << 30))
    target = folder / "beside.ledger"
    program = Path(sys.executable).with_name("attempt-ledger")

    def fact() -> Fact:
        number = next(numbers)
        registration = f"B-{number:08d}"
        event = ExamAttempted(exam="AZ-104", registration_id=registration, delivery="live")
        sat = 1_600_000_000_000_000 + number
        return Fact("urn:bench", f"{registration}/attempted", f"B-{number // 20}", sat, event)

    with Ledger.open(path, clock=lambda: time.time_ns() // 1000) as ledger:

        def worst(stop: Callable[[], bool]) -> float:
            waited = [0.0]
            while not stop():
                one = fact()
                waited.append(seconds(lambda: ledger.append([one])))  # noqa: B023
            return 1000 * max(waited)

        took = 0.0

        def beside() -> float:
            nonlocal took
            _remove(target)
            command = [str(program), "--ledger", f"sqlite:///{path}", "backup", str(target)]
            began = time.perf_counter()
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            longest = worst(lambda: process.poll() is not None)
            took = time.perf_counter() - began
            if process.returncode != 0:
                raise subprocess.CalledProcessError(process.returncode, command)
            return longest

        def alone() -> float:
            until = time.perf_counter() + took
            return worst(lambda: time.perf_counter() >= until)

        mine, bare = alternately(runs, beside, alone, warm_up=0)
    yield Figure(
        "backup", "a writer's longest wait while a backup is made", "ms", max(mine), max(bare),
        "as long without", note="one durable append at a time; the longest of all, no median",
        all={"ours": mine, "peer": bare},
    )  # fmt: skip
