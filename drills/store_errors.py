"""Every call that writes, syncs or names a file fails in turn: what does the program make of it?"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from attempt_ledger import clock
from drills.after import few, opened_wrongly, rows_of
from drills.commands import WRITING, Command, call, make_states
from drills.forking import Program, Ran
from drills.life import LEDGER
from drills.needs import STRACE
from drills.quick import emptied, in_memory
from drills.report import Finding, Options
from drills.tracing import see_that_it_may
from drills.whole import examine
from ledger.events import Recorded
from ledger.ledger import Ledger

NEEDS = (STRACE,)

CASES_OF_SLICE = 4  # of each command
MOST_OF_SLOW, CASES_OF_SLOW = 60, 1
_WRITES = ("write", "pwrite64", "ftruncate", "fallocate")
_SYNCS = ("fsync", "fdatasync")
_NAMES = ("openat", "rename", "link", "unlink", "mkdir")
_ERRORS = {**dict.fromkeys(_WRITES, ("EIO", "ENOSPC")), **dict.fromkeys(_SYNCS, ("EIO",))}
_NOT_FOR_GOOD = ("write", "openat")  # by them the program speaks, and is loaded
_CALL = re.compile(r"(\d+) +(\w+)\(")
_OF_PYTHON = re.compile(r"Traceback|[a-z]Error\b|should not have happened")
_FOR_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


class Fault(NamedTuple):
    """One call that fails, or from which on all of its kind fail."""

    call: str
    number: int
    error: str
    from_then_on: bool

    def __str__(self) -> str:
        """Tell it in a finding."""
        return f"{self.error} at {self.call} {self.number}{' and all after' * self.from_then_on}"

    def to_strace(self) -> Sequence[str]:
        """Tell it to strace."""
        when = f"{self.number}{'+' * self.from_then_on}"
        inject = f"inject={self.call}:error={self.error}:when={when}"
        return ("-e", f"trace={self.call}", "-e", inject)


class Clean(NamedTuple):
    """What a command comes to when nothing fails."""

    code: int
    faults: Sequence[Fault]
    rows: Sequence[Recorded]
    """Every event before it."""
    keys: Counter[tuple[str, str]]
    """(source, id) of every event after it."""


def run(options: Options) -> Iterator[Finding]:
    """Disturb every command that writes at each of its writes in turn."""
    see_that_it_may()
    with in_memory(options.scratch) as scratch, Program(scratch) as program:
        make_states(scratch, program)
        for command in WRITING:
            if command.is_known:
                yield _disturbed(command, options, program, scratch)


def _disturbed(command: Command, options: Options, program: Program, scratch: Path) -> Finding:
    clean = _watched(command, program, scratch)
    whole = (
        (MOST_OF_SLOW, CASES_OF_SLOW) if command.is_slow else (len(clean.faults), CASES_OF_SLICE)
    )
    most = options.size(*whole)
    faults = Random(options.seed).sample(clean.faults, min(len(clean.faults), most))
    said = lost = doubled = 0
    problems: list[str] = []
    for fault in faults:
        with _copied(scratch, command) as folder:
            ran = _called(program, folder, command, scratch, *fault.to_strace())
            said += ran.code != clean.code
            wrong = list(ill_said(ran))
            try:
                wrong += _short_of(folder, clean.rows)
                if not (folder / f"{LEDGER}.signing-key").exists():
                    call(program, folder, ("seal", "--new-key"))
                if ran.code or clean.code:
                    again = call(program, folder, command.words)
                    if again.code != clean.code and not _was_made(folder, command, again):
                        wrong.append(f"again: exit code {again.code}: {again.errors}")
                problems_after, lost_after, doubled_after = _in_the_end(folder, command, clean)
            except Exception as problem:  # whatever it is, the next call would meet it
                problems_after, lost_after, doubled_after = [f"{problem!r}"], 0, 0
            wrong += problems_after
            lost += lost_after
            doubled += doubled_after
            problems += (f"{command.name}, {fault}: {problem}" for problem in wrong)
    return Finding(
        "store_errors",
        f"{command.name}: {len(faults):,} errors of the store, one at a time",
        len(faults) * sum(clean.keys.values()),
        lost,
        doubled,
        few(problems),
        f"{said} said so",
    )


def _watched(command: Command, program: Program, scratch: Path) -> Clean:
    """Call it undisturbed, and see at which calls it could be disturbed."""
    with _copied(scratch, command) as folder:
        there = (folder / LEDGER).exists()
        rows = rows_of(folder) if there else []
        calls = ",".join((*_WRITES, *_SYNCS, *_NAMES))
        ran = _called(program, folder, command, scratch, "-e", f"trace={calls}")
        if command.makes and not (folder / command.makes).exists():
            raise RuntimeError(f"{command.name}: no {command.makes}: {ran.errors}")
        keys = Counter((row.source, row.id) for row in rows_of(folder))
        return Clean(ran.code, list(_faults(scratch / "trace", str(folder))), rows, keys)


@contextmanager
def _copied(scratch: Path, command: Command) -> Iterator[Path]:
    with emptied(scratch / "disturbed") as folder:
        shutil.copytree(scratch / command.on, folder, dirs_exist_ok=True)
        yield folder


def _faults(trace: Path, folder: str) -> Iterator[Fault]:
    """Name every call that changes what lies in the folder, by its number among its like."""
    numbers: Counter[str] = Counter()
    first = ""
    with trace.open(errors="replace") as lines:
        for line in lines:
            begun = _CALL.match(line)
            if begun is None:
                continue
            first = first or begun[1]
            if begun[1] != first:
                continue  # another thread or process: its calls are numbered on their own
            name = begun[2]
            numbers[name] += 1
            # What is said of the folder on standard error is no write to it.
            where = line.partition(",")[0] if name in _WRITES else line
            if folder not in where or (name == "openat" and not _FOR_WRITING.search(line)):
                continue
            for error in _ERRORS.get(name, ("EIO", "ENOSPC")):
                yield Fault(name, numbers[name], error, False)
                if name not in _NOT_FOR_GOOD:
                    yield Fault(name, numbers[name], error, True)


def _called(program: Program, folder: Path, command: Command, scratch: Path, *strace: str) -> Ran:
    watching = ("-f", "-qq", "-y", "-s", "256", "-e", "signal=none", "-o", scratch / "trace")
    return call(program, folder, command.words, *watching, *strace)


def ill_said(ran: Ran) -> Iterator[str]:
    """Find what is no sentence of ours on standard error, or that nothing is said."""
    if ran.code not in (0, 1, 2):
        yield f"exit code {ran.code}: {ran.errors[-300:]}"
    elif _OF_PYTHON.search(ran.errors):
        yield f"it says {ran.errors[-300:]}"
    elif ran.code and not ran.errors.startswith("attempt-ledger: "):
        yield f"exit code {ran.code} without a sentence: {ran.errors!r}"


def _short_of(folder: Path, rows: Sequence[Recorded]) -> Iterator[str]:
    """Find what was acknowledged before and is there no more, or otherwise."""
    there = rows_of(folder) if rows or (folder / LEDGER).exists() else []
    if there[: len(rows)] != rows:
        yield f"of {len(rows)} events from before not all are as they were"


def _was_made(folder: Path, command: Command, again: Ran) -> bool:
    """Return whether a ledger was made after all, before what failed: then it is whole."""
    there = "is already there" in again.errors and command.makes.endswith(".ledger")
    return there and bool(rows_of(folder, command.makes))


def _in_the_end(folder: Path, command: Command, clean: Clean) -> tuple[list[str], int, int]:
    """Count what is there when the command was done after all: problems, lost, doubled."""
    problems = list(_short_of(folder, clean.rows))
    if command.makes and not (folder / command.makes).exists():
        problems.append(f"it is done, and there is no {command.makes}")
    rows = rows_of(folder)
    with Ledger.open(folder / LEDGER, clock=clock.now) as ledger:
        problems += opened_wrongly(ledger, rows, frozenset(), rows)
    there = Counter((row.source, row.id) for row in rows)
    problems += (f"{key} was never recorded" for key in there - clean.keys)
    whole = examine(folder / LEDGER, {(row.source, row.id): row.position for row in rows})
    lost = (clean.keys - there).total() + whole.lost
    return [*problems, *whole.problems], lost, whole.doubled
