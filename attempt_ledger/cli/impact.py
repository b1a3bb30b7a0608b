"""`impact`: what importing files would change, without recording them."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger.checks import Gathered, fault_of
from attempt_ledger.cli.everybody import about, snapshot_of, write_table
from attempt_ledger.cli.forms import TableFormat, form_of
from attempt_ledger.cli.importing import (
    IgnoreExtra,
    Input,
    MapFile,
    Source,
    ZoneName,
    results_settings,
)
from attempt_ledger.cli.options import AsOf, NoColumnCache, Output, command
from attempt_ledger.cli.outcomes import said_of
from attempt_ledger.cli.output import note, say
from attempt_ledger.cli.problems import DONE, REFUSED
from ledger.dry_run import DryRun
from ledger.intake.importer import import_file
from ledger.intake.reading import Options, Reading
from ledger.intake.results import DEFAULT_SOURCE
from replay.formats import TABLE


@command(
    "impact",
    examples="""
    attempt-ledger impact results-may.csv
    attempt-ledger impact rescores.jsonl --as-of 2023-06-01 --format jsonl
    attempt-ledger impact results.csv --corrections --output impact.csv
    """,
)
def impact(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="As `import` takes them; - is standard input."),
    ],
    as_of: AsOf = None,
    input: Annotated[
        Input, typer.Option("--input", help="How the files are read; as --format of `import`.")
    ] = Input.auto,
    map: MapFile = None,
    source: Source = DEFAULT_SOURCE,
    zone_name: ZoneName = None,
    ignore_extra: IgnoreExtra = False,
    corrections: Annotated[
        bool, typer.Option("--corrections", help="Take a changed CSV result as a further one.")
    ] = False,
    no_column_cache: NoColumnCache = False,
    format: TableFormat = None,
    output: Output = None,
) -> int:
    """List what importing files would change, recording nothing.

    One row a candidate and exam, as of --as-of, with the standing as it is (from_…), as it would
    be (to_…), and the events that would make the difference. Rows that the import would refuse
    are counted, and then the exit code is 1.
    """
    form = form_of(TABLE, format, output)
    settings = results_settings(source, map, zone_name, ignore_extra)
    with ExitStack() as stack:
        snapshot = stack.enter_context(
            snapshot_of(context, as_of, None, no_column_cache=no_column_cache)
        )
        dry_run = stack.enter_context(DryRun(snapshot.ledger))
        aside = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "rejects"
        options = Options(
            format=input.value,
            csv=settings,
            corrections=corrections,
            check=fault_of,
            rejects=aside,
        )
        gathered = Gathered()
        became = [imported(dry_run, file, options, gathered) for file in files]
        became.append(said_of(dry_run, gathered) == DONE)
        write_table(
            snapshot.impact(dry_run.appended),
            form,
            output,
            about("What the import would change", snapshot),
        )
    return DONE if all(became) else REFUSED


def imported(dry_run: DryRun, file: str, options: Options, gathered: Gathered) -> bool:
    """Import one file into a dry run; say what would become of it, and tell if all is clean.

    What is odd of it is gathered, too. Raises SourceProblem for a file that cannot be imported at
    all: what the others would change is not what was asked.
    """
    with Reading.open(file, options) as reading:
        report = import_file(dry_run, reading, stopwatch=time.monotonic)
    if report.interrupted:
        raise KeyboardInterrupt
    gathered.add(report)
    report.rejects = None  # thrown away with the rest
    _, *more = report.summary()
    say(
        f"{file}: would record {report.recorded:,} event{'' if report.recorded == 1 else 's'}, "
        f"skip {report.duplicates:,} duplicate{'' if report.duplicates == 1 else 's'}, "
        f"reject {report.rejected:,}"
    )
    for line in more:
        note(line)
    return report.clean
