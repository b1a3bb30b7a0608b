"""What is odd of a sitting and can be true is recorded, and said by its code, by every door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from intake_folder import HEADER, Place

import attempt_ledger as al
from ledger.intake.odd import LATE_RESULT, LONG_SITTING, RESULT_BEFORE_SITTING
from ledger.intake.results import CsvSettings

NINE = "2021-05-20T09:00:00Z"
MAY = NINE.replace("2021", "2022")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.strict = True
    return door


def row(n: int = 1, ended: str = "", result: str = "", outcome: str = "fail") -> str:
    return f"C-{n},AZ-104,R-{n},{NINE},{ended},live,{outcome},{result},\n"


def line(type: str, time: str, n: int = 1, source: str = "urn:x", **data: Any) -> str:
    said = {"exam": "AZ-104", "registration_id": f"R-{n}", **data}
    event = {
        "specversion": "1.0", "type": type, "source": source, "id": f"{type}/{n}",
        "subject": f"C-{n}", "time": time, "data": said,
    }  # fmt: skip
    return json.dumps(event) + "\n"


COUNTED = {
    "a sitting of 7 days": (row(ended="2021-05-27T09:00:00Z"), {}),
    "and a microsecond": (row(ended="2021-05-27T09:00:00.000001Z"), {LONG_SITTING: 1}),
    "a result at the start": (row(result=NINE), {}),
    "and one before it": (
        row(result="2021-05-20T08:59:59.999999Z"),
        {RESULT_BEFORE_SITTING: 1},
    ),
    "a result of 30 days ago": (
        row(result="2021-05-02T00:00:00Z").replace(NINE, "2021-05-02T00:00:00Z"),
        {},
    ),
    "and a microsecond before": (
        row(result="2021-05-01T23:59:59.999999Z").replace(NINE, "2021-05-01T09:00:00Z"),
        {LATE_RESULT: 1},
    ),
    "a pending one of long ago": (row(outcome="pending").replace("2021", "2012"), {}),
}


@pytest.mark.parametrize(("text", "counts"), COUNTED.values(), ids=COUNTED)
def test_odd_rows_are_recorded_and_counted(place: Place, text: str, counts: dict[str, int]) -> None:
    """At the boundary, and just past it; what is recorded already is not counted again."""
    report = place.rows(text)
    assert report.clean
    assert +report.odd.counts == counts
    assert +place.rows(text).odd.counts == {}


def test_results_of_other_imports_are_compared_with_their_sittings(place: Place) -> None:
    """A line's sitting may have come long before; as many as there is room for are looked up."""
    place.rows(row(outcome="pending"))
    report = place.take(line("ExamFailed", "2021-05-20T08:00:00Z"), "a.jsonl")
    assert report.odd.unpaired == {("C-1", "AZ-104")}
    both = line("ExamAttempted", NINE, 2, delivery="live") + line("ExamFailed", NINE, 2)
    assert place.take(both, "b.jsonl").odd.unpaired == set()


def test_a_sitting_that_comes_after_its_result_is_compared_with_it(
    place: Place, door: CommandLine
) -> None:
    """By import of lines and of a CSV, and by `record`; one whose result is later is not odd."""
    place.take(line("ExamFailed", "2021-05-20T08:00:00Z"), "a.jsonl")
    assert place.rows(row(outcome="pending")).odd.unpaired == {("C-1", "AZ-104")}
    assert place.rows(row(2, outcome="pending")).odd.unpaired == set()
    early = line("ExamFailed", MAY.replace("T09", "T08")), line("ExamFailed", MAY, 2)
    door.write("early.jsonl", "".join(early))
    door.done("import", "early.jsonl")
    door.write(
        "sat.csv", HEADER + (row(outcome="pending") + row(2, outcome="pending")).replace(NINE, MAY)
    )
    said = door.refused("import", "sat.csv", "--source", "urn:x")
    assert "1 result is of an instant before its sitting began (result-before-sitting)" in said
    door.write("late.jsonl", line("ExamFailed", MAY.replace("T09", "T08"), 3))
    door.done("import", "late.jsonl")
    said = door.refused(
        "record", "ExamAttempted", "C-3", "exam=AZ-104", "registration_id=R-3", "delivery=live",
        "--time", MAY, "--source", "urn:x",
    )  # fmt: skip
    assert "(result-before-sitting)" in said


def test_the_command_line_says_what_is_odd(door: CommandLine) -> None:
    """With exit code 1, whether a row or a line says it; what is only late is no fault."""
    door.write(
        "a.csv",
        HEADER
        + row(1, ended="2022-05-29T09:00:00Z", result="2022-05-20T08:00:00Z").replace(NINE, MAY),
    )
    said = door.refused("import", "a.csv")
    assert "1 result is of an instant before its sitting began (result-before-sitting)" in said
    assert "1 sitting took more than 7 days (long-sitting)" in said
    door.done("import", "a.csv")
    attempt = line("ExamAttempted", MAY, 2, delivery="live")
    door.done("import", "-", "--format", "cloudevents", input=attempt)
    result = line("ExamFailed", "2022-05-20T08:00:00Z", 2)
    said = door.refused("import", "-", "--format", "cloudevents", input=result)
    assert "(result-before-sitting)" in said
    door.write("b.csv", HEADER + row(3))
    answer = door.call("import", "b.csv")
    assert answer.code == 0
    assert "1 result recorded more than 30 days after it was true (late-result)" in answer.err


def test_two_sources_are_compared_by_every_door(door: CommandLine) -> None:
    """`record`, `impact`, lines and Python say what `import` of a CSV says."""
    door.write(
        "a.csv",
        HEADER + (row(1, outcome="pass") + row(2, outcome="pass")).replace(NINE, MAY),
    )
    door.done("import", "a.csv")
    words = ("record", "ExamFailed", "C-1", "exam=AZ-104", "registration_id=R-1", "--time", MAY)
    said = door.refused(*words, "--source", "urn:vue", "--id", "1")
    assert "sources disagree about 1 sitting" in said
    door.write("b.jsonl", line("ExamFailed", MAY, 2, source="urn:vue"))
    said = door.refused("impact", "b.jsonl")
    assert "would record 1 event" in said
    assert "C-2 AZ-104: Two sources disagree about R-2" in said
    with al.open("attempts.ledger", write=True) as ledger:
        (note,) = ledger.import_file("b.jsonl").notes
        assert "sources disagree about 1 sitting" in note
    said = door.refused("import", "b.jsonl")
    assert "1 duplicate skipped" in said
    assert "sources disagree about" in said


def test_what_cannot_be_is_kept_of_a_history_and_said(place: Place, door: CommandLine) -> None:
    """By kind, with its first line; exit code 0."""
    lines = "".join(
        line("ExamAttempted", NINE, n, delivery="live", ended_at="2021-05-20T08:00:00Z").replace(
            '"time"', '"recordedtime": "2021-05-21T00:00:00Z", "time"'
        )
        for n in (1, 2)
    )
    report = place.take(lines, "a.jsonl", keep_recorded_at=True)
    assert report.clean
    (said,) = (each for each in report.summary() if "kept as" in each)
    assert "kept as they were recorded, 2 rows; line 1: ExamAttempted: data.ended_at" in said
    text = HEADER.replace("\n", ",recorded_at\n")
    text += row(3, ended="2021-05-20T08:00:00Z").replace("\n", ",2021-05-21T00:00:00Z\n")
    settings = CsvSettings(as_recorded=True)
    report = place.take(text, csv=settings, keep_recorded_at=True)
    assert any("kept as it was recorded, 1 row; line 2" in each for each in report.summary())
    door.write("a.csv", text)
    door.done("--ledger", "b.ledger", "init", "--bare")
    answer = door.call("--ledger", "b.ledger", "import", "--keep-recorded-at", "a.csv")
    assert (answer.code, "kept as it was recorded" in answer.err) == (0, True)
