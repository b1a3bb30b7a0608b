"""Ten years are brought in: recorded when they were, or marked as moved in by a migration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from intake_folder import HEADER, Place, counts
from ledger_facts import exported

import attempt_ledger as al
from ledger.instants import format_instant
from ledger.intake.results import CsvSettings
from ledger.intake.source import SourceProblem

HISTORY = HEADER.replace("\n", ",recorded_at\n")


def row(n: int, recorded: str, outcome: str = "fail", **more: str) -> str:
    """Return a row of a history, a sitting of 1 March 2012."""
    ended = more.get("ended_at", "")
    return f"C-{n},AZ-104,R-{n},2012-03-01T09:00:00Z,{ended},live,{outcome},,,{recorded}\n"


def moved(place: Place, text: str, **options: Any) -> Any:
    """Move a history in."""
    return place.take(text, csv=CsvSettings(as_recorded=True), keep_recorded_at=True, **options)


# -- a recorded_at column


def test_rows_keep_when_they_were_recorded(place: Place) -> None:
    """Both events of a row, and several rows at one instant; running it again adds nothing."""
    text = HISTORY + row(1, "2012-03-02T00:00:00Z") + row(2, "2012-03-02T00:00:00Z", "pending")
    text += row(2, "2012-03-09T00:00:00Z", "pass")
    assert counts(moved(place, text)) == (3, 4, 1, 0)
    assert [(event.id, format_instant(event.recorded_at)) for event in place.ledger.read()] == [
        ("R-1/attempted", "2012-03-02T00:00:00Z"),
        ("R-1/result", "2012-03-02T00:00:00Z"),
        ("R-2/attempted", "2012-03-02T00:00:00Z"),
        ("R-2/result", "2012-03-09T00:00:00Z"),
    ]
    assert counts(moved(place, text)) == (3, 0, 5, 0)


REFUSED = {
    "one before the last": ("2012-03-01T10:00:00Z", "lies before 2012-03-02T00:00:00Z, the last"),
    "one after now": ("2031-01-01T00:00:00Z", "lies after now"),
    "none": ("", "recorded_at is empty"),
    "no instant": ("soon", "recorded_at: 'soon' is not an RFC 3339 instant"),
}


@pytest.mark.parametrize(("recorded", "said"), REFUSED.values(), ids=REFUSED)
def test_the_first_row_out_of_order_stops_it(place: Place, recorded: str, said: str) -> None:
    """As with lines: what comes after it is not recorded, and no rejects file is written."""
    text = HISTORY + row(1, "2012-03-02T00:00:00Z") + row(2, recorded)
    report = moved(place, text + row(3, "2012-03-03T00:00:00Z"))
    assert (report.recorded, report.rejected, report.read) == (2, 1, 2)
    assert report.stopped.startswith("line 3 cannot be taken")
    assert said in report.examples[0]
    assert not place.rejects.exists()
    whole = HISTORY + row(1, "2012-03-02T00:00:00Z") + row(2, "2012-03-02T00:00:00Z")
    assert counts(moved(place, whole + row(3, "2012-03-03T00:00:00Z"))) == (3, 4, 2, 0)


def test_a_history_is_taken_as_it_was_recorded(place: Place) -> None:
    """An end before the start, blanks around an id, a source of the program's own."""
    rows = row(1, "2012-03-02T00:00:00Z", ended_at="2012-03-01T08:00:00Z").replace("C-1,", "C-1 ,")
    assert moved(place, HISTORY + rows).clean
    assert [event.subject for event in place.ledger.read()] == ["C-1 ", "C-1 "]


def test_a_history_needs_the_column_and_nothing_else_may_have_it(place: Place) -> None:
    """Each is said with the option that belongs to it."""
    with pytest.raises(SourceProblem, match="has no column recorded_at"):
        moved(place, HEADER)
    with pytest.raises(SourceProblem, match="recorded_at goes with --keep-recorded-at"):
        place.take(HISTORY)


# -- what is moved in is marked


def test_what_is_moved_in_is_marked_and_given_back(place: Place, tmp_path: Path) -> None:
    """Rows and lines alike; an export keeps the mark, and so does a history of it."""
    place.take(HEADER + row(1, "").replace(",\n", "\n"), backfill=True)
    line = {
        "specversion": "1.0", "type": "CertExpired", "source": "urn:x", "id": "1",
        "subject": "C-1", "time": "2012-01-01T00:00:00Z", "data": {"certification": "A"},
        "traceparent": "00-4bf9",
    }  # fmt: skip
    place.take(json.dumps(line), "a.jsonl", backfill=True)
    assert [event.extensions for event in place.ledger.read()] == [
        '{"backfill":true}',
        '{"backfill":true}',
        '{"backfill":true,"traceparent":"00-4bf9"}',
    ]
    assert all(event.backfilled for event in place.ledger.read())
    lines = [f"{each}\n" for each in exported(place.ledger)]
    assert all('"backfill":true' in each for each in lines)
    (tmp_path / "other").mkdir()
    with Place(tmp_path / "other") as other:
        assert other.take("".join(lines[:2]), "b.jsonl", keep_recorded_at=True).clean
        assert exported(other.ledger) == exported(place.ledger)[:2]


def test_a_feed_cannot_mark_itself(place: Place) -> None:
    """Its word is kept beside, as its actor is: else it could hide that it is late."""
    line = {
        "specversion": "1.0", "type": "CertExpired", "source": "urn:x", "id": "1",
        "subject": "C-1", "time": "2012-01-01T00:00:00Z", "data": {"certification": "A"},
        "backfill": True,
    }  # fmt: skip
    assert place.take(json.dumps(line), "a.jsonl").clean
    (event,) = place.ledger.read()
    assert event.extensions == '{"originalbackfill":true}'
    assert not event.backfilled


def test_a_ledger_of_the_old_format_says_what_to_do(place: Place, monkeypatch: Any) -> None:
    """Nothing is recorded of a migration that could not be marked."""
    monkeypatch.setattr(type(place.ledger.store), "keeps_extensions", False)
    with pytest.raises(SourceProblem, match="attempt-ledger upgrade"):
        place.take(HEADER, backfill=True)


def tell(door: CommandLine, *words: str) -> None:
    """Import a sitting of ten years ago."""
    door.write("old.csv", HEADER + row(1, "").replace(",\n", "\n"))
    door.done("import", "old.csv", *words)


def test_reports_of_what_came_late_leave_it_out_and_say_so(door: CommandLine) -> None:
    """Corrections, backdated facts, late results; unmarked, all of them have it."""
    door.at("2022-06-01T12:00:00Z").done("init")
    door.write("new.csv", HEADER + row(2, "").replace(",\n", "\n"))
    tell(door, "--backfill")
    said = "2 events moved in by a migration (`--backfill`) are left out."
    assert said in door.done("report", "corrections")
    assert said in door.done("audit", "backdated", "--by", "P7D")
    assert said in door.call("audit", "backdated", "--by", "P7D", "--format", "csv").err
    assert said in door.call("export", "--table", "corrections", "--format", "csv").err
    assert "No fact of this period was corrected" in door.done("report", "corrections")
    assert "No fact was recorded so long after" in door.done("audit", "backdated")
    assert "late-result" not in door.call("standing", "C-1", "AZ-104", "--format", "json").out
    tables = door.call("export", "--table", "problems", "--format", "csv").out
    assert "late" not in tables
    door.done("import", "new.csv")
    assert "C-2" in door.done("audit", "backdated")
    assert "C-1" not in door.done("audit", "backdated")
    assert "2 late facts" in door.done("report", "corrections")
    assert "late-result" in door.call("standing", "C-2", "AZ-104", "--format", "json").out


def test_every_door_marks(door: CommandLine) -> None:
    """`record --backfill`, Python's import_file(backfill=True)."""
    door.done("init")
    door.done(
        "record", "CertEarned", "C-1", "certification=A", "--time", "2012-01-01", "--backfill",
        "--id", "1",
    )  # fmt: skip
    door.write("old.csv", HEADER + row(1, "").replace(",\n", "\n"))
    with al.open("attempts.ledger", write=True) as ledger:
        ledger.import_file("old.csv", backfill=True)
        with pytest.raises(ValueError, match="goes without"):
            ledger.import_file("old.csv", backfill=True, keep_recorded_at=True)
    lines = [line for line in door.lines("export") if line["subject"] == "C-1"]
    assert [line.get("backfill") for line in lines] == [True] * 3
    said = door.wrong("import", "old.csv", "--backfill", "--keep-recorded-at")
    assert said.startswith("--backfill goes without --keep-recorded-at")
