"""The page about the command line says what its help says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GENERATE = Path(__file__).parents[1] / "docs" / "generate_cli.py"


def test_the_page_about_the_command_line_is_up_to_date() -> None:
    """docs/cli.md is written from the help, by docs/generate_cli.py."""
    done = subprocess.run(
        [sys.executable, str(GENERATE), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
