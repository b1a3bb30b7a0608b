"""`subject-access`: everything recorded of one person, in clear, as a page and as data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.clear_text import note_accesses
from attempt_ledger.cli.context import call_of, no_candidate
from attempt_ledger.cli.options import ACTOR, Actor, TokenFile, command
from attempt_ledger.cli.output import say, text_to
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.subject_access import (
    personal_fields,
    record_of,
    write_data,
    write_record_page,
)
from replay.snapshot import snapshot_at


@command(
    "subject-access",
    examples="""
    attempt-ledger subject-access C-1001 --output C-1001
    attempt-ledger --keys /secure/attempts.keys subject-access C-1001 --output C-1001 --actor robin
    """,
)
def subject_access(
    context: typer.Context,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="DIR",
            help="The folder to write index.html and data.json into; made if it is missing.",
        ),
    ],
    actor: Actor = ACTOR,
    tokens: TokenFile = None,
) -> int:
    """Write everything recorded of one person, in clear.

    A page for the person, index.html, and the same as data, data.json, which nobody but this
    account may read. Personal fields are read with the key file; what was erased says so. That
    they were read is written down first, beside the tokens: `audit access` lists who did.
    """
    now = clock.now()
    call = call_of(context)
    if output.exists() and not output.is_dir():
        raise CallProblem(f"--output {output} is a file: name a folder")
    with call.open() as ledger:
        snapshot = snapshot_at(ledger, now, now=now)
        events = snapshot.events(candidate)
        if not events:
            raise no_candidate(candidate, ledger)
        shown = {candidate: personal_fields(events)}
        register = note_accesses(call.path, shown, "subject-access", tokens, actor)
        record = record_of(ledger, snapshot, candidate, register.accesses(candidate), now=now)
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    page, data = output / "index.html", output / "data.json"
    with text_to(page, private=True) as file:
        write_record_page(record, file)
    with text_to(data, private=True) as file:
        write_data(record, file)
    say(f"{page} and {data}: written, {len(events):,} events; the access was written down")
    return DONE
