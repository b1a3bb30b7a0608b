"""Tables as files, to the letter of section 5: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from example_ledger import Ledgers
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_values import at, rows_of
from scenarios import exam, failed

from ledger.instants import MAX_INSTANT, MIN_INSTANT, format_instant
from ledger.intake.csv import guarded
from projections.fold.facts import OUTCOMES
from projections.fold.rules import STATUSES
from projections.standing import Moment
from projections.table import INSTANT
from replay.diff import CHANGED
from replay.formats import json as json_form
from replay.formats.csv import write_csv
from replay.formats.json import write_jsonl
from replay.formats.parquet import write_parquet
from replay.population import SCHEMA
from replay.snapshot import Snapshot
from replay.violations import SCHEMA as VIOLATIONS
from replay.what_if import SITTINGS, STANDINGS

Rows = Sequence[tuple[Any, ...]]


def table_of(rows: Rows, schema: pa.Schema = SCHEMA) -> pa.Table:
    """Make a table of rows, instants as microseconds."""
    columns = [
        pa.array([row[i] for row in rows], pa.int64()).cast(INSTANT)
        if field.type == INSTANT
        else pa.array([row[i] for row in rows], field.type)
        for i, field in enumerate(schema)
    ]
    return pa.table(columns, schema=schema)


def as_csv(table: pa.Table) -> str:
    """Write a table as CSV."""
    file = io.StringIO(newline="")
    write_csv(table, file)
    return file.getvalue()


def as_jsonl(table: pa.Table) -> str:
    """Write a table as JSON lines."""
    file = io.StringIO(newline="")
    write_jsonl(table, file)
    return file.getvalue()


HEADER = (
    "candidate,exam,status,eligible,eligible_from,sittings_in_series,period_ends_at,"
    "last_sitting_at,last_outcome\n"
)
WAITING = ("C-1001", "AZ-104", "waiting", False, at("2021-03-15T09:00Z"), 2, at("2022-02-20"),
           at("2021-03-01T09:00Z") + 1, "failed")  # fmt: skip
FREE = ("C-1002", "AZ-104", "eligible", True, None, 0, None, at("2021-03-01"), "pending")


# --- to the letter ---------------------------------------------------------------------------


def test_a_row_of_csv() -> None:
    """true and false, empty for null, six decimals only where they are not zero."""
    assert as_csv(table_of([WAITING, FREE])) == (
        f"{HEADER}C-1001,AZ-104,waiting,false,2021-03-15T09:00:00Z,2,2022-02-20T00:00:00Z,"
        "2021-03-01T09:00:00.000001Z,failed\n"
        "C-1002,AZ-104,eligible,true,,0,,2021-03-01T00:00:00Z,pending\n"
    )


def test_a_row_of_json() -> None:
    """Members in the order of the columns, null for null, no blanks."""
    assert as_jsonl(table_of([WAITING, FREE])) == (
        '{"candidate":"C-1001","exam":"AZ-104","status":"waiting","eligible":false,'
        '"eligible_from":"2021-03-15T09:00:00Z","sittings_in_series":2,'
        '"period_ends_at":"2022-02-20T00:00:00Z","last_sitting_at":"2021-03-01T09:00:00.000001Z",'
        '"last_outcome":"failed"}\n'
        '{"candidate":"C-1002","exam":"AZ-104","status":"eligible","eligible":true,'
        '"eligible_from":null,"sittings_in_series":0,"period_ends_at":null,'
        '"last_sitting_at":"2021-03-01T00:00:00Z","last_outcome":"pending"}\n'
    )


@pytest.mark.parametrize("schema", [SCHEMA, VIOLATIONS, CHANGED, SITTINGS, STANDINGS])
def test_nobody_is_a_header_and_no_line(schema: pa.Schema) -> None:
    """And no line at all in JSON."""
    assert as_csv(table_of([], schema)) == ",".join(schema.names) + "\n"
    assert as_jsonl(table_of([], schema)) == ""


@pytest.mark.parametrize("code", range(128))
def test_every_character_is_escaped_or_quoted_where_it_must_be(code: int) -> None:
    """One at a time, so that none hides behind another that is escaped too."""
    row = (f"C{chr(code)}1", *FREE[1:])
    assert as_jsonl(table_of([row])).startswith(
        f'{{"candidate":{json.dumps(row[0], ensure_ascii=False)},"exam"'
    )
    quoted = f'"{row[0].replace(chr(34), chr(34) * 2)}"' if chr(code) in ',"\r\n' else row[0]
    assert as_csv(table_of([row])).removeprefix(HEADER).startswith(f"{quoted},AZ-104,")


@pytest.mark.parametrize(
    ("id", "written"),
    [
        ("C-1", "C-1"),
        ("a,b", '"a,b"'),
        ('6" disk', '"6"" disk"'),
        ('"', '""""'),
        ("two\nlines", '"two\nlines"'),
        ("two\rlines", '"two\rlines"'),
        (" a b ", " a b "),
        ("it's; so|\t#=+@", "it's; so|\t#=+@"),
        ("Zoë", "Zoë"),
        ("名前\u2028😀\ufeff", "名前\u2028😀\ufeff"),
        ("true", "true"),
        ("null", "null"),
    ],
)
def test_quotes_are_only_where_they_are_needed(id: str, written: str) -> None:
    """Around a comma, a quote or the end of a line; quotes inside are doubled."""
    text = as_csv(table_of([(id, *WAITING[1:]), FREE]))
    assert text.startswith(f"{HEADER}{written},AZ-104,waiting,false,")
    assert text.endswith("\nC-1002,AZ-104,eligible,true,,0,,2021-03-01T00:00:00Z,pending\n")


@pytest.mark.parametrize(
    ("instant", "written"),
    [
        (MIN_INSTANT, "0001-01-01T00:00:00Z"),
        (MIN_INSTANT + 1, "0001-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (0, "1970-01-01T00:00:00Z"),
        (100_000, "1970-01-01T00:00:00.100000Z"),
        (at("2024-02-29T23:59:59Z"), "2024-02-29T23:59:59Z"),
        (MAX_INSTANT, "9999-12-31T23:59:59.999999Z"),
        (MAX_INSTANT - 999_999, "9999-12-31T23:59:59Z"),
    ],
)
def test_instants_of_all_years(instant: int, written: str) -> None:
    """From the first of year 1 to the last of 9999, beside others in one column."""
    rows = [(*FREE[:7], each, "failed") for each in (instant, 0, 1)]
    lines = as_csv(table_of(rows)).splitlines()[1:]
    assert [line.split(",")[7] for line in lines] == [
        written, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000001Z"
    ]  # fmt: skip
    first = json.loads(as_jsonl(table_of(rows)).splitlines()[0])
    assert first["last_sitting_at"] == written == format_instant(instant)


def test_the_events_of_a_difference() -> None:
    """In JSON objects; in CSV source and id, parted by a blank, one after another by `; `."""
    events = [{"source": "urn:vue", "id": "R-1/result"}, {"source": "a,b", "id": "X"}]
    nothing = (None,) * (len(CHANGED) - 4)
    table = table_of(
        [("C-1", "X", *nothing, "events", events), ("C-2", "X", *nothing, "clock", [])], CHANGED
    )
    lines = as_csv(table).splitlines()[1:]
    empty = "," * len(nothing)
    assert lines == [f'C-1,X,{empty}events,"urn:vue R-1/result; a,b X"', f"C-2,X,{empty}clock,"]
    assert [json.loads(line)["events"] for line in as_jsonl(table).splitlines()] == [events, []]


def test_seconds_that_are_early() -> None:
    """A number, whole or not; empty where there is no instant to be early for."""
    rows = [("C", "X", "R", 0, 1, None, "waiting", 1, early, False, True)
            for early in (3600.0, 0.5, 1e-6, None)]  # fmt: skip
    table = table_of(rows, VIOLATIONS)
    assert [line.split(",")[8] for line in as_csv(table).splitlines()[1:]] == [
        "3600", "0.5", "0.000001", ""
    ]  # fmt: skip
    told = [json.loads(line)["early_seconds"] for line in as_jsonl(table).splitlines()]
    assert told == [3600.0, 0.5, 1e-6, None]


# --- laws ------------------------------------------------------------------------------------

TEXTS = st.text(
    st.one_of(
        st.sampled_from(",\"\n ;'\\é😀"), st.characters(codec="utf-8", exclude_categories=["Cc"])
    )
)
INSTANTS = st.one_of(
    st.integers(MIN_INSTANT, MAX_INSTANT),
    st.integers(MIN_INSTANT // 10**6, MAX_INSTANT // 10**6).map(lambda second: second * 10**6),
)
ROWS = st.lists(
    st.tuples(
        TEXTS, TEXTS, st.sampled_from(STATUSES), st.booleans(), st.none() | INSTANTS,
        st.integers(0, 2**31 - 1), st.none() | INSTANTS, INSTANTS, st.sampled_from(OUTCOMES),
    ),
    max_size=12,
)  # fmt: skip


def text_of(value: object) -> str:
    """Write a value as section 5 has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return guarded(value) if isinstance(value, str) else "" if value is None else str(value)


def with_instants_as_text(row: tuple[Any, ...]) -> list[Any]:
    """Write the instants of a row, and leave the rest."""
    return [
        format_instant(value) if field.type == INSTANT and value is not None else value
        for field, value in zip(SCHEMA, row, strict=True)
    ]


@settings(deadline=None, max_examples=60)
@given(ROWS, st.lists(st.integers(0, 12), max_size=4), st.integers(1, 5))
def test_csv_and_json_say_what_the_standard_library_says(
    rows: Rows, cuts: list[int], batch: int
) -> None:
    """Whatever the texts and instants, and however the table lies in pieces."""
    whole = table_of(rows)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    table = pa.concat_tables([whole.slice(a, b - a) for a, b in pairwise(edges)])
    told = [with_instants_as_text(row) for row in rows]
    plain = io.StringIO(newline="")
    csv.writer(plain, lineterminator="\n").writerows(
        [SCHEMA.names, *([text_of(value) for value in row] for row in told)]
    )
    size, json_form.BATCH = json_form.BATCH, batch
    try:
        assert as_csv(table) == plain.getvalue()
        assert as_jsonl(table) == "".join(
            json.dumps(dict(zip(SCHEMA.names, row, strict=True)), ensure_ascii=False,
                       separators=(",", ":")) + "\n"
            for row in told
        )  # fmt: skip
        assert list(rows_of(table)) == list(rows)
    finally:
        json_form.BATCH = size


# --- parquet ---------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [SCHEMA, VIOLATIONS, CHANGED, SITTINGS, STANDINGS])
def test_parquet_keeps_names_and_types(tmp_path: Path, schema: pa.Schema) -> None:
    """Instants are timestamps in UTC, to the microsecond; also when there is no row."""
    with (tmp_path / "a.parquet").open("wb") as file:
        write_parquet(table_of([], schema), file)
    assert pq.read_schema(tmp_path / "a.parquet").equals(schema)
    assert {str(field.type) for field in schema} <= {
        "string", "bool", "int32", "int64", "double", "timestamp[us, tz=UTC]",
        "list<element: struct<source: string, id: string>>",
        "list<item: struct<source: string, id: string>>",
    }  # fmt: skip


def test_parquet_is_read_back_as_it_was(tmp_path: Path) -> None:
    """By anybody: here by another engine."""
    rows = [WAITING, FREE, ("Zoë", *FREE[1:7], MIN_INSTANT, "failed")]
    path = tmp_path / "a.parquet"
    with path.open("wb") as file:
        write_parquet(table_of(rows), file)
    assert list(rows_of(pq.read_table(path))) == rows
    told = duckdb.sql(
        "SELECT candidate, eligible, epoch_us(eligible_from), sittings_in_series "
        f"FROM '{path}' ORDER BY candidate"
    ).fetchall()
    assert told == [("C-1001", False, WAITING[4], 2), ("C-1002", True, None, 0),
                    ("Zoë", True, None, 0)]  # fmt: skip


# --- the order of rows -----------------------------------------------------------------------

NAMES = ["!", "B", "Z", "a", "a,b", "aa", "b", "Ä", "ä", "é", "Ω", "中", "\uffee", "𝕏", "😀"]


def test_rows_are_sorted_by_code_point(tmp_path: Path) -> None:
    """Not by UTF-16, nor by any language: candidates first, then exams."""
    people = NAMES
    lines = [failed(code, on="2021-04-01", who=who, reg=f"{who}/{code}")
             for who in reversed(people) for code in ("ä", "Z", "a")]  # fmt: skip
    with Ledgers(tmp_path) as crowd:
        everyone: Snapshot = crowd.told(exam("Z"), exam("a"), exam("ä"), *lines)
        table = everyone.at(
            Moment(at("2021-05-01"), None, everyone.ledger.head().position)
        ).everybody()
    keys = [row[:2] for row in csv.reader(io.StringIO(as_csv(table), newline=""))][1:]
    assert keys == [[who, code] for who in people for code in ("Z", "a", "ä")]
    assert people == sorted(people)
