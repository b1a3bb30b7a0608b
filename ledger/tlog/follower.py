"""Sealing all the while, whenever somebody has written; run as a module, beside an import."""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from ledger.problems import Inconsistent, LedgerProblem, SigningKeyProblem
from ledger.store.sealing import connections_kept, inspection_of
from ledger.tlog.checkpoint import LogPaths, sealed_size
from ledger.tlog.leaf import no_interrupt
from ledger.tlog.sealer import seal

EVERY_SECONDS = 0.5
"""How long events may gather: with the sealing itself less than a second."""
_MOST = 1 << 14  # sealed in one go: who says to end, or seals too, waits for no more
_NICE = 10


def follow(
    paths: LogPaths,
    ledger_id: str,
    *,
    wait: Callable[[float], bool],
    troubled: Callable[[LedgerProblem], object],
) -> None:
    """Seal what there is, then look again and again whether anything was written.

    `wait` lets seconds pass and says whether to end. What hinders a sealing goes to `troubled`,
    and tried again. Raises Inconsistent and SigningKeyProblem: no waiting mends those.
    """
    with (
        connections_kept(paths.ledger) as address,
        inspection_of(address).watching(address) as look,
    ):
        paths = paths._replace(ledger=address)
        seen = None
        while True:
            version, head = look()
            more = False
            if version != seen:
                try:
                    upto = min(head, sealed_size(paths) + _MOST)
                    seal(paths, ledger_id, upto, processes=1)
                    more = upto < head
                    seen = None if more else version
                except (Inconsistent, SigningKeyProblem):
                    raise
                except LedgerProblem as problem:
                    troubled(problem)
            if wait(0.0 if more else EVERY_SECONDS):
                return


class SealingBeside:
    """A process that seals while this one appends, so that little is left to seal at the end.

    It takes only what processor time others leave. What hinders it is not said: the last sealing,
    after it, meets the same and says so.
    """

    def __init__(self, paths: LogPaths, ledger_id: str) -> None:
        # A module of its own, not a copy of this process: it is up in no time, and has neither our
        # threads' locks nor SQLite's files. -P: nothing in the working directory is imported.
        command = [sys.executable, "-P", "-m", "ledger.tlog.follower"]
        with no_interrupt():
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        # Not on its command line, which every account can see: a server's address has a password.
        assert self._process.stdin is not None
        with suppress(OSError):
            pickle.dump((paths, ledger_id), self._process.stdin)
            self._process.stdin.flush()

    def __enter__(self) -> SealingBeside:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let it finish what it is at."""
        self._process.communicate()


def main() -> None:
    """Seal beside another process until that closes our standard input, or dies."""
    paths, ledger_id = pickle.load(sys.stdin.buffer)
    with suppress(OSError):
        os.nice(_NICE)

    def wait(seconds: float) -> bool:
        return bool(select.select([sys.stdin], [], [], seconds)[0])

    with suppress(LedgerProblem):
        follow(paths, ledger_id, wait=wait, troubled=lambda problem: None)


if __name__ == "__main__":
    main()
