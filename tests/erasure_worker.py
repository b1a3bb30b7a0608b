"""Processes that forget candidates and are killed, for the tests of erasure.

erasure_worker.py lines WHAT TEMPLATE OUT   forget WHO, or restore keys, in copies of a folder, each
                                            killed some lines later than the one before it
erasure_worker.py forget PATH FIRST         forget C-FIRST, C-FIRST+1 …; print each when it is done
erasure_worker.py write PATH                encrypt something of everybody, again and again
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from erasing import WHO, request

from ledger.ledger import Ledger
from ledger.privacy.erasure import forget
from ledger.privacy.key_backups import restore

WATCHED = ("keyfile", "keyring", "keyplace", "appending", "sqlite", "forgetting", "vault",
           "keybackup")  # fmt: skip
"""The modules that forgetting goes through."""
STEP = 4
"""So many of their lines lie between one kill and the next."""


def clock() -> int:
    """Return the time."""
    return time.time_ns() // 1000


def kill_each(what: str, template: Path, out: Path) -> None:
    """Print how many copies there are: the last one was not killed."""
    for n in count(1):
        shutil.copytree(template, out / str(n))
        child = os.fork()
        if child == 0:
            do_until(what, out / str(n) / "a.ledger", n * STEP)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            print(n)
            return
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def do_until(what: str, path: Path, last: int) -> None:
    """Forget WHO, or restore keys, and die at the line of the given number, if there is one."""
    seen = 0

    def look(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal seen
        if Path(frame.f_code.co_filename).stem not in WATCHED:
            return None
        if event == "line":
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return look

    with Ledger.open(path, clock=clock) as ledger:
        sys.settrace(look)
        if what == "forget":
            forget(ledger, WHO, reason="ticket 4711", actor="desk", time=clock())
        else:
            restore(ledger, path.with_name("keys.backup"), now=0)
        sys.settrace(None)


def forget_all(path: Path, first: int) -> None:
    """Forget one candidate after another."""
    with Ledger.open(path, clock=clock) as ledger:
        for n in count(first):
            forget(ledger, f"C-{n}", reason="ticket", actor="desk", time=clock())
            print(n, flush=True)


def write(path: Path) -> None:
    """Append a request of each of many candidates, whatever comes of it."""
    with Ledger.open(path, clock=clock) as ledger:
        for n in count(10_000):
            ledger.append([request(n, candidate=f"C-{n % 400}")])


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "lines":
        kill_each(words[0], Path(words[1]), Path(words[2]))
    elif what == "forget":
        forget_all(Path(words[0]), int(words[1]))
    else:
        write(Path(words[0]))
