"""What a call says before its command: which ledger is meant, and which keys."""

from __future__ import annotations

import typer

from attempt_ledger.access import Access
from attempt_ledger.cli.options import Called
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import CallProblem
from attempt_ledger.cli.progress import counting
from ledger.ledger import Ledger


def call_of(context: typer.Context) -> Access:
    """Return the ledger and the keys that a call names before its command."""
    called = context.find_root().obj
    assert isinstance(called, Called)
    return Access(*called, say=say, counting=counting)


def no_candidate(candidate: str, ledger: Ledger) -> CallProblem:
    """Return what to raise where there is nobody of that id."""
    return CallProblem(
        f"nothing is recorded of a candidate {candidate!r} in {ledger.path}: `search` finds "
        "candidates by the beginning of an id"
    )
