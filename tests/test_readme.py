"""The README shows what the program really says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


COMPILING = "attempt-ledger: the rules are compiled first, which is kept for the next time\n"
"""Said on the first run of a machine alone."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the examples in it, as after `git clone`."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


def run(command: str, place: Path) -> str:
    """Run a line as a shell would, and give what it says."""
    environment = {name: value for name, value in os.environ.items() if "ATTEMPT" not in name}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=place,
        env=environment | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    ).stdout


def test_every_command_says_what_the_page_shows(place: Path) -> None:
    """In order, in one folder. Where the ledger lies is left out: that is another machine's."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        for call in block.split("$ ")[1:]:
            command, shown = call.split("\n", 1)
            said = run(command, place).replace(f"{place}{os.sep}", "")
            assert said.replace(COMPILING, "") == shown, command


def test_the_python_of_the_page_runs(place: Path) -> None:
    """On the ledger that the commands made."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (place / "page.py").write_text(code)
    if not (place / "attempts.ledger").exists():
        run("attempt-ledger init --bare", place)
        run("attempt-ledger import --keep-recorded-at examples/history.jsonl", place)
    assert run(f"{sys.executable} page.py", place) == ""


def test_every_page_it_names_is_there() -> None:
    """No link leads nowhere."""
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in link:
            assert (ROOT / link).exists(), link
