"""`replay`: everybody's standing as a table."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service import clock
from service.cli.call import call_of
from service.cli.options import AsOf, KnownAt, Output, command, group
from service.cli.output import bytes_to, say, text_to
from service.cli.problems import DONE, CallProblem
from service.cli.progress import counting
from service.cli.values import instant, known
from service.places import cache_folder

app = group()


class Table(StrEnum):
    """How the table is written."""

    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


@command(
    app,
    "replay",
    examples="""
    attempt-ledger replay --as-of 2023-12-31 --output standings.csv
    attempt-ledger replay --exam AZ-104 --known-at 2022-03-12
    attempt-ledger replay --format parquet --output standings.parquet
    """,
)
def replay(
    context: typer.Context,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    exam: Annotated[
        str | None, typer.Option("--exam", metavar="X", help="Of this exam alone.")
    ] = None,
    format: Annotated[
        Table | None,
        typer.Option(
            "--format",
            metavar="csv|jsonl|parquet",
            help="Default: by the name of the file, else csv.",
        ),
    ] = None,
    output: Output = None,
) -> int:
    """Write everybody's standing as a table.

    One row for each candidate and exam with a sitting that is visible then, sorted by both:
    candidate, exam, status, eligible, eligible_from, sittings_in_series, period_ends_at,
    last_sitting_at, last_outcome.
    """
    written = format or _by_name(output)
    if written is Table.parquet and output is None and sys.stdout.isatty():
        raise CallProblem("parquet is no text for a terminal: give --output FILE")
    now = clock.now()
    at = now if as_of is None else instant("--as-of", as_of)
    moment_known = known(known_at)

    call = call_of(context)
    call.check()  # before the compiler is imported: a wrong call is told so at once

    from replay.compiled import digest
    from replay.everyone import Everyone
    from replay.moment import moment_at
    from replay.population import Scope
    from replay.tables import write_csv, write_jsonl, write_parquet

    cache = cache_folder()
    if cache is None or not (cache / digest()).is_dir():
        say("the rules are compiled first, which is kept for the next time")
    with call.open() as ledger:
        moment = moment_at(ledger, at, moment_known, now)
        with counting("reading", moment.position) as progress:
            everyone = Everyone(ledger, cache=cache, say=say, progress=progress)
            table = everyone.population(moment, scope=Scope(exam))
        if written is Table.parquet:
            with bytes_to(output) as file:
                write_parquet(table, file)
        else:
            write = write_csv if written is Table.csv else write_jsonl
            with text_to(output) as text:
                write(table, text)
    if output is not None:
        say(f"{output}: {table.num_rows:,} row{'' if table.num_rows == 1 else 's'}")
    return DONE


def _by_name(output: Path | None) -> Table:
    suffix = "" if output is None else output.suffix.lower().lstrip(".")
    return Table(suffix) if suffix in set(Table) else Table.csv
