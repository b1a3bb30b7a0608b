"""What the commands about everybody share: the options, the scope, the compiled fold."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attempt_ledger.access import Access
from attempt_ledger.cli.output import bytes_to, say, text_to
from attempt_ledger.cli.problems import CallProblem
from attempt_ledger.cli.progress import counting
from attempt_ledger.places import cache_folder

if TYPE_CHECKING:
    import pyarrow as pa

    from replay.everyone import Everyone
    from replay.population import Scope


class Table(StrEnum):
    """How a table is written."""

    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


TableFormat = Annotated[
    Table | None,
    typer.Option("--format", help="Default: by the name of the file, else csv."),
]
ExamOption = Annotated[str | None, typer.Option("--exam", metavar="X", help="Of this exam alone.")]
CandidateFile = Annotated[
    Path | None,
    typer.Option(
        "--candidate-file",
        metavar="FILE",
        help="Of the candidates in this file alone, one a line; 16 MB at most.",
    ),
]
NoSnapshot = Annotated[
    bool,
    typer.Option(
        "--no-snapshot",
        help="Read the ledger itself; leave the snapshot beside it unread and unwritten.",
    ),
]


@contextmanager
def everybody(call: Access, *, no_snapshot: bool = False) -> Iterator[Everyone]:
    """Open the ledger to ask about everybody, with a bar while its facts are read."""
    call.check()  # before the compiler is imported: a wrong call is told so at once

    from replay.everyone import Everyone

    cache = cache_folder(say)
    with call.open() as ledger, counting("reading", ledger.head().position) as progress:
        yield Everyone(
            ledger,
            cache=cache,
            snapshot=not no_snapshot,
            workers=cores(),
            say=say,
            progress=progress,
        )


def cores() -> int:
    """Count the cores that everybody may be folded on."""
    return os.cpu_count() or 1


def candidates_in(path: Path | None) -> frozenset[str] | None:
    """Read the candidates of a file, one a line; None without a file.

    Raises OSError for a file that cannot be read, CallProblem for one that is not UTF-8.
    """
    from ledger.intake.source import read_whole

    if path is None:
        return None
    try:
        # With or without a byte order mark; ids may hold what Python too takes for a line's end.
        lines = read_whole(path).decode("utf-8-sig").split("\n")
    except UnicodeError:
        raise CallProblem(f"{path} is not UTF-8: accepted is one candidate a line") from None
    return frozenset(line.strip() for line in lines if line.strip())


def scope_of(everyone: Everyone, exam: str | None, candidates: frozenset[str] | None) -> Scope:
    """Make the scope that the options name; say so if nobody ever heard of the exam."""
    from replay.population import Scope

    if exam is not None and not everyone.ledger.stream(f"exam/{exam}"):
        columns = everyone.columns(everyone.ledger.head().position)
        if exam not in columns.exams:
            say(f"nothing is recorded of an exam {exam!r}")
    return Scope(exam, candidates)


def write_table(table: pa.Table, format: Table | None, output: Path | None) -> None:
    """Write a table to standard output or a file, and say how long it is."""
    from replay.formats.csv import write_csv
    from replay.formats.json import write_jsonl
    from replay.formats.parquet import write_parquet

    written = format or by_name(output)
    if written is Table.parquet:
        with bytes_to(output) as file:
            write_parquet(table, file)
    else:
        with text_to(output) as text:
            (write_csv if written is Table.csv else write_jsonl)(table, text)
    if output is not None:
        say(f"{output}: {table.num_rows:,} row{'' if table.num_rows == 1 else 's'}")


def check_format(format: Table | None, output: Path | None) -> None:
    """Refuse to send Parquet to a terminal, before anything is computed."""
    if (format or by_name(output)) is Table.parquet and output is None and sys.stdout.isatty():
        raise CallProblem("parquet is no text for a terminal: give --output FILE")


def by_name(output: Path | None) -> Table:
    """Return the format from the name of the file; csv where that says nothing."""
    suffix = "" if output is None else output.suffix.lower().lstrip(".")
    return Table(suffix) if suffix in set(Table) else Table.csv
