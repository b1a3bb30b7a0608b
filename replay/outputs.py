"""Outputs: a report or a table computed at a moment, with the receipt that it leaves with."""

from __future__ import annotations

from typing import Literal, NamedTuple

import pyarrow as pa

from ledger.ledger import Ledger
from ledger.wire import to_cloudevent
from projections.catalogue import catalogue_of
from projections.reports.inputs import TABLES, Inputs
from projections.reports.report import Report
from projections.reports.shelf import REPORTS
from projections.standing import Moment
from replay.everyone import Everyone
from replay.inputs import InputsAt
from replay.receipts import (
    Basis,
    Form,
    Parameters,
    Receipt,
    columns_of,
    combined,
    digest_of,
    event_at,
    policies_of,
)


class Output(NamedTuple):
    """A table and its receipt."""

    table: pa.Table
    receipt: Receipt

    @property
    def report(self) -> Report | None:
        """The report it is of, None for a table."""
        return REPORTS[self.receipt.name] if self.receipt.of == "report" else None


class Unknown(Exception):
    """There is no such report or table; str() is one sentence."""


def compute(
    everyone: Everyone,
    of: Literal["report", "table"],
    name: str,
    moment: Moment,
    parameters: Parameters,
    *,
    form: Form,
    basis: Basis,
    program: str,
) -> Output:
    """Compute a report or a table at a moment; raises Unknown.

    The same moment and parameters give the same rows, whatever was recorded since.
    """
    if name not in (REPORTS if of == "report" else TABLES):
        raise Unknown(f"there is no {of} {name!r}")
    inputs = InputsAt(everyone, moment, parameters.period, parameters.exam)
    table = REPORTS[name].make(inputs) if of == "report" else table_named(name, inputs, everyone)
    return Output(
        table,
        Receipt(
            of=of,
            name=name,
            form=form,
            basis=basis,
            ledger=id_of(everyone.ledger),
            position=moment.position,
            event=event_at(everyone.ledger, moment.position),
            as_of=moment.as_of,
            known_at=moment.known_at,
            parameters=parameters,
            policies=policies_of(inputs.catalogue, moment.position),
            program=program,
            columns=columns_of(table),
            rows=table.num_rows,
            sha256=digest_of(table),
        ),
    )


def table_named(name: str, inputs: Inputs, everyone: Everyone) -> pa.Table:
    """Give an input of reports as a table to export; of a sitting its registration too."""
    table: pa.Table = getattr(inputs, name)
    if name != "sittings":
        return table
    keys = everyone.ledger.keys_at(table["position"].to_pylist())
    at = table.schema.get_field_index("started_at")
    return table.add_column(at, "registration_id", pa.array(keys, pa.string()))


def id_of(ledger: Ledger) -> str:
    """Give a ledger's own id."""
    return ledger.about("ledger") or ""


def receipt_of_events(ledger: Ledger, after: int, position: int, *, program: str) -> Receipt:
    """Make the receipt of an export of the events after one position and up to another."""
    sha256, rows = combined(to_cloudevent(row) for row in ledger.read(after, position))
    return receipt_of_lines(ledger, after, position, sha256, rows, program=program)


def receipt_of_lines(
    ledger: Ledger, after: int, position: int, sha256: str, rows: int, *, program: str
) -> Receipt:
    """Make the receipt of an export of events whose lines are counted and summed already."""
    last = next(iter(ledger.read(position - 1, position)), None) if position else None
    return Receipt(
        of="events",
        name="events",
        form="cloudevents",
        basis="restated",
        ledger=id_of(ledger),
        position=position,
        event=event_at(ledger, position),
        as_of=None,
        known_at=None if last is None else last.recorded_at,
        parameters=Parameters(after=after),
        policies=policies_of(catalogue_of(ledger.catalogue(0, position)), position),
        program=program,
        columns=(),
        rows=rows,
        sha256=sha256,
    )
