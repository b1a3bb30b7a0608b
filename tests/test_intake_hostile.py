"""A hostile feed costs its own lines: time grows with the input, and nothing ends the import."""

from __future__ import annotations

import json
import lzma
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from intake_folder import GOOD, HEADER, NOW, Place, counts

from attempt_ledger.checks import checked_id
from benchmarks.hostile import WORST, took
from ledger.appending import Appending
from ledger.facts import Fact
from ledger.intake.catalogue import CatalogueProblem, Known, catalogue_facts
from ledger.intake.csv import MOST_COLUMNS, MOST_LINES
from ledger.intake.recording import MOST_RESULTS
from ledger.intake.results import CsvSettings, ResultsReader
from ledger.intake.source import LARGEST_WHOLE, SourceProblem, open_source
from ledger.problems import printable, shown


def event(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "ExamFailed",
        "source": "urn:vue",
        "id": f"R-{number}/result",
        "subject": "C-1",
        "time": "2021-03-01T09:00:00Z",
        "data": {"exam": "AZ-104", "registration_id": f"R-{number}", "score": 1},
        **more,
    }


def line(number: int = 1, **more: Any) -> str:
    return json.dumps(event(number, **more), ensure_ascii=False) + "\n"


# -- time


def grows(work: Callable[[int], float], size: int) -> None:
    """Hold work on four times as much to less than eight times the time, once in three tries."""
    for last in (False, False, True):
        small, large = work(size), work(4 * size)
        if large < 8 * small + 0.1:
            return
        assert not last, f"{small:.3f} s for {size:,}, {large:.3f} s for four times as much"


@pytest.mark.parametrize(("make", "name"), WORST.values(), ids=WORST)
def test_importing_the_worst_input_takes_time_that_grows_with_it(
    tmp_path: Path, make: Callable[[int], bytes], name: str
) -> None:
    """Four times the bytes take about four times the time, not sixteen times."""
    grows(lambda size: took(make(size), name, tmp_path / "scratch"), 60_000)


CATALOGUES: dict[str, Callable[[int], str]] = {
    "blank lines": lambda n: "\n" * n * 20,
    "one exam again and again": lambda n: "".join(
        f'[[exam]]\ncode = "A"\ntitle = "T{k % 2}"\npolicy = "P"\n'
        f"time = {2020 - k // 86_400}-01-01T{k // 3600 % 24:02d}:{k // 60 % 60:02d}:{k % 60:02d}Z\n"
        for k in range(n)
    ),
    "times that are too fine": lambda n: (
        '[[exam]]\ncode = "A"\ntitle = "T"\npolicy = "P"\ntime = 2020-01-01T00:00:00.0000001Z\n' * n
    ),
    "a key of many parts": lambda n: ".".join(["a"] * n * 20) + " = 1",
    "a table of many parts": lambda n: "[" + ".".join(['"a"'] * n * 20) + "]",
}


@pytest.mark.parametrize("make", CATALOGUES.values(), ids=CATALOGUES)
def test_reading_the_worst_catalogue_takes_time_that_grows_with_it(
    tmp_path: Path, make: Callable[[int], str]
) -> None:
    """Four times the file takes about four times the time, not sixteen times."""
    path = tmp_path / "catalogue.toml"

    def work(size: int) -> float:
        path.write_text(make(size))
        began = time.process_time()
        with suppress(CatalogueProblem):
            catalogue(path)
        return time.process_time() - began

    grows(work, 400)


def catalogue(path: Path, known: Known = lambda stream: ()) -> int:
    return len(catalogue_facts(path, known=known, now=NOW, check=checked_id).facts)


# -- bounds, each a sentence


def test_a_row_of_more_lines_than_a_row_may_have_is_set_aside(place: Place) -> None:
    """Its own line alone: what follows it is recorded."""
    bad = 'C-0","x\n'
    good = "".join(GOOD.replace("R-1", f"R-{n}") for n in range(2 * MOST_LINES))
    report = place.rows(bad, good)
    assert counts(report) == (2 * MOST_LINES + 1, 4 * MOST_LINES, 0, 1)
    assert f"is not closed within {MOST_LINES} lines" in report.examples[0]


def test_a_cell_may_have_as_many_lines_as_a_row_may(place: Place) -> None:
    """A remark of many lines is no fault."""
    remark = '"' + "\n" * (MOST_LINES - 1) + '"'
    settings = CsvSettings(ignore_extra=True)
    report = place.take(f"remark,{HEADER}{remark},{GOOD}", csv=settings)
    assert counts(report) == (1, 2, 0, 0)


@pytest.mark.parametrize("name", ["c", "exam"])
def test_a_header_of_more_columns_than_one_may_have_is_refused(place: Place, name: str) -> None:
    """One sentence, whatever the columns are called."""
    with pytest.raises(SourceProblem, match=f"has 1,010 columns: a CSV may have {MOST_COLUMNS:,}"):
        place.take(f"{name}," * 1_001 + HEADER)


def test_a_result_is_corrected_as_often_as_a_result_can_be(place: Place) -> None:
    """What comes after that is set aside with a sentence."""
    rows = [
        GOOD.replace("fail,,640", f"fail,2021-03-01T11:00:{n:02d}Z,{n}")
        for n in range(MOST_RESULTS + 1)
    ]
    report = place.rows(*rows, corrections=True)
    assert (report.corrections, report.rejected) == (MOST_RESULTS - 1, 1)
    assert f"was corrected {MOST_RESULTS - 1} times already" in report.examples[0]


# -- one line costs one line


def test_a_number_of_309_digits_costs_its_line(place: Place) -> None:
    """No number ends an import, however long; what comes after it is recorded."""
    bad = [
        line(1, data={**event()["data"], "score": 10**309}),
        line(2).replace('"score": 1', f'"score": {"9" * 5000}'),
        line(3).replace('"score": 1', '"score": 1e999'),
    ]
    report = place.take("".join(bad) + line(4), "a.jsonl")
    assert counts(report) == (4, 1, 0, 3)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_fault_of_ours_in_reading_a_line_costs_that_line(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The last net: the line is set aside, counted, and the next ones are recorded."""

    def check(fact: Fact) -> None:
        if fact.id.startswith("R-2/"):
            raise ZeroDivisionError("a bug")

    rows_of = ResultsReader.rows

    def buggy(self: ResultsReader, fields: Any) -> Any:
        made = rows_of(self, fields)
        if made[0][0].id.startswith("R-2/"):
            raise ZeroDivisionError("a bug")
        return made

    monkeypatch.setattr(ResultsReader, "rows", buggy)
    rows = HEADER + "".join(GOOD.replace("R-1", f"R-{n}") for n in range(1, 4))
    lines = "".join(line(n) for n in range(1, 4))
    report = place.take(rows if name == "a.csv" else lines, name, check=check)
    assert (report.read, report.rejected, report.stopped) == (3, 1, None)
    assert {id.partition("/")[0] for id in place.ids()} == {"R-1", "R-3"}
    assert "this should not have happened: ZeroDivisionError: a bug" in report.examples[0]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_fault_of_ours_in_recording_a_line_costs_that_line(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its transaction is undone and what is sound of it recorded after all."""
    take = Appending.take

    def buggy(self: Appending, rows: Any) -> Any:
        if any(row.id.startswith("R-77/") for row in rows):
            raise ZeroDivisionError("a bug")
        return take(self, rows)

    monkeypatch.setattr(Appending, "take", buggy)
    rows = HEADER + "".join(GOOD.replace("R-1", f"R-{n}") for n in range(100))
    lines = "".join(line(n) for n in range(100))
    report = place.take(rows if name == "a.csv" else lines, name)
    assert (report.read, report.rejected, report.stopped) == (100, 1, None)
    assert {id.partition("/")[0] for id in place.ids()} == {f"R-{n}" for n in range(100)} - {"R-77"}


def test_a_fault_of_ours_stops_a_history_at_its_line(place: Place) -> None:
    """What comes after it would be out of order."""

    def check(fact: Fact) -> None:
        if fact.id.startswith("R-2/"):
            raise ZeroDivisionError("a bug")

    lines = "".join(line(n, recordedtime="2021-03-01T09:00:00Z") for n in range(1, 4))
    report = place.take(lines, "a.jsonl", check=check, keep_recorded_at=True)
    assert counts(report) == (2, 1, 0, 1)
    assert report.stopped is not None


@pytest.mark.parametrize("name", ["id", "subject", "source", "exam", "registration_id"])
def test_an_id_with_blanks_at_either_end_is_refused_as_in_a_csv(place: Place, name: str) -> None:
    """It would be another id that looks the same; a history that has one is taken as it is."""
    for blank in (" {}", "{} ", "{}\u00a0"):
        said = event()
        inside = said if name in said else said["data"]
        inside[name] = blank.format(inside[name])
        told = json.dumps(said | {"recordedtime": "2021-03-01T09:00:00Z"}) + "\n"
        report = place.take(told, "a.jsonl")
        assert counts(report) == (1, 0, 0, 1)
        assert "has blanks around it" in report.examples[0]
    assert place.take(told, "a.jsonl", keep_recorded_at=True).clean


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"id":', '"id": "R-9/result", "id":'),
        ('"id":', '"id": "R-9/result", "id" \t :'),
        ('"exam":', '"exam": "A", "ex\\u0061m":'),
        ('"score": 1', '"score": [{"a": 1, "a": 1}]'),
        ('"C-1"', '"C\\":1", "actor": "a", "actor": "b"'),
    ],
)
def test_a_member_that_is_there_twice_is_refused(place: Place, old: str, new: str) -> None:
    """Readers disagree which one counts, so it is taken for neither."""
    report = place.take(line().replace(old, new), "a.jsonl")
    assert counts(report) == (1, 0, 0, 1)
    assert "is there more than once in an object" in report.examples[0]


def test_a_text_that_looks_like_members_is_a_text(place: Place) -> None:
    """Quotes and colons in a text are no names."""
    assert place.take(line(id='":":"id":', subject='C":1'), "a.jsonl").clean


# -- the rejects file

HOSTILE = [
    '{"line":"\\ud800","problem":"x"}',
    '{"a":"\\ud800","problem":"x"}',
    '{"problem":1,"problem":2}',
    '{"line":1,"problem":"x"}',
    '{"line":"{","line":"}","problem":"x"}',
    '{"a":1,"a":2,"problem":"x","b":' + "9" * 5000 + "}",
    '{"a":1e999,"problem":"x"}',
    '{"problem":"x",}',
    '{"a":NaN,"problem":"x"}',
    '{"a":"\udcff","problem":"x"}',
    '{"\\u0070roblem":"x","a":1}',
    "[" * 5_000 + '"problem"',
    '{"x\\n\\u001b[2J\\u202e":1}',
    "\u202e\u009b\x1b",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_a_rejects_file_can_be_imported_whatever_is_in_it(place: Place, text: str) -> None:
    """Its lines are refused again for the same reason, and nothing of a line is changed."""
    content = (text + "\n").encode(errors="surrogateescape")
    first = place.take(content, "a.jsonl")
    assert (first.rejected, first.stopped) == (1, None)
    assert "should not have happened" not in first.examples[0]
    written = place.rejects.read_bytes()
    place.rejects = place.folder / "again"
    second = place.take(written, "b.jsonl")
    assert (second.read, second.rejected, second.stopped) == (1, 1, None)
    third = place.rejects.read_bytes()
    place.rejects = place.folder / "once more"
    place.take(third, "c.jsonl")
    assert place.rejects.read_bytes() == third


def test_a_member_said_twice_is_still_twice_when_its_problem_is_taken_out(place: Place) -> None:
    """Else importing the rejects file would take what was refused."""
    twice = line(1).replace('"id":', '"id": "R-9/result", "id":').rstrip()
    report = place.take(f'{twice[:-1]}, "problem": "a member is there twice"}}\n', "a.jsonl")
    assert (report.recorded, report.rejected) == (0, 1)


def test_a_rejects_csv_runs_no_formula_in_the_spreadsheet_it_is_mended_in(place: Place) -> None:
    """Its cells are guarded, and imported again they say what they said."""
    cells = ["=1+1", "+1", "-1", "@x", "\tx", "'=1", "''", "'s", "x"]
    rows = [GOOD.replace("fail", cell).replace("640", cell) for cell in cells]
    report = place.rows(*rows)
    refused = place.refused()
    assert [row["outcome"] for row in refused] == [
        "'=1+1", "'+1", "'-1", "'@x", "'\tx", "'=1", "''", "''s", "x",
    ]  # fmt: skip
    written = place.rejects.read_text()
    place.rejects = place.folder / "again"
    assert place.take(written).examples == report.examples
    assert place.rejects.read_text() == written


def test_a_row_that_is_too_long_keeps_all_its_cells(place: Place) -> None:
    """A ragged row is set aside as it is."""
    place.rows(GOOD.rstrip() + ",a,b,c\n")
    assert place.rejects.read_text().endswith("where the header has 9,a,b,c\n")


@pytest.mark.parametrize("mask", [0, 0o022])
def test_a_rejects_file_is_its_owners_alone_whatever_the_umask(place: Place, mask: int) -> None:
    """Its lines hold names; a narrower mode that it has is kept, a wider one is not."""
    before = os.umask(mask)
    try:
        modes = []
        for existing in (None, 0o644, 0o400):
            if existing is not None:
                place.rejects.chmod(existing)
            place.take("{}\n", "a.jsonl")
            modes.append(stat.S_IMODE(place.rejects.stat().st_mode))
        kept = place.folder / "rejects.old"
        assert modes == [0o600, 0o600, 0o400]
        assert stat.S_IMODE(kept.stat().st_mode) == 0o400
    finally:
        os.umask(before)


def test_a_rejects_file_is_never_written_through_a_link(place: Place) -> None:
    """What the link leads to stays as it is, or is not made."""
    precious = place.folder / "precious"
    precious.write_text("mine")
    for target in (precious, place.folder / "not there"):
        place.rejects.unlink(missing_ok=True)
        place.rejects.symlink_to(target)
        assert place.take("{}\n", "a.jsonl").rejected == 1
        assert not place.rejects.is_symlink()
    assert precious.read_text() == "mine"
    assert not (place.folder / "not there").exists()


# -- messages

STEERING = ["\x1b[2J", "\x9b2J", "\u202e", "\u2066", "\n", "\r", "\x00", "\ud800", "\u2028"]


@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_no_text_of_an_input_steers_a_terminal(place: Place, text: str) -> None:
    """Wherever it stands in a line, a cell or a header, a message shows it escaped."""
    assert printable(f"a{text}b").isprintable()
    assert shown(f"a{text}b").isprintable()
    said = [json.dumps(event(type=text)), json.dumps(event() | {text: 1}), json.dumps({text: text})]
    report = place.take("\n".join(said), "a.jsonl")
    assert report.rejected == 3
    raw = text.encode(errors="surrogatepass").replace(b'"', b'""')
    row = GOOD.encode().replace(b"fail", b'"' + raw + b'"')
    id = GOOD.replace("C-1", f'"C{text}x"').encode(errors="surrogatepass")
    again = place.take(HEADER.encode() + row + id)
    for example in (*report.examples, *again.examples):
        assert example.isprintable()
    header = b'"' + raw + b'",' + HEADER.encode() + GOOD.encode()
    with pytest.raises(SourceProblem) as problem:
        place.take(header)
    assert str(problem.value).isprintable()


def test_a_message_is_as_long_as_one_reads(place: Place) -> None:
    """A megabyte in a line is no megabyte in a sentence."""
    report = place.take(line(1, type="x" * 900_000), "a.jsonl")
    assert len(report.examples[0]) < 3_000


# -- files read as a whole


def test_a_catalogues_number_of_5000_digits_is_a_sentence(tmp_path: Path) -> None:
    """So is an instant beyond the year 9999, in UTC."""
    path = tmp_path / "catalogue.toml"
    for text, sentence in {
        f"x = {'9' * 5000}": "is not TOML: a number has more than 1,000 digits",
        "[[exam]]\ncode = 'A'\ntitle = 'T'\npolicy = 'P'\n"
        "live_at = 9999-12-31T23:59:59-01:00": "lies outside the years 1 to 9999 of UTC",
        "[[exam]]\ncode = 'A'\ntitle = 'T'\npolicy = 'P'\n"
        "live_at = 0001-01-01T00:00:00+01:00": "lies outside the years 1 to 9999 of UTC",
        "[[exam]]\ncode = 0x" + "f" * 9_000: "code should be text without blanks around it, not a",
        '"\\u001b[2J" = 1': "\\x1b[2J is no section of a catalogue",
    }.items():
        path.write_text(text)
        with pytest.raises(CatalogueProblem) as problem:
            catalogue(path)
        assert sentence in str(problem.value)
        assert all(each.isprintable() for each in problem.value.problems)


@pytest.mark.parametrize(
    "words",
    [
        ("policy", "check"),
        ("policy", "publish"),
        ("catalogue",),
        ("replay", "--candidate-file"),
        ("what-if", "--policy"),
        ("exception", "request", "C-1", "AZ-104", "--from"),
    ],
    ids=" ".join,
)
def test_a_file_that_is_read_as_a_whole_has_at_most_16_mb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """One endless file is one sentence, and is not read to its end."""
    assert LARGEST_WHOLE == 16 << 20
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init")
    said = door.wrong(*words, "/dev/zero")
    assert "/dev/zero is larger than 16 MB" in said


def test_an_xz_file_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    """A window of a gigabyte would be filled by a bomb of a few kilobytes."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30, "preset": 0}]
    (tmp_path / "a.csv.xz").write_bytes(lzma.compress(HEADER.encode(), filters=filters))
    with (
        open_source(str(tmp_path / "a.csv.xz")) as source,
        pytest.raises(SourceProblem, match="Memory usage limit exceeded"),
    ):
        list(source.lines())
