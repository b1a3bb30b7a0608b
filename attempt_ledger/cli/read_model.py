"""`project` and `rebuild`: the read model is kept up to the ledger, or compared with a new one."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import ReadModelFile, command, read_model_of
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, REFUSED
from attempt_ledger.cli.progress import counting
from attempt_ledger.places import cache_folder
from replay.read_model import rebuild as build
from replay.read_model.build import Options, options_of
from replay.read_model.follow import keeper
from replay.snapshot import Engine

LISTED = 100


def options() -> Options:
    """Return how to say on standard error what is done, and to compile when it comes to it."""
    return options_of(Engine(cache_folder(say), say=say), counting)


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
    path = read_model_of(call.path, views)
    with call.open() as ledger, keeper(ledger, path, options()) as kept:
        kept.catch_up()
        say(f"{path} stands for position {kept.position:,}")
        if follow:
            try:
                kept.follow(lambda: False)
            except KeyboardInterrupt:
                return DONE
    return DONE


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

    path, listed = read_model_of(call.path, views), 0

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
