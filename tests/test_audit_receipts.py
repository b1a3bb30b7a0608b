"""Audits in every form, each with a receipt that comes out the same, or says what differs."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from auditing import output, rows
from openpyxl import load_workbook
from reporting import STORY, TROUBLED, checked, put, snapshot, tell, written
from scenarios import annulled, attempted, failed, forgotten, rejected, requested

from ledger.ledger import Ledger
from replay.audit.conditions import Conditions
from replay.audit.registry import QUERIES
from replay.formats.csv import write_csv
from replay.outputs import Unknown, find_receipt, write
from replay.receipts import Form, Parameters, Receipt, ReceiptProblem, beside, read_receipt
from replay.restating import restated
from replay.rows import Rows, digest_of
from replay.snapshot import Known

FORMS: tuple[Form, ...] = ("text", "csv", "tsv", "json", "jsonl", "parquet", "xlsx", "arrow")
LATER = (
    annulled("R-3/result", on="2021-04-05T09:00Z").recorded("2021-05-01T09:00Z"),
    failed("AZ-104", on="2021-04-20T09:00Z", reg="R-7").recorded("2021-05-02T09:00Z"),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Yield the ledger of a month, with exceptions, an annulment, and facts that came late."""
    with written(tmp_path / "a.ledger", (*STORY, *TROUBLED)) as made:
        yield made


def by(name: str) -> dict[str, Any]:
    """Return conditions under which a query finds something."""
    return {"by": "PT1H", "changes": True} if name == "backdated" else {}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", QUERIES)
def test_every_audit_in_every_form_comes_out_the_same(
    ledger: Ledger, tmp_path: Path, name: str, form: Form
) -> None:
    """From the ledger and the file alone, whatever is recorded later."""
    path = put(output(ledger, name, form, **by(name)), tmp_path / f"out.{form}")
    assert find_receipt(path).rows > 0
    assert checked(ledger, path)[:2] == ([], [])
    tell(ledger, LATER, before=(*STORY, *TROUBLED))
    assert checked(ledger, path)[:2] == ([], [])


def changed(path: Path, form: Form) -> None:
    """Have somebody else have recorded the first event, whatever the form."""
    if form == "parquet":
        table = pq.read_table(path)
        metadata = pq.read_metadata(path).metadata
        actors = pa.array(["somebody", *table["actor"].to_pylist()[1:]], pa.string())
        table = table.set_column(table.schema.get_field_index("actor"), "actor", actors)
        kept = {b"attempt-ledger.receipt": metadata[b"attempt-ledger.receipt"]}
        pq.write_table(table.replace_schema_metadata(kept), path)
    elif form == "xlsx":
        book = load_workbook(path)
        sheet = book.worksheets[0]
        names = [cell.value for cell in sheet[4]]
        sheet.cell(5, names.index("Actor") + 1).value = "somebody"
        book.save(path)
    elif form in ("csv", "tsv"):
        between = "," if form == "csv" else "\t"
        text = path.read_text()
        lines = [row.split(between) for row in text.splitlines()]
        lines[1][lines[0].index("actor")] = "somebody"
        path.write_text("".join(f"{between.join(line)}\n" for line in lines))
    elif form == "arrow":
        with ipc.open_file(path) as file:
            table = file.read_all()
        actors = pa.array(["somebody", *table["actor"].to_pylist()[1:]], pa.string())
        table = table.set_column(table.schema.get_field_index("actor"), "actor", actors)
        with ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    elif form == "text":
        path.write_text(path.read_text().replace("  urn:", " by somebody  urn:", 1))
    else:
        path.write_text(path.read_text().replace('"actor":null', '"actor":"somebody"', 1))


@pytest.mark.parametrize("form", FORMS)
def test_what_was_changed_in_a_file_is_found(ledger: Ledger, tmp_path: Path, form: Form) -> None:
    """Where, what it is by the ledger, and the event to look at."""
    asked = {"types": ("ExamFailed",)}
    path = put(output(ledger, "events", form, **asked), tmp_path / f"out.{form}")
    before = path.read_bytes()
    changed(path, form)
    assert path.read_bytes() != before
    found = checked(ledger, path)
    assert len(found.differs) == 1
    assert "somebody" in found.differs[0]
    assert "in the file" in found.differs[0]
    if form != "text":
        first = rows(ledger, "events", **asked)[0]
        assert f"position {first['position']}: actor is somebody" in found.differs[0]
        assert [line.split()[0] for line in found.events] == [f"@{first['position']}"]


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
@pytest.mark.parametrize("line", [1, -2], ids=["first", "last"])
def test_a_row_that_was_taken_out_is_found(
    ledger: Ledger, tmp_path: Path, form: Form, line: int
) -> None:
    """By its position, also at either end."""
    path = put(output(ledger, "events", form, actor=None), tmp_path / f"out.{form}")
    lines = path.read_text().splitlines(keepends=True)
    del lines[line]
    path.write_text("".join(lines).replace(",\n]", "\n]"))
    found = checked(ledger, path)
    assert any("missing in the file" in sentence for sentence in found.differs)


@pytest.mark.parametrize("position", ["0", "-1", "7.0", "³", "9" * 18, "9" * 30, "9" * 5000, ""])
def test_a_row_of_no_position_is_one_more(ledger: Ledger, tmp_path: Path, position: str) -> None:
    """There is no event of the ledger to name for it."""
    path = put(output(ledger, "events", "csv", candidate="C-1"), tmp_path / "out.csv")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, f"{position},{lines[1].partition(',')[2]}"]))
    found = checked(ledger, path)
    assert found.differs == [f"position {position}: a row more in the file"]
    assert found.events == []


def test_an_event_that_came_after_the_receipt_is_not_named(ledger: Ledger, tmp_path: Path) -> None:
    """Whoever adds a row of a later event finds nothing at that position in what was known."""
    path = put(output(ledger, "events", "csv", Known(position=20)), tmp_path / "out.csv")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, f"21,{lines[1].partition(',')[2]}"]))
    found = checked(ledger, path)
    assert (found.differs, found.events) == (["position 21: a row more in the file"], [])


def test_a_receipt_that_was_changed_with_the_file_is_found(ledger: Ledger, tmp_path: Path) -> None:
    """Both are held against the ledger."""
    path = put(output(ledger, "events", "jsonl"), tmp_path / "out.jsonl")
    text = path.read_text().replace('"actor":null', '"actor":"somebody"', 1)
    path.write_text(text)
    update = {"sha256": hashlib.sha256(text.encode()).hexdigest()}
    receipt = find_receipt(path).model_copy(update=update)
    beside(path).write_text(receipt.to_json())
    found = checked(ledger, path)
    assert "another digest" in " ".join(found.differs)
    assert "actor is somebody in the file" in " ".join(found.differs)


def test_another_question_than_was_asked_is_found(ledger: Ledger, tmp_path: Path) -> None:
    """Whoever hides rows by a condition has the condition in the receipt, which says it."""
    path = put(output(ledger, "events", "csv", types=("ExamFailed",)), tmp_path / "out.csv")
    receipt = find_receipt(path)
    parameters = Parameters(audit=Conditions())
    beside(path).write_text(receipt.model_copy(update={"parameters": parameters}).to_json())
    assert any("missing in the file" in sentence for sentence in checked(ledger, path).differs)


def test_restated_an_audit_names_what_was_recorded_since(ledger: Ledger) -> None:
    """What is listed anew, what is told otherwise, and through which events."""
    made = output(ledger, "events", "csv", types=("ExamFailed",), candidate="C-1")
    assert restated(snapshot(ledger), made) == []
    tell(ledger, LATER, before=(*STORY, *TROUBLED))
    found = restated(snapshot(ledger), made)
    assert any("a new row" in change.sentence for change in found)
    assert {event.type for change in found for event in change.causes} == {
        "EventAnnulled", "ExamAttempted", "ExamFailed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"form": "html"}, "no audit in the form html"),
        ({"as_of": "2021-04-01T00:00:00Z"}, "as_of is null for events and audits"),
        ({"parameters": {}}, "conditions in parameters.audit"),
        ({"parameters": {"audit": {"by": "P1M"}}}, "in months"),
        ({"parameters": {"audit": {"types": ["ExamTaken"]}}}, "'ExamTaken' is unknown"),
        ({"parameters": {"audit": {"mood": "bad"}}}, "mood"),
        ({"of": "report", "as_of": "2021-04-01T00:00:00Z"}, "conditions in parameters.audit"),
    ],
    ids=str,
)
def test_a_receipt_that_cannot_be_is_refused(
    ledger: Ledger, change: dict[str, Any], said: str
) -> None:
    """With what is wrong in it."""
    told = json.loads(output(ledger, "events").settled.to_json()) | change
    with pytest.raises(ReceiptProblem, match=said):
        read_receipt(json.dumps(told), "out.csv.receipt.json")


@pytest.mark.parametrize(
    ("name", "said", "problem"),
    [
        ("gossip", {}, "there is no audit 'gossip'"),
        ("events", {"by": "P7D"}, "audit events has no condition by"),
        ("history", {"candidate": None}, "audit history needs the condition candidate"),
        ("history", {"actor": "cli"}, "audit history has no condition actor"),
        ("backdated", {"by": None}, "audit backdated needs the condition by"),
    ],
)
def test_a_question_that_there_is_not_is_refused(
    ledger: Ledger, name: str, said: dict[str, Any], problem: str
) -> None:
    """Also when a receipt asks it."""
    with pytest.raises(Unknown, match=problem):
        output(ledger, name, **said)


def test_a_receipt_says_what_was_asked(ledger: Ledger) -> None:
    """Conditions, position, and the digest of the rows as JSON Lines."""
    made = output(
        ledger, "events", "jsonl", Known(position=20), types=("ExamFailed",),
        recorded_from="2021-03-01",
    )  # fmt: skip
    file = io.BytesIO()
    write(made, file)
    receipt = made.settled
    said = json.loads(receipt.to_json())
    assert (said["of"], said["name"], said["basis"], said["position"]) == (
        "audit", "events", "known-at", 20,
    )  # fmt: skip
    assert said["as_of"] is None
    conditions = {name: value for name, value in said["parameters"]["audit"].items() if value}
    assert conditions == {"types": ["ExamFailed"], "recorded_from": "2021-03-01T00:00:00Z"}
    assert said["sha256"] == hashlib.sha256(file.getvalue()).hexdigest()
    assert said["rows"] == file.getvalue().count(b"\n")
    assert Receipt.model_validate_json(receipt.to_json()) == receipt


def test_a_report_says_nothing_of_audits() -> None:
    """The receipts of everything else are as they were."""
    assert json.loads(Parameters().model_dump_json()) == dict.fromkeys(
        ("start", "end", "exam", "after")
    )
    assert Parameters.model_validate_json(Parameters().model_dump_json()) == Parameters()


# --- forms -----------------------------------------------------------------------------------


def test_json_is_an_array_of_the_objects_of_json_lines(ledger: Ledger) -> None:
    """One a line; of nothing an empty one."""
    array, lines = io.BytesIO(), io.BytesIO()
    write(output(ledger, "events", "json"), array)
    write(output(ledger, "events", "jsonl"), lines)
    assert json.loads(array.getvalue()) == [
        json.loads(line) for line in lines.getvalue().split(b"\n")[:-1]
    ]
    empty = io.BytesIO()
    write(output(ledger, "events", "json", actor="nobody"), empty)
    assert empty.getvalue() == b"[]\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_spreadsheet_runs_nothing(tmp_path: Path, start: str) -> None:
    """Texts that would begin a formula have a ' before them; numbers stay numbers."""
    began = attempted("AZ-104", on="2021-03-01T09:00Z", reg=f"{start}1+1")
    with written(tmp_path / "a.ledger", [began]) as ledger:
        file = io.StringIO()
        write_csv(output(ledger, "events", "csv", candidate="C-1").table, file)
        (row,) = csv.DictReader(io.StringIO(file.getvalue()))
        assert row["key"] == f"'{start}1+1"
        assert row["position"].isdigit()


def test_text_steers_no_terminal(tmp_path: Path) -> None:
    """What is recorded is shown on its line, whatever is in it."""
    asked = requested("AZ-104", on="2021-03-01T09:00Z", reg="R-1", reason="\x1b[2Jno\nlab")
    with written(tmp_path / "a.ledger", [asked]) as ledger:
        file = io.BytesIO()
        write(output(ledger, "history", "text"), file)
        text = file.getvalue().decode()
        assert "\x1b" not in text
        assert "\\u001b[2Jno\\nlab" in text


@pytest.mark.parametrize("gone", [False, True], ids=["there", "forgotten"])
def test_no_form_of_any_audit_shows_anything_personal(tmp_path: Path, gone: bool) -> None:
    """Neither clear text nor ciphertext, before and after the candidate is forgotten."""
    secrets = {"first_name": "Zoe", "last_name": "Quandt", "email": "z@example.org"}
    asked = requested("AZ-104", on="2021-03-01T09:00Z", reg="R-1", **secrets)
    told = [asked, annulled("X-1/requested", on="2021-03-02"), rejected("AZ-104", on="2021-03-02")]
    end = [forgotten(on="2021-03-03")] if gone else []
    with written(tmp_path / "a.ledger", [*told, *end]) as ledger:
        stored = ledger.find("urn:test", "X-1/requested")
        assert stored is not None
        hidden = [*secrets.values(), *json.loads(stored.data)["email"].values()]
        for name in QUERIES:
            for form in ("text", "csv", "json", "jsonl"):
                file = io.BytesIO()
                write(output(ledger, name, form, **by(name)), file)
                assert not [text for text in hidden if text.encode() in file.getvalue()]


# --- rows that are made while they are read --------------------------------------------------


def made_of(*batches: list[int], seen: list[int]) -> Rows:
    """Make rows of batches, and note which were made."""
    schema = pa.schema([("n", pa.int64())])

    def make() -> Iterator[pa.RecordBatch]:
        for number, values in enumerate(batches):
            seen.append(number)
            yield pa.RecordBatch.from_pydict({"n": values}, schema=schema)

    return Rows(schema, make, lambda batch: Counter(sum=sum(batch["n"].to_pylist())))


def test_rows_are_made_one_batch_at_a_time() -> None:
    """The next when the last is written; so no more than some are ever held."""
    seen: list[int] = []
    rows = made_of([1, 2], [3], [4, 5], seen=seen)
    reading = rows.to_batches(10)
    for number in range(3):
        next(reading)
        assert seen == list(range(number + 1))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_rows_are_counted_and_summed_up_while_they_are_read(size: int) -> None:
    """Once, whatever the batches are; who asks first has them read through."""
    seen: list[int] = []
    rows = made_of([1, 2], [], [3, 4, 5], seen=seen)
    table = pa.table({"n": [1, 2, 3, 4, 5]})
    assert [n for batch in rows.to_batches(size) for n in batch["n"].to_pylist()] == [1, 2, 3, 4, 5]
    assert (rows.num_rows, rows.sha256, rows.tally["sum"]) == (5, digest_of(table), 15)
    assert seen == [0, 1, 2]
    unread = made_of([1, 2], [3, 4, 5], seen=seen)
    assert (unread.sha256, unread.num_rows) == (rows.sha256, 5)


def test_rows_that_were_not_read_to_their_end_are_not_summed_up() -> None:
    """Somebody who stops half way leaves no half of a digest."""
    rows = made_of([1], [2], seen=[])
    reading = rows.to_batches(1)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert (rows.num_rows, rows.sha256) == (2, digest_of(pa.table({"n": [1, 2]})))


def test_rows_that_cannot_be_summed_up_are_not_written_as_if_they_could() -> None:
    """What goes wrong beside the writing is raised, whichever batch it was."""
    rows = made_of([1], [2], [3], seen=[])
    rows._tally = lambda batch: Counter(sum=1 // (batch["n"][0].as_py() - 1))
    with pytest.raises(ZeroDivisionError):
        list(rows.to_batches())


def test_every_form_is_known_to_the_tests() -> None:
    """A form that is added is tested."""
    assert set(FORMS) <= set(get_args(Form))
    assert {form for form in get_args(Form) if _takes(form)} == set(FORMS)


def _takes(form: Form) -> bool:
    from replay.receipts import _FORMS

    return form in _FORMS["audit"]
