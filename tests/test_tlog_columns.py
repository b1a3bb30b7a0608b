"""A column cache makes answers quick and proves nothing; `verify` removes one that lies."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine

from attempt_ledger.places import cache_folder
from ledger.ledger import Ledger
from projections.history import SITTING_KINDS
from replay.columns import cache
from replay.columns.part import read_part, write_part
from replay.snapshot import Engine

LEDGER = "attempts.ledger"
COLUMNS = Path(f"{LEDGER}.columns")
EVERYBODY = ("replay", "--as-of", "2022-06-01")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A ledger in which C-1 failed, with a column cache."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.failed("R-1", "2022-05-31T20:00:00Z")
    door.done(*EVERYBODY)
    return door


def lie(door: CommandLine) -> None:
    """Edit the columns and their manifest as whoever has the ledger's account can: a pass of it."""
    with Ledger.open(LEDGER, clock=lambda: door.now, read_only=True) as ledger:
        kept = cache.ColumnCache(ledger, Engine(cache_folder()))
        manifest = kept._manifest()
        assert manifest is not None
        (entry,) = manifest.base
        part = read_part(COLUMNS / entry.file)
        kind = part.sittings.kind.copy()
        kind[kind == SITTING_KINDS["ExamFailed"]] = SITTING_KINDS["ExamPassed"]
        (COLUMNS / entry.file).unlink()
        write_part(part._replace(sittings=part.sittings._replace(kind=kind)), COLUMNS / entry.file)
        false = entry.model_copy(update={"digest": cache.digest(COLUMNS / entry.file)})
        sealed = manifest.model_copy(update={"base": (false,)}).sealed(kept._key())
        (COLUMNS / "manifest.json").write_text(sealed.model_dump_json())


def test_verify_keeps_a_cache_that_says_what_the_rows_say(door: CommandLine) -> None:
    """Whether it was verified before or not."""
    before = sorted(os.listdir(COLUMNS))
    for words in ((), ("--full",)):
        door.done("verify", *words)
        assert sorted(os.listdir(COLUMNS)) == before


def test_verify_removes_a_cache_that_says_something_else(door: CommandLine) -> None:
    """Though its digests and its seal hold: each part is computed anew from the rows."""
    true = door.done(*EVERYBODY)
    assert "AZ-104,waiting" in true
    lie(door)
    assert "AZ-104,passed" in door.done(*EVERYBODY)
    said = door.refused("verify")
    assert f"the column cache in {COLUMNS.resolve()} was removed: " in said
    assert "does not hold what the ledger says" in said
    assert door.done(*EVERYBODY) == true
    assert "as they were signed" in door.done("verify", "--full")


def test_a_cache_of_an_edited_copy_answers_nothing_and_is_removed(
    door: CommandLine, tmp_path: Path
) -> None:
    """Copied from a ledger in which the fail is a pass, with all that lies beside it."""
    true = door.done(*EVERYBODY)
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / LEDGER
    shutil.copy(LEDGER, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE events SET topic = replace(topic, 'Failed', 'Passed')")
    door.done("--ledger", f"sqlite:///{copy}", *EVERYBODY)
    shutil.rmtree(COLUMNS)
    shutil.copytree(f"{copy}.columns", COLUMNS)
    COLUMNS.chmod(0o700)
    assert door.done(*EVERYBODY) == true
    shutil.rmtree(COLUMNS)
    shutil.copytree(f"{copy}.columns", COLUMNS)
    COLUMNS.chmod(0o700)
    answer = door.call("verify")
    assert (answer.code, "was removed" in answer.err) == (0, True)


def test_what_proves_reads_no_cache(door: CommandLine) -> None:
    """A proof, a standing and a receipt come from the rows, whatever the columns say."""
    door.done(*EVERYBODY, "--output", "out.csv")
    lie(door)
    door.done("prove", "urn:vue", "R-1/result", "--output", "r.proof")
    assert "ExamFailed" in door.done("verify-proof", "r.proof")
    assert door.json("standing", "C-1", "AZ-104")["status"] == "waiting"
    Path("copied").mkdir()
    door.done("backup", "copied/b")
    door.done("restore", "copied/b", "copied/new")
    answer = json.loads(door.done("--ledger", "sqlite:///copied/new", "standing", "C-1", "AZ-104",
                                  "--format", "json"))  # fmt: skip
    assert answer["status"] == "waiting"
