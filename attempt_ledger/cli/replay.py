"""`replay`: everybody's standing as a table."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger.cli.everybody import (
    CandidateFile,
    about,
    candidates_in,
    snapshot_of,
    write_table,
)
from attempt_ledger.cli.forms import TableFormat, form_of
from attempt_ledger.cli.on_engine import (
    ColumnsURL,
    EngineURL,
    IntoURL,
    OnEngine,
    Tasks,
    answering,
    check_options,
    form_into,
)
from attempt_ledger.cli.options import AsOf, ExamsOption, KnownAt, NoColumnCache, Output, command
from attempt_ledger.cli.problems import DONE, CallProblem
from projections.fold.rules import STATUSES
from replay.formats import TABLE


@command(
    "replay",
    examples="""
    attempt-ledger replay --as-of 2023-12-31 --output standings.csv
    attempt-ledger replay --exam AZ-104 --known-at 2022-03-12
    attempt-ledger replay --status waiting --status cap-reached --format jsonl
    attempt-ledger replay --format parquet --output standings.parquet
    attempt-ledger replay --engine sc://127.0.0.1:15002 --into standings
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
    engine: EngineURL = None,
    columns: ColumnsURL = None,
    into: IntoURL = None,
    tasks: Tasks = None,
) -> int:
    """Write everybody's standing as a table.

    One row for each candidate and exam with a sitting that is visible then, sorted by both:
    candidate, exam, status, eligible, eligible_from, sittings_in_series, period_ends_at,
    last_sitting_at, last_outcome.

    The facts are read from a column cache beside the ledger (LEDGER.columns), which is brought up
    to date first and may be deleted at any time.

    With --engine it is folded by Apache Spark 4, or Sail, from columns of `columns build`: the same
    rows, to the byte. With --into its workers write them, each part a file and a receipt; parts
    that have one are not computed again.
    """
    check_options(engine, columns, into, tasks, output=output, no_column_cache=no_column_cache)
    form = "" if into is not None else form_of(TABLE, format, output)
    parts_form = form_into(format) if into is not None else "parquet"
    check_statuses(statuses or ())
    named = candidates_in(candidates)
    everybody = answering(context, engine, columns, tasks)
    with snapshot_of(context, as_of, known_at, no_column_cache=no_column_cache) as snapshot:
        scope = everybody.scope(snapshot, exams, named)
        if isinstance(everybody, OnEngine) and into is not None:
            everybody.write(snapshot, scope, statuses or (), parts_form, into)
        else:
            table = everybody.standings(snapshot, scope, statuses or ())
            write_table(table, form, output, about("Standings", snapshot))
    return DONE


def check_statuses(statuses: tuple[str, ...] | list[str]) -> None:
    """Refuse a status that there is not, naming those there are."""
    for status in statuses:
        if status not in STATUSES:
            raise CallProblem(f"--status {status!r}: accepted are {', '.join(STATUSES)}")
