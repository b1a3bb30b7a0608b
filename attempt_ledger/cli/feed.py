"""`feed`: the events after a position, as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.forms import LINES, form_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import bytes_to, say
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.feed import Form, NotThisFeed, adding_to, chunks, pieces, reader_gone
from ledger.ledger import Ledger
from ledger.models import event_class
from ledger.problems import MalformedFact, shown


@command(
    "feed",
    examples="""
    attempt-ledger feed --after 1200
    attempt-ledger feed --after 1200 --last urn:vue R-77/result
    attempt-ledger feed --after 1200 --follow --type ExamPassed --type ExamFailed
    attempt-ledger feed --follow --batch 500 --without-personal
    attempt-ledger feed --follow --output feed.jsonl
    """,
)
def feed(
    context: typer.Context,
    after: Annotated[
        int,
        typer.Option(
            "--after",
            metavar="POSITION",
            min=0,
            help="Only what comes after it: the `sequence` of the last event that was taken.",
        ),
    ] = 0,
    last: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--last",
            metavar="SOURCE ID",
            help="The last event that was taken, instead of its position, or to check it: a ledger "
            "that was put back to an earlier day may have others at its positions.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Then go on: write what comes as soon as it is there.")
    ] = False,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="T", help="Only events of this type; may be repeated."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            metavar="N",
            min=1,
            help="Write batches, JSON arrays of at most N events, one a line.",
        ),
    ] = None,
    without_personal: Annotated[
        bool,
        typer.Option(
            "--without-personal", help="Leave personal fields out; else they are ciphertext."
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write here instead of standard output: the file is replaced when it is complete; "
            "with --follow it is added to, from its own last event on.",
        ),
    ] = None,
) -> int:
    """Stream events from a position.

    CloudEvents JSON, one a line, the same bytes as `export`: in the order of `sequence`, missing
    none and repeating none. Keep the last `sequence` with what it brought about, and resume with
    --after. Events keep their schema version; an EventAnnulled comes after what it annuls.
    """
    form_of(LINES, None, output)
    form = Form(_types(types or []), personal=not without_personal, batch=batch)
    count = 0
    with call_of(context).open() as ledger, _opened(output, ledger, follow) as (file, end):
        begin = max(_position(after, last, ledger), end)

        def stop() -> bool:
            if reader_gone(file):
                raise BrokenPipeError
            return False

        for events, content in pieces(chunks(ledger, begin, follow=follow, stop=stop), form):
            file.write(content)
            file.flush()
            count += events
    if output is not None:
        say(f"{output}: {count:,} event{'' if count == 1 else 's'}")
    return DONE


@contextmanager
def _opened(output: Path | None, ledger: Ledger, follow: bool) -> Iterator[tuple[BinaryIO, int]]:
    """Open where the feed goes; yields it, and the last position that is there already."""
    if not follow or output is None or (output.exists() and not output.is_file()):
        with bytes_to(output) as file:
            yield file, 0
        return
    try:
        with adding_to(output, ledger) as opened:
            yield opened
    except NotThisFeed as problem:
        raise CallProblem(f"--output: {problem}") from None


def _types(named: list[str]) -> frozenset[str]:
    try:
        return frozenset(event_class(name).type for name in named)
    except MalformedFact as problem:
        raise CallProblem(f"--type: {problem}") from None


def _position(after: int, last: tuple[str, str] | None, ledger: Ledger) -> int:
    """Return where to begin; refuse a position that is not that of the last event taken.

    What comes up to one that is not there yet would be missed.
    """
    head = ledger.head().position
    elsewhere = "of another ledger, or of one that has been put back to an earlier day"
    if after > head:
        raise CallProblem(
            f"--after {after} lies beyond the last position of {ledger.path}, {head}: it was "
            f"remembered {elsewhere}"
        )
    if last is None:
        return after
    event = ledger.find(*last)
    if event is None or (after and event.position != after):
        where = "is not" if event is None else f"stands at position {event.position}"
        raise CallProblem(
            f"--last: the event {shown(last[1])} of {shown(last[0])} {where} in {ledger.path}"
            f"{f', not at {after}' if event else ''}: it was remembered {elsewhere}; begin anew "
            "after the last event that both have"
        )
    return event.position
