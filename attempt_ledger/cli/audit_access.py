"""`audit access`: who read personal data in clear text."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from attempt_ledger.api.register import Access, Register, register_path
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
    every = Register(register_path(call.path, tokens)).accesses(candidate)
    if format is Format.json:
        put(json.dumps([_values(each) for each in every], ensure_ascii=False) + "\n")
    elif every:
        head = ("at", "who", "candidate", "fields", "through")
        show(columns([_line(each) for each in every], head=head, whole=(0,)))
    else:
        say("No accesses to personal data are written down.")
    return DONE


def _line(access: Access) -> tuple[str, ...]:
    fields = ", ".join(access.fields) or "none"
    return format_instant(access.at), access.identity, access.candidate, fields, access.page


def _values(access: Access) -> dict[str, object]:
    return access._asdict() | {"at": format_instant(access.at)}
