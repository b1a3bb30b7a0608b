"""`explore`: the read model in a browser, with the questions that auditors ask."""

from __future__ import annotations

import threading
import webbrowser
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import HostNames, ReadModelFile, command, read_model_of
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.explore.connection import connected
from attempt_ledger.explore.serving import explorer, serve
from attempt_ledger.listening import address_of, listening_on
from replay.read_model.state import Other, is_there


@command(
    "explore",
    examples="""
    attempt-ledger project
    attempt-ledger explore --open
    attempt-ledger explore --views /srv/reports/attempts.views --port 8080
    """,
)
def explore(
    context: typer.Context,
    views: ReadModelFile = None,
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, max=65_535, help="0: any that is free.")
    ] = 8001,
    host: Annotated[
        str,
        typer.Option("--host", metavar="H", help="Where to listen; by default this machine alone."),
    ] = "127.0.0.1",
    names: HostNames = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> int:
    """Open the read model in Datasette, until Ctrl-C.

    Tables with what their columns mean, counted and narrowed down by the columns that matter, and
    questions to ask: who was waiting on a day, whom a correction changed, what was recorded
    late, who decided exceptions, what was annulled by whom and more; each as a page, CSV or JSON.
    Or any SQL that reads, within bounds of time and memory. Nothing can be changed, no other file
    is opened, the ledger neither; `project --follow` may go on meanwhile.

    It answers to the name it listens on and to --name: a request for any other host is refused.

    Needs Datasette: pip install 'attempt-ledger[explore]'.
    """
    call = call_of(context)
    path = read_model_of(call.path, views)
    _look(path)
    datasette = explorer(path, clock.now)
    with listening_on(host, port) as listening:
        port = listening.getsockname()[1]
        url = f"{address_of(host, port)}/views"
        say(f"{path} is at {url} until Ctrl-C")
        if open_:
            _show(url)
        with suppress(KeyboardInterrupt):
            serve(datasette, listening, {host, *(names or ())})
    return DONE


def _look(path: Path) -> None:
    """Check that a finished read model of this release is there."""
    try:
        there = is_there(path)
    except Other as other:
        raise CallProblem(f"{path} is {other}: `project` builds it anew") from None
    if not there:
        raise CallProblem(f"there is no read model at {path}: `project` makes it")
    with closing(connected(path, clock.now)) as connection:
        if connection.execute("SELECT ledger FROM position").fetchone() is None:
            raise CallProblem(f"the read model at {path} is not finished: `project` goes on")


def _show(url: str) -> None:
    # Some browsers are programs that end only when they are closed.
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
