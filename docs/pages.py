"""How a generated page is written, or compared with what is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def settle(page: Path, written: Callable[[], str], arguments: Sequence[str]) -> int:
    """Write a page, or with `--check` compare it with what would be; give the exit code."""
    script = f"docs/{Path(sys.argv[0]).name}"
    if arguments not in ([], ["--check"]):
        print(f"usage: python {script} [--check]", file=sys.stderr)
        return 2
    if not arguments:
        page.write_text(written(), encoding="utf-8")
    elif page.read_text(encoding="utf-8") != written():
        print(f"{page} is not up to date: run python {script}", file=sys.stderr)
        return 1
    return 0
