"""`project` and `rebuild` at the command line."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine
from example_ledger import HISTORY, compiled_quietly
from read_models import table

from attempt_ledger.cli import read_model


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand before a ledger of the example, with compiled code at hand."""
    monkeypatch.setattr(read_model, "cache_folder", lambda *_: compiled_quietly())
    door = CommandLine(tmp_path, monkeypatch).at("2026-01-01T00:00:00Z")
    door.done("init", "--bare")
    door.done("import", str(HISTORY), "--keep-recorded-at")
    return door


def test_project_makes_the_views_and_keeps_them_up(door: CommandLine) -> None:
    """Beside the ledger unless it is said where; data goes nowhere, what was done is said."""
    answer = door.call("project")
    assert (answer.code, answer.out) == (0, "")
    assert "attempts.ledger.views stands for position 720" in answer.err
    door.sat("R-new", "2025-12-31T09:00:00Z", candidate="C-new")
    assert "stands for position 721" in door.call("project").err
    rows = table(door.folder / "attempts.ledger.views", "standings", "candidate = 'C-new'")
    assert {row["status"] for row in rows} == {"result-pending"}
    door.done("project", "--views", "elsewhere.views")
    assert table(door.folder / "elsewhere.views", "position")[0]["position"] == 721


def test_rebuild_says_what_differs(door: CommandLine) -> None:
    """Exit code 1 and a line for each row; a check mends nothing, a rebuild does."""
    assert "is built, from nothing" in door.call("rebuild").err
    assert "no row differs" in door.call("rebuild", "--check").err
    with closing(sqlite3.connect("attempts.ledger.views")) as connection, connection:
        connection.execute("UPDATE exams SET title = 'Another' WHERE exam = 'AZ-104'")
    for words, told in (
        (("rebuild", "--check"), "1 row differs at position 720: it was left as it is"),
        (("rebuild",), "it is replaced by what was built anew"),
    ):
        answer = door.call(*words)
        assert answer.code == 1
        assert answer.out.startswith("exams: exam AZ-104: title is Another, rebuilt ")
        assert told in answer.err
    assert "no row differs" in door.call("rebuild").err


def test_many_differences_are_counted(door: CommandLine) -> None:
    """The first hundred are listed."""
    door.done("project")
    with closing(sqlite3.connect("attempts.ledger.views")) as connection, connection:
        connection.execute("DELETE FROM standings")
    answer = door.call("rebuild", "--check")
    assert len(answer.out.splitlines()) == 101
    assert answer.out.splitlines()[-1].startswith("… and ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rebuild", "--check"), "no read model at"),
        (("project", "--views", "attempts.ledger"), "is no read model: it was left as it is"),
        (("project", "--views", "no/such/folder"), "no/such/folder.lock cannot be written"),
        (("--ledger", "sqlite:///none.ledger", "project"), "there is no ledger at none.ledger"),
    ],
)
def test_a_wrong_call_is_one_sentence(door: CommandLine, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, and nothing is touched."""
    assert said in door.wrong(*words)


FOLLOW = "from attempt_ledger.cli.main import run; run()"


def test_a_follower_keeps_up_until_it_is_stopped(door: CommandLine) -> None:
    """A second one says so and stops; Ctrl-C ends the first, which is no failure."""
    door.done("project")
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOW, "project", "--follow"],
        stderr=subprocess.PIPE,
        text=True,
    ) as follower:
        assert follower.stderr is not None
        assert "stands for position 720" in follower.stderr.readline()
        said = door.wrong("project", "--follow")
        assert "is being kept by another process" in said
        door.sat("R-new", "2025-12-31T09:00:00Z", candidate="C-new")
        with closing(sqlite3.connect("attempts.ledger.views")) as connection:
            while connection.execute("SELECT position FROM position").fetchone() != (721,):
                assert follower.poll() is None
                time.sleep(0.05)
        follower.send_signal(signal.SIGINT)
        assert follower.wait() == 0
