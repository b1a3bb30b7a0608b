"""Outputs: a report, a table or an audit computed at a moment, with the receipt it leaves with."""

from __future__ import annotations

import io
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import pyarrow as pa

from ledger.cloudevents import to_cloudevent
from ledger.instants import Period
from ledger.ledger import Ledger
from projections.reports.registry import REPORTS
from projections.reports.report import Report
from projections.table import CannotAsk
from projections.tables import TABLES
from replay.audit.conditions import Conditions
from replay.audit.query import Query
from replay.audit.registry import QUERIES, query_named
from replay.formats import TABLE, About, words_of
from replay.formats.chart import draw
from replay.formats.html import read_page, receipt_of_page, write_page, write_picture_page
from replay.formats.rows import CARRIERS, read_rows, write_rows
from replay.formats.text import write_query_text, write_text
from replay.receipts import (
    Basis,
    Form,
    Parameters,
    Receipt,
    ReceiptProblem,
    beside,
    combined,
    event_at,
    heading,
    id_of,
    policies_of,
    read_receipt,
    receipt_of_lines,
)
from replay.rows import Rows, columns_of, digest_of
from replay.snapshot import Snapshot


class Output(NamedTuple):
    """A table and its receipt."""

    table: pa.Table | Rows
    receipt: Receipt
    """Without count and digest where the table is read only now: `settled` has them."""
    moved_in: int = 0
    """How many events it leaves out since they were moved in as a migration, and are not late."""

    @property
    def line(self) -> str:
        """What was found, in a sentence; another says what is left out."""
        made = self.report or self.query
        assert made is not None
        counted: Any = self.table if self.query is None else self.table.tally
        return f"{made.line(counted)}{f' {self.left_out}' if self.moved_in else ''}"

    @property
    def left_out(self) -> str:
        """What is left out, in a sentence."""
        one = self.moved_in == 1
        return (
            f"{self.moved_in:,} event{'' if one else 's'} moved in by a migration "
            f"(`--backfill`) {'is' if one else 'are'} left out."
        )

    @property
    def settled(self) -> Receipt:
        """The whole receipt; rows that nobody has read to their end yet are read for it."""
        if not isinstance(self.table, Rows):
            return self.receipt
        known = {"rows": self.table.num_rows, "sha256": self.table.sha256}
        return self.receipt.model_copy(update=known)

    def to_arrow(self) -> pa.Table:
        """Return all its rows in memory."""
        return pa.Table.from_batches(self.table.to_batches(), self.table.schema)

    @property
    def report(self) -> Report | None:
        """The report it is of, None for a table."""
        return REPORTS[self.receipt.name] if self.receipt.of == "report" else None

    @property
    def query(self) -> Query | None:
        """The audit query it is of, None for anything else."""
        return query_named(self.receipt.name) if self.receipt.of == "audit" else None


class Inputs(NamedTuple):
    """What a report is made of (`projections.reports.report.Inputs`): a snapshot and a period."""

    snapshot: Snapshot
    period: Period
    exam: str | None = None

    @property
    def as_of(self) -> int:
        """The instant whose truth is meant, microseconds UTC."""
        return self.snapshot.as_of

    def table(self, name: str, *columns: str) -> pa.Table:
        """Return columns of a table."""
        return self.snapshot.table(name, exam=self.exam, columns=columns)


OF_LATENESS: Final = ("corrections", "backdated")
"""Reports, tables and audits of what came late: what was moved in as a migration is left out."""


class Unknown(ValueError):
    """There is no such report, table or audit; str() is one sentence."""


def check_report(
    snapshot: Snapshot, name: str, start: int | None, end: int | None, exam: str | None
) -> None:
    """Check what a report is asked about, its exam too; raises CannotAsk.

    Not asked where a receipt is checked: it has the parameters that it has.
    """
    if name in REPORTS:
        REPORTS[name].check(start, end, exam)
    if exam is not None:
        _ = snapshot.columns  # so that the catalogue holds the exams that facts alone name, too
        if exam not in snapshot.catalogue.exams:
            raise CannotAsk(f"nothing is known of an exam {exam!r}")


def compute(
    snapshot: Snapshot,
    of: Literal["report", "table", "audit"],
    name: str,
    parameters: Parameters,
    *,
    form: Form = "jsonl",
    basis: Basis = "restated",
    program: str = "",
) -> Output:
    """Compute a report, a table or an audit at a snapshot; raises Unknown.

    The same moment and parameters give the same rows, whatever was recorded since. Of an audit, no
    row is made before it is read.
    """
    terms = parameters.audit or Conditions()
    if of == "audit":
        parameters, table = Parameters(audit=terms), _found(snapshot, name, terms)
    elif name not in (accepted := REPORTS if of == "report" else TABLES):
        raise Unknown(f"there is no {of} {name!r}: accepted are {', '.join(accepted)}")
    elif of == "report":
        table = REPORTS[name].make(Inputs(snapshot, parameters.period, parameters.exam))
    else:
        table = snapshot.table(name, exam=parameters.exam)
    made = not isinstance(table, Rows)
    ledger, moment = snapshot.ledger, snapshot.moment
    return Output(
        table,
        Receipt(
            of=of,
            name=name,
            form=form,
            basis=basis,
            ledger=id_of(ledger),
            position=moment.position,
            event=event_at(ledger, moment.position),
            as_of=moment.as_of if made else None,
            known_at=moment.known_at,
            parameters=parameters,
            policies=policies_of(snapshot.catalogue, moment.position),
            program=program,
            columns=columns_of(table),
            rows=table.num_rows if made else 0,
            sha256=digest_of(table) if made else "",
        ),
        ledger.scans.backfilled(moment.position) if name in OF_LATENESS else 0,
    )


def _found(snapshot: Snapshot, name: str, terms: Conditions) -> Rows:
    """Return what an audit query finds."""
    if name not in QUERIES:
        raise Unknown(f"there is no audit {name!r}: accepted are {', '.join(QUERIES)}")
    query = query_named(name)
    if more := sorted(terms.present - {*query.takes}):
        raise Unknown(f"audit {name} has no condition {', '.join(more)}")
    if query.needs is not None and query.needs not in terms.present:
        raise Unknown(f"audit {name} needs the condition {query.needs}")
    return Rows(query.schema, lambda: query.make(snapshot, terms), query.tally)


def receipt_of_events(ledger: Ledger, after: int, position: int, *, program: str) -> Receipt:
    """Make the receipt of an export of the events after one position and up to another."""
    sha256, rows = combined(to_cloudevent(row) for row in ledger.read(after, position))
    return receipt_of_lines(ledger, after, position, sha256, rows, program=program)


PICTURE: Final = "picture."


def about(output: Output) -> About:
    """Return what stands above the rows of a workbook."""
    report, of_moment = output.report, heading(output.receipt)
    if report is None:
        title = output.query.title if output.query else words_of(output.receipt.name)
        return About(title, (of_moment,))
    shares = [column.name for column in report.columns if column.share]
    return About(report.title, (output.line, of_moment), shares)


def write(output: Output, file: BinaryIO) -> None:
    """Write an output in the form that its receipt names; raises CannotWrite.

    Rows that are made while they are read are read once, and never held.
    """
    form, table = output.receipt.form, output.table
    if form in TABLE:
        above = about(output)
        if form == "xlsx" and output.report is not None and table.num_rows:
            above = above._replace(picture=draw(output, "png"))
        write_rows(table, form, file, above, lambda: output.settled.to_json())
    elif form in ("picture.svg", "picture.png"):
        file.write(draw(output, form.removeprefix(PICTURE)))
    else:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        try:
            if form == "html":
                write_page(output, text)
            elif form == "picture.html":
                write_picture_page(output, text)
            elif output.query is not None:
                write_query_text(output, output.query, text)
            else:
                write_text(output, text)
            text.flush()
        finally:
            text.detach()


_LARGEST_RECEIPT: Final = 16 << 20


def receipt_inside(path: Path) -> Receipt | None:
    """Read the receipt inside a file; None where there is none.

    Raises ReceiptProblem, and OSError for a file that cannot be read.
    """
    with path.open("rb") as file:
        try:
            inside = _inside(file)
        except ValueError as error:
            raise ReceiptProblem(f"{path} cannot be read: {error}") from None
    return None if inside is None else read_receipt(inside, path.name)


def find_receipt(path: Path) -> Receipt:
    """Find the receipt of a file: inside it, else beside it.

    Raises ReceiptProblem, and OSError for a file that cannot be read.
    """
    if (inside := receipt_inside(path)) is not None:
        return inside
    sidecar = beside(path)
    if not sidecar.is_file():
        raise ReceiptProblem(
            f"{path} has no receipt: none is inside it, and there is no {sidecar.name} beside it"
        )
    with sidecar.open("rb") as beside_it:
        text = beside_it.read(_LARGEST_RECEIPT + 1)
    if len(text) > _LARGEST_RECEIPT:
        raise ReceiptProblem(f"{sidecar} is larger than 16 MB: no receipt is")
    return read_receipt(text, sidecar.name)


def _inside(file: BinaryIO) -> str | bytes | None:
    """Return the receipt inside a file, None where its form has none."""
    start = file.read(4096)
    for carrier in CARRIERS.values():
        if start.startswith(carrier.mark):
            return carrier.receipt(file)
    if start[:15].lower() == b"<!doctype html>":
        return receipt_of_page(file)
    return None


def rows_of(file: BinaryIO, form: Form, *, foreign: bool = False) -> Generator[tuple[str, ...]]:
    """Yield what a file says, row by row, as texts; the first row is the header.

    Of plain text a row is a line, and there is no header. A `foreign` file is one that others may
    have written. Raises ValueError for what is not of the form, whatever the library makes of it
    that reads it; OSError.
    """
    file.seek(0)
    try:
        if form in TABLE:
            yield from read_rows(file, form, foreign=foreign)
        elif form == "html":
            yield from read_page(file)
        else:
            for raw in file:
                yield (raw.decode("utf-8", "replace").rstrip("\n"),)
    except (ValueError, OSError):
        raise
    except Exception as error:
        raise ValueError(f"it cannot be read ({type(error).__name__})") from error
