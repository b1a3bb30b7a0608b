"""Another process that appends, for the model: asked on standard input, one JSON object a line.

Answers what became of each fact. With `die` it kills itself: ``before`` the commit, or ``after``
it, so that the answer is lost.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from ledger.cloudevents import parse_line
from ledger.ledger import Ledger


def answer(asked: dict[str, Any]) -> list[list[Any]]:
    """Append what is asked, in a ledger that is opened and closed for it."""
    facts = [parse_line(line) for line in asked["lines"]]
    with Ledger.open(asked["path"], clock=lambda: asked["now"], keys=asked["keys"]) as ledger:
        if asked["die"] == "before":
            with ledger.appending() as appending:
                appending.take([fact.row() for fact in facts])
                die()
        outcomes = ledger.append(facts)
        if asked["die"] == "after":
            die()
        return [[type(each).__name__, getattr(each, "position", 0)] for each in outcomes]


def die() -> None:
    """End as by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
