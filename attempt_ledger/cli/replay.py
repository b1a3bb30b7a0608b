"""`replay`: everybody's standing as a table."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger.cli.everybody import (
    CandidateFile,
    about,
    candidates_in,
    scope_of,
    snapshot_of,
    write_table,
)
from attempt_ledger.cli.forms import TableFormat, form_of
from attempt_ledger.cli.options import AsOf, ExamsOption, KnownAt, NoColumnCache, Output, command
from attempt_ledger.cli.problems import DONE, CallProblem
from projections.fold.rules import STATUSES
from replay.formats import TABLE
from replay.population import with_status


@command(
    "replay",
    examples="""
    attempt-ledger replay --as-of 2023-12-31 --output standings.csv
    attempt-ledger replay --exam AZ-104 --known-at 2022-03-12
    attempt-ledger replay --status waiting --status cap-reached --format jsonl
    attempt-ledger replay --format parquet --output standings.parquet
    """,
)
def replay(
    context: typer.Context,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    exams: ExamsOption = None,
    statuses: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="STATUS", help="Rows of this status alone; repeatable."),
    ] = None,
    candidates: CandidateFile = None,
    no_column_cache: NoColumnCache = False,
    format: TableFormat = None,
    output: Output = None,
) -> int:
    """Write everybody's standing as a table.

    One row for each candidate and exam with a sitting that is visible then, sorted by both:
    candidate, exam, status, eligible, eligible_from, sittings_in_series, period_ends_at,
    last_sitting_at, last_outcome.

    The facts are read from a column cache beside the ledger (LEDGER.columns), which is brought up
    to date first and may be deleted at any time.
    """
    form = form_of(TABLE, format, output)
    check_statuses(statuses or ())
    named = candidates_in(candidates)
    with snapshot_of(context, as_of, known_at, no_column_cache=no_column_cache) as snapshot:
        table = snapshot.everybody(scope_of(snapshot, exams, named))
        if statuses:
            table = with_status(table, statuses)
        write_table(table, form, output, about("Standings", snapshot))
    return DONE


def check_statuses(statuses: tuple[str, ...] | list[str]) -> None:
    """Refuse a status that there is not, naming those there are."""
    for status in statuses:
        if status not in STATUSES:
            raise CallProblem(f"--status {status!r}: accepted are {', '.join(STATUSES)}")
