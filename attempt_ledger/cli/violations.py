"""`violations`: sittings taken while not eligible."""

from __future__ import annotations

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.everybody import (
    CandidateFile,
    about,
    candidates_in,
    scope_of,
    snapshot_of,
    write_table,
)
from attempt_ledger.cli.forms import TableFormat, form_of
from attempt_ledger.cli.on_engine import (
    ColumnsURL,
    EngineURL,
    OnEngine,
    Tasks,
    check_options,
    scope_elsewhere,
)
from attempt_ledger.cli.options import AsOf, ExamsOption, KnownAt, NoColumnCache, Output, command
from attempt_ledger.cli.problems import DONE
from replay.formats import TABLE


@command(
    "violations",
    examples="""
    attempt-ledger violations
    attempt-ledger violations --exam AZ-104 --format jsonl
    attempt-ledger violations --as-of 2023-01-01 --output violations-2022.csv
    attempt-ledger violations --engine sc://127.0.0.1:15002
    """,
)
def violations(
    context: typer.Context,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    exams: ExamsOption = None,
    candidates: CandidateFile = None,
    no_column_cache: NoColumnCache = False,
    format: TableFormat = None,
    output: Output = None,
    engine: EngineURL = None,
    columns: ColumnsURL = None,
    tasks: Tasks = None,
) -> int:
    """List every sitting that was taken while not eligible.

    Each sitting is judged at its start, without itself, twice: with what was known then
    (status_then; empty where the exam or its policy was not yet known) and with what is known now
    (status_now, eligible_from_now, and how many seconds too early it was). waived_then and
    waived_now tell whether a grant waived a reason. With --engine they are judged by Apache
    Spark 4, or Sail: see `replay`.
    """
    check_options(engine, columns, None, tasks, output=output, no_column_cache=no_column_cache)
    form = form_of(TABLE, format, output)
    named = candidates_in(candidates)
    elsewhere = None if engine is None else OnEngine(engine, columns, tasks, call_of(context))
    with snapshot_of(context, as_of, known_at, no_column_cache=no_column_cache) as snapshot:
        if elsewhere is None:
            table = snapshot.violations(scope_of(snapshot, exams, named))
        else:
            table = elsewhere.violations(snapshot, scope_elsewhere(exams, named))
        write_table(table, form, output, about("Sittings while not eligible", snapshot))
    return DONE
