"""`authorization grant`, `revoke` and `list`: whom applications, purchases and courses let sit."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli import pages
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
    Time,
    command,
)
from attempt_ledger.cli.output import put_now, say
from attempt_ledger.cli.pages import Columns, Stack, Text, columns, labelled
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant, not_blank
from ledger.facts import Fact
from ledger.instants import format_instant
from ledger.models import AuthorizationGranted, make_event
from projections.authorizations import Authorization
from projections.exception_rules import DeskProblem
from projections.sentences import IN_UTC, Show
from replay.authorizations import Authorizations, Authorized
from replay.desk import WrongCall
from replay.formats import About
from replay.many import many

Candidate = Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")]
_STYLES = {"running": pages.GOOD, "revoked": pages.BAD}


class State(StrEnum):
    """What an authorization has come to."""

    running = "running"
    used = "used"
    ended = "ended"
    revoked = "revoked"


@command(
    "authorization grant",
    examples="""
    attempt-ledger authorization grant C-1001 PMP --sittings 3 --valid-until 2022-03-01
    attempt-ledger authorization grant C-1001 PMP --id APP-77 --reason 'application approved'
    """,
)
def grant(
    context: typer.Context,
    candidate: Candidate,
    exam: Annotated[str, typer.Argument(metavar="EXAM", help="The exam's code.")],
    id: Annotated[
        str | None,
        typer.Option(
            "--id",
            "--authorization-id",
            metavar="ID",
            help="Names the authorization: with it the same call again records nothing. Default: "
            "generated, and printed first.",
        ),
    ] = None,
    valid_until: Annotated[
        str | None,
        typer.Option(
            "--valid-until", metavar="T", help="Ends at this instant. Default: it has no end."
        ),
    ] = None,
    sittings: Annotated[
        int | None,
        typer.Option(
            "--sittings", metavar="N", help="How many it serves. Default: what the policy says."
        ),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="Why, without personal data."),
    ] = None,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Authorize a candidate to sit an exam.

    For exams whose policy requires it: an application was approved, a purchase made, a course
    taken. It runs from its time on, until it ends, is withdrawn, or has served its sittings. The
    candidate need not be known yet. To change its terms, revoke it first, or give another id.
    """
    fields: dict[str, object] = {
        "exam": exam,
        "authorization_id": f"A-{secrets.token_hex(6)}" if id is None else id,
    }
    if valid_until is not None:
        fields["valid_until"] = format_instant(instant("--valid-until", valid_until))
    if sittings is not None:
        fields["sittings"] = sittings
    if reason is not None:
        fields["reason"] = not_blank("--reason", reason)
    event = make_event("AuthorizationGranted", fields)
    assert isinstance(event, AuthorizationGranted)
    at, now = None if time is None else instant("--time", time), clock.now()
    Fact("urn", event.authorization_id, candidate, now if at is None else at, event, actor).row()

    def decide(desk: Authorizations) -> Authorized:
        if id is None:
            put_now(f"{event.authorization_id}\n")
        return desk.grant(candidate, event, now=now, time=at, actor=actor)

    return decided(context, decide)


@command(
    "authorization revoke",
    examples="attempt-ledger authorization revoke C-1001 APP-77 --reason 'the fee came back'",
)
def revoke(
    context: typer.Context,
    candidate: Candidate,
    id: Annotated[str, typer.Argument(metavar="ID", help="The authorization's id.")],
    reason: Annotated[
        str,
        typer.Option(
            "--reason", "--why", metavar="TEXT", help="Why, in a sentence without personal data."
        ),
    ],
    exam: Annotated[
        str | None,
        typer.Option(
            "--exam", metavar="EXAM", help="Which exam, where an id is used for several exams."
        ),
    ] = None,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Withdraw an authorization.

    From its time on nothing is known to have been authorized by it: sittings that it served are
    then served by others, or by none. It may be granted anew, and starts afresh.
    """
    why = not_blank("--reason", reason)
    at, now = None if time is None else instant("--time", time), clock.now()
    return decided(
        context,
        lambda desk: desk.revoke(
            candidate, id, reason=why, now=now, exam=exam, time=at, actor=actor
        ),
    )


def decided(context: typer.Context, decide: Callable[[Authorizations], Authorized]) -> int:
    """Have an authorization granted or withdrawn, say what came of it, return the exit code."""
    with call_of(context).open(to_write=True) as ledger:
        try:
            found, positions = decide(Authorizations(ledger))
        except WrongCall as problem:
            raise CallProblem(str(problem)) from None
        except DeskProblem as problem:
            say(str(problem))
            return REFUSED
    name = found.authorization_id
    terms = f": {terms_of(found)}" if found.state == "running" else ""
    if positions:
        became = "revoked" if found.state == "revoked" else "granted"
        say(f"{name} is {became}, recorded at position {positions[-1]}{terms}")
    else:
        say(f"{name} is {found.state} already, nothing was recorded{terms}")
    return DONE


def terms_of(found: Authorization) -> str:
    """Return what an authorization lets its candidate do."""
    number = {None: "any number of sittings", 1: "one sitting"}.get(found.sittings)
    ends = "" if found.valid_until is None else f" before {format_instant(found.valid_until)}"
    return f"{number or f'{found.sittings} sittings'} of {found.exam}{ends}"


@command(
    "authorization list",
    examples="""
    attempt-ledger authorization list C-1001
    attempt-ledger authorization list --exam PMP --state running --format csv
    """,
)
def list_(
    context: typer.Context,
    candidate: CandidateOrAll = None,
    exam: ExamOption = None,
    state: Annotated[State | None, typer.Option("--state", help="Only in this state.")] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    format: ListFormat = None,
    output: Output = None,
) -> int:
    """List authorizations, and how many sittings each has served.

    They are sorted by candidate, the oldest first of each. JSON is an array of objects; csv and the
    like have a row for each authorization.
    """
    form = form_of(LISTED, format, output)
    with listed_at(context, candidate, as_of, known_at) as (ledger, moment):
        chosen = [
            each
            for each in Authorizations(ledger).every(moment, candidate)
            if exam in (None, each.exam) and state in (None, each.state)
        ]
    listing = Listing(
        About("authorizations"),
        lambda: by_candidate(chosen, lambda each: each.candidate, lambda each: lines(each, IN_UTC)),
        lambda: (each.model_dump_json() for each in chosen),
        lambda: many("authorization_rows")(chosen),
    )
    put_list(listing, form, output)
    if not chosen and form == "text":
        say("No authorizations.")
    return DONE


def lines(found: Authorization, show: Show) -> Columns:
    """Show one authorization: its id and exam, its state, and below that everything else."""
    state = Text(found.state, _STYLES.get(found.state, pages.QUIET))
    first = Text(found.exam, pages.HEAD, Text("  "), state, Text(f" {show(found.changed_at)}"))
    below = labelled(details(found, show))
    return columns([(Text(found.authorization_id, pages.HEAD), Stack(first, below))], whole=(0,))


def details(found: Authorization, show: Show) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of an authorization, name by name."""
    if found.granted_at not in (None, found.changed_at):
        yield "granted", show(found.granted_at or 0)
    if found.valid_until is not None:
        yield "valid until", show(found.valid_until)
    most = "" if found.sittings is None else f" of {found.sittings}"
    yield "served", f"{found.served}{most}"
    if found.reason is not None:
        yield "why", found.reason
    for cause in found.events:
        yield "event", f"{cause.source} {cause.id}"
