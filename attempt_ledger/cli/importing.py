"""`import`: record what files of results, or of events, say."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger.access import Access
from attempt_ledger.checks import Gathered, KnownExams, fault_of
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import ACTOR, Actor, command
from attempt_ledger.cli.outcomes import said_of
from attempt_ledger.cli.output import PROGRAM, note, say
from attempt_ledger.cli.problems import BAD_CALL, DONE, INTERRUPTED, REFUSED, CallProblem
from attempt_ledger.cli.progress import importing
from attempt_ledger.cli.values import uri, zone
from attempt_ledger.sealing import processes
from ledger.events import OWN_SOURCES
from ledger.intake import process
from ledger.intake.importer import import_file
from ledger.intake.mapping import NO_MAP, read_map
from ledger.intake.reading import Options, Reading, read_headers
from ledger.intake.results import DEFAULT_SOURCE, CsvSettings
from ledger.intake.source import SourceProblem
from ledger.ledger import Ledger
from ledger.tlog.checkpoint import log_paths
from ledger.tlog.follower import SealingBeside
from retake_policies.zones import load_zone


class Input(StrEnum):
    """How an input is read."""

    auto = "auto"
    cloudevents = "cloudevents"
    csv = "csv"
    xlsx = "xlsx"


Source = Annotated[str, typer.Option("--source", metavar="URN", help="Of rows that name none.")]
MapFile = Annotated[
    str | None,
    typer.Option(
        "--map", metavar="FILE.toml", help="What the columns and words of the files mean."
    ),
]
ZoneName = Annotated[
    str | None,
    typer.Option("--zone", metavar="ZONE", help="Whose clock times without an offset are on."),
]
IgnoreExtra = Annotated[
    bool, typer.Option("--ignore-extra", help="Pass over unknown columns of a CSV.")
]


def results_settings(
    source: str, map: str | None, zone_name: str | None, ignore_extra: bool
) -> CsvSettings:
    """Return how files of results are read; raises CallProblem, or MapProblem."""
    if source.startswith(OWN_SOURCES):
        raise CallProblem(f"--source {source} is this program's own: give the feed one of its own")
    return CsvSettings(
        source=uri("--source", source),
        zone=None if zone_name is None else zone(zone_name),
        ignore_extra=ignore_extra,
        map=NO_MAP if map is None else read_map(map, load_zone),
    )


@command(
    "import",
    examples="""
    attempt-ledger import results.csv
    attempt-ledger import results-2021.csv.gz results-2022.csv.xz --zone CET
    attempt-ledger import results.csv --corrections --rejects refused.csv
    attempt-ledger import vendor.xlsx --map vendor.toml
    attempt-ledger import ten-years.csv --backfill
    attempt-ledger import --keep-recorded-at history.jsonl
    zcat events.jsonl.gz | attempt-ledger import - --format cloudevents
    """,
)
def import_(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="As they are, or .gz or .xz; - is standard input."),
    ],
    format: Annotated[
        Input,
        typer.Option(
            "--format",
            metavar="auto|cloudevents|csv|xlsx",
            help="auto: by the file's name, else by its first byte.",
        ),
    ] = Input.auto,
    map: MapFile = None,
    source: Source = DEFAULT_SOURCE,
    keep_recorded_at: Annotated[
        bool,
        typer.Option(
            "--keep-recorded-at",
            help="Move a history in: keep each line's recordedtime, or each row's recorded_at; "
            "stop at the first refused.",
        ),
    ] = False,
    backfill: Annotated[
        bool,
        typer.Option(
            "--backfill",
            help="Mark what is recorded as moved in by a migration: it is not late.",
        ),
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(
            "--rejects",
            metavar="FILE",
            help="Where refused rows go, with their problem. Default: NAME.rejects.csv (or "
            ".jsonl) in the working directory.",
        ),
    ] = None,
    zone_name: ZoneName = None,
    ignore_extra: IgnoreExtra = False,
    corrections: Annotated[
        bool,
        typer.Option(
            "--corrections", help="Record a changed CSV result as a further one: …/result/2."
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Record what was annulled, and comes again, under an id of its own: …/result/2.",
        ),
    ] = False,
    known_exams_only: Annotated[
        bool,
        typer.Option(
            "--known-exams-only", help="Set rows aside whose exam is not in the catalogue."
        ),
    ] = False,
    actor: Actor = ACTOR,
) -> int:
    """Import results and CloudEvents lines.

    What is recorded already is skipped and counted. Rows that are malformed, contradict what is
    recorded, or were annulled since, go into the rejects file, each with its problem, to be fixed
    and imported again; then the exit code is 1. So it is when rows name exams that are not in the
    catalogue, or say something else of a sitting than another source; those are recorded all the
    same. Interrupted anywhere, running it again completes it.

    \b
    A results CSV has a header and one row a sitting:
      candidate_id, exam, registration_id, started_at, ended_at?, delivery?,
      outcome (pass, fail, pending, missed), result_at?, score?, source?
    Without started_at it has results alone, of sittings that are recorded. A
    --map says what the columns and words of another CSV, or of a workbook,
    mean.
    """
    if rejects is not None and len(files) > 1:
        raise CallProblem("--rejects goes with one FILE: each has a rejects file of its own")
    if backfill and keep_recorded_at:
        raise CallProblem(
            "--backfill goes without --keep-recorded-at: a history says when it was recorded"
        )
    if again and keep_recorded_at:
        raise CallProblem("--again goes without --keep-recorded-at: a history keeps its ids")
    if len(set(files)) < len(files):
        raise CallProblem("a FILE is named twice")
    settings = replace(
        results_settings(source, map, zone_name, ignore_extra),
        as_recorded=keep_recorded_at,
        # A history says itself who recorded what: filling that in would make it another.
        actor=None if keep_recorded_at else actor,
    )
    options = Options(
        format=format.value,
        csv=settings,
        corrections=corrections,
        again=again,
        keep_recorded_at=keep_recorded_at,
        backfill=backfill,
        two_processes=(os.cpu_count() or 1) > 1,
        check=fault_of,
        rejects=rejects,
    )
    code = DONE
    gathered = Gathered()
    taken: set[Path] = set()
    call = call_of(context)
    with call.open(to_write=True) as ledger, sealing_beside(call, ledger, files):
        gathered.after = ledger.head().position
        if known_exams_only:
            options = replace(options, exam_fault=KnownExams(ledger).fault_of)
        once = read_headers(files, options) if len(files) > 1 else {}
        for file in files:
            try:
                with (
                    once.pop(file, None) or Reading.open(file, options) as reading,
                    importing(reading.source.name) as progress,
                ):
                    report = import_file(
                        ledger, reading, stopwatch=time.monotonic, progress=progress, taken=taken
                    )
            except SourceProblem as problem:
                say(str(problem))
                code = BAD_CALL
                continue
            if report.rejects is not None:
                taken.add(report.rejects)
            for i, line in enumerate(report.summary()):
                note(line if i else f"{PROGRAM}: {line}")
            gathered.add(report)
            if report.interrupted:
                return INTERRUPTED
            if not report.clean:
                code = max(code, REFUSED)
        return max(code, said_of(ledger, gathered, is_history=keep_recorded_at))


@contextmanager
def sealing_beside(access: Access, ledger: Ledger, files: Iterable[str]) -> Iterator[None]:
    """Seal in another process while the body imports, if the files are large enough to be worth it.

    Otherwise, and for what is left, `seal_after` does.
    """
    log = log_paths(ledger.path, access.signing_key)
    size = sum(os.path.getsize(file) for file in files if os.path.isfile(file))
    if size < process.WORTH_BYTES or processes() < 2 or not log.key.exists():
        yield
        return
    with SealingBeside(log, str(ledger.about("ledger"))):
        yield
