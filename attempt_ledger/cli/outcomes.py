"""What became of appended facts, on standard error."""

from __future__ import annotations

from collections.abc import Sequence

from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, REFUSED
from ledger.cloudevents import to_cloudevent
from ledger.events import Fact, Recorded
from ledger.ledger import Appended, Conflict, Duplicate, Ledger, Outcome, Refused


def append_one(ledger: Ledger, fact: Fact) -> int:
    """Append one fact and print what became of it; returns the exit code."""
    (outcome,) = ledger.append([fact])
    return said(outcome, f"{fact.event.type} {fact.id}")


def said(outcome: Outcome, what: str) -> int:
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


def append_entries(ledger: Ledger, facts: Sequence[Fact], unchanged: int, name: str) -> int:
    """Append catalogue entries in one transaction, print what became of them; returns the code."""
    outcomes = ledger.append(facts)
    code = DONE
    recorded = 0
    for fact, outcome in zip(facts, outcomes, strict=True):
        if isinstance(outcome, Appended):
            recorded += 1
        else:
            code = max(code, said(outcome, fact.id))
    say(f"{name}: {recorded} recorded, {unchanged} unchanged")
    return code


def put_lines(facts: Sequence[Fact]) -> None:
    """Print facts on standard output as lines of a history, each known from its own time on."""
    for fact in facts:
        line = to_cloudevent(Recorded(0, fact.time, *fact.row()))
        put(line.replace(f',"sequence":"{0:020d}"', "", 1) + "\n")
