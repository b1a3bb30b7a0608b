"""`exception request`: ask for a retake exception, answered at once."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.exception.desk import Candidate, tell_desk
from attempt_ledger.cli.exception.file import read_request
from attempt_ledger.cli.options import ACTOR, Actor, Time, command
from attempt_ledger.cli.output import put_now, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant

if TYPE_CHECKING:
    from replay.desk import Desk, Told


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
    """Request a retake exception, and have it answered at once.

    It is left open for somebody to grant or reject, or rejected with everything that is wrong:
    each field missing that the policy requires, a reason that is not in its list, a registration
    that is no failed sitting of the candidate and exam. Both ways it is recorded. The exit code of
    a rejected request is 1.
    """
    from ledger.events import ExceptionRequested, Fact, make_event

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
    Fact("urn", asked.request_id, candidate, clock.now(), asked, actor).check_envelope()

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
