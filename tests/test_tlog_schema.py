"""What runs by itself in a ledger's file is found through every door, whatever it is called."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine
from test_store_schema import CHANGES, redefine, renamed

LEDGER = "attempts.ledger"
LIES = (
    "CREATE TRIGGER zz AFTER INSERT ON events WHEN NEW.topic LIKE 'ExamFailed%' BEGIN UPDATE "
    "events SET topic = replace(topic, 'Failed', 'Passed') WHERE position = NEW.position; END",
    *renamed("zz", "sqlite_autotrigger_1"),
)
SWALLOWS = (
    "CREATE TRIGGER zz BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END",
    *renamed("zz", "sqlite_autoindex_about_2"),
)
ATTACKS = {
    "a pass of every fail": LIES,
    "nothing stored": SWALLOWS,
    "a view": CHANGES["a view"],
    "an index less": CHANGES["an index less"],
    "a check": CHANGES["rows that are ignored"],
}
FOUND = "is not as the ledger defines it"
FAILED = (
    "record", "ExamFailed", "C-1", "exam=AZ-104", "registration_id=R-2", "--id", "R-2/result",
    "--time", "2022-05-21T09:00:00Z",
)  # fmt: skip


@pytest.fixture(params=ATTACKS.values(), ids=ATTACKS)
def door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> CommandLine:
    """A sealed ledger of which a checkpoint and a backup were kept, and then it was attacked."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.failed("R-1", "2022-05-20T09:00:00Z")
    door.done("checkpoint", "--output", "kept")
    redefine(Path(LEDGER), *request.param)
    return door


@pytest.mark.parametrize("words", [(), ("--full",), ("--against", "kept")], ids=str)
def test_verify_finds_it(door: CommandLine, words: tuple[str, ...]) -> None:
    """Once verified before or not; the rows themselves are as they were."""
    assert FOUND in door.refused("verify", *words)


@pytest.mark.parametrize("words", [(), ("--full",), ("--quick",)], ids=str)
def test_doctor_finds_it(door: CommandLine, words: tuple[str, ...]) -> None:
    """As `redefined`, which is wrong."""
    answer = door.call("doctor", "--format", "json", *words)
    assert answer.code == 1
    codes = {each["code"] for each in json.loads(answer.out)["findings"]}
    assert "redefined" in codes


def test_no_backup_of_it_is_made(door: CommandLine) -> None:
    """Nor is anything put back from such a file."""
    assert FOUND in door.refused("backup", "copy.ledger")
    assert not Path("copy.ledger").exists()
    assert FOUND in door.refused("restore", LEDGER, "new.ledger")
    assert not Path("new.ledger").exists()


def test_nothing_is_recorded_into_it(door: CommandLine) -> None:
    """No position is named that was not stored, no row is stored that was not meant."""
    assert FOUND in door.wrong(*FAILED)
    with closing(sqlite3.connect(LEDGER)) as connection:
        topics = connection.execute("SELECT topic FROM events WHERE stream = 'candidate/C-1'")
        assert [topic for (topic,) in topics] == ["ExamAttempted:1", "ExamFailed:1"]


def test_nothing_that_another_program_wrote_into_it_is_signed(door: CommandLine) -> None:
    """A row that came in past the ledger may be another than was meant: it is not sealed."""
    head = "SELECT max(position) FROM events"
    with closing(sqlite3.connect(LEDGER, isolation_level=None)) as connection:
        (before,) = connection.execute(head).fetchone()
        connection.execute(
            f"INSERT INTO events SELECT {before + 1}, recorded_at, occurred_at, topic, stream, "
            "source, 'another', actor, exam, key, flag, until, annuls, data, extensions "
            "FROM events "
            "WHERE topic = 'ExamFailed:1'"
        )
        (after,) = connection.execute(head).fetchone()
    if after > before:  # or it was swallowed
        assert FOUND in door.refused("seal")
        assert f"up to position {after}" not in door.call("seal").err
