"""`annul`: an event was recorded in error."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import ACTOR, Actor, Time, command
from attempt_ledger.cli.outcomes import append_one, said_gaps
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant, not_blank
from ledger.facts import Fact
from ledger.fields import EventRef
from ledger.models import EventAnnulled, ExamAnnounced, PolicyPublished

SOURCE = "urn:attempt-ledger:cli"


@command(
    "annul",
    examples="""
    attempt-ledger annul urn:vue R-77/result --reason "the result of another seat"
    """,
)
def annul(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The event's source.")],
    id: Annotated[str, typer.Argument(metavar="ID", help="The event's id.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; not for personal data.")
    ],
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Annul an event that was recorded in error.

    It stays in the ledger; from now on nothing is answered by it, for any as_of. `history` shows
    the sources and ids of a candidate's events. An annulment cannot be annulled: record the fact
    anew under a new id.
    """
    at = clock.now() if time is None else instant("--time", time)
    why = not_blank("--reason", reason)
    with call_of(context).open(to_write=True) as ledger:
        event = ledger.find(source, id)
        if event is None:
            raise CallProblem(f"there is no event {id!r} of {source!r} in {ledger.path}")
        for other in ledger.stream(event.stream):
            if other.annuls == event.position:
                before = other.payload()["reason"]
                sentence = f"{source} {id} is annulled already, at position {other.position}"
                if before == why:
                    say(f"{sentence}: nothing was changed")
                    return DONE
                say(f"{sentence}, for another reason: {before!r}")
                return REFUSED
        annulment = EventAnnulled(annuls=EventRef(source=source, id=id), reason=why)
        # Made from what it annuls, so that two calls at once cannot record it twice.
        fact = Fact(SOURCE, f"annul/{source}/{id}", event.subject, at, annulment, actor)
        code = append_one(ledger, fact)
        if code == DONE and event.type in (ExamAnnounced.type, PolicyPublished.type):
            code = said_gaps(ledger)  # of what named the entry
        return code
