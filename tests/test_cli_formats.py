"""Every table leaves in every form, named by its file; what no command writes is refused first."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from command_line import CommandLine
from openpyxl import load_workbook
from reporting import CATALOGUE, MARCH, written
from scenarios import exam, failed, requested

from attempt_ledger.api.register import Access, Register, register_path
from attempt_ledger.api.tokens import Tokens
from replay.formats import TABLE, About
from replay.formats.rows import read_rows, write_rows
from replay.listings import CLEAR, HISTORY, REQUESTS

TABLES = {
    "replay": ("replay", "--as-of", MARCH[1]),
    "diff": ("diff", "--as-of", MARCH[0], "--to-as-of", MARCH[1]),
    "violations": ("violations",),
    "impact": ("impact", "more.csv"),
    "export": ("export", "--table", "sittings"),
    "report": ("report", "volumes", "--to", MARCH[1]),
    "audit": ("audit", "events", "--candidate", "C-1"),
    "history": ("history", "C-1"),
    "exception list": ("exception", "list"),
    "search": ("search", "C-"),
    "policy list": ("policy", "list"),
    "token list": ("token", "list"),
    "audit access": ("audit", "access"),
}
LINES = {"export": ("export",), "feed": ("feed",)}
HOSTILE = ("=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "'=1", 'a\t"b",\nc', "1", "", " ", "_x0041_")
MORE = "candidate_id,exam,registration_id,started_at,outcome\n"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the ledger of a month once."""
    path = tmp_path_factory.mktemp("formats") / "attempts.ledger"
    written(path).close()
    register = Register(register_path(path, None))
    Tokens(register, lambda: 0).create("robin", ["support"], None)
    Tokens(register, lambda: 0).create("kim", ["officer", "support"], 1 << 50)
    for candidate in ("C-1", "C-2"):
        register.note_accesses([Access(0, "robin", candidate, ("email", "last_name"), "a page")])
    register.close()
    return path


@pytest.fixture
def door(tmp_path: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand before it."""
    for path in ledger.parent.glob("attempts.ledger*"):
        if path.is_file():
            shutil.copy(path, tmp_path / path.name)  # with its mode: tokens are one account's
    (tmp_path / "more.csv").write_text(f"{MORE}C-1,AZ-104,R-9,2021-05-01T09:00:00Z,fail\n")
    (tmp_path / "draft.toml").write_text(
        'id = "general"\neffective_from = 2021-03-01T00:00:00Z\n[wait]\nafter = ["P90D"]\n'
    )
    return CommandLine(tmp_path, monkeypatch)


def files(door: CommandLine) -> set[str]:
    """Name what is in the folder, the ledger's own files aside."""
    return {path.name for path in door.folder.iterdir() if not path.name.startswith("attempts")}


def rows(path: Path) -> list[tuple[str, ...]]:
    """Read a file in the form that its name says."""
    with path.open("rb") as file:
        return list(read_rows(file, path.suffix[1:]))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_written_in_every_form_with_the_same_rows(
    door: CommandLine, name: str
) -> None:
    """By the name of the file alone; what leaves with a receipt is checked by it."""
    counted = set()
    for form in TABLE:
        answer = door.call(*TABLES[name], "--output", f"a.{form.upper()}")
        assert (answer.code, answer.out) == (1 if name == "diff" else 0, ""), answer.err
        (door.folder / f"a.{form.upper()}").rename(door.folder / f"a.{form}")
        if (receipt := door.folder / f"a.{form.upper()}.receipt.json").exists():
            receipt.rename(door.folder / f"a.{form}.receipt.json")
        found = rows(door.folder / f"a.{form}")
        counted.add(len(found))
        if name in ("report", "audit", "export"):
            assert door.done("receipt", "check", f"a.{form}").startswith(f"a.{form}: the same.")
    assert len(counted) == 1
    assert counted.pop() > 1


@pytest.mark.parametrize("name", TABLES)
def test_what_standard_output_gets_is_what_the_file_gets(door: CommandLine, name: str) -> None:
    """Whatever the form."""
    for form in ("tsv", "json", "jsonl"):
        out = door.call(*TABLES[name], "--format", form).out
        door.call(*TABLES[name], "--output", f"b.{form}")
        assert (door.folder / f"b.{form}").read_text() == out


@pytest.mark.parametrize("name", [*TABLES, *(f"lines: {name}" for name in LINES)])
@pytest.mark.parametrize("ending", ["pdf", "sqlite", "gz", "cvs", "png"])
def test_an_ending_that_no_form_has_is_refused_before_any_work(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str, ending: str
) -> None:
    """What would be accepted is named; nothing is read, nothing written."""
    words = LINES[name.removeprefix("lines: ")] if name.startswith("lines: ") else TABLES[name]
    before = files(door)

    def opened(*_: object) -> None:
        raise AssertionError("the ledger was opened")

    monkeypatch.setattr("attempt_ledger.access.Access.open", opened)
    said = door.wrong(*words, "--output", f"a.{ending}")
    assert f"--output a.{ending}: accepted are files named " in said
    assert ".jsonl" in said
    assert files(door) == before


@pytest.mark.parametrize("option", ["--sittings", "--standings"])
def test_what_if_writes_its_two_tables_by_the_same_names(door: CommandLine, option: str) -> None:
    """An ending of no form is refused by the option's own name."""
    call = ("what-if", "--policy", "draft.toml", option)
    assert f"{option} a.pdf: accepted are files" in door.wrong(*call, "a.pdf")
    for form in TABLE:
        door.done(*call, f"a.{form}")
    assert len({len(rows(door.folder / f"a.{form}")[1:]) for form in TABLE}) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("replay", "--format", "csv", "--output", "a.xlsx"),
            "--format csv and the name of a.xl",
        ),
        (("report", "volumes", "--format", "csv", "--output", "a.txt"), "disagree: leave out"),
        (("audit", "events", "--format", "text", "--output", "a.csv"), "name the file .txt"),
        (("replay", "--output", "a.txt"), "accepted are files named .csv, .tsv, .json, .jsonl"),
        (("replay", "--format", "text"), "--format 'text': accepted are csv, tsv, json, jsonl"),
        (("report", "volumes", "--format", "pdf"), "--format 'pdf': accepted are text, csv, tsv"),
        (("export", "--format", "html", "--table", "exams"), "--format 'html': accepted are csv"),
    ],
)
def test_a_format_and_a_name_that_disagree_are_refused(
    door: CommandLine, words: tuple[str, ...], said: str
) -> None:
    """Rather than one of them passed over."""
    before = files(door)
    assert said in door.wrong(*words)
    assert files(door) == before


def test_a_name_without_an_ending_says_nothing(door: CommandLine) -> None:
    """Then --format does, else it is the first form; a pipe or a device is no file by its name."""
    door.done("replay", "--output", "bare", "--format", "json")
    assert (door.folder / "bare").read_bytes().startswith(b'[\n{"candidate"')
    door.done("replay", "--output", "plain")
    assert (door.folder / "plain").read_bytes().startswith(b"candidate,exam,")
    door.done("report", "volumes", "--output", "/dev/null")
    os.mkfifo(door.folder / "pipe.odd")
    reader = os.open(door.folder / "pipe.odd", os.O_RDONLY | os.O_NONBLOCK)
    door.done("replay", "--output", "pipe.odd")
    assert os.read(reader, 20) == b"candidate,exam,statu"
    os.close(reader)


class Several:
    """Rows that come in batches, of which only one is there at a time."""

    schema = pa.schema([("text", pa.string()), ("number", pa.int64())])

    def to_batches(self, max_chunksize: int) -> Iterator[pa.RecordBatch]:
        """Yield three."""
        for n in range(3):
            yield pa.RecordBatch.from_pydict(
                {"text": list(HOSTILE), "number": [n] * len(HOSTILE)}, schema=self.schema
            )


@pytest.mark.parametrize("form", TABLE)
def test_every_form_is_written_as_rows_come_and_read_back_whatever_the_texts(form: str) -> None:
    """No text is computed, split or lost."""
    file = io.BytesIO()
    write_rows(Several(), form, file, About("several"))
    head, *found = read_rows(file, form)
    assert head == ("text", "number")
    assert [row[0] for row in found] == [*HOSTILE] * 3
    if form in ("csv", "tsv"):
        text = io.StringIO(file.getvalue().decode(), newline="")
        for cell, _ in csv.reader(text, delimiter="\t" if form == "tsv" else ","):
            assert not cell.startswith(tuple("=+-@\t\r")), cell
    if form == "xlsx":
        cells = [row[0] for row in load_workbook(file).worksheets[0].iter_rows()]
        assert {cell.data_type for cell in cells if cell.value} == {"s"}


def test_a_history_is_the_events_in_json_and_rows_elsewhere(door: CommandLine) -> None:
    """An annulled one names its annulment; in JSON they are what `export` writes."""
    door.done("history", "C-4", "--output", "h.csv")
    with (door.folder / "h.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == [column.name for column in HISTORY]
    by_id = {row["id"]: row for row in found}
    assert by_id["R-6/result"]["annulled_by"] in {row["position"] for row in found}
    assert json.loads(by_id["R-6/attempted"]["data"])["exam"] == "AZ-104"
    lines = door.done("history", "C-4", "--format", "jsonl").splitlines()
    assert lines == [line for line in door.done("export").splitlines() if '"C-4"' in line]
    assert door.done("history", "C-4", "--json") == f"[{','.join(lines)}]\n"
    door.done("history", "C-4", "--output", "h.txt")
    assert (door.folder / "h.txt").read_text() == door.done("history", "C-4")


def test_requests_are_rows_and_personal_data_is_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clear text leaves only where it is wanted, in a file that nobody else reads."""
    story = (
        *CATALOGUE,
        exam("AZ-900"),
        failed("AZ-900", on="2021-03-01T09:00Z", reg="R-1"),
        requested("AZ-900", on="2021-03-04T09:00Z", reg="R-1", request="X-1", first_name="=Ada"),
    )
    written(tmp_path / "attempts.ledger", story).close()
    door = CommandLine(tmp_path, monkeypatch)
    door.done("exception", "list", "--output", "r.csv")
    assert "Ada" not in (tmp_path / "r.csv").read_text()
    assert [*rows(tmp_path / "r.csv")[0]] == [column.name for column in REQUESTS]
    old = os.umask(0o022)
    for form in (*TABLE, "txt"):
        door.done("exception", "list", "--clear", "--output", f"c.{form}")
        assert stat.S_IMODE((tmp_path / f"c.{form}").stat().st_mode) == 0o600
    door.done("history", "C-1", "--clear", "--output", "h.csv")
    assert stat.S_IMODE((tmp_path / "h.csv").stat().st_mode) == 0o600
    os.umask(old)
    head, row = rows(tmp_path / "c.tsv")
    assert [*head] == [column.name for column in (*REQUESTS, *CLEAR)]
    assert row[head.index("first_name")] == "=Ada"
    assert "\t'=Ada" in (tmp_path / "c.tsv").read_text()
