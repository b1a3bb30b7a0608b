"""`project`: keep the views up to the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE
from attempt_ledger.cli.read_model import ReadModelFile, options, read_model_of


@command(
    "project",
    examples="""
    attempt-ledger project
    attempt-ledger project --follow
    attempt-ledger project --views /srv/reports/attempts.views
    """,
)
def project(
    context: typer.Context,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Go on, a fraction of a second behind, until Ctrl-C."),
    ] = False,
    views: ReadModelFile = None,
) -> int:
    """Bring the views up to the ledger.

    They are an SQLite file of their own, which may be deleted at any time: sittings, standings (a
    timeline: everybody as of any date), corrections, problems, exceptions, certifications, exams,
    policies, and the position that they stand for. They tell the latest knowledge; what was known
    at another time is `replay`'s to answer. docs/tables.md says what is in them.

    When the catalogue or a policy changes, the exams it bears on are marked stale (a column of
    exams) until their rows are folded again. One process at a time keeps a file: a second one says
    so and stops. ReadModel of another schema or ledger are built anew.
    """
    call = call_of(context)
    call.check()  # before anything dear is imported: a wrong call is told so at once

    from replay.read_model.follow import keeper

    path = read_model_of(call, views)
    with call.open() as ledger, keeper(ledger, path, options()) as kept:
        kept.catch_up()
        say(f"{path} stands for position {kept.position:,}")
        if follow:
            try:
                kept.follow(lambda: False)
            except KeyboardInterrupt:
                return DONE
    return DONE
