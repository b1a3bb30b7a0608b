"""Facts about exams that nobody announced are recorded and said, with the code that is like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import CommandLine
from intake_folder import HEADER

TYPO = "C-1,az-104,R-{n},2021-03-01T09:00:00Z,,live,fail,,\n"


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.strict = True
    return door


def typed(door: CommandLine, rows: int = 3) -> str:
    content = HEADER + "".join(TYPO.format(n=n) for n in range(rows))
    return door.write("results.csv", content + TYPO.format(n="ok").replace("az-104", "AZ-104"))


def test_an_import_says_which_exams_are_not_in_the_catalogue(door: CommandLine) -> None:
    """With how many rows and the nearest code; they are recorded all the same, exit code 1."""
    said = door.refused("import", typed(door))
    assert "4 rows read, 8 events recorded, 0 duplicates skipped, 0 rejected" in said
    assert said.endswith("3 rows name an exam that is not in the catalogue: az-104 (AZ-104?)\n")
    door.write("more.csv", HEADER + TYPO.format(n=9).replace("az-104", "XX-9\u200b9"[:4]))
    assert "1 row names an exam that is not in the catalogue: XX-9\n" in door.refused(
        "import", "more.csv"
    )


def test_with_known_exams_only_such_rows_are_set_aside(door: CommandLine) -> None:
    """Each with its problem; once the exam is announced they go in."""
    said = door.refused("import", typed(door), "--known-exams-only", "--rejects", "rejects.csv")
    assert "4 rows read, 2 events recorded, 0 duplicates skipped, 3 rejected" in said
    assert "line 2: az-104 (AZ-104?) is not in the catalogue" in said
    mended = (door.folder / "rejects.csv").read_text().replace("az-104", "AZ-104")
    door.done("import", door.write("mended.csv", mended), "--known-exams-only")


def test_an_exam_that_the_same_import_announces_is_known(door: CommandLine) -> None:
    """In a later file too, without --known-exams-only; with it, before the row."""
    announced = {
        "specversion": "1.0", "type": "ExamAnnounced", "source": "urn:x", "id": "e", "subject": "B",
        "time": "2020-01-01T00:00:00Z", "data": {"title": "B", "policy": "general"},
    }  # fmt: skip
    sat = {
        "specversion": "1.0", "type": "ExamAttempted", "source": "urn:x", "id": "a",
        "subject": "C-1", "time": "2021-01-01T00:00:00Z",
        "data": {"exam": "B", "registration_id": "R", "delivery": "live"},
    }  # fmt: skip
    door.write("sat.jsonl", json.dumps(sat) + "\n")
    door.write("announced.jsonl", json.dumps(announced) + "\n")
    door.write("both.jsonl", f"{json.dumps(announced)}\n{json.dumps(sat)}\n")
    door.refused("import", "sat.jsonl", "--known-exams-only", "--rejects", "rejects.jsonl")
    door.done("import", "both.jsonl", "--known-exams-only")
    door.write("sat.jsonl", json.dumps(sat | {"id": "b", "data": sat["data"]}) + "\n")
    door.done("--ledger", "sqlite:///other.ledger", "init")
    door.done("--ledger", "sqlite:///other.ledger", "import", "sat.jsonl", "announced.jsonl")


def test_a_history_that_is_moved_in_is_taken_as_it_was(door: CommandLine) -> None:
    """What is odd is said, and the exit code is 0."""
    door.refused("import", typed(door))
    door.write("history.jsonl", door.done("export"))
    other = ("--ledger", "sqlite:///other.ledger")
    door.at("2023-01-01T00:00:00Z").done(*other, "init", "--bare")
    answer = door.call(*other, "import", "--keep-recorded-at", "history.jsonl")
    assert answer.code == 0
    assert "6 rows name an exam that is not in the catalogue" in answer.err


def test_record_and_impact_say_so_too(door: CommandLine) -> None:
    """The same sentence through every door."""
    sitting = ("exam=AZ-14", "registration_id=R-1", "delivery=live", "--id", "a")
    said = door.refused("record", "ExamAttempted", "C-1", *sitting)
    assert "is recorded at position" in said
    assert "AZ-14 (AZ-104?) is not in the catalogue" in said
    answer = door.call("impact", typed(door), "--no-column-cache")
    assert answer.code == 1
    assert "3 rows name an exam that is not in the catalogue: az-104 (AZ-104?)" in answer.err


def test_a_catalogue_that_names_what_is_not_there_is_said(door: CommandLine) -> None:
    """A policy that nobody published, an exam that nobody announced; again, until it is mended."""
    exam = "[[exam]]\ncode = 'B-1'\ntitle = 'B'\npolicy = 'genral'\n"
    covering = "[[certification]]\nid = 'K'\ntitle = 'K'\nexams = ['B-1', 'B-2']\n"
    file = door.write("new.toml", exam + covering)
    gaps = (
        "attempt-ledger: an exam follows a policy that is not published: B-1 (genral)\n"
        "attempt-ledger: a certification names an exam that is not in the catalogue: K (B-2)\n"
    )
    for recorded, unchanged in ((2, 0), (0, 2)):
        assert door.refused("catalogue", file) == (
            f"attempt-ledger: new.toml: {recorded} recorded, {unchanged} unchanged\n{gaps}"
        )
    assert "B-1, or the policy it follows, was not in the catalogue at that time\n" in door.refused(
        "standing", "C-1", "B-1"
    )
    door.write("new.toml", (exam + covering).replace("genral", "general").replace(", 'B-2'", ""))
    door.done("catalogue", file)
    door.done("standing", "C-1", "B-1")


def test_entries_that_come_as_events_are_looked_at_too(door: CommandLine) -> None:
    """By `record` and `import`; who imports facts of candidates alone does not hear of others'."""
    gap = "an exam follows a policy that is not published: B-1 (genral)\n"
    assert gap in door.refused("record", "ExamAnnounced", "B-1", "title=B", "policy=genral")
    announced = {
        "specversion": "1.0", "type": "ExamAnnounced", "source": "urn:x", "id": "e",
        "subject": "B-2", "time": "2020-01-01T00:00:00Z", "data": {"title": "B", "policy": "no"},
    }  # fmt: skip
    door.write("announced.jsonl", json.dumps(announced) + "\n")
    assert "an exam follows a policy that is not published: B-2 (no)\n" in (
        door.refused("import", "announced.jsonl")
    )
    door.done("record", "ExamFailed", "C-1", "exam=AZ-104", "registration_id=R-1")
    door.done("record", "ExamWentLive", "AZ-104")


def test_who_annuls_a_policy_hears_which_exams_follow_it(door: CommandLine) -> None:
    """Their candidates are all answered unknown-exam from then on."""
    said = door.refused(
        "annul", "urn:attempt-ledger:catalogue", "policy/general/1", "--reason", "in error"
    )
    assert "is recorded at position" in said
    assert "not published: AZ-104 (general)" in said
