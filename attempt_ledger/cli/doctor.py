"""`doctor`: what is wrong with the ledger and all that belongs to it, and what to do about it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import Format, FormatOption, ReadModelFile, command, read_model_of
from attempt_ledger.cli.output import WIDTH, put
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.doctor import examine, subject_of
from attempt_ledger.doctor.findings import MINUTE, USUAL, Bounds, Depth, Finding, State, worst
from ledger.instants import format_instant
from ledger.problems import printable
from retake_policies.durations import DAY, DAYS, MONTHS, parse_duration

_MEGABYTE = 1_000_000


def _age(option: str, what: str) -> Any:
    return typer.Option(option, metavar="DURATION", help=f"{what}, such as PT15M or P8D.")


def _text_of(age: int) -> str:
    """Write a length of whole minutes, in microseconds, as an ISO 8601 duration."""
    minutes = age // MINUTE
    if minutes % 60:
        return f"PT{minutes}M"
    return f"P{age // DAY}D" if age % DAY == 0 else f"PT{minutes // 60}H"


@command(
    "doctor",
    examples="""
    attempt-ledger doctor
    attempt-ledger doctor --all --full
    attempt-ledger doctor --format json --quick --backup-age PT2H
    """,
)
def doctor(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not read the file through: its ends alone.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Read every row and every index, however long it takes.")
    ] = False,
    seal_age: Annotated[
        str, _age("--seal-age", "How long an event may wait to be sealed")
    ] = _text_of(USUAL.seal),
    verify_age: Annotated[
        str, _age("--verify-age", "How long ago the last verification may be")
    ] = _text_of(USUAL.verification),
    backup_age: Annotated[str, _age("--backup-age", "How old the last backup may be")] = _text_of(
        USUAL.backup
    ),
    views_age: Annotated[str, _age("--views-age", "How long views may lack an event")] = _text_of(
        USUAL.views
    ),
    free: Annotated[
        int,
        typer.Option("--free", metavar="MB", min=0, help="How much of the disk must be free."),
    ] = USUAL.free // _MEGABYTE,
    views: ReadModelFile = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show also what is as it should be.")
    ] = False,
    format: FormatOption = Format.text,
) -> int:
    """Look for what is wrong with the ledger, and say what to do.

    Looks at SQLite, the file and what it holds, durability, the disk, rights, the clock, the log
    and its key, the last verification and backup, the keys of personal fields, the facts, the read
    model and the column cache; it changes nothing. What is wrong comes first, then warnings, each
    with a remedy. Exit code 1: something is wrong. docs/doctor.md lists every code that --format
    json may give.
    """
    if quick and full:
        raise CallProblem("--quick reads less and --full reads more: give one of them")
    call = call_of(context)
    bounds = Bounds(
        seal=_length("--seal-age", seal_age),
        verification=_length("--verify-age", verify_age),
        backup=_length("--backup-age", backup_age),
        views=_length("--views-age", views_age),
        free=free * _MEGABYTE,
    )
    depth = Depth.quick if quick else Depth.full if full else Depth.usual
    subject = subject_of(call, read_model_of(call.path, views), bounds, depth)
    findings = list(examine(subject))
    if format is Format.text:
        put("".join(_page(findings, every=every)))
    else:
        answer = {
            "ledger": str(subject.path),
            "at": format_instant(subject.now),
            "state": worst(findings),
            "findings": [finding._asdict() for finding in findings],
        }
        put(json.dumps(answer, indent=2) + "\n")
    return REFUSED if worst(findings) is State.wrong else DONE


def _length(option: str, text: str) -> int:
    """Read a length of time, in microseconds: days have 24 hours here; raises CallProblem."""
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise CallProblem(f"{option}: {error}") from None
    if duration.unit == MONTHS:
        raise CallProblem(f"{option}: {text} is of no one length; write days or time, such as P30D")
    return duration.amount * (DAY if duration.unit == DAYS else 1)


_STATES, _NAMES = 9, 14


def _page(findings: list[Finding], *, every: bool) -> Iterator[str]:
    """Yield what is wrong, then the warnings, then how many checks found nothing, or all those."""
    for state in (State.wrong, State.warning):
        yield from (_text(finding) for finding in findings if finding.state is state)
    well = [finding for finding in findings if finding.state is State.ok]
    if every:
        yield from map(_text, well)
    elif well:
        one = len(well) == 1
        many = "1 check finds" if one else f"{len(well)} checks find"
        yield f"ok       {many} nothing to mend (--all shows {'it' if one else 'them'})\n"


def _text(finding: Finding) -> str:
    lines = _wrapped(f"{finding.state:<{_STATES}}{finding.check:<{_NAMES}}", finding.text)
    if finding.remedy is not None:
        lines += _wrapped(" " * (_STATES + _NAMES), f"→ {finding.remedy}")
    return "".join(f"{line}\n" for line in lines)


def _wrapped(first: str, sentence: str) -> list[str]:
    return textwrap.wrap(
        printable(sentence),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * (_STATES + _NAMES),
        break_long_words=False,
        break_on_hyphens=False,
    )
