"""`audit annulments`: who annulled what, when and why, with what was annulled beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import Recorded
from projections.reports.report import many
from projections.table import INSTANT, NUMBER, TEXT, WHOLE, Column
from replay.audit.conditions import WHICH, Conditions
from replay.audit.query import (
    ABOUT,
    ACTOR,
    EXAM,
    FORGOTTEN,
    ID,
    KEY,
    POSITION,
    RECORDED_AT,
    SOURCE,
    SUBJECT,
    TRUE_AT,
    Query,
    batched,
    by,
    counted,
    public_data,
    seconds,
    selected,
    selection,
    whom,
)
from replay.snapshot import Snapshot

_SECOND = 1_000_000

COLUMNS: Final = (
    POSITION,
    RECORDED_AT,
    TRUE_AT,
    ACTOR,
    Column("reason", TEXT, "why, as it was said"),
    SOURCE,
    ID,
    ABOUT,
    SUBJECT,
    EXAM,
    KEY,
    Column("annuls", WHOLE, "the position of the annulled event"),
    Column("of_type", TEXT, "its type"),
    Column("of_source", TEXT, "where it came from"),
    Column("of_id", TEXT, "its id there"),
    Column("of_actor", TEXT, "who or what had recorded it", "nobody said"),
    Column("of_recorded_at", INSTANT, "when the ledger had taken it"),
    Column("of_true_at", INSTANT, "when it was said to be true"),
    Column("of_data", TEXT, "what it said, as JSON; personal fields sealed or erased"),
    Column("lag_seconds", NUMBER, "how long it stood: from its recording to the annulment's"),
    Column(
        "before", WHOLE, "the position that had annulled it already: this one changed nothing",
        "this is the first",
    ),
)  # fmt: skip


def row_of(annulment: Recorded, annulled: Recorded, first: int, *, erased: bool) -> dict[str, Any]:
    """Return an annulment and what it annuls; `first` is the position that annulled it first."""
    about, _, subject = annulment.stream.partition("/")
    return {
        "position": annulment.position,
        "recorded_at": annulment.recorded_at,
        "true_at": annulment.occurred_at,
        "actor": annulment.actor,
        "reason": annulment.payload()["reason"],
        "source": annulment.source,
        "id": annulment.id,
        "about": about,
        "subject": subject,
        "exam": annulled.exam,
        "key": annulled.key,
        "annuls": annulled.position,
        "of_type": annulled.type,
        "of_source": annulled.source,
        "of_id": annulled.id,
        "of_actor": annulled.actor,
        "of_recorded_at": annulled.recorded_at,
        "of_true_at": annulled.occurred_at,
        "of_data": public_data(annulled, erased=erased),
        "lag_seconds": (annulment.recorded_at - annulled.recorded_at) / _SECOND,
        "before": None if first == annulment.position else first,
    }


def tally(rows: pa.RecordBatch) -> Counter[str]:
    """Count the annulments, and those of what was annulled already."""
    return Counter(annulments=rows.num_rows, again=counted(pc.is_valid(rows["before"])))


def line(tally: Counter[str]) -> str:
    """Return how many there are."""
    if not tally["annulments"]:
        return "Nothing was annulled."
    again = f", {tally['again']:,} of what was annulled already" if tally["again"] else ""
    return f"{many(tally['annulments'], 'annulment')}{again}."


def text(row: Mapping[str, Any]) -> Iterator[str]:
    """Write an annulment, why it was made, and what it annuls."""
    yield f"@{row['position']}  annuls @{row['annuls']}  {row['of_type']}  {whom(row)}"
    yield f"recorded {row['recorded_at']}{by(row['actor'])}  {row['source']} {row['id']}"
    yield f"reason: {row['reason']}"
    yield (
        f"annulled: true from {row['of_true_at']}, recorded {row['of_recorded_at']}"
        f"{by(row['of_actor'])}  {row['of_source']} {row['of_id']}"
    )
    yield f"it said {row['of_data']}, and stood for {seconds(row['lag_seconds'])}"
    if row["before"] is not None:
        yield f"it had been annulled by @{row['before']} already: this changed nothing"


ANNULLED: Final = "EventAnnulled"


def annulments(snapshot: Snapshot, terms: Conditions) -> Iterator[pa.RecordBatch]:
    """Yield the annulments asked about, by position."""
    return batched(QUERY.schema, _rows(snapshot, terms))


def _rows(snapshot: Snapshot, terms: Conditions) -> Iterator[dict[str, Any]]:
    # Type and valid time are those of what was annulled; by SQL they would be the annulment's.
    wanted = selection(snapshot, terms)._replace(types=(ANNULLED,), true_from=None, true_to=None)
    # What was annulled may lie before the positions that the annulments are wanted from.
    forgotten = cache(partial(is_forgotten, snapshot))
    known = snapshot.ledger.scans.annulments(wanted._replace(after=0), snapshot.position)
    for batch in selected(snapshot, wanted):
        annuls = batch["annuls"].to_numpy()
        events = snapshot.ledger.at([*batch["position"].to_pylist(), *annuls.tolist()])
        for position, of, first in zip(
            batch["position"].to_pylist(), annuls.tolist(), known.of(annuls).tolist(), strict=True
        ):
            if is_meant(events[of], terms):
                erased = forgotten(events[of].stream)
                yield row_of(events[position], events[of], first, erased=erased)


def is_meant(annulled: Recorded, terms: Conditions) -> bool:
    """Return whether the conditions on type and valid time are true of what was annulled."""
    return (
        (not terms.types or annulled.type in terms.types)
        and (terms.valid_from is None or annulled.occurred_at >= terms.valid_from)
        and (terms.valid_to is None or annulled.occurred_at < terms.valid_to)
    )


def is_forgotten(snapshot: Snapshot, stream: str) -> bool:
    """Return whether a candidate was forgotten, as far as is known."""
    rows = snapshot.ledger.stream(stream, upto=snapshot.position)
    return any(row.type == FORGOTTEN for row in rows)


QUERY: Final = Query(
    name="annulments",
    title="Annulments",
    says="One row an annulment, by position. Conditions on type, exam and valid time are about "
    "what was annulled; those on actor, source and recorded time about the annulment.",
    help="""\
--type, --exam and --valid-… are about what was annulled; --actor, --source and --recorded-…
about the annulment.""",
    examples="""
    attempt-ledger audit annulments
    attempt-ledger audit annulments --actor cli --type ExamFailed --format csv
    """,
    takes=WHICH,
    columns=COLUMNS,
    key=("position",),
    make=annulments,
    tally=tally,
    line=line,
    text=text,
)
