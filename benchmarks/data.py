"""The generated files that are measured on: made once for each size, then kept."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from benchmarks.measure import FOLDER, HERE, run

SEED = 20210331
EDITION = 1
"""Counted up when the generators come to make something else, so that no old file is used."""


def ledger_of(events: int, kind: str = "whole") -> Path:
    """Return a generated ledger: whole, plain (live sittings under `general`), or authorized.

    The last is a whole one with authorizations and missed sittings added.
    """
    path = FOLDER / f"{kind}-{events}-{SEED}-{EDITION}.ledger"
    if not path.exists():
        _say(f"making {path.name}")
        arguments = ["benchmarks.make_ledger", str(events), str(path), "--seed", str(SEED)]
        run(sys.executable, "-m", *arguments, *([] if kind == "whole" else [f"--{kind}"]))
    return path


def results_csv(rows: int) -> Path:
    """Return a generated results CSV: every row a sitting with its result, two events."""
    path = FOLDER / f"results-{rows}-{SEED}-{EDITION}.csv"
    if not path.exists():
        _say(f"making {path.name}")
        FOLDER.mkdir(exist_ok=True)
        draft = path.with_suffix(".draft")
        program = HERE / "make_results.py"
        run(sys.executable, program, str(rows), "--seed", str(SEED), into=draft)
        os.replace(draft, path)
    return path


def fresh(folder: Path) -> Path:
    """Return an empty folder, on the disk where the ledgers are."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def copied(ledger: Path, folder: Path) -> Path:
    """Copy a ledger that a measurement will write to."""
    copy = folder / ledger.name
    shutil.copyfile(ledger, copy)
    return copy


def _say(sentence: str) -> None:
    print(f"… {sentence}", file=sys.stderr, flush=True)
