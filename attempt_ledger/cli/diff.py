"""`diff`: whose standing differs between two moments, and through which events."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, engine_of
from attempt_ledger.cli.everybody import (
    CandidateFile,
    about,
    candidates_in,
    scope_of,
    write_table,
)
from attempt_ledger.cli.forms import TableFormat, form_of
from attempt_ledger.cli.options import AsOf, ExamsOption, KnownAt, NoColumnCache, Output, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant, known
from replay.formats import TABLE
from replay.snapshot import Snapshot, snapshot_at


@command(
    "diff",
    examples="""
    attempt-ledger diff --as-of 2023-03-01 --to-as-of 2023-04-01
    attempt-ledger diff --as-of 2023-03-31 --known-at 2023-03-31 --to-known-at 2023-06-30
    attempt-ledger diff --known-at @700 --to-known-at @720 --format jsonl
    """,
)
def diff(
    context: typer.Context,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    to_as_of: Annotated[
        str | None,
        typer.Option("--to-as-of", metavar="T", help="The later valid time. Default: --as-of."),
    ] = None,
    to_known_at: Annotated[
        str | None,
        typer.Option(
            "--to-known-at",
            metavar="T|@POSITION",
            help="The later system time. Default: everything recorded.",
        ),
    ] = None,
    exams: ExamsOption = None,
    candidates: CandidateFile = None,
    no_column_cache: NoColumnCache = False,
    format: TableFormat = None,
    output: Output = None,
) -> int:
    """List whose standing differs between two moments, and why.

    One row a changed candidate and exam, with both standings (from_…, to_…) and the cause: the
    events that are visible at exactly one of the two moments; where there are none, the catalogue
    or policy entries that changed, or the clock alone. With any row the exit code is 1.
    """
    form = form_of(TABLE, format, output)
    now = clock.now()
    first = now if as_of is None else instant("--as-of", as_of)
    second = first if to_as_of is None else instant("--to-as-of", to_as_of)
    known_first, known_second = known(known_at), known(to_known_at, "--to-known-at")
    if second < first:
        earlier = "now, which --as-of is unless it is given" if as_of is None else "--as-of"
        raise CallProblem(f"--to-as-of lies before {earlier}: give the earlier instant first")
    named = candidates_in(candidates)

    with engine_of(call_of(context), no_column_cache=no_column_cache) as (ledger, engine):
        before = snapshot_at(ledger, first, known_first, now=now, engine=engine)
        after = before.at(snapshot_at(ledger, second, known_second, now=now).moment)
        check_order(before, after)
        table = before.diff(after, scope_of(after, exams, named))
        write_table(table, form, output, about("Changed standings", before, after))
    if not table.num_rows:
        return DONE
    say(f"{table.num_rows:,} standing{' differs' if table.num_rows == 1 else 's differ'}")
    return REFUSED


def check_order(before: Snapshot, after: Snapshot) -> None:
    """Refuse moments that are out of order, one, or before there was anything to know."""
    if after.position == 0 and after.ledger.head().position > 0:
        raise CallProblem(
            "--to-known-at lies before the ledger began: its first event was recorded later"
        )
    if after.position < before.position:
        raise CallProblem("--to-known-at lies before --known-at: give the earlier one first")
    if (after.as_of, after.position) == (before.as_of, before.position):
        raise CallProblem(
            "both moments are the same: give --to-as-of, or --known-at and --to-known-at"
        )
