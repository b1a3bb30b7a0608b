"""A sealed ledger to back up, and the real program to do it, also killed on the way."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from command_line import SETTINGS, CommandLine

COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))
LEDGER = "attempts.ledger"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in SETTINGS}

KILL = "os.kill(os.getpid(), signal.SIGKILL)"
INTERRUPT = "os.kill(os.getpid(), signal.SIGINT)"
_CALL = """
import importlib, os, signal, sys
module, name, number, act = {module!r}, {name!r}, {number}, {act!r}
signal.signal(signal.SIGINT, signal.default_int_handler)
where = importlib.import_module(module)
owner, _, attribute = name.rpartition(".")
owner = getattr(where, owner) if owner else where
real, calls = getattr(owner, attribute), 0
def instead(*words, **named):
    global calls
    calls += 1
    if calls == number:
        exec(act)
    return real(*words, **named)
setattr(owner, attribute, instead)
from attempt_ledger.cli.main import run
sys.argv[0] = "attempt-ledger"
run()
"""


def outside(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Call the real program."""
    return _run([COMMAND, *words], **settings)


def stopped_at(
    where: str, act: str, words: Sequence[str], number: int = 1
) -> subprocess.CompletedProcess[str]:
    """Call the real program, which does something to itself when a function is called.

    `where` is ``module:function``; `number` says at which of its calls.
    """
    module, _, name = where.partition(":")
    call = _CALL.format(module=module, name=name, number=number, act=act)
    return _run([sys.executable, "-c", call, *words])


def with_files_of(megabytes: float, *words: str) -> subprocess.CompletedProcess[str]:
    """Call the real program where no file may grow beyond a size: a disk that is full."""
    most = int(megabytes * 1_000_000)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    return _run([COMMAND, *words], preexec_fn=limit)


def _run(command: list[str], **settings: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # type: ignore[call-overload]
        command, capture_output=True, text=True, env=ENVIRONMENT, **settings
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done  # type: ignore[no-any-return]


def lived_in(door: CommandLine, sittings: int = 40) -> CommandLine:
    """Return a ledger with a catalogue, sittings, a request with personal fields; all sealed."""
    door.catalogued()
    rows = "".join(
        f"C-{n % 9},AZ-104,R-{n},2021-0{1 + n % 9}-06T09:00:00Z,{'pass' if n % 5 else 'fail'}\n"
        for n in range(sittings)
    )
    door.write("results.csv", f"candidate_id,exam,registration_id,started_at,outcome\n{rows}")
    door.done("import", "results.csv")
    asked(door, "Q-1", "R-5")
    return door


def asked(door: CommandLine, request: str, registration: str, candidate: str = "C-5") -> None:
    """Record a request of an exception, with an e-mail address."""
    door.done(
        "record", "ExceptionRequested", candidate, "exam=AZ-104", f"request_id={request}",
        f"registration_id={registration}", "reason=lab-crash", "email=zoe@example.org",
        "--source", "urn:desk", "--id", request, "--time", "2021-09-01T09:00:00Z",
    )  # fmt: skip


def head_of(path: str | Path) -> int:
    """Return the last position in a ledger's file."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT max(position) FROM events").fetchone()[0])


def rows_of(path: str | Path) -> list[tuple[object, ...]]:
    """Return every row of a ledger's file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM events ORDER BY position").fetchall()


def edit(path: str | Path, *statements: str) -> None:
    """Change a file past the ledger."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def names(folder: Path, begin: str) -> set[str]:
    """Name what lies in a folder under names that begin so."""
    return {path.name for path in folder.iterdir() if path.name.startswith(begin)}


def copied_to(name: str, backup: str = "b") -> None:
    """Copy a backup with its log."""
    shutil.copy(backup, name)
    shutil.copytree(f"{backup}.tlog", f"{name}.tlog")


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(3000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to be so in half a minute")
