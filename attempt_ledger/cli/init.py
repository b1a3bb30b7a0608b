"""`init`: make a ledger."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import ACTOR, Actor, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, CallProblem
from ledger.intake.catalogue import policy_facts
from ledger.store.locks import PRIVATE
from retake_policies import shipped


@command(
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
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="Which accounts may open the ledger, as for chmod: 660, say, for its group too.",
        ),
    ] = f"{PRIVATE:o}",
    actor: Actor = ACTOR,
) -> int:
    """Create an empty ledger, with the shipped policies.

    The ledger and the files beside it can be opened by this account alone, whatever the umask:
    who can read them can also lock them, and so stop all writing. Other accounts read a copy
    (`backup`), or --mode lets them in.

    What is there already stays as it is: then nothing is made, and the exit code is 2.
    """
    bits = _mode(mode)
    texts = () if bare else shipped()
    entries = policy_facts(texts, known=lambda stream: [], now=clock.now(), actor=actor)
    with call_of(context).create(entries.facts, bits) as ledger:
        policies = ", ".join(id for id, _ in texts)
        holds = f"with the policies {policies}" if policies else "empty"
        say(f"Created {ledger.path}, {holds}.")
        if bits & 0o077:
            say(
                f"other accounts can open {ledger.path} (mode {bits:o}): who can read it can lock "
                "it, and so stop all writing"
            )
    return DONE


def _mode(text: str) -> int:
    """Read a mode of three octal digits; raises CallProblem."""
    if re.fullmatch("6[046][046]", text) is None:
        raise CallProblem(
            f"--mode {text!r} is no mode of a ledger: accepted are three digits as for chmod, 6 "
            "(this account reads and writes), then 0, 4 or 6 for its group and for all others"
        )
    return int(text, 8)
