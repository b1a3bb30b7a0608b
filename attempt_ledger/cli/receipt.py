"""`receipt`: what an output was computed from, and whether it comes out the same again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, engine_of
from attempt_ledger.cli.delivering import program_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import note, put, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from ledger.problems import printable
from replay.checking import check as check_output
from replay.outputs import Output, find_receipt
from replay.receipts import Receipt, ReceiptProblem, heading
from replay.restating import restated as compare_with_now
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
) -> int:
    """Compute an output again, and compare it with the file.

    The ledger itself is read, and nothing beside it that was made to be quick: what that says
    proves nothing.

    Exit code 0: file and receipt come out the same, whatever was recorded since. 1: something
    differs, and standard error says what.
    """
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
        digest = f"{receipt.rows:,} rows, sha256 {receipt.sha256}"
        put(f"{printable(f'{file}: the same. {heading(receipt)}: {digest}')}\n")
        if restated and found.output is not None:
            return since(snapshot, found.output)
    return DONE


def since(snapshot: Snapshot, output: Output) -> int:
    """Return what has become of an output on the latest knowledge; gives the exit code."""
    found = compare_with_now(snapshot, output)
    if not found.differs:
        put("Restated with what is known now it is the same.\n")
        return DONE
    for sentence in found.differs:
        say(f"restated: {sentence}")
    say("recorded since, and bearing on it:" if found.events else "no event bears on it")
    for line in found.events:
        note(f"  {line}")
    return REFUSED


def receipt_of(file: Path) -> Receipt:
    """Find the receipt of a file; raises CallProblem."""
    try:
        return find_receipt(file)
    except ReceiptProblem as problem:
        raise CallProblem(str(problem)) from None
