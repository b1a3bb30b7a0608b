"""Native code that may die of what it is given runs in a process that nothing else depends on."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Sequence


def command(module: str, *arguments: str) -> Sequence[str]:
    """Return the command that runs a module of ours in a process of its own.

    With -P, since nothing in the folder where the caller happens to be is to be imported.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def confine(memory: int | None = None, seconds: int | None = None) -> None:
    """Leave Ctrl-C to the parent, and bound what this process may take: bytes, processor time.

    Where a system does not know a bound, there is none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for limit, most in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CPU, seconds)):
        if most is not None:
            _, hard = resource.getrlimit(limit)
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(limit, (bound, hard))


def how_it_ended(code: int, errors: bytes, who: str) -> str | None:
    """Return why a process did not do what it should, None if it did.

    `code` is its exit code, minus a signal's number if it died; `said` what it wrote to standard
    error; `who` what runs in it.
    """
    if code < 0:
        return f"{who} died ({signal.Signals(-code).name})"
    if code:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        return last or f"{who} failed"
    return None
