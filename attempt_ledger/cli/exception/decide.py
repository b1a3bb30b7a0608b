"""`exception grant`, `reject` and `revoke`: what a person decides about a request."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.exception.desk import Candidate, tell_desk
from attempt_ledger.cli.options import ACTOR, Actor, Time, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant

if TYPE_CHECKING:
    from projections.exceptions import Request
    from replay.desk import Desk, Matter, Told


class Waive(StrEnum):
    """What a grant may waive."""

    wait = "wait"
    cap = "cap"


RequestId = Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The request's id.")]
WhichExam = Annotated[
    str | None,
    typer.Option(
        "--exam", metavar="EXAM", help="Which exam, where an id is asked for several exams."
    ),
]


@command(
    "exception grant",
    examples="""
    attempt-ledger exception grant C-1001 X-17
    attempt-ledger exception grant C-1001 X-17 --waive wait --valid-until 2021-06-01
    """,
)
def grant(
    context: typer.Context,
    candidate: Candidate,
    request_id: RequestId,
    waive: Annotated[
        list[Waive] | None,
        typer.Option(
            "--waive", help="What one sitting may ignore; repeatable. Default: all the policy lets."
        ),
    ] = None,
    valid_until: Annotated[
        str | None,
        typer.Option(
            "--valid-until",
            metavar="T",
            help="The first instant at which it is valid no longer. Default: until it is used or "
            "revoked.",
        ),
    ] = None,
    exam: WhichExam = None,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Grant an open request.

    One sitting of the exam, the next that counts, may ignore what is waived. A grant that was
    revoked may be made anew; to change its terms, revoke it first.
    """
    waives = None if not waive else [each.value for each in waive]
    ends = None if valid_until is None else instant("--valid-until", valid_until)
    matter = _matter(candidate, request_id, exam, time, actor)
    return decided(context, lambda desk: desk.grant(matter, waives=waives, valid_until=ends))


@command(
    "exception reject",
    examples="attempt-ledger exception reject C-1001 X-17 --why 'the centre saw no failure'",
)
def reject(
    context: typer.Context,
    candidate: Candidate,
    request_id: RequestId,
    why: Annotated[
        str,
        typer.Option(
            "--why", "--reason", metavar="TEXT", help="Why, in a sentence without personal data."
        ),
    ],
    exam: WhichExam = None,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Reject an open request."""
    matter = _matter(candidate, request_id, exam, time, actor)
    said = _said("--why", why)
    return decided(context, lambda desk: desk.reject(matter, why=said))


@command(
    "exception revoke",
    examples="attempt-ledger exception revoke C-1001 X-17 --reason 'granted in error'",
)
def revoke(
    context: typer.Context,
    candidate: Candidate,
    request_id: RequestId,
    reason: Annotated[
        str,
        typer.Option(
            "--reason", "--why", metavar="TEXT", help="Why, in a sentence without personal data."
        ),
    ],
    exam: WhichExam = None,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Withdraw a grant that is not used yet.

    The request may be granted anew, on other terms or the same.
    """
    matter = _matter(candidate, request_id, exam, time, actor)
    said = _said("--reason", reason)
    return decided(context, lambda desk: desk.revoke(matter, reason=said))


def decided(context: typer.Context, decide: Callable[[Desk], Told]) -> int:
    """Have the desk decide a request, say what came of it, and give the exit code."""
    told = tell_desk(context, decide)
    if told is None:
        return REFUSED
    request, positions = told
    state = f"{request.request_id} is {request.state}"
    if positions:
        say(f"{state}, recorded at position {positions[-1]}{_terms(request)}")
    else:
        say(f"{state} already, nothing was recorded{_terms(request)}")
    return DONE


def _terms(request: Request) -> str:
    """Return what a grant waives and for how long; nothing of any other request."""
    if request.state != "granted":
        return ""
    from ledger.instants import format_instant
    from projections.sentences import listed

    ends = request.valid_until
    until = "" if ends is None else f" before {format_instant(ends)}"
    return f": one sitting of {request.exam}{until} may ignore {listed(request.waives)}"


def _matter(
    candidate: str, request_id: str, exam: str | None, time: str | None, actor: str
) -> Matter:
    from replay.desk import Matter

    at = None if time is None else instant("--time", time)
    return Matter(candidate, request_id, clock.now(), exam, at, actor)


def _said(option: str, text: str) -> str:
    if not text.strip():
        raise CallProblem(f"{option} should say why")
    return text
