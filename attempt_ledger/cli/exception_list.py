"""`exception list`: what was asked, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated

import typer

from attempt_ledger.cli import pages
from attempt_ledger.cli.clear_text import note_accesses
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.forms import LISTED, ListFormat, form_of
from attempt_ledger.cli.listing import Listing, by_candidate, listed_at, put_list
from attempt_ledger.cli.options import (
    ACTOR,
    Actor,
    AsOf,
    CandidateOrAll,
    ExamOption,
    KnownAt,
    Output,
    TokenFile,
    command,
)
from attempt_ledger.cli.output import say
from attempt_ledger.cli.pages import Columns, Stack, Text, columns, labelled
from attempt_ledger.cli.problems import DONE, CallProblem
from projections.exceptions import Request
from projections.remarks import by_whom
from projections.sentences import IN_UTC, Show, listed
from replay.desk import Desk, readable
from replay.formats import About
from replay.many import many
from replay.receipts import moment_text

_STYLES = {"open": pages.WAIT, "rejected": pages.BAD, "granted": pages.GOOD, "revoked": pages.BAD}

Clear = Mapping[str, str | Mapping[str, bool]]
"""Personal fields in clear text, or that they were erased; empty unless they were asked for."""


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
    candidate: CandidateOrAll = None,
    exam: ExamOption = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only what is to be decided.")] = False,
    state: Annotated[State | None, typer.Option("--state", help="Only in this state.")] = None,
    clear: Annotated[
        bool,
        typer.Option(
            "--clear",
            help="Show personal fields too, in clear text, which is written down first: see "
            "`audit access`.",
        ),
    ] = False,
    actor: Actor = ACTOR,
    tokens: TokenFile = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    format: ListFormat = None,
    output: Output = None,
) -> int:
    """List requests, and what became of each.

    They are sorted by candidate, the oldest first of each. JSON is an array of objects; csv and the
    like have a row for each request. Personal fields are left out unless --clear asks for them; of
    a forgotten candidate each is then shown as erased, {"erased": true} in JSON.
    """
    form = form_of(LISTED, format, output)
    if is_open and state is not None:
        raise CallProblem("--open and --state ask for different things: give one of them")
    wanted = State.open if is_open else state
    with listed_at(context, candidate, as_of, known_at) as (ledger, moment):
        desk = Desk(ledger)
        chosen = [
            (each, desk.clear(each) if clear else {})
            for each in desk.requests(moment, candidate, None if wanted is None else wanted.value)
            if exam in (None, each.exam)
        ]
    if shown := in_clear(chosen):
        note_accesses(call_of(context).path, shown, "exception list --clear", tokens, actor)

    listing = Listing(
        About("Requests for exceptions", (moment_text(*moment),)),
        lambda: by_candidate(
            chosen,
            lambda each: each[0].candidate,
            lambda each: request_lines(each[0], each[1], IN_UTC),
        ),
        lambda: map(request_object, chosen),
        lambda: many("request_rows")(chosen, clear=clear),
        private=clear,
    )
    put_list(listing, form, output)
    if not chosen and form == "text":
        say("No open requests." if wanted is State.open else "No requests.")
    return DONE


def in_clear(chosen: Iterable[tuple[Request, Clear]]) -> Mapping[str, tuple[str, ...]]:
    """Return by candidate the fields that are shown in clear text: not those erased."""
    found: dict[str, dict[str, None]] = {}
    for request, clear in chosen:
        if fields := readable(clear):
            found.setdefault(request.candidate, {}).update(dict.fromkeys(fields))
    return {candidate: tuple(fields) for candidate, fields in found.items()}


def request_object(chosen: tuple[Request, Clear]) -> str:
    """Write a request as a JSON object."""
    request, clear = chosen
    answer = request.model_dump(mode="json") | ({"clear": dict(clear)} if clear else {})
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def request_lines(request: Request, clear: Clear, show: Show) -> Columns:
    """Show one request: its id and exam, its state, and below that everything else."""
    state = Text(request.state, _STYLES.get(request.state, pages.QUIET))
    first = Text(request.exam, pages.HEAD, Text("  "), state, Text(f" {show(request.changed_at)}"))
    below = labelled(details(request, clear, show))
    return columns([(Text(request.request_id, pages.HEAD), Stack(first, below))], whole=(0,))


def details(request: Request, clear: Clear, show: Show) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a request, name by name."""
    if request.requested_at is not None:
        yield "requested", f"{show(request.requested_at)}{by_whom(request.requested_by)}"
    if request.reason:
        yield "reason", request.reason
    if request.registration_id:
        yield "sitting", request.registration_id
    if request.waives:
        ends = request.valid_until
        until = "" if ends is None else f", until {show(ends)}"
        yield "waives", f"{listed(request.waives)}{until}"
    if request.decided_by is not None:
        yield "decided", f"by {request.decided_by}"
    if request.used_by is not None:
        yield "used by", request.used_by
    if request.why is not None:
        yield "why", request.why
    for name, value in clear.items():
        unread = pages.UNREADABLE if "unreadable" in value else pages.ERASED
        yield name, value if isinstance(value, str) else unread
    for cause in request.events:
        yield "event", f"{cause.source} {cause.id}"
