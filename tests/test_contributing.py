"""CONTRIBUTING.md is followed to the letter, in a copy of the tree, and what comes out runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from example_ledger import facts, ledger_of

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROOMS = ("attempt_ledger", "ledger", "projections", "replay", "retake_policies", "docs")


def recipe(title: str) -> list[tuple[str, str, str]]:
    """Return the blocks of a recipe: their kind, their file, their text."""
    section = PAGE.partition(f"\n## {title}")[2].partition("\n## ")[0]
    return re.findall(r"```(python|diff) (\S+)\n(.*?)```", section, re.DOTALL)


def follow(folder: Path, title: str) -> list[str]:
    """Do what a recipe says; return the files that it touches."""
    touched = []
    for kind, name, text in recipe(title):
        path = folder / name
        if kind == "python":
            assert not path.exists(), name
            path.write_text(text)
        else:
            old = "".join(f"{line[1:]}\n" for line in text.splitlines() if line[0] == " ")
            new = "".join(f"{line[1:]}\n" for line in text.splitlines())
            before = path.read_text()
            assert before.count(old) == 1, f"{name} has no such lines any more:\n{old}"
            path.write_text(before.replace(old, new))
        touched.append(name)
    return touched


def call(folder: Path, *words: str) -> str:
    """Call Python in the copy, on the example's ledger, and return what it writes."""
    environment = {
        "PYTHONPATH": str(folder),
        "ATTEMPT_LEDGER": f"sqlite:///{folder / 'a.ledger'}",
    }
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the tree, with the example's ledger in it."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    ledger_of(tmp_path / "a.ledger", facts()).close()
    return tmp_path


def test_a_command_is_two_files(copy: Path) -> None:
    """It is listed, has its page of help, and answers."""
    assert len(set(follow(copy, "A command"))) == 2
    assert call(copy, "-m", "attempt_ledger", "head") == "720\n"
    help = call(copy, "-m", "attempt_ledger", "--help")
    assert re.search(r"^  head +Show the last position of the ledger\.$", help, re.MULTILINE)
    call(copy, "docs/generate_cli.py")
    assert "## attempt-ledger head\n" in (copy / "docs" / "cli.md").read_text()


def test_a_report_is_two_files(copy: Path) -> None:
    """It is listed, computed, drawn and documented."""
    assert len(set(follow(copy, "A report"))) == 2
    program = ("-m", "attempt_ledger", "report")
    assert "delivered    Sittings by delivery" in call(copy, *program, "list")
    csv = call(copy, *program, "delivered", "--format", "csv")
    assert [line.partition(",")[0] for line in csv.split()] == ["delivery", "beta", "live"]
    call(copy, *program, "delivered", "--chart", "delivered.svg")
    assert "<svg" in (copy / "delivered.svg").read_text()
    call(copy, "docs/generate_reports.py")
    assert "Sittings by delivery" in (copy / "docs" / "reports.md").read_text()


def test_every_file_it_names_is_there() -> None:
    """And every page that it links."""
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", PAGE) + re.findall(r"\]\(([^)#]+)\)", PAGE)
    made = {name for kind, name, _ in recipe("A command") + recipe("A report") if kind == "python"}
    for name in {*named} - made - {"tests/test_cli_head.py"}:
        assert (ROOT / name).exists(), name


def test_what_the_recipes_touch_has_room() -> None:
    """No module that a recipe names is so near to its 400 lines that a few more break the house."""
    named = {
        path
        for path in re.findall(r"`([a-z_/]+\.py)`", PAGE.partition("\n## A command")[2])
        if (ROOT / path).exists() and not path.startswith("tests/")
    }
    assert {"ledger/models.py", "projections/tables.py", "replay/columns/arrange.py"} <= named
    lines = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in named}
    assert {path: count for path, count in lines.items() if count > 390} == {}
