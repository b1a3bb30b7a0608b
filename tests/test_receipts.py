"""A receipt computes its output again: the same for ever, or it says what differs."""

from __future__ import annotations

import csv
import io
import json
import resource
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bombs import BOMBS
from openpyxl import load_workbook
from reporting import (
    CATALOGUE,
    IN_APRIL,
    IN_MARCH,
    MARCH,
    PROGRAM,
    STORY,
    checked,
    inputs,
    put,
    snapshot,
    tell,
    written,
)
from scenarios import attempted, failed, policy

from ledger.cloudevents import to_cloudevent
from ledger.ledger import Ledger
from projections.reports.registry import REPORTS
from projections.tables import TABLES
from replay import row_diff
from replay.checking import check
from replay.formats import foreign
from replay.formats.csv import read_csv, write_csv
from replay.outputs import Output, compute, find_receipt, receipt_of_events, write
from replay.receipts import Basis, Form, Parameters, Receipt, ReceiptProblem, beside
from replay.rows import digest_of
from retake_policies import shipped

FORMS: tuple[Form, ...] = ("text", "csv", "jsonl", "parquet", "xlsx", "html")
PICTURES: tuple[Form, ...] = ("picture.svg", "picture.png")
TABLE_FORMS: tuple[Form, ...] = ("csv", "jsonl", "parquet", "xlsx")


def made(
    ledger: Ledger,
    name: str = "volumes",
    form: Form = "csv",
    basis: Basis = "as-published",
    of: Any = "report",
) -> Output:
    """Compute an output of March."""
    asked = inputs(snapshot(ledger), known_at=MARCH[1] if basis == "as-published" else None)
    parameters = Parameters(start=asked.period.start, end=asked.period.end)
    return compute(
        asked.snapshot, of, name, parameters,
        form=form, basis=basis, program=PROGRAM,
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    """Yield the ledger of a month."""
    with written(tmp_path / "a.ledger") as made:
        yield made


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", REPORTS)
def test_every_report_in_every_form_comes_out_the_same(
    ledger: Ledger, tmp_path: Path, name: str, form: Form
) -> None:
    """From the ledger and the file alone."""
    path = put(made(ledger, name, form), tmp_path / f"out.{form}")
    assert checked(ledger, path)[:2] == ([], [])


@pytest.mark.parametrize("form", TABLE_FORMS)
@pytest.mark.parametrize("name", TABLES)
def test_every_table_in_every_form_comes_out_the_same(
    ledger: Ledger, tmp_path: Path, name: str, form: Form
) -> None:
    """Exports have receipts too."""
    path = put(made(ledger, name, form, of="table"), tmp_path / f"out.{form}")
    assert checked(ledger, path)[:2] == ([], [])


@pytest.mark.usefixtures("drawn_once")
@pytest.mark.parametrize("form", ["csv", "xlsx", "html"])
@pytest.mark.parametrize("basis", ["as-published", "restated"])
def test_what_is_recorded_later_does_not_disturb_a_receipt(
    tmp_path: Path, form: Form, basis: Basis
) -> None:
    """It is of a position: restated means restated then."""
    told = (*CATALOGUE, *IN_MARCH)
    with written(tmp_path / "a.ledger", told) as ledger:
        path = put(made(ledger, form=form, basis=basis), tmp_path / f"out.{form}")
        tell(ledger, IN_APRIL, before=told)
        assert checked(ledger, path)[:2] == ([], [])


def test_a_receipt_says_what_it_was_computed_from(ledger: Ledger) -> None:
    """Position, event, both instants, policies with digest, program, and the digest of its rows."""
    receipt = made(ledger).receipt
    said = json.loads(receipt.to_json())
    assert said["receipt"] == 1
    assert (said["of"], said["name"], said["basis"]) == ("report", "volumes", "as-published")
    assert (said["as_of"], said["known_at"]) == ("2021-04-01T00:00:00Z", "2021-04-01T00:00:00Z")
    assert said["parameters"] == {
        "start": "2021-03-01T00:00:00Z", "end": "2021-04-01T00:00:00Z", "exam": None, "after": None,
    }  # fmt: skip
    assert said["position"] == ledger.position_at(receipt.moment.as_of)
    assert said["event"] == {"source": "urn:test", "id": "X-3/requested"}
    assert [each["id"] for each in said["policies"]] == sorted(id for id, _ in shipped())
    assert said["program"] == PROGRAM
    assert said["rows"] == 3
    assert Receipt.model_validate_json(receipt.to_json()) == receipt


def test_the_digest_is_of_the_rows_as_json_lines(ledger: Ledger) -> None:
    """So that any other program can compute it: SHA-256 of the bytes of the .jsonl."""
    import hashlib

    output, file = made(ledger, form="jsonl"), io.BytesIO()
    write(output, file)
    assert hashlib.sha256(file.getvalue()).hexdigest() == output.receipt.sha256
    assert digest_of(output.table.slice(0, 0)) == hashlib.sha256().hexdigest()


# -- files that were changed


def changed_csv(path: Path) -> None:
    """Make a number another."""
    path.write_text(path.read_text().replace("first,3,0,2,1", "first,3,1,1,1"))


def changed_jsonl(path: Path) -> None:
    """Make a number another."""
    path.write_text(path.read_text().replace('"passed":0,"failed":2', '"passed":1,"failed":1'))


def changed_text(path: Path) -> None:
    """Make a number another."""
    path.write_text(path.read_text().replace("       0       2", "       1       1"))


def changed_html(path: Path) -> None:
    """Make a number another."""
    cell = '<td class="n">{}</td>'
    was, now = (cell.format(a) + cell.format(b) for a, b in ((0, 2), (1, 1)))
    path.write_text(path.read_text().replace(was, now))


def changed_parquet(path: Path) -> None:
    """Make a number another, and keep the receipt."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0] |= {"passed": 1, "failed": 1}
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def changed_xlsx(path: Path) -> None:
    """Make a number another, as a person with a spreadsheet would."""
    book = load_workbook(path)
    sheet = book.worksheets[0]
    sheet["E6"], sheet["F6"] = 1, 1
    book.save(path)


CHANGES: dict[Form, Callable[[Path], None]] = {
    "csv": changed_csv,
    "jsonl": changed_jsonl,
    "text": changed_text,
    "html": changed_html,
    "parquet": changed_parquet,
    "xlsx": changed_xlsx,
}


@pytest.mark.usefixtures("drawn_once")
@pytest.mark.parametrize("form", CHANGES)
def test_a_changed_number_is_found_and_named(ledger: Ledger, tmp_path: Path, form: Form) -> None:
    """By the row's own key and column, with what the ledger says."""
    path = put(made(ledger, form=form), tmp_path / f"out.{form}")
    before = path.read_bytes()
    CHANGES[form](path)
    assert path.read_bytes() != before
    differs = checked(ledger, path).differs
    assert len(differs) == 1, differs
    (said,) = differs
    if form == "text":
        assert said.startswith("line 9 is '2021-03  AZ-104  first")
    else:
        assert said == (
            "month 2021-03, exam AZ-104, sitting first: passed is 1 in the file, 0 by the ledger; "
            "failed is 1 in the file, 2 by the ledger"
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:-1], "exam AZ-700, sitting uncounted: missing in the file"),
        (
            lambda lines: [*lines, "2021-04,X,first,1,1,0,0,0,1"],
            "sitting first: a row more in the file",
        ),
        (lambda lines: [lines[0], *lines[:0:-1]], "the rows are in another order in the file"),
        (lambda lines: [*lines, lines[-1]], "a row more in the file"),
        (lambda lines: [lines[0].replace("failed", "lost"), *lines[1:]], "the columns are"),
        (lambda lines: [*lines[:-1], lines[-1] + ",7"], "the cells differ"),
        (lambda lines: [], "missing in the file"),
    ],
)
def test_rows_that_are_missing_added_moved_or_renamed_are_found(
    ledger: Ledger, tmp_path: Path, change: Callable[[list[str]], list[str]], said: str
) -> None:
    """Whatever was done to the rows."""
    path = put(made(ledger), tmp_path / "out.csv")
    path.write_text("\n".join(change(path.read_text().splitlines())))
    differs = checked(ledger, path).differs
    assert said in "; ".join(differs)


def test_a_csv_saved_by_a_spreadsheet_is_the_same_and_said_to_be_written_otherwise(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Quotes and line ends are no difference."""
    path = put(made(ledger), tmp_path / "out.csv")
    rows = list(csv.reader(path.read_text().splitlines()))
    with path.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    found = checked(ledger, path)
    assert found.differs == []
    assert "written otherwise" in found.notes[0]


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("sha256", "0" * 64, "computed again the rows have another digest"),
        ("rows", 4, "the receipt counts 4 rows, and there are 3"),
        ("position", 14, "position 14 of this ledger is urn:test"),
        ("position", 9999, "which this ledger has not reached"),
        ("known_at", "2021-04-02T12:00:00Z", "is position"),
        ("basis", "restated", None),
        ("as_of", "2021-03-20T00:00:00Z", "another digest"),
        ("policies", [], "policy general from"),
        ("event", {"source": "urn:x", "id": "y"}, "this is another ledger"),
        ("columns", ["a: int64"], "the receipt names other columns"),
    ],
)
def test_a_receipt_that_was_changed_is_found(
    ledger: Ledger, tmp_path: Path, member: str, value: Any, said: str | None
) -> None:
    """Each member is held against the ledger; which of two words for one position is no lie."""
    path = put(made(ledger), tmp_path / "out.csv")
    receipt = json.loads(beside(path).read_text())
    beside(path).write_text(json.dumps(receipt | {member: value}))
    differs = checked(ledger, path).differs
    assert (said in "; ".join(differs)) if said else differs == []


def test_what_says_as_published_must_have_been_known_at_the_periods_end(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A restated report cannot pass for the one that was published."""
    output = made(ledger, basis="restated")
    passing = output.receipt.model_copy(update={"basis": "as-published"})
    path = put(output._replace(receipt=passing), tmp_path / "out.csv")
    assert checked(ledger, path).differs == [
        "the receipt says as published, and its known_at is not the period's end"
    ]


def test_another_ledger_says_so(tmp_path: Path) -> None:
    """The same policies, another history: event, digest and rows all tell."""
    with written(tmp_path / "a.ledger") as ledger:
        path = put(made(ledger), tmp_path / "out.csv")
    other = (
        *CATALOGUE,
        *(failed("AZ-104", on=f"2021-03-{n:02}", who=f"D-{n}") for n in range(1, 30)),
    )
    with written(tmp_path / "b.ledger", other) as ledger:
        differs = "; ".join(checked(ledger, path).differs)
    assert "this is another ledger, or its history was rewritten" in differs
    assert "another digest" in differs
    assert "exam AZ-104, sitting first: " in differs


def test_a_ledger_moved_elsewhere_says_the_same(tmp_path: Path) -> None:
    """What is exported and imported is the same history, and a receipt holds for it."""
    with written(tmp_path / "a.ledger") as ledger:
        path = put(made(ledger, form="parquet"), tmp_path / "out.parquet")
    with written(tmp_path / "b.ledger") as copy:
        assert checked(copy, path)[:2] == ([], [])


def test_another_version_of_the_program_is_said_and_is_no_difference(
    ledger: Ledger, tmp_path: Path
) -> None:
    """As long as the rows come out the same."""
    path = put(made(ledger), tmp_path / "out.csv")
    found = check(snapshot(ledger), path, find_receipt(path), "attempt-ledger 2")
    assert found[:2] == ([], [f"made by {PROGRAM}; checked by attempt-ledger 2"])


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("table", "was", "now", "events"),
    [
        ("sittings", "passed", "failed", ["R-3/attempted", "R-3/result"]),
        ("exceptions", "lab-crash", "no reason", ["X-1/requested", "X-1/rejected"]),
        ("certifications", "admin", "other", ["admin/CertEarned"]),
    ],
)
def test_a_changed_row_about_a_candidate_is_told_with_the_events_it_is_made_of(
    ledger: Ledger, tmp_path: Path, form: Form, table: str, was: str, now: str, events: list[str]
) -> None:
    """So that whoever looks into it knows where to look."""
    path = put(made(ledger, table, form, of="table"), tmp_path / f"out.{form}")
    if form == "csv":
        path.write_text(path.read_text().replace(was, now, 1))
    else:
        book = load_workbook(path)
        cells = (cell for row in book.worksheets[0].iter_rows(min_row=5) for cell in row)
        next(cell for cell in cells if cell.value == was).value = now
        book.save(path)
    found = checked(ledger, path)
    assert found.differs
    assert [line.split(" ")[3] for line in found.events] == events


# -- pictures


@pytest.mark.parametrize("form", PICTURES)
def test_a_picture_comes_out_the_same_and_a_changed_one_is_found(
    ledger: Ledger, tmp_path: Path, form: Form
) -> None:
    """It is drawn again from the rows that its receipt is of."""
    path = put(made(ledger, form=form), tmp_path / "out")
    assert checked(ledger, path)[:2] == ([], [])
    path.write_bytes(path.read_bytes() + b"\n")
    assert checked(ledger, path).differs == ["the picture is not the one that the receipt is of"]


# -- events


def test_an_export_of_events_comes_out_the_same_and_a_changed_line_is_named(
    ledger: Ledger, tmp_path: Path
) -> None:
    """By its event and the members that differ."""
    from ledger.cloudevents import to_cloudevent

    path = tmp_path / "events.jsonl"
    lines = [to_cloudevent(row) for row in ledger.read(3)]
    head = ledger.head().position
    path.write_text("".join(f"{line}\n" for line in lines))
    receipt = receipt_of_events(ledger, 3, head, program=PROGRAM)
    beside(path).write_text(receipt.to_json())
    tell(ledger, [attempted("AZ-104", on="2021-05-01", reg="R-9")], before=STORY)
    assert checked(ledger, path)[:2] == ([], [])

    place = next(n for n, line in enumerate(lines) if '"R-3/result"' in line)
    path.write_text(
        path.read_text().replace(lines[place], lines[place].replace("Passed", "Failed"))
    )
    (said,) = checked(ledger, path).differs
    assert said == (f"line {place + 1}, urn:test R-3/result (position {place + 4}): type differs")
    path.write_text("".join(f"{line}\n" for line in lines[:-1]))
    assert "is missing in the file" in checked(ledger, path).differs[0]
    path.write_text("".join(f"{line}\n" for line in [*lines, "more"]))
    assert "1 more lines are in the file" in checked(ledger, path).differs[0]


# -- receipts that are not there, or not receipts


def test_a_file_without_a_receipt_says_where_one_was_looked_for(tmp_path: Path) -> None:
    """Inside and beside."""
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n")
    with pytest.raises(ReceiptProblem, match=r"there is no rows\.csv\.receipt\.json beside it"):
        find_receipt(path)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("form", "cloudevents"),
        ("form", "gif"),
        ("of", "table"),
        ("as_of", None),
        ("as_of", "2021-03-20T00:00:00"),
        ("position", -1),
        ("position", 1 << 62),
        ("receipt", 2),
        ("more", 1),
    ],
)
def test_a_receipt_that_cannot_be_is_said(
    ledger: Ledger, tmp_path: Path, member: str, value: Any
) -> None:
    """A receipt comes from a file that anyone may have written."""
    path = put(made(ledger, form="text"), tmp_path / "out.txt")
    beside(path).write_text(json.dumps(json.loads(beside(path).read_text()) | {member: value}))
    with pytest.raises(ReceiptProblem, match=r"out\.txt\.receipt\.json is no receipt"):
        find_receipt(path)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"receipt":2}', '{"receipt":1,"more":1}'])
def test_a_receipt_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    """With the member that is wrong."""
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n")
    beside(path).write_text(text)
    with pytest.raises(ReceiptProblem, match=r"rows\.csv\.receipt\.json is no receipt"):
        find_receipt(path)


@pytest.mark.parametrize("start", [b"PAR1", b"PK\x03\x04"])
def test_a_torn_file_is_said(tmp_path: Path, start: bytes) -> None:
    """Not a traceback."""
    path = tmp_path / "torn"
    path.write_bytes(start + b"\0" * 40)
    with pytest.raises(ReceiptProblem, match="cannot be read: it is no whole"):
        find_receipt(path)


@pytest.mark.usefixtures("drawn_once")
@pytest.mark.parametrize("form", ["csv", "jsonl", "html"])
def test_a_file_that_became_something_else_differs(
    ledger: Ledger, tmp_path: Path, form: Form
) -> None:
    """A file that is not of its form is a difference, said in a sentence."""
    output = made(ledger, form=form)
    path = put(output, tmp_path / f"out.{form}")
    beside(path).write_text(output.receipt.to_json())
    path.write_bytes(b"\xff\xfe\0nonsense\n[1]\n")
    assert checked(ledger, path).differs


# -- what is safe to open


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'"])
def test_a_text_that_would_be_a_formula_is_guarded(start: str) -> None:
    """Numbers keep their sign; texts that look like formulas are shown and not run."""
    table = pa.table({"text": [f"{start}1+1", f"a{start}1", None, ""], "number": [-1, 2, -3, None]})
    file = io.StringIO(newline="")
    write_csv(table, file)
    rows = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert rows[1:] == [[f"'{start}1+1", "-1"], [f"a{start}1", "2"], ["", "-3"], ["", ""]]
    again = list(read_csv(io.BytesIO(file.getvalue().encode())))
    assert again[1:] == [(f"{start}1+1", "-1"), (f"a{start}1", "2"), ("", "-3"), ("", "")]


def test_a_dangerous_candidate_is_a_text_in_every_form(tmp_path: Path) -> None:
    """In a workbook it is no formula, in a CSV it is guarded, elsewhere it is as it is."""
    who = '=HYPERLINK("http://x","y")'
    told = (*CATALOGUE, failed("AZ-104", on="2021-03-01T09:00Z", reg="+1", who=who))
    with written(tmp_path / "a.ledger", told) as ledger:
        for form in TABLE_FORMS:
            path = put(made(ledger, "sittings", form, of="table"), tmp_path / f"out.{form}")
            assert checked(ledger, path)[:2] == ([], [])
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert (rows[0]["candidate"], rows[0]["registration_id"]) == (f"'{who}", "'+1")
    assert pq.read_table(tmp_path / "out.parquet")["candidate"].to_pylist() == [who]
    cell = load_workbook(tmp_path / "out.xlsx").worksheets[0]["A5"]
    assert (cell.value, cell.data_type) == (who, "s")
    with zipfile.ZipFile(tmp_path / "out.xlsx") as book:
        assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")


def test_parquet_has_timestamps_and_a_workbook_dates(ledger: Ledger, tmp_path: Path) -> None:
    """Microseconds in UTC; dates that sort and subtract; numbers that add up."""
    put(made(ledger, "sittings", "parquet", of="table"), tmp_path / "a.parquet")
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.field("started_at").type == pa.timestamp("us", tz="UTC")
    put(made(ledger, "sittings", "xlsx", of="table"), tmp_path / "a.xlsx")
    sheet = load_workbook(tmp_path / "a.xlsx").worksheets[0]
    head = [cell.value for cell in sheet[4]]
    row = dict(zip(head, sheet[5], strict=True))
    assert row["Started at (UTC)"].is_date
    assert f"{row['Started at (UTC)'].value:%Y-%m-%dT%H:%M}" == "2021-03-01T09:00"
    assert row["Number"].value == 1


def test_a_workbook_is_laid_out_for_the_board(ledger: Ledger, tmp_path: Path) -> None:
    """Title, sentence, moment; words, formats, widths; filter, print set-up; the chart."""
    path = put(made(ledger, form="xlsx"), tmp_path / "a.xlsx")
    book = load_workbook(path)
    assert book.sheetnames == ["Volumes and pass rates", "chart", "receipt"]
    sheet = book.worksheets[0]
    assert [sheet.cell(n, 1).value for n in (1, 4)] == ["Volumes and pass rates", None]
    assert sheet["A2"].value.startswith("6 sittings of 2 exams; passed of those decided: ")
    assert sheet["A3"].value.startswith("as published, from 2021-03-01 to 2021-04-01, as of ")
    words = ["Month", "Exam", "Sitting", "Sittings", "Passed", "Failed", "Pending", "Revoked"]
    assert [cell.value for cell in sheet[5]] == [*words, "Pass rate"]
    assert (sheet["D6"].number_format, sheet["I6"].number_format) == ("#,##0", "0.0%")
    assert sheet["A5"].font.bold
    assert sheet.freeze_panes == "A6"
    assert sheet.auto_filter.ref == f"A5:I{sheet.max_row}"
    assert sheet.print_title_rows == "$5:$5"
    assert (sheet.page_setup.fitToHeight, sheet.page_setup.paperSize) == (0, 9)
    assert 9 <= sheet.column_dimensions["A"].width <= 20
    with zipfile.ZipFile(path) as parts:
        assert parts.read("xl/media/image1.png").startswith(b"\x89PNG")
        assert b"<drawing " in parts.read("xl/worksheets/sheet2.xml")


@pytest.mark.usefixtures("drawn_once")
def test_a_title_that_was_changed_in_a_workbook_is_found(ledger: Ledger, tmp_path: Path) -> None:
    """Saved by a spreadsheet alone it is the same; one of an earlier release has no title."""
    path = put(made(ledger, form="xlsx"), tmp_path / "a.xlsx")
    book = load_workbook(path)
    book.save(path)
    assert checked(ledger, path)[:2] == ([], [])
    book.worksheets[0]["A2"] = "6 sittings, and all were passed."
    book.save(path)
    (found,) = checked(ledger, path).differs
    assert found.startswith("above the rows it says ['Volumes and pass rates', '6 sittings, and")
    sheet = book.worksheets[0]
    for cell in sheet[5]:
        cell.value = cell.value.lower().replace(" ", "_")
    sheet.delete_rows(1, 4)
    book.save(path)
    assert checked(ledger, path)[:2] == ([], [])


@pytest.mark.usefixtures("drawn_once")
def test_a_page_shows_rates_as_percent_words_for_columns_and_its_title_once(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Codes, dates and numbers are on one line; what is shown is read back as what it is."""
    path = put(made(ledger, form="html"), tmp_path / "a.html")
    page = path.read_text()
    assert page.count("Volumes and pass rates</") == page.count("<h1>Volumes and pass rates<") == 1
    assert ">Volumes and pass rates</text>" not in page
    assert '">Pass rate</th>' in page
    assert '<td class="n">0.00 %</td>' in page
    assert "td{white-space:nowrap}" in page
    path.write_text(page.replace(">0.00 %<", ">0.10 %<", 1))
    assert "pass_rate is 0.001 in the file, 0 by the ledger" in checked(ledger, path).differs[0]
    path.write_text(page.replace(">0.00 %<", ">0<", 1).replace(">Pass rate<", ">pass_rate<"))
    assert checked(ledger, path).differs == []  # as earlier releases wrote it


def test_a_page_and_a_picture_fetch_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """No address but those that name a language of XML."""
    import re

    for form in ("html", "picture.svg"):
        text = put(made(ledger, form=form), tmp_path / "out").read_text()  # type: ignore[arg-type]
        found = set(re.findall(r"(?:https?:)?//[\w./-]+", text))
        assert found <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}, found
    page = (tmp_path / "out").read_text()
    assert "<svg" in page


def test_a_later_policy_version_is_told_from_the_one_a_receipt_names(tmp_path: Path) -> None:
    """A receipt names the versions known at its position, and no later one."""
    text = dict(shipped())["general"].replace("2021-03-31T00:00:00Z", "2022-03-31T00:00:00Z")
    with written(tmp_path / "a.ledger") as ledger:
        path = put(made(ledger), tmp_path / "out.csv")
        tell(ledger, [policy(text, on="2022-01-01")], before=STORY)
        assert checked(ledger, path)[:2] == ([], [])
        assert len(made(ledger, basis="restated").receipt.policies) == len(shipped()) + 1


# -- files of others: what they say costs a sentence, and no more memory than an output has


DEEP = "[" * 100_000


@pytest.mark.parametrize("line", ["[]", '"x"', "5", "null", "[1e999]", DEEP, '{"id":1,"id":2}'])
def test_a_line_that_is_no_event_is_named(ledger: Ledger, tmp_path: Path, line: str) -> None:
    """Whatever JSON it is instead."""
    path = tmp_path / "events.jsonl"
    lines = [to_cloudevent(row) for row in ledger.read()]
    receipt = receipt_of_events(ledger, 0, ledger.head().position, program=PROGRAM)
    path.write_text("\n".join([line, *lines[1:], ""]))
    beside(path).write_text(receipt.to_json())
    assert "line 1 is no event" in checked(ledger, path).differs[0]


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize("text", [f"[\n{DEEP}\n]", DEEP, '{"month":"x","month":"2021-03"}'])
def test_rows_that_are_read_in_two_ways_or_not_at_all_differ(
    ledger: Ledger, tmp_path: Path, form: Form, text: str
) -> None:
    """Nested too deep, or with a member that is there twice: readers disagree which counts."""
    path = put(made(ledger, form=form), tmp_path / f"out.{form}")
    path.write_text(f"[{text}]" if form == "json" and text[0] == "{" else text)
    assert f"the file is no {form}" in checked(ledger, path).differs[0]


def test_a_receipt_with_a_member_twice_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    """What one reader takes for position 5 is 6 for another."""
    path = put(made(ledger), tmp_path / "out.csv")
    text = beside(path).read_text()
    beside(path).write_text(text.replace('"position":', '"position":1,"position":', 1))
    with pytest.raises(ReceiptProblem, match="'position' is there more than once"):
        find_receipt(path)


def test_a_receipt_of_more_than_16_mb_is_not_read(ledger: Ledger, tmp_path: Path) -> None:
    """One that takes no room on the disk (a sparse file) may be of any length."""
    path = put(made(ledger), tmp_path / "out.csv")
    with beside(path).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ReceiptProblem, match="larger than 16 MB"):
        find_receipt(path)


LONG = pa.array(["x" * (1 << 20)])
HOSTILE = {
    "days": pa.array([1], pa.date32()),
    "bytes": pa.array([b"\xff"]),
    "deep": pa.array([[[["x"]]]]),
    "one text for many rows": LONG,
}


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("column", HOSTILE.values(), ids=HOSTILE)
def test_columns_that_no_output_has_differ(
    ledger: Ledger, tmp_path: Path, form: Form, column: pa.Array
) -> None:
    """One sentence; a text that is there once for 300 rows is not laid out 300 times at once."""
    path = put(made(ledger, form=form), tmp_path / f"out.{form}")
    table = pq.read_table(path) if form == "parquet" else pa.ipc.open_file(path).read_all()
    many = pa.array([0] * (300 if (form, column) == ("parquet", LONG) else 2))
    table = table.take(many).set_column(0, "month", column.take(many))
    if form == "parquet":
        pq.write_table(table, path, compression="zstd")
        assert path.stat().st_size < 1 << 16
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    tracemalloc.start()
    try:
        differs = checked(ledger, path).differs
        assert f"the file is no {form}" in differs[0] or (form, column) == ("arrow", LONG)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_texts_of_an_arrow_file_that_end_elsewhere_are_not_read(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A file says itself where its texts begin and end: beyond its own bytes is other memory."""
    path = put(made(ledger, form="arrow"), tmp_path / "out.arrow")
    table = pa.ipc.open_file(path).read_all().slice(0, 1)
    table = table.set_column(0, "month", pa.array(["abcdefgh"]))
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    before, text, after = path.read_bytes().partition(b"abcdefgh")
    bounds = before.rindex(b"\0\0\0\0\x08\0\0\0")
    path.write_bytes(before[: bounds + 7] + b"\x40" + before[bounds + 8 :] + text + after)
    assert "the file is no arrow" in checked(ledger, path).differs[0]


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_unpacks_to_gigabytes_is_one_sentence(
    ledger: Ledger, tmp_path: Path, bomb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither this process nor the one that reads takes more memory than an output does."""
    form, write_bomb, sentence = BOMBS[bomb]
    monkeypatch.setattr(row_diff, "_MOST_WAITING", 8 << 20)  # else a minute of rows is compared
    path = put(made(ledger, form=form), tmp_path / f"out.{form}")
    receipt = find_receipt(path)
    table = pq.read_table(path) if form == "parquet" else pa.ipc.open_file(path).read_all()
    write_bomb(path, table)
    before = taken()
    differs = check(snapshot(ledger), path, receipt, PROGRAM).differs
    assert any(sentence in each for each in differs), differs
    assert taken() - before < 600 << 20


def taken() -> int:
    """Return the most memory that this process has had, or any that it started, in bytes."""
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return max(resource.getrusage(each).ru_maxrss for each in who) << 10


def test_a_reader_that_dies_is_one_sentence(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is native code; this process goes on."""
    path = put(made(ledger, form="parquet"), tmp_path / "out.parquet")
    abort = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr(foreign, "command", lambda *_: abort)
    with pytest.raises(ReceiptProblem, match=r"cannot be read: what reads it died \(SIGABRT\)$"):
        find_receipt(path)


OPENED = (
    "<",
    "<!--",
    "<![",
    "<?",
    '<a x="',
    "</a",
    "&#",
    "<script>",
    "<td ",
    "<td><b>",
    "<!-- -->",
)


@pytest.mark.usefixtures("drawn_once")
@pytest.mark.parametrize("opened", OPENED)
def test_a_page_of_others_is_read_in_time_that_grows_with_it(
    ledger: Ledger, tmp_path: Path, opened: str
) -> None:
    """Of tags, comments and entities that never end: 200,000 of them, which took minutes."""
    path = put(made(ledger, form="html"), tmp_path / "out.html")
    path.write_text(path.read_text().replace("<tbody>", f"<tbody>{opened * 200_000}", 1))
    began = time.process_time()
    checked(ledger, path)
    assert time.process_time() - began < 5


@pytest.mark.usefixtures("drawn_once")
def test_what_a_page_does_not_show_is_no_row(ledger: Ledger, tmp_path: Path) -> None:
    """Rows in a comment or a script are none: they would hide what is shown."""
    path = put(made(ledger, form="html"), tmp_path / "out.html")
    whole = path.read_text()
    for before, after in (("<!--", "-->"), ("<script>", "</SCRIPT>")):
        path.write_text(
            whole.replace("<tbody>", f"<tbody>{before}", 1).replace(
                "</tbody>", f"{after}</tbody>", 1
            )
        )
        assert checked(ledger, path).differs
