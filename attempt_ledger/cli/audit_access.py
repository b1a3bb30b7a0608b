"""`audit access`: who read personal data in clear text."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from attempt_ledger.api.register import Access, Register, register_path
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.forms import LISTED, ListFormat, form_of
from attempt_ledger.cli.listing import Listing, put_list
from attempt_ledger.cli.options import Output, TokenFile, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.pages import columns
from attempt_ledger.cli.problems import DONE
from ledger.instants import format_instant
from replay.formats import About
from replay.many import many


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
    format: ListFormat = None,
    output: Output = None,
) -> int:
    """List who read personal data in clear text, and when.

    Through the service and its console, by `subject-access`, `history --clear` and `exception list
    --clear`. It is kept beside the tokens, not
    in the ledger. Whoever holds the key file can read it past every program, and no list says so.
    """
    form = form_of(LISTED, format, output)
    call = call_of(context)
    call.check()
    every = Register(register_path(call.path, tokens)).accesses(candidate)
    head = ("at", "who", "candidate", "fields", "through")
    listing = Listing(
        About("Accesses to personal data", ()),
        lambda: columns(map(_line, every), head=head, whole=(0,)) if every else None,
        lambda: (json.dumps(_values(each), ensure_ascii=False) for each in every),
        lambda: many("listed_rows")("audit access", (each._asdict() for each in every)),
    )
    put_list(listing, form, output)
    if not every and form == "text":
        say("No accesses to personal data are written down.")
    return DONE


def _line(access: Access) -> tuple[str, ...]:
    fields = ", ".join(access.fields) or "none"
    return format_instant(access.at), access.identity, access.candidate, fields, access.page


def _values(access: Access) -> dict[str, object]:
    return access._asdict() | {"at": format_instant(access.at)}
