"""Outputs: a report, a table or an audit computed at a moment, with the receipt it leaves with."""

from __future__ import annotations

from typing import Literal, NamedTuple

import pyarrow as pa

from ledger.cloudevents import to_cloudevent
from ledger.ledger import Ledger
from projections.catalogue import catalogue_of
from projections.reports.inputs import TABLES, Inputs
from projections.reports.registry import REPORTS
from projections.reports.report import Report
from projections.standing import Moment
from replay.audit.query import Conditions, Query
from replay.audit.registry import QUERIES, query_named
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
from replay.rows import Rows
from replay.snapshot import Snapshot


class Output(NamedTuple):
    """A table and its receipt."""

    table: pa.Table | Rows
    receipt: Receipt
    """Without count and digest where the table is read only now: `settled` has them."""

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


class Unknown(Exception):
    """There is no such report, table or audit; str() is one sentence."""


def compute(
    everyone: Everyone,
    of: Literal["report", "table", "audit"],
    name: str,
    moment: Moment,
    parameters: Parameters,
    *,
    form: Form,
    basis: Basis,
    program: str,
) -> Output:
    """Compute a report, a table or an audit at a moment; raises Unknown.

    The same moment and parameters give the same rows, whatever was recorded since.
    """
    if of == "audit":
        return audited(
            Snapshot(everyone.ledger, moment), name, parameters.audit or Conditions(),
            form=form, basis=basis, program=program,
        )  # fmt: skip
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


def audited(
    snapshot: Snapshot,
    name: str,
    conditions: Conditions,
    *,
    form: Form,
    basis: Basis,
    program: str,
) -> Output:
    """Ask an audit query of all that is known at a snapshot; raises Unknown.

    No row is made before it is read.
    """
    if name not in QUERIES:
        raise Unknown(f"there is no audit {name!r}")
    query = query_named(name)
    if more := sorted(conditions.said - {*query.takes}):
        raise Unknown(f"audit {name} has no condition {', '.join(more)}")
    if query.needs is not None and query.needs not in conditions.said:
        raise Unknown(f"audit {name} needs the condition {query.needs}")
    ledger, position = snapshot.ledger, snapshot.position
    rows = Rows(query.schema, lambda: query.make(snapshot, conditions), query.tally)
    return Output(
        rows,
        Receipt(
            of="audit",
            name=name,
            form=form,
            basis=basis,
            ledger=id_of(ledger),
            position=position,
            event=event_at(ledger, position),
            as_of=None,
            known_at=snapshot.moment.known_at,
            parameters=Parameters(audit=conditions),
            policies=policies_of(snapshot.catalogue, position),
            program=program,
            columns=columns_of(rows),
            rows=0,
            sha256="",
        ),
    )


def table_named(name: str, inputs: Inputs, everyone: Everyone) -> pa.Table:
    """Return an input of reports as a table to export; of a sitting its registration too."""
    table: pa.Table = getattr(inputs, name)
    if name != "sittings":
        return table
    keys = everyone.ledger.keys_at(table["position"].to_pylist())
    at = table.schema.get_field_index("started_at")
    return table.add_column(at, "registration_id", pa.array(keys, pa.string()))


def id_of(ledger: Ledger) -> str:
    """Return a ledger's own id."""
    return ledger.about("ledger") or ""


def receipt_of_events(ledger: Ledger, after: int, position: int, *, program: str) -> Receipt:
    """Make the receipt of an export of the events after one position and up to another."""
    sha256, rows = combined(to_cloudevent(row) for row in ledger.read(after, position))
    return receipt_of_lines(ledger, after, position, sha256, rows, program=program)


def receipt_of_lines(
    ledger: Ledger, after: int, position: int, sha256: str, rows: int, *, program: str
) -> Receipt:
    """Make the receipt of an export of events whose lines are counted and summed already."""
    last = ledger.event(position)
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
