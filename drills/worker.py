"""A process that appends to a ledger, and says what it was told: one of many, or to be killed.

    python -m drills.worker LEDGER NAME [--first N] [--count N] [--sizes 1,1,40] [--seconds S]

Prints a line for each append, once it has returned: the microseconds that it took, then
``id=position`` for each of its facts. The facts of a name and number are the same whenever they are
made, so that who goes on after a kill -9 repeats what was not acknowledged. Every third fact is one
that all workers tell alike, and every tenth has a personal field.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import cycle

from attempt_ledger import clock
from ledger.facts import Fact
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.models import make_event
from ledger.outcomes import Appended, Duplicate
from ledger.problems import LedgerProblem

SOURCE = "urn:drill"
EMAIL = "zoe@example.org"
MINUTE = 60_000_000
BEGIN = 1_600_000_000_000_000  # 2020-09-13: of the first sitting


def fact(name: str, n: int, time: int | None = None) -> Fact:
    """Return the nth fact of a worker, or one that is everybody's."""
    owner = "all" if n % 3 == 0 else name
    registration = f"{owner}-{n}"
    about = {"exam": "AZ-104", "registration_id": registration}
    if n % 10 == 0:
        kind = "ExceptionRequested"
        about |= {"request_id": registration, "reason": "lab-crash", "email": EMAIL}
    else:
        kind = "ExamAttempted"
        about |= {"delivery": "live"}
    at = BEGIN + n * MINUTE if time is None else time
    return Fact(SOURCE, registration, f"C-{n // 5}", at, make_event(kind, about), "drill")


def main(arguments: Sequence[str]) -> int:
    """Append, and say what was acknowledged; exit code 1 when something was not taken."""
    given = _parser().parse_args(arguments)
    with Ledger.open(given.ledger, clock=clock.now) as ledger:
        n, last = given.first, None if given.count is None else given.first + given.count
        if given.wait:
            print("ready", flush=True)
            sys.stdin.readline()
        ends = time.monotonic() + given.seconds
        for size in cycle(int(size) for size in given.sizes.split(",")):
            upto = n + size if last is None else min(n + size, last)
            if upto == n or time.monotonic() >= ends:
                return 0
            if not _append(ledger, [fact(given.name, each) for each in range(n, upto)]):
                return 1
            n = upto
            if given.twice:
                with Ledger.open(given.ledger, clock=clock.now, read_only=True) as again:
                    again.head()
    return 0


def _append(ledger: Ledger, facts: Sequence[Fact]) -> bool:
    began = time.perf_counter()
    outcomes = ledger.append(facts)
    took = time.perf_counter() - began
    told = [f"{took * 1e6:.0f}"]
    for each, outcome in zip(facts, outcomes, strict=True):
        if not isinstance(outcome, Appended | Duplicate):
            print(f"{each.id} at {format_instant(each.time)}: {outcome}", file=sys.stderr)
            return False
        told.append(f"{each.id}={outcome.position}")
    print(*told, flush=True)
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m drills.worker")
    parser.add_argument("ledger")
    parser.add_argument("name")
    parser.add_argument("--first", type=int, default=0, help="the number of its first fact")
    parser.add_argument("--count", type=int, help="so many facts; without end if not said")
    parser.add_argument("--sizes", default="1", help="facts in each append, over and over")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--twice", action="store_true", help="open it again after each append")
    parser.add_argument("--wait", action="store_true", help="for a line on standard input")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LedgerProblem as problem:
        sys.exit(str(problem))
