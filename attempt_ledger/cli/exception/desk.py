"""The exceptions desk, as the commands that tell it something reach it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import CallProblem

if TYPE_CHECKING:
    from replay.desk import Desk, Told

Candidate = Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")]


def tell_desk(context: typer.Context, tell: Callable[[Desk], Told]) -> Told | None:
    """Return the desk something and give what came of it; None, and said why, if it refused."""
    from projections.exception_rules import DeskProblem
    from replay.desk import Desk, UnknownRequest

    with call_of(context).open(to_write=True) as ledger:
        try:
            return tell(Desk(ledger))
        except UnknownRequest as problem:
            raise CallProblem(str(problem)) from None
        except DeskProblem as problem:
            say(str(problem))
            return None
