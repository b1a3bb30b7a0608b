"""One results row is one sitting and its result, taken or refused as a whole."""

from __future__ import annotations

import io
import json
import re
import tempfile
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_folder import GOOD, HEADER, Event, Place, counts
from ledger_facts import exported

from ledger.facts import fact_of
from ledger.intake import importer, results
from ledger.intake.mapping import ResultsMap
from ledger.intake.results import CsvSettings, ResultsReader
from ledger.intake.source import SourceProblem, open_source
from ledger.problems import LedgerProblem


def row(
    candidate: str = "C-1",
    exam: str = "AZ-104",
    registration: str = "R-1",
    started: str = "2021-03-01T09:00:00Z",
    ended: str = "",
    delivery: str = "",
    outcome: str = "fail",
    result_at: str = "",
    score: str = "",
) -> str:
    return (
        f"{candidate},{exam},{registration},{started},{ended},{delivery},{outcome},"
        f"{result_at},{score}\n"
    )


def attempt(time: str = "2021-03-01T09:00:00Z", delivery: str = "live", **more: str) -> Event:
    data = {"exam": "AZ-104", "registration_id": "R-1", "delivery": delivery, **more}
    return "R-1/attempted", "ExamAttempted", time, data


def result(
    type: str, time: str = "2021-03-01T09:00:00Z", *, id: str = "R-1/result", **more: object
) -> Event:
    return id, type, time, {"exam": "AZ-104", "registration_id": "R-1", **more}


# -- what a row becomes

AFTER_NINE = "2021-03-01T09:00:00.250000Z"
NINE, TEN, LATER = "2021-03-01T09:00:00Z", "2021-03-01T10:00:00Z", "2021-05-03T00:00:00Z"

BECOMES: dict[str, tuple[str, list[Event]]] = {
    "a failed sitting is an attempt and a result at its start": (
        row(outcome="fail"),
        [attempt(), result("ExamFailed")],
    ),
    "a passed one too": (row(outcome="pass"), [attempt(), result("ExamPassed")]),
    "with an end, the result comes then": (
        row(ended=TEN, outcome="pass"),
        [attempt(ended_at=TEN), result("ExamPassed", TEN)],
    ),
    "with its own time, the result comes then": (
        row(ended=TEN, outcome="pass", result_at=LATER),
        [attempt(ended_at=TEN), result("ExamPassed", LATER)],
    ),
    "a pending one is an attempt alone": (row(outcome="pending"), [attempt()]),
    "a beta row with a result is rescored": (
        row(delivery="beta", outcome="pass", result_at=LATER, score="812"),
        [attempt(delivery="beta"), result("BetaRescored", LATER, passed=True, score=812)],
    ),
    "a failed beta too": (
        row(delivery="beta", outcome="fail", result_at=LATER),
        [attempt(delivery="beta"), result("BetaRescored", LATER, passed=False)],
    ),
    "a pending beta needs no result_at": (
        row(delivery="beta", outcome="pending"),
        [attempt(delivery="beta")],
    ),
    "a missed one is a sitting to which nobody came": (
        row(outcome="missed"),
        [
            (
                "R-1/missed",
                "SittingMissed",
                "2021-03-01T09:00:00Z",
                {"exam": "AZ-104", "registration_id": "R-1"},
            )
        ],
    ),
    "a score may have decimals": (
        row(score="68.5"),
        [attempt(), result("ExamFailed", score=68.5)],
    ),
    "an offset is an instant": (
        row(started="2021-03-01T10:00:00.25+01:00"),
        [
            attempt("2021-03-01T09:00:00.250000Z"),
            result("ExamFailed", "2021-03-01T09:00:00.250000Z"),
        ],
    ),
    "a result may come at the very start": (
        row(result_at=NINE),
        [attempt(), result("ExamFailed")],
    ),
    "a sitting may end at its start": (
        row(ended=NINE),
        [attempt(ended_at=NINE), result("ExamFailed")],
    ),
}


@pytest.mark.parametrize(("given_row", "events"), BECOMES.values(), ids=BECOMES)
def test_a_row_becomes_its_events(place: Place, given_row: str, events: list[Event]) -> None:
    """Spec section 6: the attempt and, unless pending, the result, with their ids and times."""
    report = place.rows(given_row)
    assert (report.clean, report.recorded) == (True, len(events))
    assert place.events() == events
    assert {recorded.subject for recorded in place.ledger.read()} == {"C-1"}


def test_the_source_is_the_rows_else_the_calls_else_urn_csv(place: Place) -> None:
    """`source` names the row's own source; an empty one is none."""
    header = "source,candidate_id,exam,registration_id,started_at,outcome\n"
    rows = f"urn:vue,C-1,A,R-1,{NINE},pending\n,C-1,A,R-2,{NINE},pending\n"
    place.take(header + rows, csv=CsvSettings(source="urn:call", actor="feed"))
    place.take(header + f",C-1,A,R-3,{NINE},pending\n")
    assert [(event.source, event.actor) for event in place.ledger.read()] == [
        ("urn:vue", "feed"),
        ("urn:call", "feed"),
        ("urn:csv", None),
    ]


def test_the_optional_columns_may_be_left_out_and_stand_in_any_order(place: Place) -> None:
    """The required columns alone are a results CSV."""
    place.take(
        f"outcome,started_at,registration_id,exam,candidate_id\npass,{NINE},R-1,AZ-104,C-1\n"
    )
    assert place.events() == [attempt(), result("ExamPassed")]


def test_a_zone_says_what_naive_times_mean(place: Place) -> None:
    """With a zone a time without an offset is that zone's wall clock; others stay instants."""
    berlin = CsvSettings(zone=ZoneInfo("Europe/Berlin"))
    place.rows(row(started="2021-03-01T10:00:00", ended=TEN), csv=berlin)
    assert place.events() == [attempt(ended_at=TEN), result("ExamFailed", TEN)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_line_ends_and_blank_lines_are_csvs(place: Place, end: str) -> None:
    """Quoted fields, line feeds in them, blank lines and a last line without an end are read."""
    lines = [
        "\ufeffcandidate_id,exam,registration_id,started_at,outcome,note",
        "",
        f'"C-1","AZ-104","R ""1""",{NINE},pass,"two',
        'lines, here"',
        f"C-2,AZ-104,R-2,{NINE},maybe,",
        f"C-3,AZ-104,R-3,{NINE},pass,last",
    ]
    report = place.take(end.join(lines), csv=CsvSettings(ignore_extra=True))
    assert counts(report) == (3, 4, 0, 1)
    assert place.ids() == ['R "1"/attempted', 'R "1"/result', "R-3/attempted", "R-3/result"]
    assert report.examples == [
        "line 5: outcome should be pass, fail, pending or missed, not 'maybe'; --map FILE.toml "
        "says what other words mean"
    ]


def test_a_header_alone_is_an_empty_import(place: Place) -> None:
    """No rows, nothing recorded, nothing wrong."""
    report = place.take(HEADER)
    assert (report.clean, counts(report)) == (True, (0, 0, 0, 0))


# -- what a file may not be

NO_RESULTS = {
    "nothing": ("", "is empty: results begin with a header line"),
    "blank lines": ("\n\n", "is empty: results begin with a header line"),
    "no column outcome": (
        "candidate_id,exam,registration_id,started_at\n",
        "has no column outcome: a results CSV has candidate_id, exam, registration_id, "
        "started_at, outcome and may have ended_at, delivery, result_at, score, source",
    ),
    "colons": (HEADER.replace(",", ":"), "are its fields separated by commas?"),
    "a column twice": (HEADER.replace("score", "exam"), "the column exam is there more than once"),
    "a column of its own": (
        HEADER.replace("score", "grade"),
        "has the unknown column grade: a results CSV has",
    ),
    "a column without a name": (HEADER.replace("exam,", ",exam,"), "(a column without a name)"),
    "an open quote": ('candidate_id,"exam\n', "line 1: the header is not CSV: a quote that opens"),
    "carriage returns alone": (HEADER.replace("\n", "\r") + GOOD, "carriage return without"),
}


@pytest.mark.parametrize(("content", "said"), NO_RESULTS.values(), ids=NO_RESULTS)
def test_a_file_without_the_header_is_refused_at_once(
    place: Place, content: str, said: str
) -> None:
    """One sentence says what is wrong with the header and what would be accepted."""
    with pytest.raises(SourceProblem) as problem:
        place.take(content)
    assert said in str(problem.value)
    assert "\n" not in str(problem.value)
    assert place.ids() == []


def test_a_header_that_is_not_utf8_is_refused_with_its_byte(place: Place) -> None:
    """The header's own bytes are named."""
    with pytest.raises(SourceProblem, match="the header is not UTF-8: byte 0xE9 at offset 1"):
        place.take(b"r\xe9sultat,exam\n")


def test_other_columns_are_passed_over_if_the_call_says_so(place: Place) -> None:
    """--ignore-extra: unknown columns cost nothing."""
    extra = HEADER.replace("\n", ",centre\n") + row().replace("\n", ",Kassel\n")
    assert place.take(extra, csv=CsvSettings(ignore_extra=True)).recorded == 2


def test_a_row_names_a_source_that_is_a_uri_reference(place: Place) -> None:
    """As every new fact does; the others of its file go in."""
    content = HEADER.replace("\n", ",source\n") + row().replace("\n", ",our feed\n")
    report = place.take(content + row(registration="R-2").replace("\n", ",vue\n"))
    assert (report.recorded, report.rejected) == (2, 1)
    assert report.examples == ["line 2: source 'our feed' is no URI reference such as urn:vue"]


# -- bad rows

BAD: dict[str, tuple[str, str]] = {
    "no candidate": (row(candidate=""), "candidate_id is empty"),
    "no exam": (row(exam=""), "exam is empty"),
    "no registration": (row(registration=""), "registration_id is empty"),
    "no start": (row(started=""), "started_at is empty"),
    "blanks around an id": (row(candidate=" C-1"), "candidate_id ' C-1' has blanks around it"),
    "a control character": (row(exam="AZ\x07"), "exam 'AZ\\x07' holds a control character"),
    "one in the candidate": (
        row(candidate="C\x7f1"),
        "candidate_id 'C\\x7f1' holds a control character",
    ),
    "an outcome of its own": (
        row(outcome="passed"),
        "outcome should be pass, fail, pending or missed, not 'passed'",
    ),
    "a delivery of its own": (
        row(delivery="online"),
        "delivery should be live or beta, not 'online'",
    ),
    "a naive time": (row(started="2021-03-01T09:00:00"), "is a time without a zone"),
    "a date alone": (row(started="2021-03-01"), "started_at: '2021-03-01' is not an RFC 3339"),
    "finer than a microsecond": (
        row(ended="2021-03-01T10:00:00.1234567Z"),
        "ended_at: '2021-03-01T10:00:00.1234567Z' is finer than a microsecond",
    ),
    "no such day": (row(result_at="2021-02-29T10:00:00Z"), "result_at: '2021-02-29T10:00:00Z'"),
    "an end before the start": (
        row(ended="2021-03-01T08:59:59.999999Z"),
        "ended_at 2021-03-01T08:59:59.999999Z lies before started_at 2021-03-01T09:00:00Z",
    ),
    "a missed sitting with an end": (
        row(outcome="missed", ended="2021-03-01T10:00:00Z"),
        "outcome is missed, but there is an ended_at",
    ),
    "a missed beta": (
        row(outcome="missed", delivery="beta"),
        "outcome is missed, but there is a delivery other than live",
    ),
    "a missed sitting with a score": (
        row(outcome="missed", score="1"),
        "outcome is missed, but there is a score",
    ),
    "a beta result without its time": (
        row(delivery="beta"),
        "result_at is empty: a beta row with a result says when it was determined",
    ),
    "pending with a result": (
        row(outcome="pending", result_at=TEN),
        "outcome is pending, but there is a result_at: pass or fail?",
    ),
    "pending with a score": (
        row(outcome="pending", score="700"),
        "outcome is pending, but there is a score: pass or fail?",
    ),
    "a score in words": (
        row(score="85%"),
        "score should be a number such as 85 or 68.5, not '85%'",
    ),
    "a score like code": (row(score="1_000"), "score should be a number"),
    "an endless score": (row(score="nan"), "score should be a number"),
    "too few fields": ("C-1,AZ-104,R-1\n", "has 3 fields where the header has 9"),
    "too many fields": (row().replace("\n", ",,x\n"), "has 11 fields where the header has 9"),
    "one field": ("C-1\n", "has 1 field where the header has 9"),
    "a quote not doubled": ('"C"1",' + row()[4:], "is not CSV: a quote in a quoted field"),
    "a quote never closed": ('"' + row(), "is not CSV: a quote that opens in it is never closed"),
    "a carriage return": (row(exam="A\rZ"), "is not CSV: it holds a carriage return"),
    "a start in the future": (
        row(started="2021-06-01T00:05:00.000001Z", outcome="pending"),
        "time 2021-06-01T00:05:00.000001Z lies more than 5 minutes after its recording",
    ),
    "a result in the future": (
        row(result_at="2021-06-01T00:05:00.000001Z"),
        "time 2021-06-01T00:05:00.000001Z lies more than 5 minutes after its recording",
    ),
}


@pytest.mark.parametrize(("bad", "said"), BAD.values(), ids=BAD)
def test_a_bad_row_is_set_aside_whole_and_costs_no_other(place: Place, bad: str, said: str) -> None:
    """Nothing of it is recorded, its neighbours are, and its problem says what to mend."""
    report = place.rows(row(registration="R-0"), bad, row(registration="R-2"))
    assert counts(report) == (3, 4, 0, 1)
    assert report.conflicts == 0
    assert not report.clean
    assert place.ids() == ["R-0/attempted", "R-0/result", "R-2/attempted", "R-2/result"]
    (refused,) = place.refused()
    assert said in refused["problem"]
    assert report.examples == [f"line 3: {refused['problem']}"]
    assert report.rejects == place.rejects
    assert any(str(place.rejects) in line for line in report.summary())


def test_a_start_up_to_five_minutes_ahead_is_taken(place: Place) -> None:
    """Clocks differ a little (spec section 2)."""
    assert place.rows(row(started="2021-06-01T00:05:00Z", outcome="pending")).clean


def test_rows_that_are_not_utf8_are_set_aside_byte_for_byte(place: Place) -> None:
    """The offending row is named with its byte and offset; the others are taken."""
    bad = row(candidate="Jos\xe9").encode("latin-1")
    report = place.take(HEADER.encode() + GOOD.encode() + bad + row(registration="R-3").encode())
    offset = len(HEADER) + len(GOOD) + 3
    assert counts(report) == (3, 4, 0, 1)
    assert report.examples == [
        f"line 3: is not UTF-8: byte 0xE9 at offset {offset} of the text; save the file as UTF-8, "
        'or name its encoding in a map, such as encoding = "cp1252"'
    ]
    assert b"\nJos\xe9,AZ-104,R-1," in place.rejects.read_bytes()


def test_a_bad_byte_in_a_quoted_line_costs_that_row(place: Place) -> None:
    """A row of several lines is refused for any of them, under the number of its first."""
    rows = b'C-1,"A\nZ\xff",' + row()[11:].encode() + row(registration="R-3").encode()
    report = place.take(HEADER.encode() + rows)
    assert counts(report) == (2, 2, 0, 1)
    assert report.examples[0].startswith("line 2: is not UTF-8: byte 0xFF")


def test_a_stray_quote_does_not_swallow_the_rows_after_it(place: Place) -> None:
    """Only the line that opens the quote is refused, even if a later quote would close it."""
    good = [row(registration=f"R-{n}") for n in range(2, 3000)]
    for closing in ("", row(candidate='"C-9"', registration="R-quoted")):
        report = place.rows('C-1,"AZ' + row()[6:], *good, closing)
        assert report.rejected == 1
        assert report.examples[0].startswith("line 2: is not CSV")
    assert len(place.ids()) == 2 * len(good) + 2


# -- setting aside, mending, importing again


def test_rejects_are_the_inputs_own_rows_and_go_in_once_mended(place: Place) -> None:
    """The rejects file has the header plus `problem`; mended, it imports; unmended, it does not."""
    report = place.rows(
        row(outcome="failed"),
        row(registration="R-2", started="x"),
        '"C-3, the third",' + row(registration="R-3", score="high")[4:],
        row(registration="R-4"),
    )
    assert (report.rejected, report.recorded) == (3, 2)
    first = place.rejects.read_text()
    assert first.splitlines()[0] == HEADER.strip() + ",problem"
    assert first.splitlines()[3].startswith('"C-3, the third",AZ-104,R-3,')
    place.rejects = place.folder / "again"
    assert place.take(first).rejected == 3
    assert place.rejects.read_text() == first
    mended = first.replace("failed,", "fail,").replace(",x,", f",{NINE},").replace(",high,", ",7,")
    report = place.take(mended)
    assert (report.clean, report.recorded) == (True, 6)
    assert place.ledger.find("urn:csv", "R-3/attempted").subject == "C-3, the third"


@pytest.mark.parametrize("ragged", ["C-1,AZ-104,R-1\n", row().replace("\n", ",,x\n")])
def test_a_ragged_row_is_refused_until_it_is_mended(place: Place, ragged: str) -> None:
    """Its problem stands in the column `problem`, and setting it aside does not mend it."""
    place.rows(ragged)
    (refused,) = place.refused()
    assert "where the header has 9" in refused["problem"]
    assert place.take(place.rejects.read_text(), "again.csv").rejected == 1


def test_a_rejects_file_that_a_spreadsheet_saved_is_read(place: Place) -> None:
    """With empty columns and rows at the end, a byte order mark, and the line ends of Windows."""
    place.rows(row(outcome="x"), row(registration="R-2", outcome="y"))
    header, *rows = place.rejects.read_text().splitlines()
    rows = [each.replace(",x,", ",fail,").replace(",y,", ",pass,") for each in rows]
    saved = "\ufeff" + "".join(f"{each},,\r\n" for each in [header, *rows, "," * 9, "," * 9])
    report = place.take(saved, "mended.csv")
    assert (report.clean, counts(report)) == (True, (2, 4, 0, 0))


def test_the_rejects_file_of_an_earlier_run_is_kept(place: Place) -> None:
    """Somebody may have begun to mend it: it is moved aside, and the report says where to."""
    place.rows(row(outcome="x"))
    first = place.rejects.read_text()
    report = place.rows(row(outcome="y"))
    assert place.rejects.with_name("rejects.old").read_text() == first
    assert report.notes == [f"the rejects file of an earlier run is kept as {place.rejects}.old"]


def test_nothing_refused_is_no_rejects_file(place: Place) -> None:
    """A clean import leaves no file beside the ledger's."""
    assert place.rows(GOOD).rejects is None
    assert not place.rejects.exists()


# -- the same again, and the different again

PENDING = row(outcome="pending")


def test_a_row_that_was_pending_adds_just_its_result(place: Place) -> None:
    """The sitting is there already; its result is new."""
    place.rows(PENDING)
    report = place.rows(row(outcome="pass", result_at=LATER))
    assert counts(report) == (1, 1, 1, 0)
    assert place.events() == [attempt(), result("ExamPassed", LATER)]


def test_a_row_that_is_pending_again_takes_no_result_back(place: Place) -> None:
    """An older file imported later says nothing against what is known."""
    place.rows(row(outcome="pass"))
    assert counts(place.rows(PENDING)) == (1, 0, 1, 0)


def test_an_attempt_that_says_more_than_before_is_a_duplicate(place: Place) -> None:
    """A field absent before, such as ended_at, adds nothing and contradicts nothing."""
    place.rows(PENDING)
    report = place.rows(row(outcome="pass", ended=TEN))
    assert counts(report) == (1, 1, 1, 0)
    assert place.events() == [attempt(), result("ExamPassed", TEN)]


CONFLICTS = {
    "another start": (row(started=TEN), f"time (old {NINE}, new {TEN})"),
    "another candidate": (row(candidate="C-2"), "subject (old C-1, new C-2)"),
    "another exam": (row(exam="AZ-305"), "data.exam (old AZ-104, new AZ-305)"),
    "another delivery": (
        row(delivery="beta", result_at=LATER),
        "data.delivery (old live, new beta)",
    ),
    "another end": (
        row(ended=LATER, result_at=LATER),
        f"data.ended_at (old {TEN}, new {LATER})",
    ),
    "no end any more": (row(result_at=TEN), f"data.ended_at (old {TEN}, new none)"),
    "another outcome": (row(ended=TEN, outcome="pass"), "type (old ExamFailed, new ExamPassed)"),
    "another result_at": (row(ended=TEN, result_at=LATER), f"time (old {TEN}, new {LATER})"),
    "another score": (row(ended=TEN, score="641"), "data.score (old none, new 641)"),
}


@pytest.mark.parametrize(("changed", "said"), CONFLICTS.values(), ids=CONFLICTS)
def test_a_contradiction_is_set_aside_and_changes_nothing(
    place: Place, changed: str, said: str
) -> None:
    """What differs is named; not even the part of the row that would be new is recorded."""
    place.rows(row(ended=TEN))
    before = exported(place.ledger)
    report = place.rows(changed, row(registration="R-2"))
    assert (report.rejected, report.conflicts, report.recorded) == (1, 1, 2)
    (refused,) = place.refused()
    assert said in refused["problem"]
    assert exported(place.ledger)[:2] == before
    assert "1 in conflict with what is recorded" in "\n".join(report.summary())


def test_nothing_of_a_row_is_recorded_if_its_result_is_refused(place: Place) -> None:
    """A result that came on its own contradicts the row: then its sitting stays out, too."""
    place.rows(row(outcome="fail"))
    (sitting, fail) = [fact_of(event) for event in place.ledger.read()]
    other = Place(place.folder / "other") if (place.folder / "other").mkdir() is None else None
    assert other is not None
    with other:
        other.ledger.append([fail])
        report = other.rows(row(outcome="pass"), row(registration="R-2"))
        assert (report.conflicts, report.rejected) == (1, 1)
        assert other.ids() == ["R-1/result", "R-2/attempted", "R-2/result"]
    assert sitting.id == "R-1/attempted"


def test_a_pending_sitting_may_become_missed_and_a_decided_one_not(place: Place) -> None:
    """Nobody came, says a later file; where there is a result, that is a conflict."""
    assert place.rows(row(outcome="pending")).clean
    assert counts(place.rows(row(outcome="missed"))) == (1, 1, 0, 0)
    assert counts(place.rows(row(outcome="missed"))) == (1, 0, 1, 0)
    other = row(registration="R-2")
    assert place.rows(other).clean
    report = place.rows(row(registration="R-2", outcome="missed"))
    assert (report.rejected, report.conflicts) == (1, 1)
    assert "conflicts with position 4, which is a result of this sitting" in report.examples[0]
    assert place.ids() == ["R-1/attempted", "R-1/missed", "R-2/attempted", "R-2/result"]
    moved = place.rows(row(outcome="missed", started="2021-03-02T09:00:00Z"))
    assert "time (old 2021-03-01T09:00:00Z, new 2021-03-02T09:00:00Z)" in moved.examples[0]


def test_the_same_row_twice_in_a_file_is_recorded_once(place: Place) -> None:
    """Within one transaction, too."""
    assert counts(place.rows(GOOD, GOOD)) == (2, 2, 2, 0)


def test_an_annulled_sitting_does_not_come_back_with_its_file(place: Place) -> None:
    """It is refused, with where it was annulled: an error is not repeated by importing it again."""
    place.rows(row())
    annulment = (
        '{"specversion":"1.0","type":"EventAnnulled","source":"desk","id":"1","subject":"C-1",'
        '"time":"2021-05-01T00:00:00Z",'
        '"data":{"annuls":{"source":"urn:csv","id":"R-1/result"},"reason":"other candidate"}}'
    )
    assert place.take(annulment, "a.jsonl").clean
    report = place.rows(row())
    assert counts(report) == (1, 0, 0, 1)
    assert report.examples == [
        "line 2: it is recorded at position 2 and was annulled at position 3: to record it anew, "
        "give it an id or a source of its own, as `import --again` does"
    ]


def annulled(place: Place, id: str, number: int = 1) -> None:
    """Annul an event of C-1."""
    said = {"annuls": {"source": "urn:csv", "id": id}, "reason": "x"}
    line = {
        "specversion": "1.0",
        "type": "EventAnnulled",
        "source": "desk",
        "id": f"{id}/{number}",
        "subject": "C-1",
        "time": "2021-05-01T00:00:00Z",
        "data": said,
    }
    assert place.take(json.dumps(line), "a.jsonl").clean


def test_what_was_annulled_comes_again_under_an_id_of_its_own(place: Place) -> None:
    """With --again; what stands is a duplicate, and imported once more all of it is."""
    place.rows(row())
    annulled(place, "R-1/result")
    assert counts(place.rows(row(), again=True)) == (1, 1, 1, 0)
    assert place.ids()[-1] == "R-1/result/2"
    assert counts(place.rows(row(), again=True)) == (1, 0, 2, 0)
    annulled(place, "R-1/result/2")
    annulled(place, "R-1/attempted")
    assert counts(place.rows(row(), again=True)) == (1, 2, 0, 0)
    assert place.ids()[-2:] == ["R-1/attempted/2", "R-1/result/3"]
    assert counts(place.rows(row(), again=True)) == (1, 0, 2, 0)


def test_another_result_takes_the_place_of_an_annulled_one(place: Place) -> None:
    """The usual way to mend a result: annul it, import the right one with --again."""
    place.rows(row(outcome="fail"))
    annulled(place, "R-1/result")
    report = place.rows(row(outcome="pass"))
    assert (report.rejected, report.conflicts) == (1, 1)
    assert "conflicts with position 2 (annulled at position 3)" in report.examples[0]
    assert counts(place.rows(row(outcome="pass"), again=True)) == (1, 1, 1, 0)
    assert place.events()[-1][:2] == ("R-1/result/2", "ExamPassed")


def test_a_line_comes_again_under_an_id_of_its_own(place: Place) -> None:
    """As a row does; a history that is moved in keeps its ids, and passes over what is in."""
    place.rows(row(outcome="pending"))
    annulled(place, "R-1/attempted")
    lines = [f"{each}\n" for each in exported(place.ledger)]
    report = place.take(lines[0], "b.jsonl")
    assert counts(report) == (1, 0, 0, 1)
    assert "was annulled at position 2" in report.examples[0]
    assert counts(place.take(lines[0] * 2, "b.jsonl", again=True)) == (2, 1, 1, 0)
    assert place.ids()[-1] == "R-1/attempted/2"
    assert place.take("".join(lines), "b.jsonl", keep_recorded_at=True).clean


# -- corrections


def test_a_correction_is_a_further_result(place: Place) -> None:
    """With --corrections a changed outcome is recorded as …/result/2, then /3, and told so."""
    place.rows(row(outcome="fail"))
    report = place.rows(row(outcome="pass"), corrections=True)
    assert (report.recorded, report.duplicates, report.corrections) == (1, 1, 1)
    assert "1 recorded event corrected a result" in "\n".join(report.summary())
    place.rows(row(outcome="fail", result_at=LATER), corrections=True)
    assert place.events() == [
        attempt(),
        result("ExamFailed"),
        result("ExamPassed", id="R-1/result/2"),
        result("ExamFailed", LATER, id="R-1/result/3"),
    ]


def test_corrections_imported_again_add_nothing(place: Place) -> None:
    """Neither the corrected file nor the first one, in whatever order, is recorded twice."""
    first, second = row(outcome="fail"), row(outcome="pass")
    place.rows(first, corrections=True)
    place.rows(second, corrections=True)
    before = exported(place.ledger)
    for rows in ([second], [first], [first, second], [second, first]):
        report = place.rows(*rows, corrections=True)
        assert (report.recorded, report.rejected) == (0, 0)
        assert report.superseded == (first in rows)
    assert exported(place.ledger) == before


def test_a_row_that_repeats_a_replaced_result_is_told(place: Place) -> None:
    """It adds nothing, but it is not what the ledger holds to be true."""
    place.rows(row(outcome="fail"))
    place.rows(row(outcome="pass"), corrections=True)
    report = place.rows(row(outcome="fail"), corrections=True)
    assert "1 duplicate repeated a result that a later correction replaced" in report.summary()[1]


def test_a_correction_of_one_file_works_within_it(place: Place) -> None:
    """The first row of a registration is its result, the second corrects it."""
    report = place.rows(row(outcome="fail"), row(outcome="pass"), corrections=True)
    assert (report.recorded, report.corrections) == (3, 1)
    assert place.ids() == ["R-1/attempted", "R-1/result", "R-1/result/2"]


def test_a_correction_that_would_change_nothing_is_refused(place: Place) -> None:
    """The later of two results holds: one dated before the recorded one corrects nothing."""
    place.rows(row(outcome="fail", result_at=LATER))
    report = place.rows(row(outcome="pass", result_at=TEN), corrections=True)
    assert (report.conflicts, report.recorded) == (1, 0)
    assert "would correct nothing" in place.refused()[0]["problem"]
    at_the_same_instant = row(outcome="pass", result_at=LATER)
    assert place.rows(at_the_same_instant, corrections=True).corrections == 1


def test_an_annulled_result_holds_no_correction_up(place: Place) -> None:
    """What was annulled does not stand, so that an earlier result corrects it."""
    place.rows(row(outcome="fail", result_at=LATER))
    annulment = (
        '{"specversion":"1.0","type":"EventAnnulled","source":"desk","id":"1","subject":"C-1",'
        '"time":"2021-05-04T00:00:00Z",'
        '"data":{"annuls":{"source":"urn:csv","id":"R-1/result"},"reason":"wrong date"}}'
    )
    place.take(annulment, "a.jsonl")
    assert place.rows(row(outcome="pass", result_at=TEN), corrections=True).corrections == 1


def test_a_contradicted_sitting_is_no_correction(place: Place) -> None:
    """Only results are corrected: another start or candidate stays a conflict."""
    place.rows(row())
    report = place.rows(row(candidate="C-2", outcome="pass"), corrections=True)
    assert (report.conflicts, report.corrections) == (1, 0)


# -- laws

ROWS = st.lists(
    st.builds(
        row,
        registration=st.sampled_from(["R-1", "R-2", "R-3", ""]),
        started=st.sampled_from([NINE, TEN]),
        ended=st.sampled_from(["", TEN]),
        delivery=st.sampled_from(["", "live", "beta"]),
        outcome=st.sampled_from(["pass", "fail", "pending", "?"]),
        result_at=st.sampled_from(["", LATER]),
    ),
    max_size=12,
)


def taken(files: list[list[str]], *, corrections: bool, size: int = 512) -> list[tuple[str, Event]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Place(Path(folder)) as place,
        patch.multiple(importer, _FEWEST=size, _FIRST=size, _MOST=size),
    ):
        for rows in files:
            place.rows(*rows, corrections=corrections)
        streams = [event.stream for event in place.ledger.read()]
        return list(zip(streams, place.events(), strict=True))


@given(ROWS, st.integers(0, 12), st.booleans(), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_an_import_broken_off_anywhere_and_run_again_is_one_import(
    rows: list[str], broken_after: int, corrections: bool, size: int
) -> None:
    """Restarted at any row, the whole file again: the same events, nothing twice."""
    once = taken([rows], corrections=corrections)
    assert taken([rows[:broken_after], rows], corrections=corrections, size=size) == once
    assert taken([rows, rows], corrections=corrections) == once


@given(ROWS, st.lists(st.integers(0, 12), max_size=3), st.booleans(), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_rows_cut_into_files_and_transactions_are_one_import(
    rows: list[str], cuts: list[int], corrections: bool, size: int
) -> None:
    """However the rows are cut into files and transactions, the events are the same."""
    bounds = [0, *sorted(cuts), len(rows)]
    files = [rows[a:b] for a, b in pairwise(bounds)]
    once = taken([rows], corrections=corrections)
    assert taken(files, corrections=corrections, size=size) == once


# -- rows as nearly every feed writes them are made without their models

ID = (
    "C-1",
    "R'1",
    "100%",
    "a:b/c~!",
    "",
    " C-1",
    "C 1",
    'C"1',
    "C\\1",
    "Ü-1",
    "C\x7f1",
    "C\t1",
    "%s",
)
TIME = (
    *("2021-03-01T09:00:00Z", "2021-03-01T10:00:00Z", "2024-02-29T23:59:59Z", "", "soon"),
    *("2021-03-01 09:00:00Z", "2021-03-01t09:00:00Z", "2021-03-01T09:00:00z", "2021-03-01T09:00Z"),
    *(
        "2021-02-29T09:00:00Z",
        "2021-03-01T24:00:00Z",
        "2021-03-01T09:00:60Z",
        "0000-01-01T00:00:00Z",
    ),
    *(
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2021-03-01T09:00:00.5Z",
        "٢٠21-03-01T09:00:00Z",
    ),
    *("2021-W09-1T09:00:00Z", "2021-03-01T09:00:00+01:00", "20210301T0900000000Z"),
)
CELLS = (
    *(ID, ID, ID, TIME, TIME),
    ("", "live", "beta", "Live ", "online"),
    ("pass", "fail", "Pass", "pending", "missed", "", "bestanden"),
    ("", *TIME),
    ("", "0", "640", "007", "-1", "68.5", "68,5", "9" * 15, "9" * 16, "٦", "1e2"),
    ("", "urn:vue", "vue", "urn:attempt-ledger:cli", "urn:v ue"),
)
PLAIN = ("C-1", "AZ-104", "R-1", TIME[0], TIME[1], "", "fail", "", "640", "")
SETTINGS = (
    CsvSettings(),
    CsvSettings(actor="feed"),
    CsvSettings(actor="die Prüfstelle"),
    CsvSettings(source="urn:attempt-ledger:cli"),
    CsvSettings(zone=ZoneInfo("CET"), map=ResultsMap(outcomes={"bestanden": "pass"}, decimal=",")),
    CsvSettings(map=ResultsMap(skip=frozenset(("fail",)))),
    CsvSettings(map=ResultsMap(date_format=("%Y-%d-%mT%H:%M:%SZ",))),
    CsvSettings(map=ResultsMap(id=(("X-", "registration_id"),))),
)


def made(cells: list[str], settings: CsvSettings) -> object:
    """Return what a row becomes, or the sentence that refuses it."""
    header = f"{HEADER.strip()},source\n".encode()
    with open_source("-", stdin=io.BytesIO(header)) as source:
        try:
            return ResultsReader(source, settings).rows(cells)
        except (ValueError, LedgerProblem) as problem:
            return str(problem)


def check_both(cells: list[str], settings: CsvSettings) -> None:
    quick = made(cells, settings)
    with patch.object(results, "_PLAIN", re.compile("(?!)")):
        assert quick == made(cells, settings), cells


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_row_made_without_its_models_is_the_one_that_they_make(settings: CsvSettings) -> None:
    """Whatever stands in any one of its cells: the same rows, or the same sentence."""
    for place, values in enumerate(CELLS):
        for value in values:
            check_both([*PLAIN[:place], value, *PLAIN[place + 1 :]], settings)


@given(st.tuples(*map(st.sampled_from, CELLS)), st.sampled_from(SETTINGS))
@settings(max_examples=100, deadline=None)
def test_it_is_whatever_stands_in_all_of_them(
    cells: tuple[str, ...], settings: CsvSettings
) -> None:
    """The same rows, or the same sentence."""
    check_both([*cells], settings)


def test_the_rows_of_a_feed_are_made_without_their_models() -> None:
    """It would cost three times as much."""
    with patch.object(results, "result_of", side_effect=AssertionError("a model was made")):
        for cells in ([*PLAIN], [*PLAIN[:5], "live", "pass", TIME[2], "", "urn:vue"]):
            assert len(made(cells, CsvSettings(actor="feed"))[0]) == 2  # type: ignore[index]
