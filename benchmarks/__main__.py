"""Run benchmarks and print one table: `python -m benchmarks [NAME…] [--events N] [--runs K]`.

Each bench runs in a process of its own, ours and its peers in turn; medians are compared. The
table's figures, with every single measurement, go to .benchmarks/results.json too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from benchmarks.measure import FOLDER, HERE, Figure, Options
from benchmarks.table import lines

BENCHES = {
    "append": "one durable append at a time",
    "importing": "import of a results CSV, whole command",
    "hostile": "the worst inputs of imports and audits, beside usual ones of the same size",
    "standing": "one candidate's standing, and the whole command",
    "population": "everybody's standing from the column cache, beside DuckDB and aggregates",
    "cold": "everybody's standing with no column cache there",
    "what_if": "a draft policy over everybody",
    "refresh": "the column cache after a thousand new events",
    "memory": "peak memory of a whole replay",
    "scaling": "a tenth, three tenths and all of the events",
    "feed": "the feed to a file, whole command, and one that waits",
    "read_model": "views built, followed, and asked as of a date, on at most 2,000,000 events",
    "transparency": "sealing, verifying and proving, and appends with sealing beside them",
    "encryption": "what an encrypted field adds to an append",
    "backup": "backup and restore, and a writer beside them",
    "service": "answers, decisions and followers over HTTP, on at most 2,000,000 events",
    "postgres": "a ledger in PostgreSQL: appends, 8 writers, import, and the columns from it",
    "engine": "everybody by Sail, files written, beside the local engine",
    "scale": "what each command over a whole ledger costs, in processor time",
    "oulad": "a public data set, if its file is given with --oulad",
}
"""Each bench is the module of its name; those of the population want the most time."""
APART = {"large": "an append to --events events beside a twentieth of them, on both stores"}
"""Only if it is named: `make bench-large`, with 20,000,000 events."""


def main(arguments: Sequence[str]) -> int:
    """Run what is named; exit code 1 if a figure that was asked for is missed."""
    given = _parser().parse_args(arguments)
    options = Options(events=given.events, runs=given.runs, oulad=given.oulad)
    if given.into is not None:
        return _one(given.names[0], options, given.into)
    figures: list[Figure] = []
    failed = []
    for name in given.names or BENCHES:
        if name == "oulad" and options.oulad is None:
            continue
        print(f"… {name}: {(BENCHES | APART)[name]}", file=sys.stderr, flush=True)
        found, ended = _apart(name, arguments)
        figures += found
        if not ended:
            failed.append(name)
    for line in lines(figures):
        print(line)
    for name in failed:
        print(f"{name}: it failed before its last figure", file=sys.stderr)
    _keep(figures, options)
    return int(bool(failed) or any(figure.reached is False for figure in figures))


def _parser() -> argparse.ArgumentParser:
    named = "\n".join(f"  {name:<12}{what}" for name, what in (BENCHES | APART).items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog=f"benches:\n{named}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*BENCHES, *APART, []])
    parser.add_argument("--events", type=int, default=Options.events, help="10,000,000 if not said")
    parser.add_argument("--runs", type=int, default=Options.runs, help="of which the median is")
    parser.add_argument("--oulad", type=Path, help="oulad-results.csv.gz")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    return parser


def _apart(name: str, arguments: Sequence[str]) -> tuple[list[Figure], bool]:
    """Run one bench in a process of its own, so that none leaves a mark on the next.

    Returns the figures that it came to, and whether it came to its end.
    """
    into = FOLDER / f"{name}.json"
    FOLDER.mkdir(exist_ok=True)
    into.unlink(missing_ok=True)
    options = [word for word in arguments if word not in BENCHES | APART]
    command = [sys.executable, "-m", "benchmarks", name, *options, "--into", str(into)]
    code = subprocess.run(command, cwd=HERE.parent, check=False).returncode
    found = into.read_text().splitlines() if into.exists() else []
    return [Figure(**json.loads(line)) for line in found], code == 0 and bool(found)


def _one(name: str, options: Options, into: Path) -> int:
    bench = import_module(f"benchmarks.{name}")
    with into.open("w") as file:
        for figure in bench.figures(options):
            print(json.dumps(asdict(figure)), file=file, flush=True)
    return 0


def _keep(figures: Sequence[Figure], options: Options) -> None:
    """Keep what was measured, and on what."""
    on = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "events": options.events,
        "runs": options.runs,
    }
    rows = [
        {**asdict(figure), "ratio": figure.ratio, "reached": figure.reached} for figure in figures
    ]
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "results.json").write_text(json.dumps({"on": on, "figures": rows}, indent=1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
