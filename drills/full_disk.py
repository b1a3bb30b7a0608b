"""A disk that fills up under an import, stays full under every other command, and gets room again.

The disk is a small tmpfs for root; for others a limit on the size of files is the nearest thing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from attempt_ledger import clock
from drills.after import few
from drills.forking import Program, Ran
from drills.life import LEDGER, results
from drills.report import Finding, Options
from drills.whole import Key, examine
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem

NEEDS = ()  # mount is there wherever it is of use

_KIB = 1 << 10
_ROWS, _ROWS_OF_SLICE = 40_000, 2_000
_LEFT = (0, 4, 12, 40, 90, 160, 400)
_LEFT_OF_SLICE = (12,)
"""KiB left on the full disk: each breaks off other steps of what is called."""
_SITTING = ("ExamAttempted", "C-1", "exam=AZ-104", "delivery=live")
_REQUEST = ("ExceptionRequested", "C-1", "exam=AZ-104", "reason=lab-crash", "email=zoe@example.org")
_TOLD = re.compile(r"([\d,]+) events? recorded")
_OF_PYTHON = re.compile(r"Traceback|[a-z]Error\b|should not have happened")


@dataclass
class Disk:
    """Where there is little room."""

    folder: Path
    limit: int | None = None
    """How large a file may be; None: the disk itself is small."""
    larger: Sequence[str] = ()
    """The command that makes it larger."""

    def enlarge(self) -> None:
        """Make room."""
        self.limit = None
        if self.larger:
            subprocess.run(self.larger, check=True)


def run(options: Options) -> Iterator[Finding]:
    """Fill it, call everything, make room, and call it again."""
    rows = options.size(_ROWS, _ROWS_OF_SLICE)
    room = rows * 450  # some way through the import
    history = options.scratch / "results.csv"
    history.write_text(results(rows))
    with _small(options.scratch / "disk", room) as disk, Program(options.scratch) as program:
        yield _Filling(disk, program, history, options).go()


ANNOUNCED = ("record", "ExamAnnounced", "AZ-104", "title=Administrator", "policy=general")
"""The exam of every sitting here: of one that nobody announced, each call would say so."""


class _Filling:
    def __init__(self, disk: Disk, program: Program, history: Path, options: Options) -> None:
        self._disk = disk
        self._program = program
        self._history = history
        self._options = options
        self._path = disk.folder / LEDGER
        self._problems: list[str] = []
        self._acknowledged: dict[Key, None] = {}
        self._calls = self._refused = 0

    def go(self) -> Finding:
        """Do all of it."""
        for words in (("init",), ANNOUNCED, ("project",)):
            if self._call(*words).code:
                raise RuntimeError(f"{words[0]} needs more room than there is")
        was_limited = self._disk.limit is not None
        taken = self._fill()
        left = _LEFT_OF_SLICE if self._options.slice else _LEFT
        for number, kib in enumerate(left):
            with self._ballast(kib):
                self._everything(number)
        self._disk.enlarge()
        self._afterwards(range(len(left)))
        whole = examine(self._path, dict.fromkeys(self._acknowledged))
        return Finding(
            "full_disk",
            f"full after {taken:,} events, then {self._calls:,} calls with 0 to "
            f"{max(left)} KiB left",
            len(self._acknowledged),
            whole.lost,
            whole.doubled,
            few([*self._problems, *whole.problems]),
            f"{self._refused} said so" + (", by a limit on files" if was_limited else ""),
        )

    def _fill(self) -> int:
        """Import until nothing fits; what is told is there."""
        reserve = self._disk.folder / "reserve"
        reserve.write_bytes(bytes(64 * _KIB))
        done = self._call("import", self._history)
        reserve.unlink()  # even who reads needs some room beside the ledger
        told = _TOLD.search(done.errors)
        if done.code != 1 or told is None:
            self._problems.append(f"import: exit code {done.code}: {done.errors}")
            return 0
        many = int(told[1].replace(",", ""))
        keys = self._keys()
        if len(keys) - 3 < many:
            self._problems.append(f"import told of {many} events, there are {len(keys) - 3}")
        self._acknowledged |= dict.fromkeys(keys)
        return many

    def _everything(self, number: int) -> None:
        """Call all that writes while there is no room, and something that reads."""
        for words in _writing(number, self._disk.folder):
            done = self._call(*words)
            self._refused += done.code != 0
            if done.code == 0 and words[0] == "record":
                self._acknowledged["urn:drill", _id(words)] = None
        self._call("standing", "C-1", "AZ-104")

    def _afterwards(self, numbers: Sequence[int]) -> None:
        """Call it all again, with room: everything is done."""
        for words in (("import", self._history), *self._again(numbers), ("rebuild",)):
            done = self._call(*words)
            if done.code:
                self._problems.append(f"with room: {words[0]}: {done.errors}")
            if words[0] == "record":
                self._acknowledged["urn:drill", _id(words)] = None
        self._acknowledged |= dict.fromkeys(
            ("urn:csv", f"R-{row}/{what}")
            for row in range(self._options.size(_ROWS, _ROWS_OF_SLICE))
            for what in ("attempted", "result")
        )

    def _again(self, numbers: Sequence[int]) -> Iterator[Sequence[str | Path]]:
        for number in numbers:
            for words in _writing(number, self._disk.folder):
                if words[0] == "backup":  # one that was made would be in the way
                    with suppress(FileNotFoundError):
                        Path(words[1]).unlink()
                    shutil.rmtree(f"{words[1]}.tlog", ignore_errors=True)
                yield words

    def _call(self, *words: str | Path) -> Ran:
        """Call the program; whatever becomes of it, it says so in a sentence."""
        words = ("--ledger", f"sqlite:///{self._path}", *words)
        done = self._program.call(*words, limit=self._disk.limit)
        self._calls += 1
        if (
            done.code not in (0, 1, 2)
            or _OF_PYTHON.search(done.errors)
            or (done.code and "attempt-ledger: " not in done.errors)
        ):
            self._problems.append(f"{words[2]}: exit code {done.code}: {done.errors[-300:]}")
        return done

    @contextmanager
    def _ballast(self, kib: int) -> Iterator[None]:
        """Take all room but so much."""
        ballast = self._disk.folder / "ballast"
        if self._disk.limit is None:
            free = os.statvfs(self._disk.folder)
            many = free.f_bavail * free.f_frsize - kib * _KIB
            with ballast.open("wb") as file, suppress(OSError):
                for _ in range(max(0, many) // (4 * _KIB)):
                    file.write(bytes(4 * _KIB))
        yield
        ballast.unlink(missing_ok=True)

    def _keys(self) -> list[Key]:
        try:
            with Ledger.open(self._path, clock=clock.now, read_only=True) as ledger:
                return [(row.source, row.id) for row in ledger.read()]
        except LedgerProblem as problem:
            self._problems.append(f"it does not open: {problem}")
            return []


def _id(words: Sequence[str | Path]) -> str:
    return str(words[words.index("--id") + 1])


def _writing(number: int, folder: Path) -> Iterator[Sequence[str | Path]]:
    """Yield what is called on a full disk; the numberth time."""
    named = ("--source", "urn:drill", "--time", "2021-03-02", "--id")
    keys = (f"request_id=F-{number}", f"registration_id=R-{number}")
    yield ("record", *_SITTING, f"registration_id=F-{number}", *named, f"sitting-{number}")
    yield ("record", *_REQUEST, *keys, *named, f"request-{number}")
    yield ("seal",)
    yield ("project",)
    yield ("backup", folder / f"backup-{number}.ledger")
    yield ("export", "--output", folder / "all.jsonl")
    yield ("replay", "--output", folder / "all.csv")


@contextmanager
def _small(folder: Path, size: int) -> Iterator[Disk]:
    """Yield a disk of a size, which can be enlarged."""
    folder.mkdir()
    place = str(folder)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield Disk(folder, limit=size // 2)
        return
    try:
        yield Disk(folder, larger=["mount", "-o", f"remount,size={64 * size}", place])
    finally:
        subprocess.run(["umount", place], check=True)
