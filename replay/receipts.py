"""Receipts: what an output was computed from, so that anyone can compute it again.

docs/receipts.md documents the JSON form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, get_args

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from ledger.fields import Instant, parse_json
from ledger.instants import Period, format_instant
from ledger.ledger import Ledger
from ledger.problems import MalformedFact
from projections.answers import Answer, Cause
from projections.catalogue import Catalogue, catalogue_of
from projections.standing import Moment
from replay.audit.conditions import Conditions
from replay.formats import TABLE
from retake_policies.durations import parse_duration, say_duration

Basis: TypeAlias = Literal["as-published", "restated", "known-at"]
"""as-published: known_at is the end of the period. restated: everything known. Else known-at."""

Form: TypeAlias = Literal[
    "text", "csv", "tsv", "json", "jsonl", "parquet", "xlsx", "arrow", "html", "cloudevents",
    "picture.svg", "picture.png", "picture.html",
]  # fmt: skip

INSIDE: Final = frozenset({"parquet", "xlsx", "html"})
"""Forms that carry their receipt inside; beside others lies `<file>.receipt.json`."""

IN_WORDS: dict[Basis, str] = {
    "as-published": "as published",
    "restated": "restated",
    "known-at": "as known then",
}
"""How a basis is said to people."""


class ReceiptProblem(Exception):
    """There is no receipt, or none that can be read; str() is one sentence."""


Position: TypeAlias = Annotated[int, Field(ge=0, lt=1 << 62)]

_FORMS: dict[str, frozenset[str]] = {
    "report": frozenset(get_args(Form)) - {"cloudevents"},
    "table": frozenset(TABLE),
    "audit": frozenset({"text", *TABLE}),
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
        parse_json(text)  # of a member that is there twice, readers disagree which counts
        return Receipt.model_validate_json(text)
    except MalformedFact as problem:
        raise ReceiptProblem(f"{where} is no receipt of this program: {problem}") from None
    except ValidationError as error:
        first = error.errors()[0]
        member = ".".join(map(str, first["loc"])) or "the text"
        raise ReceiptProblem(
            f"{where} is no receipt of this program: {member}: {first['msg']}"
        ) from None


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


def beside(path: Path) -> Path:
    """Return the place of the receipt that lies beside a file."""
    return path.with_name(f"{path.name}.receipt.json")


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


def id_of(ledger: Ledger) -> str:
    """Return a ledger's own id."""
    return ledger.about("ledger") or ""


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


def heading(receipt: Receipt) -> str:
    """Return of which period, as of when and as known when, and which of the two that is."""
    terms = receipt.parameters.audit
    parts = [IN_WORDS[receipt.basis]] if terms is None else list(_conditions(terms))
    start, end = receipt.parameters.start, receipt.parameters.end
    if start is not None or end is not None:
        bounds = [f"from {_short(start)}"] if start is not None else []
        bounds += [f"to {_short(end)}"] if end is not None else []
        parts.append(" ".join(bounds))
    if receipt.parameters.exam is not None:
        parts.append(f"exam {receipt.parameters.exam}")
    return ", ".join([*parts, moment_text(receipt.as_of, receipt.known_at, receipt.position)])


def moment_text(as_of: int | None, known_at: int | None, position: int) -> str:
    """Return as of when and as known when; instants are microseconds UTC."""
    true = [] if as_of is None else [f"as of {_short(as_of)}"]
    known = "nothing known" if known_at is None else f"known at {_short(known_at)}"
    return ", ".join([*true, f"{known} (position {position})"])


def _conditions(terms: Conditions) -> Iterator[str]:
    """Yield what an audit is about, one condition after the other."""
    for name in ("candidate", "subject", "exam", "actor", "source"):
        if (value := getattr(terms, name)) is not None:
            yield f"{name} {value}"
    if terms.types:
        yield f"type {' or '.join(terms.types)}"
    for name, start, end in (
        ("recorded", terms.recorded_from, terms.recorded_to),
        ("true", terms.valid_from, terms.valid_to),
    ):
        bounds = [f"from {_short(start)}"] if start is not None else []
        bounds += [f"to {_short(end)}"] if end is not None else []
        if bounds:
            yield " ".join([name, *bounds])
    if terms.by is not None:
        yield f"more than {say_duration(parse_duration(terms.by))} late"
    if terms.changes:
        yield "with what they changed"


def _short(instant: int) -> str:
    """Write an instant, at midnight as a date alone."""
    return format_instant(instant).removesuffix("T00:00:00Z")
