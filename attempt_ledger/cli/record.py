"""`record`: one event from the words of a call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any
from uuid import uuid4

import typer

from attempt_ledger import clock
from attempt_ledger.checks import Gathered, KnownExams, fault_of
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import ACTOR, Actor, Time, Yes, command
from attempt_ledger.cli.outcomes import append_one, confirm_policies, said_of
from attempt_ledger.cli.output import put_now, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant, uri
from attempt_ledger.moments import whole
from ledger.cloudevents import backfilled
from ledger.events import OWN_SOURCES
from ledger.facts import Fact
from ledger.models import EVENT_TYPES, EVENTS, event_class, make_event
from ledger.problems import MalformedFact

SOURCE = "urn:attempt-ledger:cli"

_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?)=(.*)", re.ASCII | re.DOTALL)
_PERSONAL = frozenset(name for event in EVENTS for name in event.personal)


def event_types(incomplete: str) -> Sequence[str]:
    """Complete a TYPE."""
    return [name for name in EVENT_TYPES if name.startswith(incomplete)]


@command(
    "record",
    examples="""
    attempt-ledger record ExamAttempted C-1001 exam=AZ-104 registration_id=R-77 \\
        delivery=live --time 2021-03-01T09:00:00Z --source urn:vue --id R-77/attempted
    attempt-ledger record ExamFailed C-1001 exam=AZ-104 registration_id=R-77 score:=640
    attempt-ledger record ExamWentLive AZ-700 --time 2021-10-25
    attempt-ledger record CertEarned C-1001 certification=azure-administrator \\
        expires_at=2023-03-01 exams:='["AZ-104"]'
    """,
)
def record(
    context: typer.Context,
    type: Annotated[
        str,
        typer.Argument(metavar="TYPE", help="Such as ExamAttempted.", autocompletion=event_types),
    ],
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="The candidate, exam, certification or policy.")
    ],
    fields: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Its data: KEY=VALUE for text, KEY:=JSON for anything else.",
        ),
    ] = None,
    time: Time = None,
    id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="With the source, what makes it one event. Default: generated.",
        ),
    ] = None,
    source: Annotated[str, typer.Option("--source", metavar="URN", help="Who says so.")] = SOURCE,
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Mark it as moved in: it is not late.")
    ] = False,
    yes: Yes = False,
    actor: Actor = ACTOR,
) -> int:
    """Record one event.

    Without --id the id is generated, and printed before anything is recorded: to repeat the call
    safely, give it as --id. A repetition without --time means the time that was recorded.

    The same event again is a duplicate: said, and done. Another one under the same source and id
    is a conflict: refused, with what differs. Where the exam is not in the catalogue that is said,
    with the nearest code, and the exit code is 1.
    """
    data = pairs(fields or ())
    for name in event_class(type).instants:
        if isinstance(data.get(name), str):
            data[name] = whole(data[name])
    try:
        event = make_event(type, data)
    except MalformedFact as problem:
        raise CallProblem(f"{problem}{_hint(str(problem), data)}") from None
    at = None if time is None else instant("--time", time)
    with call_of(context).open(to_write=True) as ledger:
        if at is None:
            before = None if id is None else ledger.find(source, id)
            at = clock.now() if before is None else before.occurred_at
        own_id = str(uuid4()) if id is None else id
        fact = Fact(uri("--source", source), own_id, subject, at, event, actor)
        if backfill:
            fact = fact._replace(extensions=backfilled(None))
        fact.row()  # raises what is wrong with it before its id is printed
        own = source.startswith(OWN_SOURCES) and source != SOURCE
        fault = f"--source {source} is this program's own" if own else fault_of(fact)
        if fault is not None:
            raise CallProblem(fault)
        confirm_policies(ledger, [fact], yes=yes)
        if id is None:
            put_now(f"{fact.id}\n")
        after = ledger.head().position
        code = append_one(ledger, fact)
        if code != DONE:
            return code
        exam = fact.event.columns(fact.subject)[0]
        if exam is not None and (fault := KnownExams(ledger).fault_of(exam)):
            say(fault)
            code = REFUSED
        gathered = Gathered(after=after)
        gathered.look(fact, ledger, clock.now())
        return max(code, said_of(ledger, gathered))


def _hint(problem: str, data: Mapping[str, object]) -> str:
    """Remind of ``:=`` where text was given for something else."""
    for key, value in data.items():
        if value and isinstance(value, str) and f"data.{key} should be" in problem:
            return f"; to give anything but text write {key}:=JSON"
    return ""


def pairs(words: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` as text and ``key:=json`` as JSON; raises CallProblem."""
    data: dict[str, Any] = {}
    key = ""
    for word in words:
        match = _PAIR.fullmatch(word)
        if match is None:
            raise CallProblem(
                f"{_shown(word, key)} is no field: write key=value for text, key:=json for "
                "anything else"
            )
        key, colon, text = match.groups()
        if key in data:
            raise CallProblem(f"the field {key} appears twice")
        data[key] = _json(key, text) if colon else text
    return data


def _shown(word: str, before: str) -> str:
    """Quote a word, unless it may be a part of something personal."""
    if before in _PERSONAL:
        return f"what comes after {before}=…"
    hidden = next((name for name in _PERSONAL if word.startswith(name)), None)
    return repr(word) if hidden is None else f"{hidden}… without ="


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        shown = "…" if key in _PERSONAL else text
        raise CallProblem(f"{key}:={shown} is not JSON: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a member is there twice")
    return found
