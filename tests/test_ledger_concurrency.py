"""Many at once: no error reaches a caller, no position is skipped, nothing acknowledged is lost."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from ledger_facts import SetClock, a_ledger, attempted
from workers import start, told

from ledger.ledger import Ledger

WORKERS = 16


def assert_whole(ledger: Ledger, acknowledged: set[str]) -> None:
    """Gapless positions, rising clocks, sound indexes, and everything acknowledged, once."""
    rows = list(ledger.read())
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert all(one.recorded_at <= two.recorded_at for one, two in pairwise(rows))
    ids = [row.id for row in rows]
    assert len(ids) == len(set(ids))
    assert acknowledged <= set(ids)
    with closing(sqlite3.connect(ledger.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_sixteen_processes_write_at_once_and_none_sees_an_error(tmp_path: Path) -> None:
    """Singles and batches, new and everybody's, while one reader follows them all."""
    with a_ledger(tmp_path) as ledger:
        workers = [start(ledger.path, f"w{n}", 12, 1 + n % 5) for n in range(WORKERS)]
        followed: list[int] = []

        def all_done() -> bool:
            return all(worker.poll() is not None for worker in workers)

        for rows in ledger.follow(0, interval=0.01, stop=all_done):
            followed.extend(row.position for row in rows)
        acknowledged: set[str] = set()
        for worker in workers:
            out, err = worker.communicate()
            assert (worker.returncode, err) == (0, "")
            acknowledged |= told(out)
        followed.extend(row.position for row in ledger.read(after=len(followed)))
        assert followed == list(range(1, ledger.head().position + 1))
        assert_whole(ledger, acknowledged)
        assert len(acknowledged) == ledger.head().position
        for row in ledger.read():
            if row.type == "ExceptionRequested":
                assert ledger.vault.reveal(row)["email"] == "zoe@example.org"


@pytest.mark.parametrize("size", [1, 400])
def test_a_process_killed_while_it_writes_loses_nothing_acknowledged(
    tmp_path: Path, size: int
) -> None:
    """Kill -9 again and again: what was acknowledged is there, once, and writing goes on."""
    acknowledged: set[str] = set()
    with a_ledger(tmp_path) as ledger:
        for _ in range(3):
            worker = start(ledger.path, "w", "forever", size)
            assert worker.stdout is not None
            for _ in range(5):
                acknowledged |= told(worker.stdout.readline())
            worker.send_signal(signal.SIGKILL)
            out, err = worker.communicate()
            assert (worker.returncode, err) == (-signal.SIGKILL, "")
            # The last line may be cut where the process was: it was not acknowledged whole.
            acknowledged |= told(" ".join(out.split("\n")[:-1]))
            assert_whole(ledger, acknowledged)
        ledger.append([attempted(1)])
        assert_whole(ledger, acknowledged)


def test_a_writer_waits_for_another_and_not_for_its_whole_import(tmp_path: Path) -> None:
    """A single append gets its turn between the batches of an import."""
    with a_ledger(tmp_path, clock=lambda: time.time_ns() // 1000) as ledger:
        worker = start(ledger.path, "w", "forever", 200)
        assert worker.stdout is not None
        worker.stdout.readline()
        for n in range(5):
            ledger.append([attempted(n)])
        worker.kill()
        worker.communicate()
        mine = [row.position for row in ledger.read() if row.id.startswith("R-")]
        assert len(mine) == 5


def test_two_ledgers_open_in_one_process_take_turns(tmp_path: Path) -> None:
    """The lock is the file's, not the process's; a link to the file is the same file."""
    (tmp_path / "link.ledger").symlink_to(tmp_path / "a.ledger")
    with a_ledger(tmp_path, clock=SetClock()) as one, a_ledger(tmp_path, "link") as two:
        for n in range(20):
            (one, two)[n % 2].append([attempted(n)])
        assert_whole(one, {f"R-{n}/attempted" for n in range(20)})
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "a.ledger", "a.ledger.lock", "link.ledger",
    ]  # fmt: skip
