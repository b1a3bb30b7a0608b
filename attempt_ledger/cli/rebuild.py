"""`rebuild`: the read model folded from nothing and compared with the one that is there."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, REFUSED
from attempt_ledger.cli.read_model import ReadModelFile, options, read_model_of
from replay.read_model import rebuild as build

LISTED = 100


@command(
    "rebuild",
    examples="""
    attempt-ledger rebuild
    attempt-ledger rebuild --check
    """,
)
def rebuild(
    context: typer.Context,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Compare only: the read model stays as it is, and may be followed."
        ),
    ] = False,
    views: ReadModelFile = None,
) -> int:
    """Build the read model anew, compare it, and swap it in.

    Each row that differs is written to standard output, the first hundred of them; then the exit
    code is 1. The new one is compared where the live one is, put in its place in one transaction,
    and brought up to the ledger. Killed on the way, it goes on from there when called again.
    """
    call = call_of(context)
    call.check()

    path, listed = read_model_of(call, views), 0

    def tell(difference: build.Difference) -> None:
        nonlocal listed
        listed += 1
        if listed <= LISTED:
            put(f"{difference}\n")

    with call.open() as ledger:
        found = (build.check if check else build.rebuild)(ledger, path, options(), tell)
    if found is None:
        say(f"{path} is built, from nothing")
        return DONE
    if not found.differences:
        say(f"{path} is as it should be: at position {found.position:,} no row differs")
        return DONE
    if found.differences > LISTED:
        put(f"… and {found.differences - LISTED:,} more\n")
    say(
        f"{path}: {found.differences:,} row{'s differ' if found.differences != 1 else ' differs'} "
        f"at position {found.position:,}: it "
        + ("was left as it is" if check else "is replaced by what was built anew")
    )
    return REFUSED
