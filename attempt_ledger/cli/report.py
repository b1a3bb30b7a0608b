"""`report`: a table, a sentence and a picture of a period or a moment, with a receipt."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, engine_of
from attempt_ledger.cli.delivering import (
    ReceiptFile,
    check_picture,
    check_places,
    deliver,
    deliver_picture,
    moment_of,
    program_of,
)
from attempt_ledger.cli.everybody import write_table
from attempt_ledger.cli.forms import REPORTED, ReportFormat, form_of
from attempt_ledger.cli.options import ExamOption, KnownAt, NoColumnCache, Output, command
from attempt_ledger.cli.output import put, text_to
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant, known
from projections.reports.registry import REPORTS
from projections.reports.report import Report, many
from replay.checking import key_of
from replay.formats import TABLE, About
from replay.formats.html import write_table_page
from replay.formats.text import write_table_text
from replay.outputs import Output as Made
from replay.outputs import check_report, compute
from replay.receipts import Basis, Parameters, heading
from replay.restating import figures_table
from replay.restating import restated as since_published
from replay.snapshot import HEAD, Known, Snapshot

LIST = "list"


@command(
    "report",
    examples="""
    attempt-ledger report list
    attempt-ledger report volumes --from 2023-03-01 --to 2023-04-01 --as-published
    attempt-ledger report volumes --from 2023-03-01 --to 2023-04-01 --restated
    attempt-ledger report volumes --month 2023-03 --compare
    attempt-ledger report blocked --as-of 2023-04-01 --chart blocked.svg
    attempt-ledger report expiring --from 2023-04-01 --to 2023-07-01 --output expiring.xlsx
    """,
)
def report(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which; list names them all.")],
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="T", help="The period's start, inclusive. Default: none."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="T", help="The period's end, exclusive. Default: none."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="T",
            help="The instant whose truth is asked about. Default: --to, or now if earlier.",
        ),
    ] = None,
    known_at: KnownAt = None,
    as_published: Annotated[
        bool,
        typer.Option(
            "--as-published", help="Use only what was recorded by --to (or else by --as-of)."
        ),
    ] = False,
    restated: Annotated[
        bool, typer.Option("--restated", help="Use everything recorded: the default.")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="List the figures that differ: as published, restated, the difference, and the "
            "events that are the cause.",
        ),
    ] = False,
    exam: ExamOption = None,
    format: ReportFormat = None,
    chart: Annotated[
        Path | None,
        typer.Option("--chart", metavar="FILE", help="Draw it too: .svg, .png or .html."),
    ] = None,
    output: Output = None,
    receipt: ReceiptFile = None,
    no_column_cache: NoColumnCache = False,
) -> int:
    """Make a report of a period, or of a moment.

    It is computed from the ledger itself, so that the same call gives the same rows whenever it is
    made: as it was published, from what was known at the period's end, or restated, from what is
    known now. Every output says which, and carries a receipt by which `receipt check` computes it
    again. --compare lists where the two differ: with any figure the exit code is 1.
    """
    if name == LIST:
        return listed()
    form = form_of(REPORTED, format, output)
    check_picture(chart)
    check_places(output, chart, receipt)
    now = clock.now()
    chosen = parameters_of(report_named(name), start, end, exam)
    at = as_of_of(as_of, chosen.end, now)
    other = known_at is not None or as_published or restated
    if compare and (other or chart is not None or receipt is not None):
        raise CallProblem("--compare is of both, published and restated: give no other of them")
    basis, wanted = basis_of(
        known_at,
        as_published or compare,
        restated,
        end=chosen.end,
        as_of=None if as_of is None else at,
    )
    with engine_of(call_of(context), no_column_cache=no_column_cache) as (ledger, engine):
        snapshot = Snapshot(ledger, moment_of(ledger, at, wanted, now), engine)
        check_report(snapshot, name, chosen.start, chosen.end, exam)
        made = compute(
            snapshot, "report", name, chosen,
            form=form, basis=basis, program=program_of(form),  # type: ignore[arg-type]
        )  # fmt: skip
        if compare:
            return compared(snapshot, made, form, output)
        if chart is not None:
            deliver_picture(made, chart)
        deliver(made, output, receipt)
    return DONE


def compared(snapshot: Snapshot, published: Made, form: str, output: Path | None) -> int:
    """Write which figures of a report differ since it was published; return the exit code."""
    changes = since_published(snapshot, published)
    table = figures_table(changes, key_of(published))
    assert published.report is not None
    head = snapshot.ledger.head()
    differ = f"{many(table.num_rows, 'figure')} {'differs' if table.num_rows == 1 else 'differ'}"
    about = About(
        f"{published.report.title}: published and restated",
        (
            f"{differ}, in {many(len(changes), 'row')} of the report.",
            f"{heading(published.receipt)}; restated at position {head.position}",
        ),
    )
    if form in TABLE:
        write_table(table, form, output, about)
    else:
        with text_to(output) as file:
            (write_table_page if form == "html" else write_table_text)(table, about, file)
    return REFUSED if changes else DONE


def listed() -> int:
    """Name every report."""
    for each in REPORTS.values():
        put(f"{each.name:12} {each.title}. {each.says}\n")
    return DONE


def report_named(name: str) -> Report:
    """Find a report; raises CallProblem, which names one of a like name."""
    if name in REPORTS:
        return REPORTS[name]
    like = get_close_matches(name.lower(), REPORTS, n=1)
    meant = f": do you mean {like[0]}?" if like else f": accepted are {', '.join(REPORTS)}"
    raise CallProblem(f"there is no report {name!r}{meant}")


def parameters_of(
    report: Report, start: str | None, end: str | None, exam: str | None
) -> Parameters:
    """Read what a report is about; raises CannotAsk for what it cannot be about."""
    first = None if start is None else instant("--from", start)
    last = None if end is None else instant("--to", end)
    report.check(first, last, exam)
    return Parameters(start=first, end=last, exam=exam)


def as_of_of(as_of: str | None, end: int | None, now: int) -> int:
    """Return the instant whose truth is meant: the period's end, but never later than now."""
    if as_of is not None:
        return instant("--as-of", as_of)
    return now if end is None else min(end, now)


def basis_of(
    known_at: str | None,
    as_published: bool,
    restated: bool,
    *,
    end: int | None,
    as_of: int | None,
) -> tuple[Basis, Known]:
    """Read which knowledge is meant; raises CallProblem for two at once."""
    if (known_at is not None) + as_published + restated > 1:
        raise CallProblem("--known-at, --as-published and --restated exclude each other: give one")
    if as_published:
        published = end if end is not None else as_of
        if published is None:
            raise CallProblem("--as-published: when? Give --to, the end of the period, or --as-of")
        return "as-published", Known(instant=published)
    if known_at is not None:
        return "known-at", known(known_at)
    return "restated", HEAD
