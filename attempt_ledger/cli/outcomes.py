"""What became of appended facts, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from attempt_ledger import clock
from attempt_ledger.checks import Gathered, unresolved
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.places import cache_folder
from attempt_ledger.sealing import processes
from ledger.cloudevents import to_cloudevent
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.models import PolicyPublished
from ledger.outcomes import Appended, Conflict, Duplicate, Outcome, Refused
from replay.publishing import effects_of
from replay.snapshot import Engine, snapshot_at


def append_one(ledger: Ledger, fact: Fact) -> int:
    """Append one fact and print what became of it; returns the exit code."""
    (outcome,) = ledger.append([fact])
    return put_outcome(outcome, f"{fact.event.type} {fact.id}")


def put_outcome(outcome: Outcome, what: str) -> int:
    """Print what became of a fact; returns the exit code."""
    match outcome:
        case Appended(position):
            say(f"{what} is recorded at position {position}")
        case Duplicate(position):
            say(f"{what} is recorded already, at position {position}: nothing was changed")
        case Conflict(_) | Refused(_):
            say(f"{what} is refused: {outcome.problem}")
            return REFUSED
    return DONE


def confirm_policies(ledger: Ledger, facts: Sequence[Fact], *, yes: bool) -> None:
    """Print what policies among the facts change, and ask where they change the past.

    Raises CallProblem where there is no terminal and `yes` was not given, or the answer is no.
    """
    texts = [
        (fact.subject, fact.event.toml) for fact in facts if isinstance(fact.event, PolicyPublished)
    ]
    if not texts:
        return
    engine = Engine(cache_folder(say), processes(), say=say)
    found = effects_of(snapshot_at(ledger, now := clock.now(), now=now, engine=engine), texts)
    for sentence in found.sentences:
        say(sentence)
    if found.past is None:
        return
    say(found.past)
    terminal = not yes and sys.stdin.isatty()
    if not yes and not (terminal and typer.confirm("Publish it all the same?", err=True)):
        hint = "" if terminal else ": give --yes to publish it all the same"
        raise CallProblem(f"nothing was published{hint}")


def append_entries(ledger: Ledger, facts: Sequence[Fact], unchanged: int, name: str) -> int:
    """Append catalogue entries in one transaction, print what became of them; returns the code."""
    outcomes = ledger.append(facts)
    code = DONE
    recorded = 0
    for fact, outcome in zip(facts, outcomes, strict=True):
        if isinstance(outcome, Appended):
            recorded += 1
        else:
            code = max(code, put_outcome(outcome, fact.id))
    say(f"{name}: {recorded} recorded, {unchanged} unchanged")
    return max(code, said_gaps(ledger))


def said_gaps(ledger: Ledger) -> int:
    """Print which entries of the catalogue name what is not there; returns the exit code."""
    gaps = unresolved(ledger)
    for sentence in gaps:
        say(sentence)
    return REFUSED if gaps else DONE


def put_lines(facts: Sequence[Fact]) -> None:
    """Print facts on standard output as lines of a history, each known from its own time on."""
    for fact in facts:
        line = to_cloudevent(Recorded(0, fact.time, *fact.row()))
        put(line.replace(f',"sequence":"{0:020d}"', "", 1) + "\n")


def said_of(ledger: Ledger, gathered: Gathered, *, is_history: bool = False) -> int:
    """Put what is odd of facts on standard error; return the exit code that it is worth.

    A history that is moved in is taken as it was recorded.
    """
    sentences = gathered.sentences(ledger, clock.now())
    for sentence in sentences:
        say(sentence)
    return REFUSED if sentences and not is_history else DONE
