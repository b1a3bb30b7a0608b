"""`audit access`: who read personal data in clear text."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from attempt_ledger.accesses import Seen, noted
from attempt_ledger.api.register import Register, register_path
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import Format, FormatOption, TokenFile, command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.pages import columns, show
from attempt_ledger.cli.problems import DONE
from ledger.instants import format_instant


@command(
    "audit access",
    examples="""
    attempt-ledger audit access
    attempt-ledger audit access --candidate C-1001 --format json
    """,
)
def access(
    context: typer.Context,
    candidate: Annotated[
        str | None, typer.Option("--candidate", metavar="C", help="Of this candidate alone.")
    ] = None,
    tokens: TokenFile = None,
    format: FormatOption = Format.text,
) -> int:
    """List who read personal data in clear text, and when.

    Through the service and its console, and by `subject-access`. It is kept beside the tokens, not
    in the ledger. Whoever holds the key file can read it past every program, and no list says so.
    """
    call = call_of(context)
    call.check()
    every = list(noted(Register(register_path(call.path, tokens)), candidate))
    if format is Format.json:
        put(json.dumps([_values(each) for each in every], ensure_ascii=False) + "\n")
    elif every:
        head = ("at", "who", "candidate", "fields", "through")
        show(columns([_line(each) for each in every], head=head, whole=(0,)))
    else:
        say("No accesses to personal data are written down.")
    return DONE


def _line(seen: Seen) -> tuple[str, ...]:
    at = format_instant(seen.at)
    return at, seen.identity, seen.candidate, ", ".join(seen.fields) or "none", seen.page


def _values(seen: Seen) -> dict[str, object]:
    return seen._asdict() | {"at": format_instant(seen.at)}
