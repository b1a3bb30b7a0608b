"""`init`: make a ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import ACTOR, Actor, command, group
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE

app = group()


@command(
    app,
    "init",
    examples="""
    attempt-ledger init
    attempt-ledger --ledger sqlite:////var/lib/exams/attempts.ledger init
    attempt-ledger init --bare && attempt-ledger import --keep-recorded-at history.jsonl
    """,
)
def init(
    context: typer.Context,
    bare: Annotated[
        bool, typer.Option("--bare", help="Without the shipped policies, to move a history in.")
    ] = False,
    actor: Actor = ACTOR,
) -> int:
    """Create an empty ledger, with the shipped policies.

    What is there already stays as it is: then nothing is made, and the exit code is 2.
    """
    from ledger.intake.catalogue import policy_facts
    from retake_policies.shipped import shipped

    texts = () if bare else shipped()
    entries = policy_facts(texts, known=lambda stream: [], now=clock.now(), actor=actor)
    with call_of(context).create(entries.facts) as ledger:
        policies = ", ".join(id for id, _ in texts)
        say(f"{ledger.path} is made{f' with the policies {policies}' if policies else ', bare'}")
    return DONE
