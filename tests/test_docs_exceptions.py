"""The page on exceptions says what the program does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from command_line import CommandLine

from projections.exceptions import STATES
from retake_policies.schema import ExceptionTable

PAGE = (Path(__file__).parent.parent / "docs/exceptions.md").read_text(encoding="utf-8")


def first_column(heading: str) -> tuple[str, ...]:
    """Return the names in the first column of the table with this heading."""
    table = PAGE.split(f"| {heading} | ")[1].split("\n\n")[0]
    return tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_the_page_knows_every_state_and_every_key() -> None:
    """In the order in which the program has them."""
    assert first_column("state") == STATES
    assert first_column("key") == tuple(ExceptionTable.model_fields)


def test_the_calls_of_the_page_come_out_as_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command, in order, and what it says."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.failed("R-76", "2022-05-28T09:00:00Z", candidate="C-1001")
    door.failed("R-77", "2022-05-30T09:00:00Z", candidate="C-1001")
    door.write("request.toml", PAGE.split("```toml\n")[1].split("```")[0])
    shown = PAGE.split("```console\n")[1].split("```")[0]
    calls = [call.split("\n", 1) for call in shown.split("$ attempt-ledger ")[1:]]
    assert calls
    for command, said in calls:
        assert door.call(*shlex.split(command)).err == said
