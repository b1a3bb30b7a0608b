"""`export`: every event as a line, in the order of the ledger; or a table at a moment."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of, engine_of
from attempt_ledger.cli.delivering import (
    ReceiptFile,
    both,
    check_places,
    deliver,
    moment_of,
    program_of,
    receipt_place,
)
from attempt_ledger.cli.forms import LINES, TableFormat, form_of
from attempt_ledger.cli.options import AsOf, ExamOption, KnownAt, NoColumnCache, Output, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.cli.values import instant, known
from ledger.cloudevents import to_cloudevent
from replay.formats import TABLE
from replay.many import many
from replay.receipts import Parameters, receipt_of_lines
from replay.snapshot import Snapshot


class Exported(StrEnum):
    """The tables of `projections.tables.TABLES`, without Arrow: events need none."""

    exams = "exams"
    policies = "policies"
    certification_exams = "certification_exams"
    sittings = "sittings"
    standings = "standings"
    exceptions = "exceptions"
    certifications = "certifications"
    violations = "violations"
    corrections = "corrections"
    problems = "problems"
    facts = "facts"


WITHOUT_EXAM = (Exported.certifications, Exported.policies)


@command(
    "export",
    examples="""
    attempt-ledger export --output history.jsonl
    attempt-ledger export --after 1200 | gzip > since-1200.jsonl.gz
    attempt-ledger --ledger sqlite:///copy.ledger init --bare
    attempt-ledger --ledger sqlite:///copy.ledger import --keep-recorded-at history.jsonl
    attempt-ledger export --table sittings --output sittings.xlsx
    attempt-ledger export --partitioned events
    """,
)
def export(
    context: typer.Context,
    after: Annotated[
        int,
        typer.Option(
            "--after", metavar="POSITION", min=0, help="Only what comes after it (events)."
        ),
    ] = 0,
    table: Annotated[
        Exported | None,
        typer.Option(
            "--table",
            metavar="TABLE",
            help=f"A table at a moment instead of the events: {', '.join(Exported)}.",
        ),
    ] = None,
    partitioned: Annotated[
        Path | None,
        typer.Option(
            "--partitioned",
            metavar="DIR",
            help="Add to this folder, as Parquet by month of recording, the events that it lacks.",
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    exam: ExamOption = None,
    format: TableFormat = None,
    output: Output = None,
    receipt: ReceiptFile = None,
    no_column_cache: NoColumnCache = False,
) -> int:
    """Write the ledger's events as CloudEvents JSON, or a table.

    Events go out one a line, in the order of the ledger. Personal fields go out as ciphertext.
    Imported into a bare ledger with --keep-recorded-at the lines give the same ledger; its personal
    fields open with a copy of the key file.

    Into a folder (--partitioned) they go as Parquet that DuckDB, Polars and Spark read, one row an
    event. Run again it adds what is new, and changes nothing that is there.

    A table (--table) is computed from the ledger at (--as-of, --known-at). As CSV its texts are
    made safe for spreadsheets: before = + - @, a tab or a carriage return at their beginning stands
    a '. No personal field is in any table. Every file has a receipt: see `receipt check`.
    """
    call = call_of(context)
    if partitioned is not None:
        others = {"--after": after or None, "--table": table, "--output": output}
        for option, other in (others | {"--receipt": receipt}).items():
            if other is not None:
                raise CallProblem(f"{option} does not go with --partitioned: leave one of them out")
    if table is None:
        options = {"--as-of": as_of, "--known-at": known_at, "--exam": exam, "--format": format}
        for option, value in options.items():
            if value is not None:
                raise CallProblem(f"{option} is of a table: give --table too")
        if partitioned is not None:
            return by_month(call, partitioned)
        form_of(LINES, None, output)
        return events(call, after, output, receipt)
    if after:
        raise CallProblem("--after is of events: leave it out, or leave out --table")
    if exam is not None and table in WITHOUT_EXAM:
        raise CallProblem(f"{table} are of no single exam: leave out --exam")
    form = form_of(TABLE, format, output)
    check_places(output, receipt)
    now = clock.now()
    at = now if as_of is None else instant("--as-of", as_of)
    wanted = known(known_at)
    with engine_of(call, no_column_cache=no_column_cache) as (ledger, engine):
        made = many("compute")(
            Snapshot(ledger, moment_of(ledger, at, wanted, now), engine),
            "table",
            table.value,
            Parameters(exam=exam),
            form=form,
            basis="restated" if known_at is None else "known-at",
            program=program_of(form, "table"),  # type: ignore[arg-type]
        )
        deliver(made, output, receipt)
    return DONE


def events(call: Access, after: int, output: Path | None, receipt_file: Path | None) -> int:
    """Write the events after a position as lines, up to the last there is when it begins."""
    count, summed = 0, hashlib.sha256()
    place = receipt_place(output, receipt_file, inside=False)
    with call.open() as ledger, both(output, place) as (file, aside):
        head = ledger.head().position
        for event in ledger.read(after, head):
            line = f"{to_cloudevent(event)}\n".encode()
            file.write(line)
            summed.update(line)
            count += 1
        if aside is not None:
            receipt = receipt_of_lines(
                ledger,
                after,
                head,
                summed.hexdigest(),
                count,
                program=program_of("cloudevents", "events"),
            )
            aside.write(receipt.to_json().encode())
    if output is not None:
        kept = "" if place is None else f"; receipt in {place}"
        say(f"{output}: {count:,} event{'' if count == 1 else 's'}{kept}")
    return DONE


def by_month(call: Access, folder: Path) -> int:
    """Add to a folder of Parquet the events that it lacks."""
    call.check()
    with call.open() as ledger, call.counting("writing", ledger.head().position) as progress:
        added = many("export_partitioned")(ledger, folder, progress=progress)
    if not added.events:
        say(f"{folder}: nothing new, up to position {added.position:,}")
        return DONE
    events = f"{added.events:,} event{'' if added.events == 1 else 's'}"
    files = f"{added.files:,} file{'' if added.files == 1 else 's'}"
    say(f"{folder}: {events} added in {files}, up to position {added.position:,}")
    return DONE
