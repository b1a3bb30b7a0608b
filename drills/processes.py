"""Processes that a drill starts, watches at work, kills and starts again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from drills.ground import surroundings
from drills.whole import Key
from drills.worker import SOURCE

LONG = 90.0
"""Seconds that nothing here may take; a drill then says that it was not done."""


class Process:
    """A program that is run again and again, its output gathered in files."""

    def __init__(
        self,
        folder: Path,
        name: str,
        words: Sequence[str | Path],
        *,
        signs: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.words = [str(word) for word in words]
        self.output = folder / f"{name}.out"
        self.errors = folder / f"{name}.err"
        self.signs = [self.output, *signs]
        """What changes when it is at work."""
        self._environment = {**surroundings(), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str | Path) -> None:
        """Start it, with more words for this time alone; its output is added to."""
        if self._process is not None:
            self._end()
        with self.output.open("ab") as output, self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [*self.words, *map(str, more)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=errors,
                env=self._environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its id, while it runs."""
        return self._running().pid

    def code(self) -> int | None:
        """Tell its exit code, None while it runs."""
        return self._running().poll()

    def go(self) -> None:
        """Let it begin: it waits for a line."""
        stdin = self._running().stdin
        assert stdin is not None
        stdin.write(b"\n")
        stdin.flush()

    def kill(self) -> bool:
        """Kill it, at once and for good; False if it had ended by itself."""
        process = self._running()
        process.kill()
        return self._end() == -signal.SIGKILL

    def interrupt(self) -> int:
        """Send Ctrl-C, and wait; return its exit code."""
        self._running().send_signal(signal.SIGINT)
        return self.wait()

    def stop(self) -> None:
        """Kill it if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def wait(self) -> int:
        """Wait for its end; return its exit code, or kill it when that takes too long."""
        try:
            self._running().wait(LONG)
        except subprocess.TimeoutExpired:
            self._running().kill()
        return self._end()

    def said(self) -> str:
        """Return the last line that it wrote to standard error."""
        return (self.errors.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]

    def marks(self) -> tuple[tuple[int, int], ...]:
        """Tell one state of its signs from another."""
        return tuple(_mark(path) for path in self.signs)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    def _end(self) -> int:
        process = self._running()
        code = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return code


class Writer(Process):
    """A worker that appends (`drills.worker`); it goes on where its acknowledgments end."""

    def __init__(
        self,
        folder: Path,
        ledger: Path,
        name: str,
        *words: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", "drills.worker", str(ledger), name, *words]
        super().__init__(folder, name, command, environment=environment)
        self.acknowledged: dict[Key, int] = {}
        self.waits: list[int] = []
        """Microseconds that each append took."""
        self.facts = 0
        """Acknowledged so far, in the order of their numbers."""
        self._read = 0

    def start_again(self) -> None:
        """Start it with its first fact that was not acknowledged; half a line is none."""
        self.read()
        os.truncate(self.output, self._read)
        self.start("--first", str(self.facts))

    def read(self) -> None:
        """Take what was acknowledged since the last time: whole lines alone."""
        with self.output.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            took, *told = line.split()
            if took == "ready":
                continue
            self.waits.append(int(took))
            self.facts += len(told)
            for each in told:
                id, _, position = each.rpartition("=")
                self.acknowledged[SOURCE, id] = int(position)


def merged(writers: Sequence[Writer]) -> tuple[dict[Key, int], list[str]]:
    """Put together what writers were told; and say where they were not told the same."""
    told: dict[Key, int] = {}
    contradictions = []
    for writer in writers:
        writer.read()
        for key, position in writer.acknowledged.items():
            if told.setdefault(key, position) != position:
                contradictions.append(
                    f"{key[1]} is said to be at position {told[key]}, and at {position}"
                )
    return told, contradictions


def until(done: Callable[[], bool], seconds: float = LONG, *, interval: float = 0.005) -> bool:
    """Wait until something is so; False if it is not after so many seconds."""
    ends = time.monotonic() + seconds
    while not done():
        if time.monotonic() > ends:
            return False
        time.sleep(interval)
    return True


def left_behind(folder: Path) -> list[str]:
    """Name processes that still have to do with a folder: none may, once all have ended."""
    words = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has just ended
            if str(folder) in command:
                words.append(f"a process is left behind: {command.strip()}")
    return words


def _mark(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
