"""`receipt`: what an output was computed from, and whether it comes out the same again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, engine_of
from attempt_ledger.cli.delivering import program_of
from attempt_ledger.cli.everybody import about, write_table
from attempt_ledger.cli.forms import LISTED, ListFormat, form_of
from attempt_ledger.cli.options import Output, command
from attempt_ledger.cli.output import note, put, say, text_to
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from ledger.problems import printable
from replay.checking import check as check_output
from replay.checking import event_line, key_of
from replay.outputs import Output as Made
from replay.outputs import find_receipt
from replay.receipts import Receipt, ReceiptProblem, heading
from replay.restating import Change, causes_table
from replay.restating import restated as compare_with_now
from replay.row_diff import MOST
from replay.snapshot import Snapshot, snapshot_at

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The report or export; its receipt is inside or beside it."
    ),
]


@command(
    "receipt show",
    examples="""
    attempt-ledger receipt show volumes.parquet
    """,
)
def show(context: typer.Context, file: File) -> int:
    """Write a file's receipt as JSON."""
    put(receipt_of(file).to_json())
    return DONE


@command(
    "receipt check",
    examples="""
    attempt-ledger receipt check march.xlsx
    attempt-ledger receipt check march.csv --restated
    attempt-ledger receipt check march.csv --restated --output causes.csv
    """,
)
def check(
    context: typer.Context,
    file: File,
    restated: Annotated[
        bool,
        typer.Option(
            "--restated",
            help="Compare with what is known now too, and name the events that changed it.",
        ),
    ] = False,
    format: ListFormat = None,
    output: Output = None,
) -> int:
    """Compute an output again, and compare it with the file.

    The ledger itself is read, and nothing beside it that was made to be quick: what that says
    proves nothing.

    With --restated, under each row that differs since stand the events that bear on it. --format or
    --output writes all of them as a table, a row for each event: csv and the like.

    Exit code 0: file and receipt come out the same, whatever was recorded since. 1: something
    differs, and standard error says what.
    """
    form = form_of(LISTED, format, output)
    if (form != "text" or output is not None) and not restated:
        raise CallProblem("--format and --output are of what changed since: give --restated too")
    receipt = receipt_of(file)
    with engine_of(call_of(context), no_column_cache=True) as (ledger, engine):
        snapshot = snapshot_at(ledger, 0, now=clock.now(), engine=engine)

        try:
            found = check_output(snapshot, file, receipt, program_of(receipt.form, receipt.of))
        except ReceiptProblem as problem:
            raise CallProblem(str(problem)) from None
        for sentence in found.notes:
            say(sentence)
        for sentence in found.differs:
            say(f"differs: {sentence}")
        if found.events:
            say("the ledger's events of what differs:")
        for line in found.events:
            note(f"  {line}")
        if found.differs:
            return REFUSED
        rows = "1 row" if receipt.rows == 1 else f"{receipt.rows:,} rows"
        digest = f"{rows}, sha256 {receipt.sha256}"
        same = f"{printable(f'{file}: the same. {heading(receipt)}: {digest}')}\n"
        if form == "text" and output is None:
            put(same)
        else:
            note(same.rstrip())
        if restated and found.output is not None:
            return since(snapshot, found.output, form, output)
    return DONE


def since(snapshot: Snapshot, before: Made, form: str, output: Path | None) -> int:
    """Write what has become of an output on the latest knowledge; return the exit code."""
    changes, key = compare_with_now(snapshot, before), key_of(before)
    if form != "text":
        write_table(causes_table(changes, key), form, output, about("Changed since", snapshot))
    elif output is not None:
        with text_to(output) as file:
            file.writelines(f"{line}\n" for line in lines_of(changes, len(changes)))
    elif not changes:
        put("Restated with what is known now it is the same.\n")
    else:
        for line in lines_of(changes, MOST):
            note(line)
        if len(changes) > MOST:
            say(f"and {len(changes) - MOST:,} more rows: --format csv lists all, with their events")
    return REFUSED if changes else DONE


def lines_of(changes: Sequence[Change], most: int) -> Iterator[str]:
    """Yield rows that differ, under each of them the events that bear on it."""
    for change in changes[:most]:
        yield f"restated: {change.sentence}"
        for event in change.causes:
            yield f"  {event_line(event)}"
        if not change.causes:
            yield "  no event bears on it"


def receipt_of(file: Path) -> Receipt:
    """Find the receipt of a file; raises CallProblem."""
    try:
        return find_receipt(file)
    except ReceiptProblem as problem:
        raise CallProblem(str(problem)) from None
