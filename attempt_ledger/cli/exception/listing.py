"""`exception list`: what was asked, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, no_candidate
from attempt_ledger.cli.options import AsOf, Format, FormatOption, KnownAt, command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.cli.values import instant, known

if TYPE_CHECKING:
    from attempt_ledger.cli.exception.text import Clear
    from projections.exceptions import Request


class State(StrEnum):
    """What a request has come to."""

    open = "open"
    rejected = "rejected"
    granted = "granted"
    used = "used"
    expired = "expired"
    revoked = "revoked"


@command(
    "exception list",
    examples="""
    attempt-ledger exception list --open
    attempt-ledger exception list C-1001 --clear
    attempt-ledger exception list --exam AZ-104 --state granted --format json
    """,
)
def list_(
    context: typer.Context,
    candidate: Annotated[
        str | None,
        typer.Argument(metavar="[CANDIDATE]", help="The candidate's id. Left out: everyone's."),
    ] = None,
    exam: Annotated[
        str | None, typer.Option("--exam", metavar="EXAM", help="Only of this exam.")
    ] = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only what is to be decided.")] = False,
    state: Annotated[State | None, typer.Option("--state", help="Only in this state.")] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Show personal fields too, in clear text.")
    ] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    format: FormatOption = Format.text,
) -> int:
    """List requests, and what became of each.

    They are sorted by candidate, the oldest first of each. JSON is an array of objects. Personal
    fields are left out unless --clear asks for them; of a forgotten candidate each is then shown as
    erased, {"erased": true} in JSON.
    """
    if is_open and state is not None:
        raise CallProblem("--open and --state ask for different things: give one of them")
    wanted = State.open if is_open else state
    now = clock.now()
    at = now if as_of is None else instant("--as-of", as_of)
    moment_known = known(known_at)

    from replay.desk import Desk
    from replay.snapshot import snapshot_at

    with call_of(context).open() as ledger:
        if candidate is not None and not ledger.stream(f"candidate/{candidate}"):
            raise no_candidate(candidate, ledger)
        desk = Desk(ledger)
        moment = snapshot_at(ledger, at, moment_known, now=now).moment
        chosen = (
            (each, desk.clear(each) if clear else {})
            for each in desk.requests(moment, candidate)
            if exam in (None, each.exam) and wanted in (None, each.state)
        )
        if format is Format.json:
            _put_json(chosen)
        else:
            _put_text(chosen)
    return DONE


def _put_json(chosen: Iterable[tuple[Request, Clear]]) -> None:
    before = "["
    for request, clear in chosen:
        answer = request.model_dump(mode="json") | ({"clear": dict(clear)} if clear else {})
        put(before + json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
        before = ","
    put("[]\n" if before == "[" else "]\n")


def _put_text(chosen: Iterable[tuple[Request, Clear]]) -> None:
    from attempt_ledger.cli.exception.text import requests_page
    from attempt_ledger.cli.output import console
    from projections.sentences import IN_UTC

    page = console()
    first = True
    for candidate, told in groupby(chosen, lambda each: each[0].candidate):
        if not first:
            page.print()
        page.print(requests_page(candidate, list(told), IN_UTC))
        first = False
    if first:
        say("there is no such request")
