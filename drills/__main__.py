"""Run drills and print one table: `python -m drills [NAME…] [--slice] [--seed N]`.

Each breaks what a ledger stands on, and ends with a full verify and a count of the events that were
acknowledged against those that are there. Exit code 1 if anything was lost, doubled or found wrong.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from drills.needs import Missing, provide
from drills.report import Finding, Options, Timed, table

DRILLS = {
    "kills": "kill -9, again and again, while two write and others follow",
    "writers": "sixteen writers at once, and readers that follow them",
    "clock": "a clock that jumps days back and forth",
    "power_cut": "the disk as it may be after a power cut, at any moment",
    "store_errors": "every write and sync fails in turn, for want of room or for a broken disk",
    "full_disk": "a disk that fills up",
    "bit_flips": "flipped bits in the file",
    "postgres": "a PostgreSQL server whose power is cut, and what is left out of its protocol",
    "engine": "an engine that folds everybody, and whose processes are killed meanwhile",
}
"""Each drill is the module of its name: `NEEDS`, and `run(options)`, which yields findings."""


def main(arguments: Sequence[str]) -> int:
    """Run what is named; exit code 1 if anything was lost, doubled or found wrong."""
    # In the background of a script this process ignores Ctrl-C, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    given = _parser().parse_args(arguments)
    results: list[Timed] = []
    failed = False
    for name in given.names or DRILLS:
        print(f"… {name}: {DRILLS[name]}", file=sys.stderr, flush=True)
        began = time.perf_counter()
        try:
            for finding in drill(name, slice=given.slice, seed=given.seed, scratch=given.scratch):
                results.append(Timed(finding, time.perf_counter() - began))
                began = time.perf_counter()
                _tell(finding)
        except Missing as problem:
            print(f"{name}: {problem}", file=sys.stderr)
            failed = True
    if results:
        print()
        for line in table(results):
            print(line)
    return int(failed or not all(result.finding.sound for result in results))


def drill(
    name: str, *, slice: bool = False, seed: int = 1, scratch: Path | None = None
) -> Iterator[Finding]:
    """Run one drill in a folder of its own, which is removed; raises Missing."""
    module = import_module(f"drills.{name}")
    provide(module.NEEDS)
    with tempfile.TemporaryDirectory(prefix=f"drill-{name}-", dir=scratch) as folder:
        yield from module.run(Options(Path(folder), slice=slice, seed=seed))


def _tell(finding: Finding) -> None:
    print(finding.line(), flush=True)
    for problem in finding.problems:
        print(f"  {problem}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    named = "\n".join(f"  {name:<14}{what}" for name, what in DRILLS.items())
    parser = argparse.ArgumentParser(
        prog="python -m drills",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog=f"drills:\n{named}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*DRILLS, []])
    parser.add_argument("--slice", action="store_true", help="a small part, in a few seconds each")
    parser.add_argument("--seed", type=int, default=1, help="of whatever is left to chance")
    parser.add_argument("--scratch", type=Path, help="make the scratch folders in this one")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
