"""Who waits for the right to write says so, and gives up; a ledger is its own account's alone."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from command_line import CommandLine
from ledger_facts import SetClock, a_ledger, attempted

from ledger.ledger import Ledger
from ledger.outcomes import Appended
from ledger.problems import Locked
from ledger.store.file import exposed
from ledger.store.locks import PRIVATE, SILENCE, FileLock, Waiting

LOCK = (
    "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); "
)
BEGIN = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
    "c.execute('BEGIN IMMEDIATE'); print(flush=True); "
)


@contextmanager
def running(program: str, path: Path) -> Iterator[int]:
    """Have another process lock a file; gives its id. It is killed at the end."""
    words = [sys.executable, "-c", f"{program}sys.stdin.read()", str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def opened(path: Path, seconds: float, said: list[str]) -> Ledger:
    return Ledger.open(path, clock=SetClock(), waiting=Waiting(seconds, said.append))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of one event."""
    with a_ledger(tmp_path) as ledger:
        ledger.append([attempted(1)])
        return ledger.path


@pytest.mark.parametrize(("program", "ending"), [(LOCK, ".lock"), (BEGIN, "")])
def test_who_waits_says_for_whom_and_gives_up(path: Path, program: str, ending: str) -> None:
    """After two seconds in silence; by the process that has the lock, whichever lock it is."""
    said: list[str] = []
    with opened(path, SILENCE + 0.3, said) as ledger:
        with running(program, Path(f"{path}{ending}")) as pid:
            with pytest.raises(Locked, match=f"locked by process {pid} .*: gave up after 2.3 sec"):
                ledger.append([attempted(2)])
            (sentence,) = said
            assert sentence.startswith(f"waiting to write to {path}: it is locked by process {pid}")
        # The lock that was given up is not kept by what waited for it.
        assert ledger.append([attempted(3)]) == [Appended(2)]
    with opened(path, 0.5, said) as ledger:
        assert ledger.append([attempted(4)]) == [Appended(3)]


def test_a_short_wait_is_not_spoken_of(path: Path) -> None:
    """Less than two seconds: the lock comes, nothing is said."""
    said: list[str] = []
    with opened(path, 30, said) as ledger:
        with running(LOCK + "import time; time.sleep(0.3); sys.exit()", Path(f"{path}.lock")):
            assert ledger.append([attempted(2)]) == [Appended(2)]
        assert ledger.append([attempted(3)]) == [Appended(3)]
    assert said == []


def test_a_wait_of_nothing_tries_once(path: Path) -> None:
    """And says at once who has the lock."""
    with (
        opened(path, 0, []) as ledger,
        running(LOCK, Path(f"{path}.lock")) as pid,
        pytest.raises(Locked, match=f"process {pid}"),
    ):
        ledger.append([attempted(2)])


def test_threads_wait_for_each_other_as_processes_do(path: Path) -> None:
    """One keeps a transaction open: another gives up in a sentence."""
    problems: list[str] = []
    with opened(path, 0.1, []) as ledger:

        def other() -> None:
            with pytest.raises(Locked) as problem:
                ledger.append([attempted(2)])
            problems.append(str(problem.value))

        with ledger.appending():
            thread = Thread(target=other)
            thread.start()
            thread.join()
    assert "locked by another thread: gave up after 0.1 seconds" in problems[0]


def test_readers_share_a_shared_lock(tmp_path: Path) -> None:
    """And keep a writer waiting."""
    lock, guarded = tmp_path / "lock", tmp_path / "guarded"
    guarded.touch()
    readers = [FileLock(lock, guarded, shared=True) for _ in range(2)]
    writer = FileLock(lock, guarded)
    writer.waiting = Waiting(0.1)
    with readers[0], readers[1], pytest.raises(Locked):
        writer.__enter__()
    with writer:
        pass
    for each in (*readers, writer):
        each.close()


def test_a_command_that_waits_in_vain_ends_with_exit_code_2(door: CommandLine) -> None:
    """One sentence while it waits, one when it gives up."""
    door.done("init")
    path = door.folder / "attempts.ledger"
    Path(f"{path}.lock").touch()
    with running(LOCK, Path(f"{path}.lock")) as pid:
        answer = door.call("--wait", "2.2", "forget", "C-1", "--reason", "asked")
        assert answer.code == 2
        waits, gave_up = answer.err.splitlines()[-2:]
        assert f"waiting to write to {path}: it is locked by process {pid}" in waits
        assert "gave up after 2.2 seconds, nothing was written" in gave_up


NAMES = ("a.ledger", "a.ledger-wal", "a.ledger-shm", "a.ledger.lock")


def modes(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir() if each.is_file()}


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o277])
@pytest.mark.parametrize("mode", [PRIVATE, 0o660, 0o664])
def test_a_ledger_and_what_lies_beside_it_have_the_mode_it_was_made_with(
    tmp_path: Path, umask: int, mode: int
) -> None:
    """Whatever the umask."""
    before = os.umask(umask)
    try:
        path = tmp_path / "a.ledger"
        with Ledger.create(path, clock=SetClock(), mode=mode) as ledger:
            ledger.append([attempted(1)])
            assert modes(tmp_path) == dict.fromkeys(
                ("a.ledger", "a.ledger-wal", "a.ledger-shm", "a.ledger.lock"), mode
            )
            assert exposed(path) == (
                {} if mode == PRIVATE else {tmp_path / name: mode for name in modes(tmp_path)}
            )
    finally:
        os.umask(before)


def test_init_makes_it_private_and_says_so_when_it_is_not(door: CommandLine) -> None:
    """--mode lets others in, and that is a finding."""
    before = os.umask(0)
    try:
        assert door.call("init").err.count("other accounts") == 0
        made = modes(door.folder)
        answer = door.call("--ledger", "sqlite:///b.ledger", "init", "--mode", "660")
    finally:
        os.umask(before)
    assert made["attempts.ledger"] == PRIVATE
    assert modes(door.folder)["b.ledger"] == 0o660
    assert "other accounts can open" in answer.err
    assert "(mode 660)" in answer.err
    for wrong in ("777", "066", "600x", "-1", "0600", "", "620"):
        assert "--mode" in door.wrong("--ledger", "sqlite:///c.ledger", "init", "--mode", wrong)


def test_a_lock_that_is_missing_is_made_as_the_ledger_is(path: Path) -> None:
    """Not wider, not narrower: who may write to the ledger may lock it."""
    Path(f"{path}.lock").unlink()
    path.chmod(0o660)
    with opened(path, 1, []) as ledger:
        ledger.append([attempted(2)])
    assert Path(f"{path}.lock").stat().st_mode & 0o777 == 0o660


def test_the_lock_of_a_dead_process_is_free(path: Path) -> None:
    """Killed while it had it."""
    with running(LOCK, Path(f"{path}.lock")), closing(sqlite3.connect(path)):
        pass
    with opened(path, 1, []) as ledger:
        assert ledger.append([attempted(2)]) == [Appended(2)]
    with Path(f"{path}.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
