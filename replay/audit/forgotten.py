"""`audit forgotten`: whose personal data was erased, when and by whom, and how much there was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ledger.privacy.cipher import encrypted_fields
from projections.reports.report import many
from projections.table import TEXT, WHOLE, Column
from replay.audit.conditions import Conditions
from replay.audit.query import (
    ACTOR,
    FORGOTTEN,
    ID,
    POSITION,
    RECORDED_AT,
    SOURCE,
    TRUE_AT,
    Query,
    batched,
    by,
    selected,
    selection,
)
from replay.snapshot import Snapshot

COLUMNS: Final = (
    POSITION, RECORDED_AT, TRUE_AT,
    Column("candidate", TEXT, "whose personal data was erased"),
    SOURCE, ID, ACTOR,
    Column("events", WHOLE, "how many events of the candidate had personal fields"),
    Column("fields", WHOLE, "how many such fields can no longer be read by anyone"),
)  # fmt: skip


def tally(rows: pa.RecordBatch) -> Counter[str]:
    """Count the erasures and the fields."""
    return Counter(erasures=rows.num_rows, fields=pc.sum(rows["fields"]).as_py() or 0)


def line(tally: Counter[str]) -> str:
    """Return how many there are."""
    if not tally["erasures"]:
        return "Nobody was forgotten."
    return f"{many(tally['erasures'], 'erasure')}, of {many(tally['fields'], 'personal field')}."


def text(row: Mapping[str, Any]) -> Iterator[str]:
    """Write an erasure, and how much it erased."""
    yield f"@{row['position']}  {row['candidate']}"
    yield f"recorded {row['recorded_at']}{by(row['actor'])}; {row['source']} {row['id']}"
    fields, events = many(row["fields"], "personal field"), many(row["events"], "event")
    yield f"{fields} of {events} can no longer be read by anyone"


def forgotten(snapshot: Snapshot, terms: Conditions) -> Iterator[pa.RecordBatch]:
    """Yield the erasures asked about, by position."""
    return batched(QUERY.schema, _rows(snapshot, terms))


def _rows(snapshot: Snapshot, terms: Conditions) -> Iterator[dict[str, Any]]:
    wanted = selection(snapshot, terms)._replace(types=(FORGOTTEN,))
    for batch in selected(snapshot, wanted):
        for candidate, position in zip(
            batch["subject"].to_pylist(), batch["position"].to_pylist(), strict=True
        ):
            rows = snapshot.events(candidate)
            row = next(each for each in rows if each.position == position)
            personal = [len(encrypted_fields(each.topic, each.payload())) for each in rows]
            yield {
                "position": position,
                "recorded_at": row.recorded_at,
                "true_at": row.occurred_at,
                "candidate": candidate,
                "source": row.source,
                "id": row.id,
                "actor": row.actor,
                "events": sum(1 for fields in personal if fields),
                "fields": sum(personal),
            }


QUERY: Final = Query(
    name="forgotten",
    title="Erasures",
    says="One row for each candidate who was forgotten, by position. Why is kept beside the keys, "
    "not in the ledger: `forget` of that candidate says it again.",
    help="""\
Whose personal data was erased by `forget`, when and by whom, and how much of it there was. Why is
kept beside the keys, not in the ledger.""",
    examples="""
    attempt-ledger audit forgotten
    attempt-ledger audit forgotten --recorded-from 2022-06-01 --format csv
    """,
    takes=("candidate", "actor", "source", "recorded_from", "recorded_to"),
    columns=COLUMNS,
    key=("position",),
    make=forgotten,
    tally=tally,
    line=line,
    text=text,
)
