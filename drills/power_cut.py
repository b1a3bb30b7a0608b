"""A power cut at any moment of a ledger's life: what may be left of the disk is opened again."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from drills.after import Told, after, few, rows_of
from drills.cuts import WAYS, Left, digest, lay_out, left
from drills.disk import Disk
from drills.ground import ROOT
from drills.needs import STRACE
from drills.quick import emptied, in_memory
from drills.report import Finding, Options
from drills.tracing import Call, see_that_it_may, traced
from drills.whole import Whole
from ledger.events import Recorded

NEEDS = (STRACE,)

STATES = 1_500
STATES_OF_SLICE = 80
_MORE = 1.6  # some of what is chosen turns out to be alike
_SYNCS = frozenset({"fsync", "fdatasync"})
_AT_SYNC = 3


class State(NamedTuple):
    """One disk after a power cut."""

    cut: int
    """After how many calls of the trace."""
    way: str
    told: Told
    files: Left

    def __str__(self) -> str:
        """Name it in a finding."""
        return f"cut after call {self.cut:,}, {self.way}"


class Recording(NamedTuple):
    """A life as it was watched."""

    root: Path
    acknowledged: Path
    calls: Sequence[Call]
    history: Sequence[Recorded]


def run(options: Options) -> Iterator[Finding]:
    """Watch a life, cut it off wherever it can be, and look at each state that is left."""
    see_that_it_may()
    with in_memory(options.scratch) as scratch:
        recording = watched(scratch, short=options.slice)
        wanted = options.size(STATES, STATES_OF_SLICE)
        yield looked_at(recording, wanted, Random(options.seed), scratch)


def watched(
    scratch: Path, *, short: bool, life: Sequence[str] = ("-m", "drills.life")
) -> Recording:
    """Record every write and sync of a ledger's life."""
    root, acknowledged = scratch / "disk", scratch / "acknowledged"
    root.mkdir()
    command = [sys.executable, *life, str(root), str(acknowledged)]
    calls = traced(
        [*command, "--short"] if short else command,
        scratch / "trace",
        environment={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    _see_that_it_is_real(root, calls)
    return Recording(root, acknowledged, calls, rows_of(root))


def _see_that_it_is_real(root: Path, calls: Sequence[Call]) -> None:
    """Compare the simulated disk, with nothing lost, with the files that are there."""
    disk = Disk(str(root))
    for call in calls:
        disk.do(call)
    real = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    seen = disk.seen()
    wrong = [name for name in real.keys() | seen.keys() if not name.endswith("-shm")
             and (name not in real or real[name].read_bytes() != seen.get(name))]  # fmt: skip
    if wrong:
        raise RuntimeError(f"the simulated disk is not the real one: {', '.join(sorted(wrong))}")


def states(recording: Recording, wanted: int, chance: Random) -> Iterator[State]:
    """Cut at moments all through the life, more at those before a sync, when most is pending."""
    cuts = list(_cuts(recording))
    share = wanted * _MORE / sum(weight for _, weight in cuts)
    weights = dict(cuts)
    disk, told = Disk(str(recording.root)), Told()
    for number, call in enumerate(recording.calls, 1):
        disk.do(call)
        acknowledged = _acknowledged(recording, call)
        if acknowledged:
            told = told.and_then(acknowledged)
            yield State(number, "dropped", told, left(disk, WAYS["dropped"], chance))
        many = share * weights.get(number, 0)
        for way in chance.sample(list(WAYS), min(len(WAYS), int(many + chance.random()))):
            yield State(number, way, told, left(disk, WAYS[way], chance))


def _cuts(recording: Recording) -> Iterator[tuple[int, int]]:
    """Yield where the life may be cut off, and how much weight is on it."""
    disk = Disk(str(recording.root))
    before = 0
    for number, call in enumerate(recording.calls, 1):
        if disk.do(call):
            if before:
                yield before, _AT_SYNC if call.name in _SYNCS else 1
            before = number
    yield before, 1


def _acknowledged(recording: Recording, call: Call) -> str:
    if call.name == "write" and call.file()[1] == str(recording.acknowledged):
        return call.text(1).decode()
    return ""


def looked_at(recording: Recording, wanted: int, chance: Random, scratch: Path) -> Finding:
    """Open each state, and count."""
    seen: dict[bytes, Told] = {}
    ways: Counter[str] = Counter()
    acknowledged = lost = doubled = 0
    problems: list[str] = []
    for state in states(recording, wanted, chance):
        key = digest(state.files)
        if seen.get(key) == state.told:
            continue
        ways[state.way] += key not in seen
        seen[key] = state.told
        whole = _opened(state, recording, scratch)
        acknowledged += state.told.position
        lost += whole.lost
        doubled += whole.doubled
        problems += (f"{state}: {problem}" for problem in whole.problems)
    if len(seen) < wanted:
        problems.append(f"{len(seen)} different states, {wanted} were wanted")
    return Finding(
        "power_cut",
        f"{len(seen):,} states after power cuts, of {len(recording.history):,} events",
        acknowledged,
        lost,
        doubled,
        few(problems),
        ", ".join(f"{count} {way}" for way, count in ways.most_common()),
    )


def _opened(state: State, recording: Recording, scratch: Path) -> Whole:
    with emptied(scratch / "state") as folder:
        lay_out(state.files, folder)
        return after(folder, state.told, recording.history)
