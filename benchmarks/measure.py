"""How everything here is measured: alternately, in one run, medians; whole commands as processes.

Only the standard library: a child's peak memory begins with its parent's, so who starts commands
must be small itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Final

HERE: Final = Path(__file__).resolve().parent
FOLDER: Final = Path(os.environ.get("BENCHMARKS_FOLDER") or HERE.parent / ".benchmarks")
"""Generated ledgers and files, kept from run to run, and the results."""


@dataclass(frozen=True)
class Options:
    """What a call asks for. The sizes the issues name are those of 10,000,000 events."""

    events: int = 10_000_000
    runs: int = 5
    oulad: Path | None = None
    scratch: Path = field(default_factory=lambda: FOLDER / "scratch")

    def share(self, most: int, least: int = 1) -> int:
        """Return how much to do of what is the same at all sizes: less below 100,000 events.

        Of so few no figure means anything: it is asked whether a bench runs.
        """
        return max(least, min(most, most * self.events // 100_000))


@dataclass(frozen=True)
class Figure:
    """One line of the table. `ours` and `peer` are medians, `all` every single measurement."""

    bench: str
    what: str
    unit: str
    """``/s`` (more is better), ``s`` or ``MB`` (less is better)."""
    ours: float
    peer: float | None = None
    peer_name: str = ""
    at_least: float | None = None
    """Asked of ours / peer (of peer / ours where less is better); or of ours, without a peer."""
    at_most: float | None = None
    """Asked of ours, or with a peer of ours / peer."""
    note: str = ""
    all: dict[str, list[float]] = field(default_factory=dict)
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """What the machine had to do when it was measured, other programs' work included."""

    @property
    def ratio(self) -> float | None:
        """Ours / peer as rates: above 1 ours does more in the same time."""
        if self.peer is None or not self.ours or not self.peer:
            return None
        if self.at_most is not None:
            return self.ours / self.peer
        return self.ours / self.peer if self.unit == "/s" else self.peer / self.ours

    @property
    def reached(self) -> bool | None:
        """Whether what was asked is reached; None where nothing is asked."""
        measured = self.ours if self.peer is None else self.ratio
        if measured is None or (self.at_least is None and self.at_most is None):
            return None
        if self.at_least is not None:
            return measured >= self.at_least
        return self.at_most is not None and measured <= self.at_most


Side = Callable[[], float]
"""Does its work once and returns seconds, or a rate: whatever its figure compares."""


def alternately(runs: int, *sides: Side, warm_up: int = 1) -> list[list[float]]:
    """Run the sides in turn, A B A B …, after a warm-up; return each side's measurements."""
    for _ in range(warm_up):
        for side in sides:
            side()
    measured: list[list[float]] = [[] for _ in sides]
    for _ in range(runs):
        for side, results in zip(sides, measured, strict=True):
            results.append(side())
    return measured


def middle(measured: Sequence[float]) -> float:
    """Return the median."""
    return float(median(measured))


def seconds(work: Callable[[], object]) -> float:
    """Time a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def processor(process: int) -> float:
    """Return the processor seconds that another process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Ran:
    """A whole command: how long it took, its peak memory, and what it printed."""

    seconds: float
    peak_mb: float
    """Of the largest of its processes, in 1,000,000 bytes."""
    output: str
    processor: float = 0.0
    """Seconds of processor time, of all of its processes."""


def run(
    *command: str | Path, cwd: Path | None = None, into: Path | None = None, odd: bool = False
) -> Ran:
    """Run a command to its end; raises CalledProcessError unless it exits with 0, or 1 if `odd`.

    `into` takes what it prints, if that is much: held here, it would count as a child's memory.
    """
    words = [str(word) for word in command]
    # With compiled modules, as an installed program has them: the warm-up run writes them.
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE.parent),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(FOLDER / "bytecode"),
    }
    began = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as errors_file,
        open(into, "w+") if into else tempfile.TemporaryFile("w+") as output_file,
    ):
        process = subprocess.Popen(
            words, stdout=output_file, stderr=errors_file, cwd=cwd, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        spent = usage.ru_utime + usage.ru_stime
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output = "" if into else _read(output_file)
        errors = _read(errors_file)
    if process.returncode not in (0, int(odd)):
        sys.stderr.write(errors)
        raise subprocess.CalledProcessError(process.returncode, words)
    return Ran(took, usage.ru_maxrss * 1024 / 1e6, output, spent)


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def python(module: str, *arguments: str | Path) -> Ran:
    """Run a module of this folder in a process of its own."""
    return run(sys.executable, "-m", module, *arguments)


def attempt_ledger(
    ledger: Path | str, *arguments: str | Path, cwd: Path | None = None, odd: bool = False
) -> Ran:
    """Run the command line on a ledger: a file, or what a URL names."""
    program = Path(sys.executable).with_name("attempt-ledger")
    url = ledger if isinstance(ledger, str) else f"sqlite:///{ledger}"
    return run(program, "--ledger", url, *arguments, cwd=cwd, odd=odd)
