"""The page on the transparency log says what the program does."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from command_line import CommandLine

from ledger.tlog import verify_proof

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/transparency.md").read_text(encoding="utf-8")
CODE = "".join(
    re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "ledger").rglob("*.py"))
)


def fits(said: str, shown: str) -> bool:
    """Return whether lines are as shown, where … stands for the rest of a line."""
    pattern = "[^\n]*".join(map(re.escape, shown.split("…")))
    return re.fullmatch(pattern, said) is not None


def test_the_calls_of_the_page_come_out_as_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command, in order, and what it puts on standard output."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    shutil.copy(verify_proof.__file__, tmp_path)
    shown = "".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL))
    calls = [call.split("\n", 1) for call in shown.split("$ ")[1:]]
    assert len(calls) > 5
    for command, output in calls:
        program, *words = shlex.split(command)
        if program == "python":
            done = subprocess.run([sys.executable, "-I", *words], capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
            said = done.stdout
        else:
            said = door.done(*words)
        assert fits(said, output), said


def test_the_leaf_of_the_page_hashes_as_it_says() -> None:
    """By nothing but SHA-256."""
    record, data = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    (leaf,) = re.findall(r"```text\n([0-9a-f]{64})\n```", PAGE)
    assert json.loads(record)["data_sha256"] == sha256(data.encode()).hexdigest()
    assert tuple(json.loads(record)) == tuple(verify_proof.LEAF)
    assert sha256(b"\0" + record.encode()).hexdigest() == leaf


def test_the_findings_of_the_page_are_those_of_the_program() -> None:
    """Every sentence it quotes stands in the code."""
    table = PAGE.split("| finding | ")[1].split("\n\n")[0]
    quoted = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(quoted) > 10
    missing = [each for each in quoted[1:] if each not in CODE]
    assert missing == []
