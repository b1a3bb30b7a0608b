"""The page on erasure says what the program does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from command_line import CommandLine

from ledger.models import EVENTS

PAGE = (Path(__file__).parents[1] / "docs/erasure.md").read_text(encoding="utf-8")


def fits(said: str, shown: str) -> bool:
    """Return whether lines are as shown: … stands for the rest of a line, alone for any lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…\n" else "[^\n]*".join(map(re.escape, line.split("…")))
        for line in shown.splitlines(keepends=True)
    )
    return re.fullmatch(pattern, said) is not None


def test_the_calls_of_the_page_come_out_as_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command, in order, and what it says or puts on standard output."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.failed("R-77", "2022-05-30T09:00:00Z", candidate="C-1001")
    letter = (Path(__file__).parents[1] / "docs/exceptions.md").read_text("utf-8")
    door.write("request.toml", letter.split("```toml\n")[1].split("```")[0])
    door.done(
        *("exception", "request", "C-1001", "AZ-104", "--from", "request.toml"),
        *("--request-id", "X-17"),
    )
    shown = "".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL))
    calls = [call.split("\n", 1) for call in shown.split("$ attempt-ledger ")[1:]]
    assert len(calls) > 7
    for command, output in calls:
        answer = door.call(*shlex.split(command))
        assert answer.code == 0, answer.err
        assert fits(answer.out or answer.err if output else "", output), answer


def test_the_page_names_every_personal_field_and_no_other() -> None:
    """In the row of what is erased."""
    (row,) = re.findall(r"^\| erased \| (.*) \|$", PAGE, re.MULTILINE)
    personal = {name for event in EVENTS for name in event.personal}
    assert set(re.findall(r"`(\w+)`", row)) == personal
