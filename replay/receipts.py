"""Receipts: what an output was computed from, so that anyone can compute it again.

docs/receipts.md documents the JSON form.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Annotated, Any, Literal, Self, TypeAlias, cast, get_args

import pyarrow as pa
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from ledger.fields import Instant
from ledger.ledger import Ledger
from projections.answers import Answer, Cause
from projections.catalogue import Catalogue
from projections.standing import Moment
from projections.table import Period
from replay.audit.query import Conditions
from replay.formats.json import BATCH, Batched, json_lines, write_jsonl

Basis: TypeAlias = Literal["as-published", "restated", "known-at"]
"""as-published: known_at is the end of the period. restated: everything known. Else known-at."""

Form: TypeAlias = Literal[
    "text", "csv", "json", "jsonl", "parquet", "xlsx", "html", "cloudevents",
    "picture.svg", "picture.png", "picture.html",
]  # fmt: skip

SAID: dict[Basis, str] = {
    "as-published": "as published",
    "restated": "restated",
    "known-at": "as known then",
}
"""How a basis is said to people."""


class ReceiptProblem(Exception):
    """There is no receipt, or none that can be read; str() is one sentence."""


Position: TypeAlias = Annotated[int, Field(ge=0, lt=1 << 62)]

_FORMS: dict[str, frozenset[str]] = {
    "report": frozenset(get_args(Form)) - {"cloudevents", "json"},
    "table": frozenset({"csv", "jsonl", "parquet", "xlsx"}),
    "audit": frozenset({"text", "csv", "json", "jsonl", "parquet", "xlsx"}),
    "events": frozenset({"cloudevents"}),
}
"""The forms that each kind of output has."""


class Parameters(Answer):
    """What was asked for, besides the moment; null for what was not said."""

    start: Instant | None = None
    """The period's start, inclusive."""
    end: Instant | None = None
    """The period's end, exclusive."""
    exam: str | None = None
    after: Position | None = None
    """Of events: the position they begin after."""
    audit: Conditions | None = None
    """Of an audit, which has no other; of anything else it is left out."""

    @property
    def period(self) -> Period:
        """The period."""
        return Period(self.start, self.end)

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        if self.audit is None:
            del written["audit"]
        return written


class PolicyUsed(Answer):
    """A policy version that was known."""

    id: str
    effective_from: Instant
    position: int
    sha256: str
    """The digest of its TOML."""


class Receipt(Answer):
    """What an output is, what it was computed from, and the digest of its rows."""

    receipt: Literal[1] = 1
    """The version of this form."""
    of: Literal["report", "table", "events", "audit"]
    name: str
    form: Form
    """How its file is written."""
    basis: Basis
    ledger: str
    """The ledger's own id."""
    position: Position
    event: Cause | None
    """The event at that position; null for position 0."""
    as_of: Instant | None
    """Null for events and audits, which are of every instant."""
    known_at: Instant | None
    """The instant asked for, else when the position was recorded; null for position 0."""
    parameters: Parameters
    policies: tuple[PolicyUsed, ...]
    """Every policy version known at the position and not annulled, by id and position."""
    program: str
    """Name and version of what computed it, and of what drew its picture."""
    columns: tuple[str, ...]
    """`name: type`, in order, in Arrow's words; none for events."""
    rows: int
    sha256: str
    """The digest of the rows as JSON Lines, to the letter of spec section 5."""
    file_sha256: str | None = None
    """Of a picture: the digest of its file, which cannot be read back."""

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if self.form not in _FORMS[self.of]:
            raise ValueError(f"there is no {self.of} in the form {self.form}")
        if (self.as_of is None) != (self.of in ("events", "audit")):
            raise ValueError("as_of is null for events and audits, and for nothing else")
        if (self.parameters.audit is None) != (self.of != "audit"):
            raise ValueError("an audit has its conditions in parameters.audit, nothing else has")
        return self

    @property
    def moment(self) -> Moment:
        """The moment it was computed at."""
        return Moment(self.as_of or 0, self.known_at, self.position)

    def to_json(self) -> str:
        """Write the receipt as JSON, one member a line, with a line end."""
        return self.model_dump_json(indent=2) + "\n"


def read_receipt(text: str | bytes, where: str) -> Receipt:
    """Read a receipt from JSON; raises ReceiptProblem."""
    try:
        return Receipt.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        member = ".".join(map(str, first["loc"])) or "the text"
        raise ReceiptProblem(
            f"{where} is no receipt of this program: {member}: {first['msg']}"
        ) from None


def digest_of(table: pa.Table) -> str:
    """Return the SHA-256 of a table's rows, written as JSON Lines; of no rows that of nothing."""
    summed = Summing()
    write_jsonl(table, cast("IO[str]", summed))
    return summed.hexdigest()


class Summing(io.TextIOBase):
    """A text file that keeps nothing but the digest of what is written to it, as UTF-8."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self._summed = hashlib.sha256()

    def write(self, text: str) -> int:
        """Add text to the sum."""
        self._summed.update(text.encode())
        return len(text)

    def hexdigest(self) -> str:
        """Return the digest so far."""
        return self._summed.hexdigest()


def columns_of(table: Batched) -> tuple[str, ...]:
    """Name a table's columns and their types."""
    return tuple(f"{field.name}: {field.type}" for field in table.schema)


def policies_of(catalogue: Catalogue, position: int) -> tuple[PolicyUsed, ...]:
    """Return the policy versions that are known at a position, and not annulled by then."""
    versions = catalogue.versions
    used = [
        PolicyUsed(
            id=version.policy.id,
            effective_from=version.policy.effective_from,
            position=version.event.position,
            sha256=version.policy.sha256,
        )
        for row, version in enumerate(catalogue.published)
        if versions.position[row] <= position < versions.annulled[row]
    ]
    return tuple(sorted(used, key=lambda each: (each.id, each.position)))


def event_at(ledger: Ledger, position: int) -> Cause | None:
    """Name the event at a position; None for none."""
    row = ledger.event(position)
    return None if row is None else Cause(source=row.source, id=row.id)


def combined(lines: Iterable[str]) -> tuple[str, int]:
    """Return the SHA-256 of some lines, each with its line end, and how many they are."""
    summed, count = hashlib.sha256(), 0
    for line in lines:
        summed.update(line.encode() + b"\n")
        count += 1
    return summed.hexdigest(), count


Batches: TypeAlias = Callable[[], Iterator[pa.RecordBatch]]
"""Makes the rows anew each time it is called: the same ones."""
Tally: TypeAlias = Callable[[pa.RecordBatch], "Counter[str]"]
"""Counts whatever is to be said of some rows; what it gives is added up."""


class Rows:
    """A table of which a batch at a time is there; it has as much of `pyarrow.Table` as is needed.

    Counted, tallied and summed up the first time that somebody reads it to the end; whoever asks
    for any of that before has it read through once.
    """

    def __init__(self, schema: pa.Schema, batches: Batches, tally: Tally) -> None:
        """Keep how the rows are made; none is made yet."""
        self.schema = schema
        self._batches = batches
        self._tally = tally
        self._sums: _Sums | None = None

    def to_batches(self, max_chunksize: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, at most so many at a time."""
        if self._sums is not None:
            yield from self._pieces(max_chunksize)
            return
        sums = _Sums(self._tally)
        # Summed up beside whatever the caller does with them: that is as much work again.
        with ThreadPoolExecutor(max_workers=1) as aside:
            last: Future[None] | None = None
            for some in self._pieces(max_chunksize):
                if last is not None:
                    last.result()
                last = aside.submit(sums.take, some)
                yield some
            if last is not None:
                last.result()
        self._sums = sums

    def _pieces(self, size: int) -> Iterator[pa.RecordBatch]:
        for batch in self._batches():
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size)

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return self._summed().rows

    @property
    def sha256(self) -> str:
        """The digest of the rows as JSON Lines."""
        return self._summed().digest.hexdigest()

    @property
    def tally(self) -> Counter[str]:
        """What was counted of them."""
        return self._summed().tally

    def _summed(self) -> _Sums:
        if self._sums is None:
            for _ in self.to_batches():
                pass
        assert self._sums is not None
        return self._sums


class _Sums:
    """What is known of rows that were read so far."""

    def __init__(self, tally: Tally) -> None:
        self.rows = 0
        self.digest = Summing()
        self.tally: Counter[str] = Counter()
        self._tally = tally

    def take(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        self.digest.write(json_lines(batch))
        self.tally.update(self._tally(batch))
