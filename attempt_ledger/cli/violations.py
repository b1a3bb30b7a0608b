"""`violations`: sittings taken while not eligible."""

from __future__ import annotations

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
from attempt_ledger.cli.problems import DONE
from replay.formats import TABLE


@command(
    "violations",
    examples="""
    attempt-ledger violations
    attempt-ledger violations --exam AZ-104 --format jsonl
    attempt-ledger violations --as-of 2023-01-01 --output violations-2022.csv
    attempt-ledger violations --engine sc://127.0.0.1:15002
    attempt-ledger violations --engine sc://127.0.0.1:15002 --into violations
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
    into: IntoURL = None,
    tasks: Tasks = None,
) -> int:
    """List every sitting that was taken while not eligible.

    Each sitting is judged at its start, without itself, twice: with what was known then
    (status_then; empty where the exam or its policy was not yet known) and with what is known now
    (status_now, eligible_from_now, and how many seconds too early it was). waived_then and
    waived_now tell whether a grant waived a reason. With --engine they are judged by Apache
    Spark 4, or Sail: see `replay`. With --into its workers write them, all but registration_id,
    which their columns do not have: a position names the sitting.
    """
    check_options(engine, columns, into, tasks, output=output, no_column_cache=no_column_cache)
    form = "" if into is not None else form_of(TABLE, format, output)
    parts_form = form_into(format) if into is not None else "parquet"
    named = candidates_in(candidates)
    everybody = answering(context, engine, columns, tasks)
    with snapshot_of(context, as_of, known_at, no_column_cache=no_column_cache) as snapshot:
        scope = everybody.scope(snapshot, exams, named)
        if isinstance(everybody, OnEngine) and into is not None:
            everybody.write(snapshot, scope, (), parts_form, into, of="violations")
        else:
            table = everybody.violations(snapshot, scope)
            write_table(table, form, output, about("Sittings while not eligible", snapshot))
    return DONE
