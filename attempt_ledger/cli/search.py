"""`search`: find candidates by the beginning of an id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.forms import LISTED, ListFormat, form_of
from attempt_ledger.cli.listing import Listing, put_list
from attempt_ledger.cli.options import Output, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.pages import Columns, columns
from attempt_ledger.cli.problems import DONE
from ledger.store.interface import Found
from replay.formats import About
from replay.many import many

_BY = {"registration_id": "registration", "request_id": "request"}


@command(
    "search",
    examples="""
    attempt-ledger search C-10
    attempt-ledger search R-77 --format json
    attempt-ledger search C-10 --limit 1000 --output found.xlsx
    """,
)
def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="How the id begins.")],
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")
    ] = 20,
    format: ListFormat = None,
    output: Output = None,
) -> int:
    """Find candidates by id, registration id or request id.

    TEXT is how the id begins.
    """
    form = form_of(LISTED, format, output)
    with call_of(context).open() as ledger:
        found = ledger.search(text, limit + 1)
    values = [each._asdict() for each in found[:limit]]
    listing = Listing(
        About("Candidates found", (f"ids that begin with {text}",)),
        lambda: page_of(found[:limit]) if found else None,
        lambda: (json.dumps(each, ensure_ascii=False) for each in values),
        lambda: many("listed_rows")("search", values),
    )
    put_list(listing, form, output)
    if not found:
        say(f"no id of a candidate, registration or request begins with {text!r}")
    if len(found) > limit:
        say(f"there are more than these {limit}: give more of the id, or a higher --limit")
    return DONE


def page_of(found: Sequence[Found]) -> Columns:
    """Show candidates, and beside each by which other id it was found."""
    return columns(
        [
            (each.candidate, f"{_BY[each.by]} {each.value}" if each.by in _BY else "")
            for each in found
        ],
        whole=(0, 1),
    )
