"""Make a ledger with a believable history of any size, the same for the same seed.

    python -m benchmarks.make_ledger 10000000 OUT.ledger

Candidates sit about five times each, over some two exams; they wait (a few do not), pass, are
certified, renew or lapse and come back; betas are rescored; results come late or not at all, are
revoked, annulled and said anew; exceptions are asked for and granted. It is recorded as a feed
would have, from 2019 on, interleaved over everybody. Nothing here is anybody's data.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path

from benchmarks.histories.authorized import authorize
from benchmarks.histories.dice import Dice
from benchmarks.histories.events import Told, numbered, tell
from benchmarks.histories.layout import batches
from benchmarks.histories.sittings import simulate
from benchmarks.histories.store import fill
from benchmarks.histories.world import world

SEED = 20210331
_EVENTS_EACH = {False: 10, True: 8}
"""Events of one candidate, roughly (plain: True): so many candidates a ledger of a size has."""


def make(
    events: int, path: Path, *, seed: int = SEED, plain: bool = False, authorized: bool = False
) -> None:
    """Write a ledger of exactly that many events, replacing what is there.

    `plain` leaves out betas, certifications, exceptions and all programmes but the general one:
    what a comparison can still say in SQL. `authorized` adds to the events what no shipped policy
    asks about: authorizations and missed sittings.
    """
    exams, dice = world(plain=plain), Dice(seed)
    told = _told(events, dice, plain=plain)
    name = f"{events} events, seed {seed}, {'plain' if plain else 'whole'}"
    fill(path, batches(exams, told), hashlib.sha256(name.encode()).hexdigest()[:32])
    if authorized:
        authorize(path)


def _told(events: int, dice: Dice, *, plain: bool) -> Told:
    exams = world(plain=plain)
    candidates = max(20, events // _EVENTS_EACH[plain])
    while True:
        sittings = numbered(simulate(exams, dice, candidates))
        told = tell(exams, dice, sittings, events, plain=plain)
        if told is not None:
            return told
        candidates += candidates // 10


def main() -> None:
    """Write the file and say how long it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("events", type=int, nargs="?", default=10_000_000)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--plain", action="store_true", help="only live sittings under `general`")
    parser.add_argument("--authorized", action="store_true", help="and authorizations, absences")
    given = parser.parse_args()
    began = time.perf_counter()
    make(given.events, given.path, seed=given.seed, plain=given.plain, authorized=given.authorized)
    seconds = time.perf_counter() - began
    print(
        f"{given.path}: {given.events:,} events in {seconds:.1f} s, "
        f"{given.events / seconds:,.0f} a second",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
