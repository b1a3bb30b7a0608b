"""What two sources say differently of one sitting is recorded, and said at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine

HEADER = "candidate_id,exam,registration_id,started_at,outcome\n"
ROW = "C-1,AZ-104,R-1,2021-03-01T09:00:00Z,{}\n"


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.strict = True
    return door


def imported(door: CommandLine, source: str, *rows: str) -> str:
    door.write("results.csv", HEADER + "".join(rows))
    return door.call("import", "results.csv", "--source", source).err


def test_an_outcome_that_another_source_contradicts_is_said_at_import(door: CommandLine) -> None:
    """Both facts are kept, the exit code is 1, and once the wrong one is annulled all is well."""
    assert "different" not in imported(door, "urn:csv", ROW.format("pass"))
    said = imported(door, "urn:vue", ROW.format("fail"))
    assert "1 row read, 2 events recorded, 0 duplicates skipped, 0 rejected" in said
    assert "sources disagree about 1 sitting" in said
    assert "C-1 AZ-104: Two sources disagree about R-1: urn:csv says" in said
    assert door.call("import", "results.csv", "--source", "urn:vue").code == 1
    door.done("annul", "urn:vue", "R-1/result", "--reason", "the wrong file")
    other = ROW.format("pending").replace("R-1", "R-2")
    door.write("more.csv", HEADER + other)
    door.done("import", "more.csv", "--source", "urn:vue")


def test_another_start_is_said_too_and_the_same_word_is_not(door: CommandLine) -> None:
    """Two sources may well say the same; two thirds of a file may."""
    rows = [ROW.format("pass").replace("R-1", f"R-{n}") for n in range(3)]
    imported(door, "urn:csv", *rows)
    door.write("same.csv", HEADER + rows[0])
    door.done("import", "same.csv", "--source", "urn:vue")
    later = rows[1].replace("09:00", "11:00")
    assert "that it began on" in imported(door, "urn:vue", later)


def test_one_source_beside_the_program_pays_nothing(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sittings are not looked up."""
    monkeypatch.setattr("ledger.store.sqlite.SQLiteStore.of_several_sources", None)
    assert "0 rejected" in imported(door, "urn:csv", ROW.format("pass"))
