"""What an audit query is: conditions, columns, a sentence, lines, and how its rows are found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import Recorded
from ledger.models import EVENT_TYPES
from ledger.store.scans import Selection
from projections.table import INSTANT, NUMBER, TEXT, WHOLE, Column, schema_of
from replay.audit.conditions import Conditions, threshold
from replay.snapshot import Snapshot

FORGOTTEN: Final = "CandidateForgotten"
_SUBJECTS: Final = ("candidate", "certification", "exam", "policy")
_BATCH: Final = 1024


# The columns that say which event a row is about, the same in every query.
POSITION: Final = Column("position", WHOLE, "the event's position")
RECORDED_AT: Final = Column("recorded_at", INSTANT, "when the ledger took it")
TRUE_AT: Final = Column("true_at", INSTANT, "when it was true: its `time`")
TYPE: Final = Column("type", TEXT, "its type")
ABOUT: Final = Column("about", TEXT, "candidate, exam, certification or policy")
SUBJECT: Final = Column("subject", TEXT, "whom or what it is about, by its id")
EXAM: Final = Column(
    "exam", TEXT, "the exam; of an annulment that of what it annuls", "the fact has none"
)
KEY: Final = Column(
    "key", TEXT, "registration, request or certification, as for `exam`", "the fact has none"
)
SOURCE: Final = Column("source", TEXT, "where it comes from; with `id` what identifies it")
ID: Final = Column("id", TEXT, "its id there")
ACTOR: Final = Column("actor", TEXT, "who or what recorded it", "nobody said")
ANNULS: Final = Column("annuls", WHOLE, "the position of the event it annuls", "no annulment")
ANNULLED_BY: Final = Column(
    "annulled_by", WHOLE, "the position of the event that annulled it first", "it stands"
)
LAG: Final = Column(
    "lag_seconds", NUMBER, "how long after it was true the ledger took it; negative if before"
)

EVENT: Final = (
    POSITION, RECORDED_AT, TRUE_AT, TYPE, ABOUT, SUBJECT, EXAM, KEY, SOURCE, ID, ACTOR, ANNULS,
    ANNULLED_BY,
)  # fmt: skip
"""What is said of an event wherever events are listed."""


class Query(NamedTuple):
    """One audit query; every row is about one event, or about one event and one exam."""

    name: str
    title: str
    says: str
    """One row for what, in which order; for the docs."""
    help: str
    """What the command line says of it: a line, then what else there is to know."""
    examples: str
    """Calls of it, one a line."""
    takes: Sequence[str]
    """The conditions it can be asked with, in the order of the command's options."""
    columns: Sequence[Column]
    key: Sequence[str]
    """The columns that tell one row from another."""
    make: Callable[[Snapshot, Conditions], Iterator[pa.RecordBatch]]
    """Yields its rows, anew at each call and always the same."""
    tally: Callable[[pa.RecordBatch], Counter[str]]
    """Counts what the sentence needs; what it gives of each batch is added up."""
    line: Callable[[Counter[str]], str]
    """Says in one sentence what was found."""
    text: Callable[[Mapping[str, Any]], Iterable[str]]
    """Writes a row, instants as text, as lines for people; those after the first are indented."""
    needs: str | None = None
    """The condition it cannot do without."""
    default: str | None = None
    """What the command line takes for the condition that is needed; without, it is an argument."""

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its rows."""
        return schema_of(self.columns)


def selection(snapshot: Snapshot, terms: Conditions) -> Selection:
    """Return which events the conditions are about; recorded time is positions here."""
    ledger = snapshot.ledger
    after, upto = 0, snapshot.position
    if terms.recorded_from is not None:
        after = ledger.position_at(terms.recorded_from - 1)
    if terms.recorded_to is not None:
        upto = min(upto, ledger.position_at(terms.recorded_to - 1))
    streams: list[set[str]] = []
    if terms.candidate is not None:
        streams.append({f"candidate/{terms.candidate}"})
    if terms.subject is not None:
        streams.append({f"{kind}/{terms.subject}" for kind in _SUBJECTS})
    return Selection(
        after=after,
        upto=upto,
        streams=tuple(sorted(set.intersection(*streams))) if streams else None,
        types=terms.types,
        source=terms.source,
        actor=terms.actor,
        exam=terms.exam,
        true_from=terms.valid_from,
        true_to=terms.valid_to,
        later_than=None if terms.by is None else threshold(terms.by),
    )


def selected(snapshot: Snapshot, wanted: Selection) -> Iterator[pa.RecordBatch]:
    """Yield the wanted events by position, and report how many positions were looked through."""
    done = 0
    for batch in snapshot.ledger.scans.select(wanted):
        yield batch
        last = batch["position"][-1].as_py()
        snapshot.engine.progress(last - done)
        done = last


def batched(schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> Iterator[pa.RecordBatch]:
    """Make batches of rows that are made one by one."""
    left = iter(rows)
    while some := list(islice(left, _BATCH)):
        yield pa.RecordBatch.from_pylist(some, schema=schema)


def public_data(row: Recorded, *, erased: bool) -> str:
    """Write an event's data as compact JSON, `sealed` or `erased` in place of a personal field.

    Erased is what was sealed of a candidate who was forgotten since. Neither ciphertext nor clear
    text is in it, of whatever schema version; a field that was left out stays left out. Raises
    MalformedFact for a type or version this release does not know.
    """
    personal = EVENT_TYPES[row.type].personal
    word = "erased" if erased else "sealed"
    data = {
        name: word if value is not None and (name in personal or _is_encrypted(value)) else value
        for name, value in row.payload().items()
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, dict) and "ciphertext" in value


def counted(what: pa.Array) -> int:
    """Count what is true."""
    return int(pc.sum(what).as_py() or 0)


def whom(row: Mapping[str, Any]) -> str:
    """Return whom or what an event is about, exam and registration included."""
    about = "" if row["exam"] in (None, row["subject"]) else row["exam"]
    key = "" if row["key"] in (None, row["subject"]) else row["key"]
    return "  ".join(filter(None, [f"{row['about']} {row['subject']}", about, key]))


def by(actor: str | None) -> str:
    """Return who recorded it, where that was said."""
    return "" if actor is None else f" by {actor}"


def seconds(length: float) -> str:
    """Write a length of time for people.

    >>> seconds(93_784.5), seconds(-60), seconds(0)
    ('1 d 02:03:04.5', '-00:01:00', '00:00:00')
    """
    micros = round(abs(length) * 1_000_000)
    whole, fraction = divmod(micros, 1_000_000)
    days, rest = divmod(whole, 86_400)
    text = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    text += f".{fraction:06d}".rstrip("0") if fraction else ""
    return f"{'-' if length < 0 else ''}{f'{days} d ' if days else ''}{text}"
