"""A process that appends to a ledger, for the tests of many at once and of kill -9.

Usage: ledger_worker.py PATH NAME BATCHES SIZE. Prints the ids of each batch, on one line, once it
is acknowledged. Every third fact is one that all workers write alike. BATCHES may be ``forever``.
"""

from __future__ import annotations

import sys
import time
from itertools import count

from ledger.events import Fact, make_event
from ledger.ledger import Appended, Duplicate, Ledger


def main(path: str, name: str, batches: str, size: str) -> None:
    """Append, and say what was acknowledged."""
    with Ledger.open(path, clock=lambda: time.time_ns() // 1000) as ledger:
        for batch in count() if batches == "forever" else range(int(batches)):
            facts = [fact(name, batch * int(size) + n) for n in range(int(size))]
            outcomes = ledger.append(facts)
            assert all(isinstance(outcome, Appended | Duplicate) for outcome in outcomes), outcomes
            print(*(fact.id for fact in facts), flush=True)


def fact(name: str, n: int) -> Fact:
    """Return the nth fact of a worker, or one that is everybody's."""
    owner = "all" if n % 3 == 0 else name
    registration = f"{owner}-{n}"
    data = {"exam": "AZ-104", "registration_id": registration, "delivery": "live"}
    if n % 10 == 0:
        request = {"exam": "AZ-104", "registration_id": registration, "request_id": registration}
        request |= {"reason": "lab-crash", "email": "zoe@example.org"}
        return Fact("urn:w", registration, f"C-{n}", 0, make_event("ExceptionRequested", request))
    return Fact("urn:w", registration, f"C-{n}", 0, make_event("ExamAttempted", data))


if __name__ == "__main__":
    main(*sys.argv[1:])
