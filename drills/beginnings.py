"""kill -9 while a ledger is made, and while it takes its first event and its first key."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from attempt_ledger import clock
from drills.ground import command
from drills.processes import Process, Writer, merged, until
from drills.whole import examine
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem, NoLedger
from ledger.tlog.checkpoint import log_paths
from ledger.tlog.sealer import make_key, renew_key
from retake_policies import SHIPPED

STEPS = 24
"""So often, about, names in the folder change while a ledger is made, or takes its first facts."""


class Begun(NamedTuple):
    """What came of it, over all ledgers."""

    kills: int
    acknowledged: int
    lost: int
    doubled: int
    problems: list[str]


def begin_again(folder: Path, ledgers: int, dice: random.Random) -> Begun:
    """Make ledgers, killing `init` and the first writer at some step; go on with what is left."""
    kills = acknowledged = lost = doubled = 0
    problems: list[str] = []
    for number in range(ledgers):
        place = folder / f"begun-{number}"
        place.mkdir()
        path = place / "a.ledger"
        init = Process(place, "init", command(path, "init"), signs=[place])
        init.start()
        kills += _killed_at(init, dice)
        problems += _made(path, init)
        writer = Writer(place, path, "one", "--sizes", "1,3", "--count", "12")
        writer.signs.append(place)
        writer.start()
        kills += _killed_at(writer, dice)
        writer.start_again()
        if writer.wait() != 0:
            problems.append(f"the first writer ended with {writer.code()}: {writer.said()}")
        told, contradictions = merged([writer])
        whole = examine(path, told)
        acknowledged, lost = acknowledged + len(told), lost + whole.lost
        doubled += whole.doubled
        problems += (*contradictions, *whole.problems)
    return Begun(kills, acknowledged, lost, doubled, problems)


def _killed_at(process: Process, dice: random.Random) -> bool:
    """Kill a process after some change of its signs; False if it had ended."""
    for _ in range(dice.randrange(STEPS)):
        before = process.marks()
        until(
            lambda before=before: process.marks() != before or process.code() is not None,  # type: ignore[misc]
            interval=0.0,
        )
    return process.kill()


def _made(path: Path, init: Process) -> Iterator[str]:
    """See to it that there is a ledger: made now, or whole already, but perhaps without its key."""
    init.start()
    code = init.wait()
    try:
        with Ledger.open(path, clock=clock.now, read_only=True) as ledger:
            if ledger.head().position != len(SHIPPED):
                yield f"init left a ledger of {ledger.head().position} events: {init.said()}"
            if not log_paths(path).key.exists():
                make = renew_key if log_paths(path).checkpoint.exists() else make_key
                make(log_paths(path), str(ledger.about("ledger")))
    except NoLedger:
        yield f"init ends with {code}, and there is no ledger: {init.said()}"
    except LedgerProblem as problem:
        yield f"init ends with {code}: {problem}"
