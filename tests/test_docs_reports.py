"""The pages about reports and receipts say what the program does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from command_line import CommandLine
from example_ledger import HISTORY

from replay.receipts import Basis, Form, Receipt

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_about_reports_is_up_to_date() -> None:
    """docs/reports.md is written from the reports, by docs/generate_reports.py."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate_reports.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_page_about_receipts_names_every_member_in_order() -> None:
    """Each member of the JSON form has its line."""
    page = (DOCS / "receipts.md").read_text()
    table = page.partition("| member | what it is |")[2].partition("\n\n")[0]
    named = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert named == list(Receipt.model_fields)


def test_the_page_about_receipts_names_every_form_and_basis() -> None:
    """Each word that a receipt may hold is explained."""
    page = (DOCS / "receipts.md").read_text()
    for word in (*get_args(Form), *get_args(Basis)):
        assert f"`{word}`" in page


def test_the_page_about_receipts_shows_what_the_program_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the example's ledger; … stands for anything."""
    door = CommandLine(tmp_path, monkeypatch).at("2025-01-01T00:00:00Z")
    door.done("init", "--bare")
    door.done("import", "--keep-recorded-at", str(HISTORY))
    block = (DOCS / "receipts.md").read_text().partition("```console\n")[2].partition("```")[0]
    calls = block.split("$ attempt-ledger ")[1:]
    assert len(calls) == 3
    for call in calls:
        words, shown = call.split("\n", 1)
        answer = door.call(*shlex.split(words))
        pattern = re.escape(shown).replace("…", ".*")
        assert re.fullmatch(pattern, answer.out + answer.err), answer
