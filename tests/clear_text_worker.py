"""Make many calls of the command line in one process, which the test of clear text looks over.

Usage: clear_text_worker.py CALLS, a JSON file: an array of calls, each an exit code and its words.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer.main

from attempt_ledger.cli.main import app


def main(path: str) -> None:
    """Make each call; stop at one with another exit code."""
    command = typer.main.get_command(app)
    for expected, *words in json.loads(Path(path).read_text("utf-8")):
        code = command.main(words, standalone_mode=False)
        if code != expected:
            sys.exit(f"exit code {code}, not {expected}: {words}")


if __name__ == "__main__":
    main(sys.argv[1])
