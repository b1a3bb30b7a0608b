"""Reports, exports and receipts at the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from reporting import IN_APRIL, MARCH, STORY, tell, written

from attempt_ledger.cli.forms import REPORTED
from ledger.ledger import Ledger
from projections.reports.registry import REPORTS

PERIOD = ("--from", MARCH[0], "--to", MARCH[1])
TOLD = STORY[: -len(IN_APRIL)]


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand before the ledger of a month, with compiled code that all tests share."""
    folder = tmp_path / "here"
    folder.mkdir()
    written(folder / "attempts.ledger").close()
    return CommandLine(folder, monkeypatch)


def test_a_report_says_which_it_is_before_anything_else(door: CommandLine) -> None:
    """As published or restated, of which period, as of when, known when."""
    told = door.done("report", "volumes", *PERIOD, "--as-published").splitlines()
    assert told[0] == "Volumes and pass rates"
    assert told[1] == (
        "as published, from 2021-03-01 to 2021-04-01, as of 2021-04-01, known at 2021-04-01 "
        "(position 23)"
    )
    assert told[3].startswith("6 sittings of 2 exams; passed of those decided: 0.0 % of first")
    assert told[8] == "2021-03  AZ-104  first             3       0       2        1        0     0"
    assert told[-1].startswith("3 rows, sha256 ")
    told = door.done("report", "volumes", *PERIOD, "--restated").splitlines()
    assert told[1].startswith(
        "restated, from 2021-03-01 to 2021-04-01, as of 2021-04-01, known at "
    )
    assert told == door.done("report", "volumes", *PERIOD).splitlines()


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_reads_at_80_columns_or_nearly(door: CommandLine, name: str) -> None:
    """Most fit; the instants of betas and corrections need some more."""
    period = PERIOD if REPORTS[name].about else ()
    lines = door.done("report", name, *period, "--as-of", "2021-04-30").splitlines()
    assert max(map(len, lines[4:-1]), default=0) <= 115


def test_the_list_names_every_report(door: CommandLine) -> None:
    """In the order in which the docs have them."""
    lines = door.done("report", "list").splitlines()
    assert [line.split()[0] for line in lines] == list(REPORTS)


@pytest.mark.parametrize("format", ["text", "csv", "jsonl", "parquet", "xlsx", "html"])
def test_a_file_is_checked_by_who_has_only_it_and_the_ledger(
    door: CommandLine, format: str
) -> None:
    """Its form is told by its name; its receipt is inside or beside it."""
    name = f"march.{'txt' if format == 'text' else format}"
    door.done("report", "volumes", *PERIOD, "--as-published", "--output", name)
    inside = format in ("parquet", "xlsx", "html")
    assert (door.folder / f"{name}.receipt.json").exists() != inside
    said = door.done("receipt", "check", name)
    assert said.startswith(f"{name}: the same. as published, from 2021-03-01 to 2021-04-01")
    receipt = json.loads(door.done("receipt", "show", name))
    assert (receipt["form"], receipt["position"], receipt["rows"]) == (format, 23, 3)


def test_restated_a_check_names_the_events_that_changed_the_report(door: CommandLine) -> None:
    """The receipt holds, and what was learned since is told."""
    door.done("report", "volumes", *PERIOD, "--as-published", "--output", "march.csv")
    answer = door.call("receipt", "check", "march.csv", "--restated")
    assert answer.code == 1
    assert answer.out.startswith("march.csv: the same.")
    assert "passed is 0 as it was, 2 restated" in answer.err
    assert "urn:test R-4/result of candidate C-2, true 2021-03-20T10:00:00Z, recorded" in answer.err
    table = door.call("receipt", "check", "march.csv", "--restated", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["id"] for row in rows] == ["R-4/result", "R-6/result/annulled", "R-6/result/2"]
    assert {row["exam"] for row in rows} == {"AZ-104"}
    assert "give --restated too" in door.wrong("receipt", "check", "march.csv", "--format", "csv")
    door.done("report", "volumes", *PERIOD, "--output", "restated.csv")
    assert "it is the same" in door.done("receipt", "check", "restated.csv", "--restated")


@pytest.mark.parametrize("form", REPORTED)
def test_published_and_restated_are_compared_in_every_form(door: CommandLine, form: str) -> None:
    """Each figure that differs, by how much, and which events are the cause."""
    name = "c.txt" if form == "text" else f"c.{form}"
    answer = door.call("report", "volumes", *PERIOD, "--compare", "--output", name)
    assert answer.code == 1
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO((door.folder / name).read_text())))
        passed = next(row for row in rows if row["figure"] == "passed")
        assert (passed["published"], passed["restated"], passed["difference"]) == ("0", "2", "2")
        assert passed["cause"].startswith("urn:test R-4/result; urn:test R-6/result/annulled; ")
    elif form in ("text", "html", "json", "jsonl", "tsv"):
        assert "R-6/result/annulled" in (door.folder / name).read_text()
    said = door.wrong("report", "volumes", *PERIOD, "--compare", "--as-published")
    assert "--compare is of both, published and restated" in said
    later = ("--from", "2021-05-01", "--to", "2021-06-01")
    assert door.call("report", "volumes", *later, "--compare").code == 0


def test_a_changed_file_is_told_with_what_the_ledger_says(door: CommandLine) -> None:
    """Exit code 1, and the row by name."""
    door.done("report", "volumes", *PERIOD, "--as-published", "--output", "march.csv")
    text = (door.folder / "march.csv").read_text()
    door.write("march.csv", text.replace("first,3,0,2,1", "first,3,2,0,1"))
    assert "exam AZ-104, sitting first: passed is 2 in the file, 0 by the ledger" in door.refused(
        "receipt", "check", "march.csv"
    )


def test_what_is_recorded_later_leaves_a_published_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """March as published, made in March and again in June, is the same to the byte."""
    from example_ledger import NOW

    door = CommandLine(tmp_path, monkeypatch)
    written(tmp_path / "attempts.ledger", TOLD).close()
    call = ("report", "volumes", *PERIOD, "--as-published", "--format", "csv")
    before = door.at("2021-04-01T00:00:01Z").done(*call, "--output", "march.csv")
    with Ledger.open(tmp_path / "attempts.ledger", clock=lambda: NOW) as ledger:
        tell(ledger, IN_APRIL, before=TOLD)
    assert door.at("2021-06-01T00:00:00Z").done(*call) == (tmp_path / "march.csv").read_text()
    assert before == ""
    door.done("receipt", "check", "march.csv")


def test_the_end_of_the_period_is_as_of_but_never_later_than_now(door: CommandLine) -> None:
    """A report of a year that is not over is of today."""
    told = door.at("2021-04-10T00:00:00Z").done("report", "volumes", "--to", "2022-01-01")
    assert ", as of 2021-04-10," in told


def test_a_report_on_standard_output_says_its_receipt_beside(door: CommandLine) -> None:
    """Data alone on the one, the digest on the other; or the receipt where it is asked for."""
    answer = door.call("report", "volumes", *PERIOD, "--format", "csv")
    assert answer.out.startswith("month,exam,sitting,sittings,")
    assert "restated" in answer.err
    assert "3 rows, sha256 " in answer.err
    door.done("report", "volumes", *PERIOD, "--format", "csv", "--receipt", "r.json")
    assert json.loads((door.folder / "r.json").read_text())["name"] == "volumes"


@pytest.mark.parametrize("kind", ["svg", "png", "html"])
def test_a_picture_has_a_receipt_and_fetches_nothing(door: CommandLine, kind: str) -> None:
    """All of it is in the file."""
    door.done("report", "blocked", "--as-of", MARCH[1], "--chart", f"blocked.{kind}")
    picture = (door.folder / f"blocked.{kind}").read_bytes()
    start = {"svg": b"<svg", "png": b"\x89PNG", "html": b"<!doctype html>"}[kind]
    assert picture.lstrip().startswith(start)
    for fetching in (b'src="http', b"src='http", b"@import", b"cdn.jsdelivr", b'href="http'):
        assert fetching not in picture.replace(b'href="http://www.w3.org', b"")
    assert door.done("receipt", "check", f"blocked.{kind}").startswith(f"blocked.{kind}: the same.")


# -- exports


def test_events_have_a_receipt_and_import_gives_the_same_ledger(door: CommandLine) -> None:
    """The lines are what they were; the receipt lies beside them."""
    door.done("export", "--output", "all.jsonl")
    assert (door.folder / "all.jsonl").read_text() == door.done("export")
    assert door.done("receipt", "check", "all.jsonl").startswith("all.jsonl: the same.")
    other = ("--ledger", "sqlite:///copy.ledger")
    door.done(*other, "init", "--bare")
    door.done(*other, "import", "--keep-recorded-at", "all.jsonl")
    assert door.done(*other, "receipt", "check", "all.jsonl").startswith("all.jsonl: the same.")
    text = (door.folder / "all.jsonl").read_text().replace('"R-3"', '"R-33"')
    door.write("all.jsonl", text)
    assert "urn:test R-3/attempted (position " in door.refused("receipt", "check", "all.jsonl")


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "xlsx"])
@pytest.mark.parametrize("table", ["sittings", "standings", "corrections"])
def test_a_table_is_exported_at_any_moment(door: CommandLine, table: str, format: str) -> None:
    """With its receipt."""
    name = f"rows.{format}"
    door.done("export", "--table", table, "--known-at", MARCH[1], "--output", name)
    assert "as known then, as of" in door.done("receipt", "check", name)


def test_standings_exported_are_what_replay_says(door: CommandLine) -> None:
    """One fold, two doors."""
    moment = ("--as-of", "2021-03-10", "--known-at", MARCH[1])
    assert door.done("export", "--table", "standings", *moment) == door.done("replay", *moment)


# -- wrong calls


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["volume"], "there is no report 'volume': do you mean volumes?"),
        (["xyz"], "there is no report 'xyz': accepted are volumes, blocked, "),
        (
            ["volumes", "--from", "2021-04-01", "--to", "2021-03-01"],
            "does not lie before 2021-03-01",
        ),
        (["volumes", "--from", "2021-04-01", "--to", "2021-04-01"], "would hold nothing"),
        (["volumes", "--from", "yesterday"], "--from: "),
        (["volumes", "--as-published"], "--as-published: when? Give --to"),
        (["volumes", "--as-published", "--restated", "--to", "2021-04-01"], "exclude each other"),
        (["volumes", "--known-at", "@3", "--restated"], "exclude each other"),
        (["volumes", "--to", "1999-04-01", "--as-published"], "nothing was known then: the ledger"),
        (["volumes", "--to", "2023-04-01", "--as-published"], "lies in the future"),
        (["volumes", "--known-at", "@99999"], "position 99999 is not reached yet"),
        (["volumes", "--exam", "AZ-1O4"], "nothing is known of an exam 'AZ-1O4'"),
        (["blocked", "--from", "2021-03-01"], "blocked is about one moment: say as of when"),
        (["expiring", "--exam", "AZ-104"], "expiring is of no single exam"),
        (["volumes", "--chart", "volumes.gif"], "accepted are files named .svg, .png and .html"),
        (["volumes", "--output", "nowhere/v.csv"], "nowhere/v.csv: no such file or directory"),
        (["volumes", "--chart", "nowhere/v.svg"], "nowhere/v.svg: no such file or directory"),
    ],
)
def test_a_wrong_call_is_answered_in_one_sentence(
    door: CommandLine, words: list[str], said: str
) -> None:
    """Exit code 2, and no file."""
    before = files(door)
    assert said in door.wrong("report", *words)
    assert files(door) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--as-of", "2021-01-01"], "--as-of is of a table: give --table too"),
        (["--format", "csv"], "--format is of a table"),
        (["--table", "sittings", "--after", "3"], "--after is of events"),
        (["--table", "certifications", "--exam", "AZ-104"], "certifications are of no single exam"),
    ],
)
def test_options_of_a_table_and_of_events_are_told_apart(
    door: CommandLine, words: list[str], said: str
) -> None:
    """Rather than ignored."""
    assert said in door.wrong("export", *words)


def files(door: CommandLine) -> set[str]:
    """Name what is in the folder, the ledger's own files aside."""
    return {path.name for path in door.folder.iterdir() if "ledger" not in path.name}


def test_nothing_is_lost_when_a_disk_is_full(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there stays, the report and its receipt both."""
    call = ("report", "volumes", *PERIOD, "--output", "march.csv")
    door.done(*call, "--as-published")
    before = {name: (door.folder / name).read_bytes() for name in files(door)}

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert "march.csv" in door.wrong(*call, "--restated")
    assert {name: (door.folder / name).read_bytes() for name in files(door)} == before
    door.done("receipt", "check", "march.csv")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("none.csv", None, "none.csv: no such file or directory"),
        ("bare.csv", "a\n", "bare.csv has no receipt"),
        ("march.csv.receipt.json", "{}", "march.csv.receipt.json has no receipt"),
    ],
)
def test_a_receipt_that_cannot_be_found_is_said(
    door: CommandLine, file: str, text: str | None, said: str
) -> None:
    """Exit code 2: nothing was checked."""
    if text is not None:
        door.write(file, text)
    assert said in door.wrong("receipt", "check", file)


def test_a_receipt_of_a_report_that_is_not_known_here_is_said(door: CommandLine) -> None:
    """Of a later release, perhaps."""
    door.done("report", "volumes", *PERIOD, "--output", "march.csv")
    path = door.folder / "march.csv.receipt.json"
    said: dict[str, Any] = json.loads(path.read_text()) | {"name": "moods"}
    path.write_text(json.dumps(said))
    assert "there is no report 'moods'" in door.wrong("receipt", "check", "march.csv")


def test_a_planted_column_cache_proves_nothing(door: CommandLine) -> None:
    """What was copied from an edited ledger is read by no check, nor written."""
    call = ("report", "volumes", *PERIOD, "--as-published", "--no-column-cache")
    door.done(*call, "--output", "march.csv")
    honest = door.folder / "attempts.ledger"
    edited = door.folder / "edited.ledger"
    shutil.copy(honest, edited)
    with closing(sqlite3.connect(edited)) as connection, connection:
        connection.execute("UPDATE events SET topic = 'ExamPassed:1' WHERE topic = 'ExamFailed:1'")
    door.done("--ledger", "sqlite:///edited.ledger", "replay")
    shutil.copytree(f"{edited}.columns", f"{honest}.columns")
    assert door.done("receipt", "check", "march.csv").startswith("march.csv: the same.")
    shutil.rmtree(f"{honest}.columns")
    door.done("receipt", "check", "march.csv")
    assert not Path(f"{honest}.columns").exists()
