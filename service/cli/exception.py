"""`exception`: the desk for retake exceptions: ask, grant, reject, revoke, list."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service import clock
from service.cli.call import call_of
from service.cli.exception_file import read_request
from service.cli.options import (
    ACTOR,
    Actor,
    AsOf,
    Format,
    FormatOption,
    KnownAt,
    Time,
    command,
    group,
)
from service.cli.output import put, put_now, say
from service.cli.problems import DONE, REFUSED, CallProblem
from service.cli.values import instant, known

if TYPE_CHECKING:
    from projections.exceptions import Request
    from replay.desk import Desk, Matter, Told

app = group(
    "Ask for retake exceptions; grant, reject, revoke, list them.\n\n"
    "Names, e-mail address and description are kept encrypted. Reasons (--reason, --why) and "
    "--actor are kept in clear text: no personal data belongs there."
)


class Waive(StrEnum):
    """What a grant may waive."""

    wait = "wait"
    cap = "cap"


class State(StrEnum):
    """What a request has come to."""

    open = "open"
    rejected = "rejected"
    granted = "granted"
    used = "used"
    expired = "expired"
    revoked = "revoked"


Candidate = Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")]
RequestId = Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The request's id.")]
WhichExam = Annotated[
    str | None,
    typer.Option(
        "--exam", metavar="EXAM", help="Which exam, where an id is asked for several exams."
    ),
]


def field(name: str, help: str, *more: str) -> typer.models.OptionInfo:
    """Make the option of one field of a request."""
    option: typer.models.OptionInfo = typer.Option(
        f"--{name.replace('_', '-')}", *more, metavar="TEXT", help=help
    )
    return option


@command(
    app,
    "request",
    examples="""
    attempt-ledger exception request C-1001 AZ-104 --from request.toml
    attempt-ledger exception request C-1001 AZ-104 --from - --request-id X-17
    attempt-ledger exception request C-1001 AZ-104 --registration R-77 \\
        --reason lab-crash --candidate-id C-1001 --exam-number AZ-104 \\
        --first-name Robin --last-name Sample --email robin@example.org \\
        --vue-case-number 0815 --description 'The lab went dark.'
    """,
)
def request(
    context: typer.Context,
    candidate: Candidate,
    exam: Annotated[str, typer.Argument(metavar="EXAM", help="The exam's code.")],
    registration_id: Annotated[
        str | None,
        field("registration", "The registration of the failed sitting.", "--registration-id"),
    ] = None,
    reason: Annotated[
        str | None, field("reason", "One of the policy's reasons, such as lab-crash.")
    ] = None,
    first_name: Annotated[str | None, field("first_name", "Kept encrypted.")] = None,
    last_name: Annotated[str | None, field("last_name", "Kept encrypted.")] = None,
    email: Annotated[str | None, field("email", "Kept encrypted.")] = None,
    description: Annotated[
        str | None, field("description", "What went wrong; kept encrypted.")
    ] = None,
    exam_number: Annotated[
        str | None, field("exam_number", "The exam number as the candidate gave it.")
    ] = None,
    vue_case_number: Annotated[
        str | None, field("vue_case_number", "The testing centre's case number.")
    ] = None,
    candidate_id: Annotated[
        str | None, field("candidate_id", "The candidate id as the candidate gave it.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A TOML file with the fields by name, or - for standard input; options win over "
            "it. It keeps personal data out of the shell's history.",
        ),
    ] = None,
    request_id: Annotated[
        str | None,
        typer.Option(
            "--request-id",
            metavar="ID",
            help="Names the request: with it the same call again records nothing. Default: one is "
            "drawn, and printed first.",
        ),
    ] = None,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Ask for a retake exception; it is answered at once.

    It is left open for somebody to grant or reject, or rejected with everything that is wrong:
    each field missing that the policy requires, a reason that is not in its list, a registration
    that is no failed sitting of the candidate and exam. Both ways it is recorded. The exit code of
    a rejected request is 1.
    """
    from ledger.events import ExceptionRequested, make_event

    options = {
        "registration_id": registration_id,
        "reason": reason,
        "exam_number": exam_number,
        "vue_case_number": vue_case_number,
        "candidate_id": candidate_id,
        "first_name": first_name,
        "last_name": last_name,
        "email": email,
        "description": description,
        "request_id": request_id,
    }
    fields: dict[str, str] = {"registration_id": "", "reason": ""}
    if file is not None:
        fields |= read_request(file, list(ExceptionRequested.model_fields))
        if fields.setdefault("exam", exam) != exam:
            raise CallProblem(f"{file} is a request for {fields['exam']!r}, the call for {exam!r}")
    fields |= {name: text for name, text in options.items() if text is not None}
    drawn = "request_id" not in fields
    fields |= {"exam": exam, "request_id": fields.get("request_id") or f"X-{secrets.token_hex(6)}"}
    at = None if time is None else instant("--time", time)
    asked = make_event("ExceptionRequested", fields)
    assert isinstance(asked, ExceptionRequested)

    def ask(desk: Desk) -> Told:
        if drawn:
            put_now(f"{asked.request_id}\n")
        return desk.request(candidate, asked, now=clock.now(), time=at, actor=actor)

    told = tell_desk(context, ask)
    if told is None:
        return REFUSED
    answer, positions = told
    at_position = f"recorded at position {positions[-1]}" if positions else "as recorded before"
    if answer.state == "rejected":
        say(f"{answer.request_id} is rejected, {at_position}: {answer.why}")
        return REFUSED
    next_step = ": grant or reject it" if answer.state == "open" else ""
    say(f"{answer.request_id} is {answer.state}, {at_position}{next_step}")
    return DONE


@command(
    app,
    "grant",
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
    """Grant an open request: the next counted sitting of the exam may ignore what is waived."""
    waives = None if not waive else [each.value for each in waive]
    ends = None if valid_until is None else instant("--valid-until", valid_until)
    matter = _matter(candidate, request_id, exam, time, actor)
    return decided(context, lambda desk: desk.grant(matter, waives=waives, valid_until=ends))


@command(
    app,
    "reject",
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
    app,
    "revoke",
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
    """Withdraw a grant that is not used yet; the request may be granted anew."""
    matter = _matter(candidate, request_id, exam, time, actor)
    said = _said("--reason", reason)
    return decided(context, lambda desk: desk.revoke(matter, reason=said))


@command(
    app,
    "list",
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
    """List requests and what became of them, sorted by candidate, the oldest first of each.

    JSON is an array of objects. Personal fields are left out unless --clear asks for them.
    """
    if is_open and state is not None:
        raise CallProblem("--open and --state ask for different things: give one of them")
    wanted = State.open if is_open else state
    now = clock.now()
    at = now if as_of is None else instant("--as-of", as_of)
    moment_known = known(known_at)

    from replay.desk import Desk
    from replay.moment import moment_at

    with call_of(context).open() as ledger:
        if candidate is not None and not ledger.stream(f"candidate/{candidate}"):
            raise CallProblem(
                f"nothing is recorded of a candidate {candidate!r} in {ledger.path}: `search` "
                "finds candidates by the beginning of an id"
            )
        desk = Desk(ledger)
        chosen = (
            (each, desk.clear(each) if clear else {})
            for each in desk.requests(moment_at(ledger, at, moment_known, now), candidate)
            if exam in (None, each.exam) and wanted in (None, each.state)
        )
        if format is Format.json:
            _put_json(chosen)
        else:
            _put_text(chosen)
    return DONE


def tell_desk(context: typer.Context, tell: Callable[[Desk], Told]) -> Told | None:
    """Tell the desk something and give what came of it; None, and said why, if it refused."""
    from projections.exception_rules import DeskProblem
    from replay.desk import Desk, UnknownRequest

    with call_of(context).open(to_write=True) as ledger:
        try:
            return tell(Desk(ledger))
        except UnknownRequest as problem:
            raise CallProblem(str(problem)) from None
        except DeskProblem as problem:
            say(str(problem))
            return None


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
    """Say what a grant waives and for how long; nothing of any other request."""
    if request.state != "granted":
        return ""
    from ledger.instants import format_instant
    from projections.exception_rules import listed

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


def _put_json(chosen: Iterable[tuple[Request, Mapping[str, str]]]) -> None:
    put("[")
    for number, (request, clear) in enumerate(chosen):
        answer = request.model_dump(mode="json") | ({"clear": dict(clear)} if clear else {})
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
        put(f",{text}" if number else text)
    put("]\n")


def _put_text(chosen: Iterable[tuple[Request, Mapping[str, str]]]) -> None:
    from projections.sentences import IN_UTC
    from service.cli.exception_text import requests_page
    from service.cli.output import console

    page = console()
    first = True
    for candidate, told in groupby(chosen, lambda each: each[0].candidate):
        if not first:
            page.print()
        page.print(requests_page(candidate, list(told), IN_UTC))
        first = False
    if first:
        say("there is no such request")
