"""`project`: keep the read model up to the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE
from attempt_ledger.cli.read_model import ReadModelFile, options, read_model_of
from replay.read_model.follow import keeper


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
    """Bring the read model up to the ledger.

    It is an SQLite file of its own, which may be deleted at any time: sittings, standings (a
    timeline: everybody as of any date), corrections, problems, exceptions, certifications, exams,
    policies, every event without its data, and the position that they stand for. Its tables have
    the latest knowledge; `export --table` computes them at any other time. docs/tables.md describes
    them.

    When the catalogue or a policy changes, the exams it bears on are listed as stale (the table
    stale) until their rows are folded again. One process at a time keeps a read model: a second one
    stops with a message. One of another schema or ledger is built anew.
    """
    call = call_of(context)
    call.check()
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
