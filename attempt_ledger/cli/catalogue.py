"""`catalogue`: announce exams and certifications, publish policies, from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.checks import checked_id
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import ACTOR, Actor, PrintLines, Yes, command
from attempt_ledger.cli.outcomes import append_entries, confirm_policies, put_lines
from attempt_ledger.cli.problems import DONE
from ledger.intake.catalogue import catalogue_facts


@command(
    "catalogue",
    examples="""
    attempt-ledger catalogue catalogue.toml
    attempt-ledger catalogue --print catalogue.toml >> lines-to-merge.jsonl
    """,
)
def catalogue(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.toml",
            help="Tables [[exam]], [[certification]], [[policy]]; 16 MB at most.",
        ),
    ],
    print_lines: PrintLines = False,
    yes: Yes = False,
    actor: Actor = ACTOR,
) -> int:
    """Announce exams, certifications and policies from a file.

    An entry that is recorded as it stands adds nothing; a changed one adds one event. A file with a
    fault is refused whole, with a sentence for each fault.
    """
    call = call_of(context)
    with call.open_or_none(print_lines) as ledger:
        entries = catalogue_facts(
            file,
            known=ledger.stream if ledger is not None else lambda stream: (),
            now=clock.now(),
            check=checked_id,
            actor=actor,
        )
        if print_lines or ledger is None:
            put_lines(entries.facts)
            return DONE
        confirm_policies(ledger, entries.facts, yes=yes)
        return append_entries(ledger, entries.facts, entries.unchanged, str(file))
