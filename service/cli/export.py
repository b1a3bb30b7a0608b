"""`export`: every event as a line, in the order of the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.call import call_of
from service.cli.options import Output, command, group
from service.cli.output import say, text_to
from service.cli.problems import DONE

app = group()


@command(
    app,
    "export",
    examples="""
    attempt-ledger export --output history.jsonl
    attempt-ledger export --after 1200 | gzip > since-1200.jsonl.gz
    attempt-ledger --ledger sqlite:///copy.ledger init --bare
    attempt-ledger --ledger sqlite:///copy.ledger import --keep-recorded-at history.jsonl
    """,
)
def export(
    context: typer.Context,
    after: Annotated[
        int, typer.Option("--after", metavar="POSITION", min=0, help="Only what comes after it.")
    ] = 0,
    output: Output = None,
) -> int:
    """Write the ledger's events as CloudEvents JSON, one a line.

    Personal fields go out as ciphertext. Imported into a bare ledger with --keep-recorded-at the
    lines give the same ledger; its personal fields open with a copy of the key file.
    """
    from ledger.wire import to_cloudevent

    count = 0
    with call_of(context).open() as ledger, text_to(output) as file:
        for event in ledger.read(after):
            file.write(f"{to_cloudevent(event)}\n")
            count += 1
    if output is not None:
        say(f"{output}: {count:,} event{'' if count == 1 else 's'}")
    return DONE
