"""The program called many times over, quickly: each call is a fork of one that has it all loaded.

A call may be watched, or disturbed, by strace, which attaches to the fork before it begins.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from drills.ground import ROOT
from drills.needs import STRACE, path_of

_LOADED = (
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "ledger.intake.catalogue",
    "ledger.intake.importer",
    "ledger.tlog.sealer",
    "ledger.tlog.verify",
    "replay.read_model.follow",
    "attempt_ledger.checks",
)
_PATIENCE = 60.0
_LONGEST = 600


class Ran(NamedTuple):
    """What a call came to."""

    code: int
    """Its exit code; the negative number of the signal that ended it."""
    output: str
    errors: str


class Program:
    """The program, loaded; a context manager."""

    def __init__(self, scratch: Path) -> None:
        """Keep what calls print in files of a folder."""
        self._server = subprocess.Popen(
            [sys.executable, "-m", "drills.forking", str(scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=scratch,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def call(
        self, *words: str | Path, strace: Sequence[str | Path] = (), limit: int | None = None
    ) -> Ran:
        """Call it; with options for strace, under strace; with a limit on how large files get."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = [list(map(str, words)), list(map(str, strace)), limit]
        self._server.stdin.write(f"{json.dumps(request)}\n")
        self._server.stdin.flush()
        return Ran(*json.loads(self._server.stdout.readline()))

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


def main(scratch: str) -> None:
    """Answer requests until there are no more."""
    from attempt_ledger.cli.main import COMMANDS, load

    for name in COMMANDS:
        load(name)
    for name in _LOADED:
        import_module(name)
    for line in sys.stdin:
        words, options, limit = json.loads(line)
        strace = [str(path_of(STRACE)), *options] if options else []
        ran = _ran(words, strace, limit, Path(scratch))
        print(json.dumps(ran), flush=True)


def _ran(words: list[str], strace: list[str], limit: int | None, scratch: Path) -> Ran:
    output, errors = scratch / "output", scratch / "errors"
    waits, goes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(goes)
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        _called(words, waits, output, errors)
    os.close(waits)
    watching = None
    try:
        if strace:
            watching = subprocess.Popen([*strace, "-p", str(child)], stderr=subprocess.DEVNULL)
            _wait_until_watched(child)
    finally:
        os.write(goes, b"!")
        os.close(goes)
    _, status = os.waitpid(child, 0)
    if watching is not None:
        watching.wait()
    told = (file.read_text(errors="backslashreplace") for file in (output, errors))
    return Ran(os.waitstatus_to_exitcode(status), *told)


def _called(words: list[str], waits: int, output: Path, errors: Path) -> None:
    code = 99
    signal.alarm(_LONGEST)  # whoever hangs is ended by it, which no drill takes for an answer
    try:
        for number, file in ((0, Path(os.devnull)), (1, output), (2, errors)):
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
            os.dup2(os.open(file, flags), number)
        os.read(waits, 1)
        os.close(waits)
        sys.argv = ["attempt-ledger", *words]
        from attempt_ledger.cli.main import run

        run()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait_until_watched(process: int) -> None:
    status = Path(f"/proc/{process}/status")
    end = time.monotonic() + _PATIENCE
    while "TracerPid:\t0\n" in status.read_text():
        if time.monotonic() > end:
            raise TimeoutError("strace did not attach within a minute: may it use ptrace here?")
        time.sleep(0.001)


if __name__ == "__main__":
    main(*sys.argv[1:])
