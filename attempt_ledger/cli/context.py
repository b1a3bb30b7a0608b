"""What a call says before its command, which ledger and which keys; and what it opens with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from attempt_ledger.access import Access
from attempt_ledger.cli.options import Called
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import CallProblem
from attempt_ledger.cli.progress import counting
from attempt_ledger.places import cache_folder
from ledger.ledger import Ledger
from replay.snapshot import Engine


def call_of(context: typer.Context) -> Access:
    """Return the ledger and the keys that a call names before its command."""
    called = context.find_root().obj
    assert isinstance(called, Called)
    return Access(*called, say=say, counting=counting)


def no_candidate(candidate: str, ledger: Ledger) -> CallProblem:
    """Return what to raise where there is nobody of that id."""
    return CallProblem(
        f"No candidate {candidate!r} in {ledger.path}: `search` finds "
        "candidates by the beginning of an id"
    )


@contextmanager
def engine_of(call: Access, *, no_column_cache: bool = False) -> Iterator[tuple[Ledger, Engine]]:
    """Open the ledger, and have what computes questions about everybody."""
    call.check()
    cache = cache_folder(say)
    with call.open() as ledger, counting("reading", ledger.head().position) as progress:
        yield ledger, Engine(cache, cores(), not no_column_cache, say, progress)


def cores() -> int:
    """Count the cores that everybody may be folded on."""
    return os.cpu_count() or 1
