"""The page about asking about everybody shows what the program really says."""

from __future__ import annotations

import re
from pathlib import Path

from example_ledger import ROOT
from test_readme import run

from replay.diff import CHANGED
from replay.population import SCHEMA
from replay.violations import SCHEMA as VIOLATIONS

PAGE = (ROOT / "docs" / "everyone.md").read_text(encoding="utf-8")


COMPILING = "attempt-ledger: the rules are compiled first, which is kept for the next time\n"
"""Said on the first run of a machine alone."""


def test_every_command_says_what_the_page_shows(tmp_path: Path) -> None:
    """In order, in one folder, with the files of the page beside the ledger."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (lines,) = re.findall(r"```jsonl\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "rescore.jsonl").write_text(lines)
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 7
    for block in blocks:
        for call in block.split("$ ")[1:]:
            command, shown = call.split("\n", 1)
            said = run(command, tmp_path).replace(f"{tmp_path}/", "").replace(COMPILING, "")
            assert sorted(said.splitlines()) == sorted(shown.splitlines()), command
            assert without_notes(said) == without_notes(shown), command


def without_notes(text: str) -> list[str]:
    """Return the lines of data: what comes on standard error may come before or after them."""
    return [line for line in text.splitlines() if not line.startswith("attempt-ledger: ")]


def test_the_page_explains_every_column_that_needs_it() -> None:
    """Of violations the ones that two judgements make, of diff each cause."""
    for field in [*VIOLATIONS.names[5:], "eligible_from", "events"]:
        assert f"`{field}`" in PAGE
    table = PAGE.partition("| `cause` | says |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [
        "events", "policy", "catalogue", "clock"
    ]  # fmt: skip
    assert ",".join(SCHEMA.names) in PAGE
    assert CHANGED.names[-2:] == ["cause", "events"]
