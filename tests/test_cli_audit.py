"""Audits at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import CommandLine
from reporting import STORY, TROUBLED, written

QUERIES = (
    "events", "history C-1", "backdated --by PT1H --changes", "annulments", "disagreements",
    "exceptions", "forgotten",
)  # fmt: skip


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand before the ledger of a month, with compiled code that all tests share."""
    folder = tmp_path / "here"
    folder.mkdir()
    written(folder / "attempts.ledger", (*STORY, *TROUBLED)).close()
    return CommandLine(folder, monkeypatch)


@pytest.mark.parametrize("query", QUERIES)
def test_text_says_what_was_asked_and_ends_with_the_digest(door: CommandLine, query: str) -> None:
    """It is the default; the first lines say which audit, and as known when."""
    told = door.done("audit", *query.split()).splitlines()
    assert told[0][0].isupper()
    assert "known at " in told[1]
    assert "(position " in told[1]
    assert told[3].startswith("@")
    assert told[4].startswith("    ")
    assert "rows, sha256 " in told[-1] or "row, sha256 " in told[-1]


@pytest.mark.parametrize("format", ["txt", "csv", "json", "jsonl", "parquet", "xlsx"])
@pytest.mark.parametrize("query", QUERIES)
def test_a_file_is_checked_by_who_has_only_it_and_the_ledger(
    door: CommandLine, query: str, format: str
) -> None:
    """Its form is told by its name; its receipt is inside or beside it."""
    name = f"audit.{format}"
    answer = door.call("audit", *query.split(), "--output", name)
    assert (answer.code, answer.out) == (0, "")
    inside = format in ("parquet", "xlsx")
    assert (door.folder / f"{name}.receipt.json").exists() != inside
    assert ("receipt inside" if inside else "receipt in ") in answer.err
    assert door.done("receipt", "check", name).startswith(f"{name}: the same. ")
    receipt = json.loads(door.done("receipt", "show", name))
    assert (receipt["of"], receipt["name"]) == ("audit", query.split()[0])
    assert receipt["rows"] > 0


def test_a_changed_file_is_told_with_the_ledgers_own_event(door: CommandLine) -> None:
    """Exit code 1, the row by its position, and what is recorded there."""
    door.done("audit", "events", "--type", "ExamFailed", "--output", "failed.csv")
    text = (door.folder / "failed.csv").read_text()
    door.write("failed.csv", text.replace("candidate,C-4", "candidate,C-5"))
    said = door.refused("receipt", "check", "failed.csv")
    assert "subject is C-5 in the file, C-4 by the ledger" in said
    assert "ExamFailed urn:test R-6/result of candidate C-4" in said


def test_the_rows_on_standard_output_are_told_with_their_digest(door: CommandLine) -> None:
    """Where no receipt is written, one sentence says what they are."""
    answer = door.call("audit", "annulments", "--format", "jsonl")
    assert json.loads(answer.out)["reason"]
    assert "known at " in answer.err
    assert "sha256 " in answer.err


def test_events_are_asked_for_by_several_types(door: CommandLine) -> None:
    """As often as the option is given."""
    found = door.lines(
        "audit", "events", "--type", "ExamPassed", "--type", "EventAnnulled", "--format", "jsonl"
    )
    assert {row["type"] for row in found} == {"ExamPassed", "EventAnnulled"}


def test_a_day_is_its_first_instant(door: CommandLine) -> None:
    """And the end of an interval is outside it."""
    said = ("audit", "events", "--type", "ExamAttempted", "--format", "jsonl")
    begun = door.lines(*said, "--valid-from", "2021-03-09", "--valid-to", "2021-03-10")
    assert [row["key"] for row in begun] == ["R-3"]
    assert door.lines(*said, "--valid-from", "2021-03-10", "--valid-to", "2021-03-20") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("events --candidate C-1 --subject C-1", "give one of them"),
        ("events --candidate NOBODY", "No candidate 'NOBODY'"),
        ("history NOBODY", "No candidate 'NOBODY'"),
        ("events --type ExamTaken", "--type: type 'ExamTaken' is unknown: accepted are ExamAtt"),
        ("events --recorded-from 2021-03-02 --recorded-to 2021-03-02", "does not lie before"),
        ("events --valid-from 2021-03-02 --valid-to 2021-03-01", "does not lie before"),
        ("events --recorded-from yesterday", "--recorded-from"),
        ("events --known-at @9999", "position 9999 is not reached yet"),
        ("events --known-at 1990-01-01", "nothing was known then"),
        ("backdated --by P1M", '--by: "P1M" is in months'),
        ("backdated --by soon", '--by: "soon" is not a duration'),
        ("events --output missing/out.csv", "missing"),
    ],
)
def test_a_wrong_call_is_one_sentence(door: CommandLine, words: str, said: str) -> None:
    """Exit code 2; nothing is written."""
    assert said in door.wrong("audit", *words.split())


def test_an_unknown_exam_is_said(door: CommandLine) -> None:
    """It may have been mistyped; nothing is found of it."""
    answer = door.call("audit", "events", "--exam", "az-104", "--format", "csv")
    assert answer.code == 0
    assert "there is no exam 'az-104' in the catalogue" in answer.err
    assert answer.out.count("\n") == 1


def test_an_empty_ledger_is_audited_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was recorded, and that is said."""
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init", "--bare")
    assert "No such event was recorded by then." in door.done("audit", "events")
    assert "Nothing was annulled." in door.done("audit", "annulments")


def test_the_key_file_is_not_needed(door: CommandLine) -> None:
    """An auditor has the ledger, and no key."""
    for name in ("attempts.ledger.keys", "attempts.ledger.signing-key"):
        (door.folder / name).unlink(missing_ok=True)
    for query in QUERIES:
        door.done("audit", *query.split())
