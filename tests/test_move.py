"""`move`: a ledger goes into another store as it is, log and keys included, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from backing import lived_in, rows_of
from command_line import CommandLine
from postgres import new_url

from ledger.store.sqlite import SQLiteStore

OURS = "attempts.ledger"


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    door = CommandLine(tmp_path, monkeypatch)
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "homes"))
    return lived_in(door).at("2022-06-01T12:30:00Z")


def test_a_ledger_goes_there_and_back(door: CommandLine) -> None:
    """The same rows, the same checkpoint, to the byte; personal fields are read; it goes on."""
    url = new_url()
    assert "each as it was" in door.done("move", OURS, url)
    there = ("--ledger", url)
    for words in (("checkpoint",), ("checkpoint", "--key"), ("export",), ("exception", "list")):
        assert door.done(*there, *words) == door.done(*words)
    assert "zoe@example.org" in door.done(*there, "history", "C-5", "--clear")
    door.done(*there, "record", "ExamRetired", "AZ-104", "--id", "later")
    assert "are as they were signed" in door.done(*there, "verify")
    door.done("move", url, "back.ledger")
    assert rows_of("back.ledger")[:-1] == rows_of(OURS)
    assert "zoe@example.org" in door.done("--ledger", "back.ledger", "history", "C-5", "--clear")
    assert "are as they were signed" in door.done("--ledger", "back.ledger", "verify")


def test_a_ledger_goes_there_and_back_by_the_home_that_the_call_names(
    door: CommandLine, tmp_path: Path
) -> None:
    """Log and keys come along from there, and go there; nothing is put among the account's data."""
    url, home = new_url(), ("--home", "elsewhere")
    door.done(*home, "move", OURS, url)
    there = (*home, "--ledger", url)
    assert door.done(*there, "checkpoint") == door.done("checkpoint")
    assert not (tmp_path / "homes").exists()
    door.done(*home, "move", url, "back.ledger")
    assert door.done("--ledger", "back.ledger", "checkpoint") == door.done("checkpoint")
    assert "zoe@example.org" in door.done("--ledger", "back.ledger", "history", "C-5", "--clear")


def test_a_move_that_was_interrupted_goes_on(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there is kept, and what was appended meanwhile comes along."""
    url, pages = new_url(), iter(range(3))

    def page(*words: object, **named: object) -> list[object]:
        if next(pages, None) is None:
            raise KeyboardInterrupt
        return real(*words, **{"limit": 10, **named})  # type: ignore[arg-type, return-value]

    real = SQLiteStore.page
    with monkeypatch.context() as broken:
        broken.setattr(SQLiteStore, "page", page)
        assert door.call("move", OURS, url).code == 130
    assert door.done("--ledger", url, "export").count("\n") == 30
    door.done("record", "ExamRetired", "AZ-104", "--id", "later")
    for _ in range(2):
        door.done("move", OURS, url)
        assert door.done("--ledger", url, "export") == door.done("export")


def test_another_ledger_is_left_as_it_is(door: CommandLine) -> None:
    """One that is there, the same one, and one that was written to since."""
    url = new_url()
    door.done("--ledger", url, "init")
    assert "is another ledger" in door.wrong("move", OURS, url)
    assert "are one ledger" in door.wrong("move", OURS, f"sqlite:///{OURS}")
    assert "FROM" in door.wrong("move", "mysql://x", url)
    moved = new_url()
    door.done("move", OURS, moved)
    door.done("--ledger", moved, "record", "ExamRetired", "AZ-104", "--id", "there")
    door.done("record", "ExamRetired", "AZ-104", "--id", "here")
    assert "the last of them is another" in door.wrong("move", OURS, moved)
