"""The page about the service says what its routes, its roles and its problems are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GENERATE = Path(__file__).parents[1] / "docs" / "generate_service.py"


def test_the_page_about_the_service_is_up_to_date() -> None:
    """docs/service.md is written from the routes, by docs/generate_service.py."""
    done = subprocess.run(
        [sys.executable, str(GENERATE), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
