"""`search`: find candidates by the beginning of an id."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import Format, FormatOption, command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE
from ledger.problems import printable

_BY = {"registration_id": "registration", "request_id": "request"}


@command(
    "search",
    examples="""
    attempt-ledger search C-10
    attempt-ledger search R-77 --format json
    """,
)
def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="How the id begins.")],
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")
    ] = 20,
    format: FormatOption = Format.text,
) -> int:
    """Find candidates by id, registration id or request id.

    TEXT is how the id begins.
    """
    with call_of(context).open() as ledger:
        found = ledger.search(text, limit + 1)
    if format is Format.json:
        put(json.dumps([each._asdict() for each in found[:limit]], ensure_ascii=False) + "\n")
    else:
        width = max((len(each.candidate) for each in found), default=0)
        for each in found[:limit]:
            by = f"  {_BY[each.by]} {each.value}" if each.by in _BY else ""
            put(printable(f"{each.candidate:<{width}}{by}".rstrip()) + "\n")
    if not found:
        say(f"no id of a candidate, registration or request begins with {text!r}")
    if len(found) > limit:
        say(f"there are more than these {limit}: give more of the id, or a higher --limit")
    return DONE
