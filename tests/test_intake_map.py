"""A vendor's file is read as it is, by a map: its columns, words, dates, separator, sheets."""

# ruff: noqa: DTZ001 - the cells of a workbook have no zone

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from command_line import CommandLine
from intake_folder import GOOD, HEADER, NOW, Event, Place, counts
from xlsxwriter import Workbook

import attempt_ledger as al
from ledger.instants import format_instant, parse_instant
from ledger.intake.mapping import MapProblem, ResultsMap, read_map
from ledger.intake.results import CsvSettings
from ledger.intake.source import SourceProblem

VENDOR = """\
separator = ";"
zone = "Europe/Berlin"
date_format = ["%d.%m.%Y %H:%M", "%d.%m.%Y"]
skip = ["cancelled", "No Show"]
id = "{candidate_id}/{exam}/{Attempt}"

[columns]
candidate_id = "Candidate ID"
exam = "Exam Code"
started_at = "Start"
outcome = "Grade"
score = "Points"

[outcomes]
pass = ["Pass", "P"]
fail = "F"
pending = ["", "in review"]

[constants]
source = "urn:vendor"
"""
FILE = """\
Candidate ID;Name;Exam Code;Attempt;Start;Grade;Points;Name
C-1;Ann;AZ-104;1;01.03.2021 10:00;F;640;x
C-1;Ann;AZ-104;2;20.04.2021;p;810;x
C-2;Bob;AZ-104;1;01.03.2021 10:00;CANCELLED;;
C-3;Cid;AZ-104;1;2021-03-02T09:00:00Z;In Review;;
"""
NINE = "2021-03-01T09:00:00Z"


def mapped(folder: Path, text: str, **more: Any) -> CsvSettings:
    """Return the settings of a call with a map."""
    path = folder / "map.toml"
    path.write_text(text)
    return CsvSettings(map=read_map(str(path), ZoneInfo), **more)


def sitting(candidate: str, id: str, time: str, result: str = "", score: int = 0) -> list[Event]:
    """Return the events of a sitting that a vendor's row says."""
    data: dict[str, Any] = {"exam": "AZ-104", "registration_id": id}
    events: list[Event] = [(f"{id}/attempted", "ExamAttempted", time, {**data, "delivery": "live"})]
    if result:
        events.append((f"{id}/result", result, time, {**data, "score": score}))
    return events


def test_a_vendors_file_goes_in_as_it_is(place: Place) -> None:
    """Columns, words in any casing, dates on a clock, ids that repeat, rows that say nothing."""
    report = place.take(FILE, csv=mapped(place.folder, VENDOR))
    assert (report.clean, counts(report), report.skipped) == (True, (4, 5, 0, 0), 1)
    assert place.events() == [
        *sitting("C-1", "C-1/AZ-104/1", NINE, "ExamFailed", 640),
        *sitting("C-1", "C-1/AZ-104/2", "2021-04-19T22:00:00Z", "ExamPassed", 810),
        *sitting("C-3", "C-3/AZ-104/1", "2021-03-02T09:00:00Z"),
    ]
    assert {event.source for event in place.ledger.read()} == {"urn:vendor"}
    text = "\n".join(report.summary())
    assert "1 row passed over" in text
    assert "columns that the map passes over: Name, Name" in text
    assert counts(place.take(FILE, csv=mapped(place.folder, VENDOR))) == (4, 0, 5, 0)


def test_rejects_of_a_mapped_file_go_in_by_the_same_map(place: Place) -> None:
    """They are the input's own cells and separator, with the problem; mended they are taken."""
    bad = FILE.replace(";p;", ";maybe;").replace("01.03.2021 10:00;F", "03/01/2021;F")
    report = place.take(bad, csv=mapped(place.folder, VENDOR))
    assert counts(report) == (4, 1, 0, 2)
    written = place.rejects.read_text()
    assert written.splitlines()[0] == FILE.splitlines()[0] + ";problem"
    assert written.splitlines()[1].startswith("C-1;Ann;AZ-104;1;03/01/2021;F;640;x;")
    assert "is not in the form that the map names for dates" in written
    assert "missed, not 'maybe', nor a word of the map" in written
    place.rejects = place.folder / "again"
    assert place.take(written, csv=mapped(place.folder, VENDOR)).rejected == 2
    mended = written.replace(";maybe;", ";p;").replace("03/01/2021;F", "01.03.2021 10:00;F")
    assert counts(place.take(mended, csv=mapped(place.folder, VENDOR))) == (2, 4, 0, 0)
    assert place.ledger.head().position == 5


# -- what a map may not say

BAD_MAPS = {
    "no TOML": ("columns = ", "is not TOML"),
    "a key twice": ("zone = 'UTC'\nzone = 'UTC'", "is not TOML: Cannot overwrite a value"),
    "an unknown key": ("colums = {}", "colums is no key of a map: accepted are columns, outcomes"),
    "a wrong type": ("skip = 3", "skip should be an outcome word, or a list of them, not 3"),
    "a table that is none": ("columns = 'exam'", "columns should be a table of texts"),
    "a number in a table": ("[constants]\nscore = 7", "constants should be a table of texts"),
    "a column of nobody": (
        "[columns]\ncandidate = 'ID'",
        "[columns] candidate is no column of a results CSV: accepted are candidate_id, exam",
    ),
    "a constant that is a column": (
        "[columns]\nexam = 'Code'\n[constants]\nexam = 'AZ-104'",
        "exam is both among [columns] and among [constants]",
    ),
    "a source of a word": ("constants.source = 'vue'", "source should be a URI such as urn:vue"),
    "two ids": (
        "id = '{exam}'\n[columns]\nregistration_id = 'No'",
        "registration_id is among [columns], and is made by id too",
    ),
    "an id of nothing": ("id = 'R-1'", "names no column: write one such as"),
    "an id with an open brace": ("id = '{exam'", "is no template"),
    "an id that formats": ("id = '{exam:>5}'", "formats a value"),
    "an outcome of nobody": (
        "[outcomes]\npassed = 'P'",
        "[outcomes] passed is no outcome: accepted are pass, fail, pending, missed",
    ),
    "a word twice": (
        "[outcomes]\npass = ['P', 'ok']\nfail = 'OK'",
        "the word 'OK' means pass and fail: keep one of them",
    ),
    "a word that is skipped too": (
        "skip = 'absent'\n[outcomes]\nfail = 'Absent'",
        "the word 'absent' means fail and skip: keep one of them",
    ),
    "a date without a year": ("date_format = '%d.%m'", "does not name a day"),
    "a date of a letter": ("date_format = 'D'", "does not name a day"),
    "no dates": ("date_format = []", "date_format should be text such as"),
    "a separator of two": ("separator = '::'", 'separator should be one of "," ";"'),
    "an encoding of nobody": ("encoding = 'klingon'", "is no encoding known here; write one such"),
    "an encoding of no files": ("encoding = 'punycode'", "is no encoding known here"),
    "an encoding of bytes": ("encoding = 'base64'", "is no encoding known here"),
    "a decimal of nobody": ("decimal = ';'", 'decimal should be one of "." and ","'),
    "a decimal that separates": ("decimal = ','\nseparator = ','", "decimal and separator are"),
    "a zone of nobody": ("zone = 'Mars/Olympus'", "zone: "),
}


@pytest.mark.parametrize(("text", "said"), BAD_MAPS.values(), ids=BAD_MAPS)
def test_a_map_with_a_fault_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    """It names the file, the key, the value, and what would be accepted."""

    def zone(name: str) -> ZoneInfo:
        if name.startswith("Mars"):
            raise ValueError(f"{name} is no zone")
        return ZoneInfo(name)

    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(MapProblem) as problem:
        read_map(str(tmp_path / "map.toml"), zone)
    (sentence,) = str(problem.value).splitlines()
    assert said in sentence
    assert "map.toml" in sentence


def test_every_fault_of_a_map_is_said_at_once(tmp_path: Path) -> None:
    """Each is a sentence of its own."""
    (tmp_path / "map.toml").write_text("a = 1\nskip = 1\nsheet = 1\n")
    with pytest.raises(MapProblem) as problem:
        read_map(str(tmp_path / "map.toml"), ZoneInfo)
    assert len(str(problem.value).splitlines()) == 3


@pytest.mark.parametrize("content", [None, b"\xff", b"x = 1" * (4 << 20)])
def test_a_map_that_cannot_be_read_is_said(tmp_path: Path, content: bytes | None) -> None:
    """Missing, no text, or far too large."""
    if content is not None:
        (tmp_path / "map.toml").write_bytes(content)
    with pytest.raises((MapProblem, SourceProblem), match=r"map\.toml"):
        read_map(str(tmp_path / "map.toml"), ZoneInfo)


def test_a_column_that_the_file_does_not_have_is_named(place: Place) -> None:
    """With those that it has: of the columns, and of the id."""
    with pytest.raises(SourceProblem, match=r"no column 'Points', which the map names for score"):
        place.take(FILE.replace("Points", "Score"), csv=mapped(place.folder, VENDOR))
    with pytest.raises(SourceProblem, match=r"no column 'Attempt', which the map makes ids of"):
        place.take(FILE.replace("Attempt", "No"), csv=mapped(place.folder, VENDOR))
    with pytest.raises(SourceProblem, match="holds CloudEvents, for which there is no map"):
        place.take("{}", "a.jsonl", csv=mapped(place.folder, VENDOR))


ABROAD = """\
Candidate ID;Exam Code;Attempt;Start;Grade;Points
J\u00f6rg;AZ-104;1;01.03.2021 10:00;bestanden;640,5
J\u00f6rg;AZ-104;2;20.04.2021;durchgefallen;1.234,5
"""
GERMAN = 'decimal = ","\n' + VENDOR.replace('["Pass", "P"]', '"bestanden"').replace(
    'fail = "F"', 'fail = "durchgefallen"'
)


@pytest.mark.parametrize(
    "encoding", ["latin-1", "ISO-8859-15", "cp1252", "utf-16", "utf-16-le", "mac-roman", "utf-8"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_of_another_encoding_goes_in(
    place: Place, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    """Packed or not; its rejects are UTF-8 with a mark, and go in by the same map."""
    settings = mapped(place.folder, f'encoding = "{encoding}"\n{GERMAN}')
    assert counts(place.take(pack(ABROAD.encode(encoding)), csv=settings)) == (2, 2, 0, 1)
    assert place.events() == sitting("J\u00f6rg", "J\u00f6rg/AZ-104/1", NINE, "ExamPassed", 640.5)
    rejects = place.rejects.read_bytes()
    assert rejects.startswith(b"\xef\xbb\xbfCandidate ID;")
    assert b"a number such as 85 or 68,5, not '1.234,5'" in rejects
    place.rejects = place.folder / "again"
    mended = rejects.replace(b"1.234,5", b"1234,5", 1)
    assert counts(place.take(mended, csv=settings)) == (1, 2, 0, 0)


def test_bytes_that_are_none_of_the_encoding_cost_their_row(place: Place) -> None:
    """And a text that breaks off ends the import, said."""
    settings = mapped(place.folder, f'encoding = "cp1252"\n{GERMAN}')
    content = ABROAD.encode("cp1252").replace(b"J\xf6rg;AZ-104;2", b"J\x81rg;AZ-104;2")
    assert counts(place.take(content, csv=settings)) == (2, 2, 0, 1)
    assert b"is not cp1252, as the map says: byte 0x81" in place.rejects.read_bytes()
    wide = mapped(place.folder, f'encoding = "utf-16"\n{GERMAN}')
    report = place.take(ABROAD.encode("utf-16")[:-1], csv=wide)
    assert "breaks off or is damaged" in str(report.stopped)


def test_a_refused_encoding_names_the_key_of_a_map(place: Place) -> None:
    """Whoever has such a file learns what to write."""
    with pytest.raises(SourceProblem, match='in a map: encoding = "utf-16"'):
        place.take(ABROAD.encode("utf-16"))
    report = place.rows(GOOD.replace("C-1", "J\u00f6rg").encode("latin-1").decode("latin-1"))
    assert report.clean
    place.take((HEADER + GOOD.replace("C-1", "J\u00f6")).encode("latin-1"))
    assert (
        b'name its encoding in a map, such as encoding = ""cp1252""' in place.rejects.read_bytes()
    )


def test_the_settings_of_a_map_go_to_another_process(tmp_path: Path) -> None:
    """A large file is read there."""
    settings = mapped(tmp_path, VENDOR)
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert settings.map != ResultsMap()


# -- without a map


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("quoted", [False, True])
def test_semicolons_and_tabs_are_found_by_looking(
    place: Place, separator: str, quoted: bool
) -> None:
    """In the header; the rejects have them too."""
    header = HEADER.replace(",", separator)
    if quoted:
        header = separator.join(f'"{name}"' for name in HEADER.strip().split(",")) + "\n"
    rows = (GOOD + GOOD.replace("fail", "fial")).replace(",", separator)
    assert counts(place.take(header + rows)) == (2, 2, 0, 1)
    assert place.rejects.read_text().startswith(HEADER.strip().replace(",", separator))
    mended = place.rejects.read_text().replace("fial", "fail")
    place.rejects = place.folder / "again"
    assert counts(place.take(mended)) == (1, 0, 2, 0)


def test_a_spreadsheets_own_word_on_the_separator_is_heeded(place: Place) -> None:
    """A first line ``sep=;``, which is no row; lines are counted with it."""
    report = place.take("sep=;\r\n" + (HEADER + GOOD + "x\n").replace(",", ";"))
    assert counts(report) == (2, 2, 0, 1)
    assert report.examples == ["line 4: has 1 field where the header has 9"]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2021-03-01T09:00Z", NINE),
        ("2021-03-01 09:00 UTC", NINE),
        ("2021-03-01 10:00 Europe/Berlin", NINE),
        ("2021-03-01 10:00:00+01:00", NINE),
        ("2021-03-01 09:00:00.5 UTC", "2021-03-01T09:00:00.500000Z"),
    ],
)
def test_instants_as_people_copy_them_are_read(place: Place, text: str, instant: str) -> None:
    """Minutes without seconds, a blank for the T, UTC for the Z, the zone of an answer."""
    row = GOOD.replace("2021-03-01T09:00:00Z", text)
    assert place.rows(row).clean
    assert place.events()[0][2] == instant


def test_words_are_read_in_any_casing(place: Place) -> None:
    """Outcomes and deliveries."""
    row = "C-1,AZ-104,R-1,2021-03-01T09:00:00Z,,{},{},2021-03-02T09:00:00Z,\n"
    rows = [
        row.format("Live", "Pass"),
        row.format("BETA", "FAIL").replace("R-1", "R-2"),
        row.format("live", "PENDING").replace("R-1", "R-3").replace("2021-03-02T09:00:00Z", ""),
    ]
    assert place.rows(*rows).clean
    assert [event[1] for event in place.events()] == [
        "ExamAttempted",
        "ExamPassed",
        "ExamAttempted",
        "BetaRescored",
        "ExamAttempted",
    ]


def test_refusals_are_grouped_by_kind_and_name_the_option_that_helps(place: Place) -> None:
    """Each kind with its first row and how many there are, whatever the values."""
    rows = [f"C-{n},AZ-104,R-{n},2021-03-01 09:{n:02}:00,,,fail,,\n" for n in range(40)] + [
        "C-50,AZ-104,R-50,2021-03-01T09:00:00Z,,,fial,,\n"
    ]
    report = place.rows(*rows)
    assert report.examples == [
        "line 2: started_at: '2021-03-01 09:00:00' is a time without a zone: give it an offset, "
        "such as 2021-03-15T09:00:00Z, or say by --zone whose clock it is on (and 39 rows more "
        "like it)",
        "line 42: outcome should be pass, fail, pending or missed, not 'fial'; --map FILE.toml "
        "says what other words mean",
    ]
    assert "more" not in report.summary()[-2]


# -- results alone, and columns that are not there

ALONE = "registration_id,outcome,result_at,score\n"


def test_results_alone_join_their_sittings(place: Place) -> None:
    """By source and registration; delivery, exam, candidate and time are the sitting's."""
    place.rows(
        GOOD.replace("fail,,640", "pending,,"),
        GOOD.replace("fail,,640", "pending,,").replace("live", "beta").replace("R-1", "R-2"),
    )
    report = place.take(ALONE + "R-1,fail,,640\nR-2,pass,2021-05-01T00:00:00Z,\nR-1,pending,,\n")
    assert (counts(report), report.skipped) == ((3, 2, 0, 0), 1)
    data = {"exam": "AZ-104", "registration_id": "R-1", "score": 640}
    assert place.events()[2] == ("R-1/result", "ExamFailed", "2021-03-01T10:40:00Z", data)
    assert place.events()[3][1:3] == ("BetaRescored", "2021-05-01T00:00:00Z")
    assert [event.subject for event in place.ledger.read()] == ["C-1"] * 4
    assert report.exams == {"AZ-104": 2}
    assert counts(place.take(ALONE + "R-1,fail,,640\n")) == (1, 0, 1, 0)


ALONE_REFUSED = {
    "of no sitting": (ALONE + "R-9,fail,,\n", "the sitting 'R-9' of source 'urn:csv' is not"),
    "of a beta without its time": (ALONE + "R-2,fail,,\n", "result_at is empty: a beta row"),
    "of another candidate": (
        ALONE.replace("reg", "candidate_id,reg") + "C-2,R-1,fail,,\n",
        "candidate_id is 'C-2', but the sitting 'R-1' that is recorded at position 1 is of 'C-1'",
    ),
    "of another exam": (
        ALONE.replace("reg", "exam,reg") + "AZ-900,R-1,fail,,\n",
        "exam is 'AZ-900', but the sitting 'R-1' that is recorded at position 1 is of 'AZ-104'",
    ),
}


@pytest.mark.parametrize(("content", "said"), ALONE_REFUSED.values(), ids=ALONE_REFUSED)
def test_a_result_that_fits_no_sitting_is_set_aside(place: Place, content: str, said: str) -> None:
    """Its problem says what is recorded, and it can be mended."""
    pending = GOOD.replace("fail,,640", "pending,,")
    place.rows(pending, pending.replace("live", "beta").replace("R-1", "R-2"))
    report = place.take(content)
    assert counts(report) == (1, 0, 0, 1)
    assert said in place.refused()[0]["problem"]


def test_results_alone_say_nothing_of_the_sitting(place: Place) -> None:
    """Its columns are refused with the header."""
    with pytest.raises(SourceProblem, match="and so may have no ended_at"):
        place.take("registration_id,outcome,ended_at\n")


ABSENT = "candidate_id,exam,registration_id,started_at,outcome\n"


def test_a_column_that_is_absent_says_nothing(place: Place) -> None:
    """A later file with fewer columns repeats what is recorded; an empty cell contradicts it."""
    place.rows(GOOD.replace(",fail,,", ",fail,2021-03-05T00:00:00Z,"))
    beta = "C-2,AZ-104,R-2,2021-03-01T09:00:00Z,,beta,pass,2021-05-01T00:00:00Z,700\n"
    place.rows(beta)
    same = ABSENT + f"C-1,AZ-104,R-1,{NINE},fail\nC-2,AZ-104,R-2,{NINE},pass\n"
    assert counts(place.take(same)) == (2, 0, 4, 0)
    report = place.rows(GOOD.replace("640", "").replace(",fail,,", ",fail,2021-03-05T00:00:00Z,"))
    assert (report.rejected, report.conflicts) == (1, 1)
    assert "data.score (old 640, new none)" in report.examples[0]
    other = place.take(same.replace("fail", "pass"))
    assert (other.rejected, other.duplicates) == (1, 2)


def test_a_beta_sitting_gains_its_result_from_a_file_without_deliveries(place: Place) -> None:
    """As a rescore, at the time that the file says."""
    place.rows("C-2,AZ-104,R-2,2021-03-01T09:00:00Z,,beta,pending,,\n")
    header = ABSENT.replace("\n", ",result_at\n")
    report = place.take(header + f"C-2,AZ-104,R-2,{NINE},fail,2021-05-01T00:00:00Z\n")
    assert counts(report) == (1, 1, 1, 0)
    assert place.events()[1][1:3] == ("BetaRescored", "2021-05-01T00:00:00Z")


# -- workbooks


def workbook(rows: list[list[Any]], *, sheet: str = "Results", before: str = "") -> bytes:
    """Write a workbook of one sheet, or with another before it; dates as Excel has them."""
    file = io.BytesIO()
    with Workbook(file) as book:
        form = book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        if before:
            book.add_worksheet(before).write_row(0, 0, ["nothing", "here"])
        page = book.add_worksheet(sheet)
        for y, row in enumerate(rows):
            for x, value in enumerate(row):
                if isinstance(value, date):
                    page.write_datetime(y, x, value, form)
                else:
                    page.write(y, x, value)
    return file.getvalue()


SHEET = [
    ["candidate_id", "exam", "registration_id", "started_at", "outcome", "score", ""],
    ["C-1", "AZ-104", 1001, datetime(2021, 3, 1, 10, 0), "Pass", 812.0],
    [],
    ["C-2", "AZ-104", 1002, datetime(2021, 3, 2, 10, 0), "FAIL", 68.5],
]
BERLIN = CsvSettings(zone=ZoneInfo("Europe/Berlin"))


def test_a_sheet_is_read_with_its_dates_and_numbers(place: Place) -> None:
    """Dates are on the clock of the zone; whole numbers are ids; empty rows are none."""
    report = place.take(workbook(SHEET), "a.xlsx", csv=BERLIN)
    assert counts(report) == (2, 4, 0, 0)
    assert [event[0] for event in place.events()] == [
        "1001/attempted", "1001/result", "1002/attempted", "1002/result",
    ]  # fmt: skip
    assert place.events()[0][2] == NINE
    assert place.events()[3][3]["score"] == 68.5


def test_the_rejects_of_a_sheet_are_a_csv_that_goes_in(place: Place) -> None:
    """With the dates as they were read, by the same map or zone."""
    rows = [*SHEET, ["C-3", "AZ-104", 1003, datetime(2021, 3, 1, 10, 0), "maybe", None, "note"]]
    rows.append(["C-4", "AZ-104", 1004, datetime(2021, 3, 1, 10, 0), "maybe"])
    report = place.take(workbook(rows), "a.xlsx", csv=BERLIN)
    assert counts(report) == (4, 4, 0, 2)
    assert report.examples[0] == "line 5: has a cell to the right of the header's 6"
    text = place.rejects.read_text()
    assert "C-4,AZ-104,1004,2021-03-01T10:00:00,maybe,," in text
    place.rejects = place.folder / "again.csv"
    report = place.take(text.replace("maybe", "pass"), "a.csv", csv=BERLIN)
    assert (report.read, report.recorded, report.rejected) == (2, 2, 1)


def test_a_map_names_the_sheet(place: Place) -> None:
    """Else it is the first; one that is not there is named with those that are."""
    content = workbook(SHEET, before="Cover")
    with pytest.raises(SourceProblem, match=r"no column candidate_id"):
        place.take(content, "a.xlsx", csv=BERLIN)
    settings = mapped(place.folder, "sheet = 'Results'\nzone = 'Europe/Berlin'")
    assert place.take(content, "a.xlsx", csv=settings).recorded == 4
    with pytest.raises(SourceProblem, match="no sheet 'Result': it has 'Cover', 'Results'"):
        place.take(content, "a.xlsx", csv=mapped(place.folder, "sheet = 'Result'"))


def test_a_cell_that_shows_an_error_costs_its_row(place: Place) -> None:
    """What a spreadsheet could not make is no id."""
    file = io.BytesIO()
    with Workbook(file) as book:
        page = book.add_worksheet()
        for y, row in enumerate([SHEET[0][:5], ["C-1", "AZ-104", "R-1", NINE, "pass"]]):
            page.write_row(y, 0, row)
        page.write_formula(1, 0, "=NA()", None, "#N/A")
        page.write_row(2, 0, ["C-2", "AZ-104", "R-2", NINE, "pass"])
        page.write_formula(2, 0, '="C-"&2', None, "C-2")
    report = place.take(file.getvalue(), "a.xlsx")
    assert counts(report) == (2, 2, 0, 1)
    assert report.examples == ["line 2: has a cell that shows the error #N/A"]


def test_a_small_workbook_that_unpacks_to_much_is_refused(place: Place) -> None:
    """Before anything of it is unpacked, in memory that does not grow with what it claims."""
    file = io.BytesIO(workbook(SHEET))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/worksheets/sheet2.xml", b" " * (80 << 20))
    with pytest.raises(SourceProblem, match="would unpack to"):
        place.take(file.getvalue(), "a.xlsx")


@pytest.mark.parametrize(
    ("content", "name", "options", "said"),
    [
        (b"PK\x03\x04 no zip", "a.xlsx", {}, "is no whole workbook"),
        (workbook(SHEET)[:900], "a.xlsx", {}, "is no whole workbook"),
        (workbook([]), "a.xlsx", {}, "is empty"),
        ("x", "a.csv", {"format": "xlsx"}, "is no workbook, which --format xlsx does not fit"),
        (workbook(SHEET), "a.xlsx", {"format": "csv"}, "is a workbook, which --format csv"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a.xls", {}, "a workbook of the old kind"),
    ],
    ids=["no zip", "cut off", "no rows", "a CSV", "called a CSV", "of the old kind"],
)
def test_what_is_no_workbook_is_said(
    place: Place, content: str | bytes, name: str, options: dict[str, Any], said: str
) -> None:
    """One sentence, and nothing is recorded."""
    with pytest.raises(SourceProblem, match=said):
        place.take(content, name, **options)
    assert place.ids() == []


def test_rows_far_down_or_far_right_end_the_reading(place: Place) -> None:
    """A sheet has so many rows, whatever its file says; the gaps are not filled for ever."""
    file = io.BytesIO(workbook(SHEET))
    with zipfile.ZipFile(file) as parts:
        content = {name: parts.read(name) for name in parts.namelist()}
    sheet = content["xl/worksheets/sheet1.xml"].replace(b'r="4"', b'r="99999999999"')
    content["xl/worksheets/sheet1.xml"] = sheet
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w") as parts:
        for part, data in content.items():
            parts.writestr(part, data)
    report = place.take(again.getvalue(), "a.xlsx", csv=BERLIN)
    assert report.recorded == 2
    assert report.stopped is not None
    assert "rows" in report.stopped


# -- through every door


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    (tmp_path / "desk").mkdir()
    return CommandLine(tmp_path / "desk", monkeypatch)


def test_the_command_line_reads_by_a_map(door: CommandLine) -> None:
    """`import`, `impact` and standard input alike; a map that is unsound is a wrong call."""
    door.done("init")
    door.write("vendor.toml", VENDOR)
    door.write("vendor.csv", FILE)
    answer = door.call("impact", "vendor.csv", "--map", "vendor.toml")
    assert "would record 5 events" in answer.err
    door.done("import", "-", "--map", "vendor.toml", input=FILE)
    assert len(door.lines("export")) == 8
    answer = door.call("import", "vendor.csv", "--map", "vendor.toml")
    assert (answer.code, "5 duplicates skipped" in answer.err) == (0, True)
    door.write("vendor.toml", "zone = 'Mars/Olympus'")
    assert "vendor.toml, zone: " in door.wrong("import", "vendor.csv", "--map", "vendor.toml")
    said = door.wrong("import", "vendor.csv", "--map", "missing.toml")
    assert said == "the map missing.toml cannot be read: No such file or directory"


def test_python_reads_by_a_map(tmp_path: Path, door: CommandLine) -> None:
    """`import_file(map=…)`."""
    door.done("init")
    door.write("vendor.toml", VENDOR)
    door.write("vendor.csv", FILE)
    with al.open("attempts.ledger", write=True) as ledger:
        assert ledger.import_file("vendor.csv", map=Path("vendor.toml")).recorded == 5
    assert format_instant(parse_instant(NINE)) == NINE
    assert NOW
