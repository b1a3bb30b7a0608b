"""`audit`: who recorded what, when, on which facts, and what it changed.

A command for each query of `replay.audit.registry`; its options are the conditions that it takes.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from inspect import Parameter, Signature, cleandoc
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, no_candidate
from attempt_ledger.cli.delivering import (
    ReceiptFile,
    check_places,
    deliver,
    moment_of,
    program_of,
)
from attempt_ledger.cli.forms import LISTED, ListFormat, form_of
from attempt_ledger.cli.options import ExamOption, KnownAt, Output, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.cli.progress import counting
from attempt_ledger.cli.values import instant, known
from ledger.ledger import Ledger
from replay.audit.conditions import BadCondition, Conditions, conditions_of
from replay.audit.query import Query
from replay.audit.registry import QUERIES, query_named
from replay.outputs import compute
from replay.receipts import Parameters
from replay.snapshot import Engine, Progress, Snapshot


def _text(option: str, metavar: str, help: str) -> Any:
    return Annotated[str | None, typer.Option(option, metavar=metavar, help=help)]


OPTIONS: Final[dict[str, Any]] = {
    "candidate": _text("--candidate", "C", "About this candidate."),
    "subject": _text(
        "--subject", "S", "About the candidate, exam, certification or policy of this id."
    ),
    "exam": ExamOption,
    "types": Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Of this type; may be repeated."),
    ],
    "actor": _text("--actor", "NAME", "Recorded by this one."),
    "source": _text("--source", "URN", "From this source."),
    "recorded_from": _text("--recorded-from", "T", "Recorded at this instant or later."),
    "recorded_to": _text("--recorded-to", "T", "Recorded before this instant."),
    "valid_from": _text("--valid-from", "T", "True from this instant or later."),
    "valid_to": _text("--valid-to", "T", "True from before this instant."),
    "by": Annotated[
        str,
        typer.Option(
            "--by",
            metavar="DURATION",
            help="The threshold, in days of 24 hours (P7D) or time (PT36H).",
        ),
    ],
    "changes": Annotated[
        bool,
        typer.Option(
            "--changes",
            help="Tell also whether each changed the standing of its candidate as of any instant "
            "before it was recorded. Takes some milliseconds a fact.",
        ),
    ],
}
"""The option of each condition."""
ARGUMENTS: Final[dict[str, Any]] = {
    "candidate": Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")],
}
"""What stands in its place where a query needs the condition and has no default for it."""
DELIVERY: Final[dict[str, Any]] = {
    "known_at": KnownAt,
    "format": ListFormat,
    "output": Output,
    "receipt": ReceiptFile,
}
"""Known when, where an audit goes, and in which form."""


def _add(query: Query) -> None:
    """Make the command of a query."""

    def run(context: typer.Context, **values: Any) -> int:
        terms = {name: values[name] for name in query.takes if values[name] is not None}
        return answer(context, query.name, conditions(**terms), **{n: values[n] for n in DELIVERY})

    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    for name, kind in ({name: OPTIONS[name] for name in query.takes} | DELIVERY).items():
        default: Any = False if name == "changes" else None
        if name == query.needs:
            default = Parameter.empty if query.default is None else query.default
            kind = ARGUMENTS[name] if query.default is None else kind
        parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind))
    run.__signature__ = Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__ = f"{QUERIES[query.name]}\n\n{cleandoc(query.help)}"
    command(f"audit {query.name}", examples=query.examples)(run)


for _name in QUERIES:
    _add(query_named(_name))


def conditions(**terms: Any) -> Conditions:
    """Read what an audit is about; raises CallProblem."""
    for kind in ("recorded", "valid"):
        bounds = {name: terms[name] for name in (f"{kind}_from", f"{kind}_to") if name in terms}
        read = [instant(_option(name), text) for name, text in bounds.items()]
        terms |= dict(zip(bounds, read, strict=True))
    try:
        return conditions_of(**terms)
    except BadCondition as problem:
        option = _option({"types": "type"}.get(problem.name, problem.name))
        raise CallProblem(f"{option}: {problem.why}") from None


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def answer(
    context: typer.Context,
    name: str,
    terms: Conditions,
    *,
    known_at: str | None,
    format: str | None,
    output: Path | None,
    receipt: Path | None,
) -> int:
    """Ask a query and deliver what it finds, with its receipt; return the exit code."""
    form = form_of(LISTED, format, output)
    check_places(output, receipt)
    wanted = known(known_at)
    now = clock.now()
    with call_of(context).open() as ledger:
        moment = moment_of(ledger, now, wanted, now)
        check_known(ledger, terms)
        with looking_through(moment.position, output) as progress:
            found = compute(
                Snapshot(ledger, moment, Engine(progress=progress)), "audit", name,
                Parameters(audit=terms),
                form=form,  # type: ignore[arg-type]
                basis="restated" if known_at is None else "known-at",
                program=program_of(form, "audit"),  # type: ignore[arg-type]
            )  # fmt: skip
            deliver(found, output, receipt)
        if terms.exam is not None and not found.settled.rows:
            say_unknown(ledger, terms.exam)
    return DONE


def looking_through(positions: int, output: Path | None) -> AbstractContextManager[Progress]:
    """Show how far it is, unless rows come to the same terminal meanwhile."""
    if output is None and sys.stdout.isatty():
        return nullcontext(lambda more: None)
    return counting("looking through", positions)


def say_unknown(ledger: Ledger, exam: str) -> None:
    """Warn that an exam of which nothing was found is not in the catalogue either."""
    if not ledger.stream(f"exam/{exam}"):
        say(f"there is no exam {exam!r} in the catalogue")


def check_known(ledger: Ledger, terms: Conditions) -> None:
    """Refuse a candidate of whom nothing was ever recorded."""
    if terms.candidate is not None and not ledger.stream(f"candidate/{terms.candidate}"):
        raise no_candidate(terms.candidate, ledger)
