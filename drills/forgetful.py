"""A PostgreSQL server on a disk that is slow, and forgets what was not synced when power is cut."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from drills.cluster import Cluster
from drills.needs import Tool, path_of, program

CC: Final = Tool("cc", "gcc libc6-dev", program("cc"))
"""Compiles what is put between the server and its disk."""

_ENTRY: Final = struct.Struct("=c31sqq")
_SHIM: Final = Path(__file__).with_name("wal_shim.c")

# What is written and not synced shall be much, and not synced by somebody else soon.
_SETTINGS: Final = """
wal_writer_delay = 10s
checkpoint_timeout = 1h
max_wal_size = 4GB
autovacuum = off
max_connections = 60
shared_buffers = 32MB
"""


class ForgetfulServer(Cluster):
    """A server of its own, until it is closed."""

    def __init__(self, version: int, *, delay_us: int = 0, settings: str = "") -> None:
        self._holder = tempfile.mkdtemp(prefix="pg")  # a socket's path must be short
        os.chmod(self._holder, 0o755)
        super().__init__(Path(self._holder), version)
        self._undo = self.folder / "undo"
        shim = self.folder / "wal_shim.so"
        shutil.copy(compiled_shim(), shim)
        self._environment = {
            "LD_PRELOAD": str(shim),
            "WAL_DELAY_US": str(delay_us),
            "WAL_UNDO": str(self._undo),
        }
        self.make(_SETTINGS + settings, sync=True)
        self.start()
        self("createdb", "exams")

    def __enter__(self) -> ForgetfulServer:
        return self

    def __exit__(self, *problem: object) -> None:
        """End it, and remove all of it."""
        with suppress(OSError, ValueError):
            self.kill()
        shutil.rmtree(self._holder, ignore_errors=True)

    def start(self, environment: object = None) -> None:
        """Start it, with what stands between it and its disk."""
        super().start(self._environment)

    def kill(self) -> None:
        """Kill all its processes at once, with -9."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        stopped: set[int] = set()
        # Each is stopped before any is killed, so that none sees another's end; and none begins.
        while more := {first, *_children(first)} - stopped:
            for process in more:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGSTOP)
            stopped |= more
        for process in stopped:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while any(map(_runs, stopped)):
            time.sleep(0.002)
        # Of processes that nobody has waited for yet, a new server would believe that they run.
        for left in (self.data / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)

    def cut_power(self) -> int:
        """Kill it, and take back what was not synced; return how many writes that were."""
        self.kill()
        open_writes: dict[bytes, list[tuple[int, bytes]]] = {}
        log = self._undo.read_bytes() if self._undo.exists() else b""
        at = 0
        while at + _ENTRY.size <= len(log):
            kind, name, offset, length = _ENTRY.unpack_from(log, at)
            at += _ENTRY.size
            name = name.rstrip(b"\0")
            if kind == b"s":
                open_writes.pop(name, None)
            else:
                open_writes.setdefault(name, []).append((offset, log[at : at + length]))
                at += length
        for name, writes in open_writes.items():
            path = self.data / "pg_wal" / name.decode()
            with suppress(FileNotFoundError), path.open("r+b") as segment:
                for offset, before in reversed(writes):
                    segment.seek(offset)
                    segment.write(before)
        self._undo.unlink(missing_ok=True)
        return sum(map(len, open_writes.values()))


def _children(process: int) -> list[int]:
    return [int(each) for each in _read(f"/proc/{process}/task/{process}/children").split()]


def _runs(process: int) -> bool:
    return _read(f"/proc/{process}/stat").rpartition(")")[2].split()[:1] not in ([], ["Z"])


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@cache
def compiled_shim() -> Path:
    """Compile what is put between a server and its disk, once for all; raises Missing."""
    made = Path(tempfile.mkdtemp(prefix="shim")) / "wal_shim.so"
    flags = ["-O2", "-Wall", "-shared", "-fPIC", "-o", str(made), str(_SHIM), "-ldl"]
    subprocess.run([str(path_of(CC)), *flags], check=True, capture_output=True)
    return made
