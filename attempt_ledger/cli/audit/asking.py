"""What the audit commands share: conditions as options, and the way from a question to a file."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, no_candidate
from attempt_ledger.cli.delivering import check_places, deliver, form_of, moment_of, program_of
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.cli.progress import counting
from attempt_ledger.cli.values import instant, known

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from projections.audit.conditions import Conditions
    from replay.audit.asked import Progress


class AuditFormat(StrEnum):
    """How an audit is written."""

    text = "text"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"
    xlsx = "xlsx"


ActorOption = Annotated[
    str | None, typer.Option("--actor", metavar="NAME", help="Recorded by this one.")
]
SourceOption = Annotated[
    str | None, typer.Option("--source", metavar="URN", help="From this source.")
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="Of this type; may be given several times."),
]
CandidateOption = Annotated[
    str | None, typer.Option("--candidate", metavar="C", help="About this candidate.")
]
SubjectOption = Annotated[
    str | None,
    typer.Option(
        "--subject",
        metavar="S",
        help="About the candidate, exam, certification or policy of this id.",
    ),
]
RecordedFrom = Annotated[
    str | None,
    typer.Option("--recorded-from", metavar="T", help="Recorded at this instant or later."),
]
RecordedTo = Annotated[
    str | None, typer.Option("--recorded-to", metavar="T", help="Recorded before this instant.")
]
ValidFrom = Annotated[
    str | None, typer.Option("--valid-from", metavar="T", help="True from this instant or later.")
]
ValidTo = Annotated[
    str | None, typer.Option("--valid-to", metavar="T", help="True from before this instant.")
]
FormatOption = Annotated[
    AuditFormat | None,
    typer.Option("--format", help="Default: by the name of the file, else text."),
]


class Delivery(NamedTuple):
    """Known when, where an audit goes, and in which form: the options of a call."""

    known_at: str | None
    format: AuditFormat | None
    output: Path | None
    receipt: Path | None


def conditions(**said: Any) -> Conditions:
    """Read what an audit is about; raises CallProblem."""
    from pydantic import ValidationError

    from projections.audit.conditions import Conditions

    if said.get("candidate") is not None and said.get("subject") is not None:
        raise CallProblem("--candidate and --subject both say whom it is about: give one of them")
    for kind in ("recorded", "valid"):
        bounds = [f"{kind}_from", f"{kind}_to"]
        told = [said.get(name) for name in bounds]
        for name, text in zip(bounds, told, strict=True):
            if text is not None:
                said[name] = instant(_option(name), text)
        if None not in told and said[bounds[0]] >= said[bounds[1]]:
            raise CallProblem(
                f"--{kind}-from {told[0]} does not lie before --{kind}-to {told[1]}: nothing "
                "would be in between"
            )
    try:
        return Conditions(**said)
    except ValidationError as error:
        first = error.errors()[0]
        option = _option({"types": "type"}.get(str(first["loc"][0]), str(first["loc"][0])))
        raise CallProblem(f"{option}: {first['msg'].removeprefix('Value error, ')}") from None


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def answer(context: typer.Context, name: str, asked: Conditions, to: Delivery) -> int:
    """Ask a query and deliver what it finds, with its receipt; gives the exit code."""
    form = form_of(tuple(AuditFormat), to.format, to.output)
    check_places(to.output, to.receipt)
    wanted = known(to.known_at)
    now = clock.now()
    with call_of(context).open() as ledger:
        from replay.outputs import audited

        moment = moment_of(ledger, now, wanted, now)
        check_known(ledger, asked)
        with looking_through(moment.position, to.output) as progress:
            made = audited(
                ledger, name, moment, asked,
                form=form,  # type: ignore[arg-type]
                basis="restated" if to.known_at is None else "known-at",
                program=program_of(form),  # type: ignore[arg-type]
                progress=progress,
            )  # fmt: skip
            deliver(made, to.output, to.receipt)
        if asked.exam is not None and not made.settled.rows:
            say_unknown(ledger, asked.exam)
    return DONE


def looking_through(positions: int, output: Path | None) -> AbstractContextManager[Progress]:
    """Show how far it is, unless rows come to the same terminal meanwhile."""
    if output is None and sys.stdout.isatty():
        return nullcontext(lambda more: None)
    return counting("looking through", positions)


def say_unknown(ledger: Ledger, exam: str) -> None:
    """Say that an exam of which nothing was found is not in the catalogue either."""
    if not ledger.stream(f"exam/{exam}"):
        say(f"there is no exam {exam!r} in the catalogue")


def check_known(ledger: Ledger, asked: Conditions) -> None:
    """Refuse a candidate of whom nothing was ever recorded."""
    if asked.candidate is not None and not ledger.stream(f"candidate/{asked.candidate}"):
        raise no_candidate(asked.candidate, ledger)
