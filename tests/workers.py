"""Processes that append to a ledger, for the tests of many at once: the workers of the drills."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def start(path: Path | str, name: str, batches: int | str, size: int) -> subprocess.Popen[str]:
    """Start a process that appends to the ledger at `path`; ``forever`` until it is killed."""
    command = [sys.executable, "-m", "drills.worker", str(path), name, "--sizes", str(size)]
    if batches != "forever":
        command += ["--count", str(int(batches) * size)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def told(said: str) -> set[str]:
    """Return the ids that a worker's lines acknowledge."""
    return {word.partition("=")[0] for word in said.split() if "=" in word}
