"""The page about audits says what the program does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CommandLine
from example_ledger import HISTORY

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "audit.md").read_text(encoding="utf-8")


def test_the_page_about_audits_is_up_to_date() -> None:
    """docs/audit.md is written from the queries, by docs/generate_audit.py."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate_audit.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_calls_of_the_page_come_out_as_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the example's ledger; … stands for the rest of a line."""
    door = CommandLine(tmp_path, monkeypatch).at("2025-01-01T00:00:00Z")
    door.done("init", "--bare")
    door.done("import", "--keep-recorded-at", str(HISTORY))
    shown = "".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL))
    calls = shown.split("$ attempt-ledger ")[1:]
    assert len(calls) == 4
    for call in calls:
        words, said = call.split("\n", 1)
        answer = door.call(*shlex.split(words))
        pattern = "[^\n]*".join(map(re.escape, said.split("…")))
        assert re.fullmatch(pattern, answer.out + answer.err), answer
