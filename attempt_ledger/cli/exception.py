"""`exception request`, `grant`, `reject` and `revoke`: retake exceptions, each answered at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import (
    ACTOR,
    Actor,
    Time,
    command,
)
from attempt_ledger.cli.output import put, put_now, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant, not_blank
from ledger.facts import Fact
from ledger.instants import format_instant
from ledger.intake.source import parse_toml, read_whole
from ledger.models import ExceptionRequested, make_event
from projections.catalogue import policy_at
from projections.exception_rules import DeskProblem
from projections.sentences import listed
from replay.desk import Answered, Desk, Reference, WrongCall
from replay.snapshot import snapshot_at

Candidate = Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")]
RequestId = Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The request's id.")]
WhichExam = Annotated[
    str | None,
    typer.Option(
        "--exam", metavar="EXAM", help="Which exam, where an id is asked for several exams."
    ),
]
_WHY = "Why, in a sentence without personal data."

WAIVED = {"wait": "the waiting period", "cap": "the cap", "passed": "the pass that stands"}


class Waive(StrEnum):
    """What a grant may waive."""

    wait = "wait"
    cap = "cap"
    passed = "passed"


def field(name: str, help: str, *more: str) -> typer.models.OptionInfo:
    """Make the option of one field of a request."""
    option: typer.models.OptionInfo = typer.Option(
        f"--{name.replace('_', '-')}", *more, metavar="TEXT", help=help
    )
    return option


@command(
    "exception request",
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
        field(
            "registration",
            "The registration of the failed sitting (or passed one, where that may be waived).",
            "--registration-id",
        ),
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
            help="Names the request: with it the same call again records nothing. Default: "
            "generated, and printed first.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Record nothing: only say what would be answered."),
    ] = False,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Request a retake exception, answered at once.

    It is left open for somebody to grant or reject, or rejected with everything that is wrong:
    each field missing that the policy requires, a reason that is not in its list, a registration
    that is no failed sitting of the candidate and exam (or passed one, where the policy lets
    passed be waived). Both ways it is recorded. The exit code of
    a rejected request is 1. An unknown candidate or exam, or another candidate's id, is a wrong
    call: nothing is recorded.
    """
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
    fields["exam"] = exam
    fields.setdefault("request_id", f"X-{secrets.token_hex(6)}")
    at = None if time is None else instant("--time", time)
    event = make_event("ExceptionRequested", fields)
    assert isinstance(event, ExceptionRequested)
    Fact("urn", event.request_id, candidate, clock.now(), event, actor).check_envelope()

    if check:
        return checked(context, lambda desk: desk.check(candidate, event, now=clock.now(), time=at))

    def ask(desk: Desk) -> Answered:
        if drawn:
            desk.check(candidate, event, now=clock.now(), time=at)  # a wrong call has no id
            put_now(f"{event.request_id}\n")
        return desk.request(candidate, event, now=clock.now(), time=at, actor=actor)

    answered = at_desk(context, ask)
    if answered is None:
        return REFUSED
    answer, positions = answered
    at_position = f"recorded at position {positions[-1]}" if positions else "as recorded before"
    if answer.state == "rejected":
        say(f"{answer.request_id} is rejected, {at_position}: {answer.why}")
        return REFUSED
    next_step = ": grant or reject it" if answer.state == "open" else ""
    say(f"{answer.request_id} is {answer.state}, {at_position}{next_step}")
    return DONE


def read_request(path: Path, fields: Collection[str]) -> dict[str, str]:
    """Read the fields of a request from a file, or from standard input for ``-``.

    Raises CallProblem, naming the file and the key, never showing a value: it may be personal. A
    file that cannot be read raises OSError, one over 16 MB SourceProblem.
    """
    where = "standard input" if str(path) == "-" else str(path)
    try:
        tree = parse_toml(read_whole(path).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise CallProblem(f"{where} is not UTF-8 at byte {error.start + 1}") from None
    except (ValueError, RecursionError) as error:
        raise CallProblem(f"{where} is not TOML: {error}") from None
    for name, value in tree.items():
        if name not in fields:
            raise CallProblem(
                f"{where}: {name!r} is no field of a request: accepted are {', '.join(fields)}"
            )
        if not isinstance(value, str):
            raise CallProblem(f'{where}: {name} should be text in quotes: {name} = "…"')
    return tree


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
            "--waive", help="What one sitting skips; repeatable. Default: all the policy lets."
        ),
    ] = None,
    valid_until: Annotated[
        str | None,
        typer.Option(
            "--valid-until",
            metavar="T",
            help="Expires at this instant. Default: valid until it is used or revoked.",
        ),
    ] = None,
    exam: WhichExam = None,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Grant an open request.

    One sitting of the exam, the next that counts, skips what is waived. A grant that was
    revoked may be made anew; to change its terms, revoke it first.
    """
    waives = None if not waive else [each.value for each in waive]
    ends = None if valid_until is None else instant("--valid-until", valid_until)
    of = reference(candidate, request_id, exam, time, actor)
    return decided(context, lambda desk: desk.grant(of, waives=waives, valid_until=ends))


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
        typer.Option("--why", "--reason", metavar="TEXT", help=_WHY),
    ],
    exam: WhichExam = None,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Reject an open request."""
    of = reference(candidate, request_id, exam, time, actor)
    reason = not_blank("--why", why)
    return decided(context, lambda desk: desk.reject(of, why=reason))


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
        typer.Option("--reason", "--why", metavar="TEXT", help=_WHY),
    ],
    exam: WhichExam = None,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Withdraw a grant that is not used yet.

    The request may be granted anew, on other terms or the same.
    """
    of = reference(candidate, request_id, exam, time, actor)
    why = not_blank("--reason", reason)
    return decided(context, lambda desk: desk.revoke(of, reason=why))


def checked(context: typer.Context, ask: Callable[[Desk], str | None]) -> int:
    """Print what would be answered, and return the exit code that the answer would have."""
    with call_of(context).open() as ledger:
        try:
            why = ask(Desk(ledger))
        except WrongCall as problem:
            raise CallProblem(str(problem)) from None
    say("it would be left open" if why is None else f"it would be rejected: {why}")
    return DONE if why is None else REFUSED


@command(
    "exception template",
    examples="attempt-ledger exception template AZ-104 > request.toml",
)
def template(
    context: typer.Context,
    exam: Annotated[str, typer.Argument(metavar="EXAM", help="The exam's code.")],
) -> int:
    """Write the file to fill in for a request of an exam.

    It has the fields that the exam's policy requires today, and the reasons that it accepts.
    """
    now = clock.now()
    with call_of(context).open() as ledger:
        snapshot = snapshot_at(ledger, now, now=now)
        policy = policy_at(snapshot.catalogue, exam, now, snapshot.position)
    if policy is None:
        raise CallProblem(f"{exam} is not in the catalogue, or the policy it follows is not")
    put(f"# A retake exception for {exam}, by the policy {policy.id}. Fill it in, then:\n")
    put(f"# attempt-ledger exception request CANDIDATE {exam} --from FILE\n")
    put(f"# reason: {' or '.join(policy.exception.reasons) or 'none: it offers no exceptions'}\n")
    for name in ExceptionRequested.model_fields:
        if name in ("registration_id", "reason", *policy.exception.required):
            kept = "  # kept encrypted" if name in ExceptionRequested.personal else ""
            put(f'{name} = ""{kept}\n')
        elif name not in ("exam", "request_id"):
            put(f'# {name} = ""\n')
    return DONE


def at_desk(context: typer.Context, ask: Callable[[Desk], Answered]) -> Answered | None:
    """Return what the desk answers; None, and why on standard error, if it refuses."""
    with call_of(context).open(to_write=True) as ledger:
        try:
            return ask(Desk(ledger))
        except WrongCall as problem:
            raise CallProblem(str(problem)) from None
        except DeskProblem as problem:
            say(str(problem))
            return None


def decided(context: typer.Context, decide: Callable[[Desk], Answered]) -> int:
    """Have the desk decide a request, print what came of it, and return the exit code."""
    answered = at_desk(context, decide)
    if answered is None:
        return REFUSED
    request, positions = answered
    terms = ""
    if request.state == "granted":
        ends = request.valid_until
        until = "" if ends is None else f" before {format_instant(ends)}"
        waived = listed([WAIVED[each] for each in request.waives])
        terms = f": one sitting of {request.exam}{until} skips {waived}"
    if positions:
        say(f"{request.request_id} is {request.state}, recorded at position {positions[-1]}{terms}")
    else:
        say(f"{request.request_id} is {request.state} already, nothing was recorded{terms}")
    return DONE


def reference(
    candidate: str, request_id: str, exam: str | None, time: str | None, actor: str
) -> Reference:
    """Name the request that is decided, and how that is recorded."""
    at = None if time is None else instant("--time", time)
    return Reference(candidate, request_id, clock.now(), exam, at, actor)
