"""What Python programs append and read back: a function for each type of event, and the event."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from inspect import Parameter, Signature, getdoc
from typing import Any

from attempt_ledger.answers import Public
from attempt_ledger.moments import micros, utc
from ledger.cloudevents import to_cloudevent
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.fields import Event as Model
from ledger.instants import format_instant
from ledger.models import (
    EVENT_TYPES,
    EVENTS,
    CandidateForgotten,
    make_event,
)


@dataclass(frozen=True, slots=True)
class Event(Public):
    """An event as the ledger holds it."""

    position: int
    """Its place in the ledger, from 1 without a gap: save it to go on after it."""
    recorded_at: datetime
    time: datetime
    """When it was true."""
    type: str
    """Such as ``ExamAttempted``."""
    subject: str
    """Whom or what it is about: a candidate id, exam code, certification or policy id."""
    source: str
    """Who says so; with `id` its idempotency key."""
    id: str
    actor: str | None
    data: dict[str, Any] = field(hash=False)
    """JSON values of the current schema version; personal fields as ciphertext."""
    _row: Recorded = field(repr=False, compare=False)

    @classmethod
    def of(cls, row: Recorded) -> Event:
        """Return a row of the ledger as an event."""
        return cls(
            row.position,
            utc(row.recorded_at),
            utc(row.occurred_at),
            row.type,
            row.subject,
            row.source,
            row.id,
            row.actor,
            row.payload(),
            row,
        )

    def to_cloudevent(self) -> dict[str, Any]:
        """Return it as a CloudEvent: the object that `attempt-ledger export` writes as a line."""
        event: dict[str, Any] = json.loads(to_cloudevent(self._row))
        return event


def make_fact(
    type: str,
    subject: str,
    /,
    *,
    time: date | str,
    id: str,
    source: str | None = None,
    actor: str | None = None,
    **data: Any,
) -> Fact:
    """Make a fact of an event type; raises TypeError, or ValueError with one sentence."""
    envelope = {"subject": subject, "id": id, "source": source or "-", "actor": actor or "-"}
    for name, value in envelope.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} should be text, not {value!r}")
    fields: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, date) and name in EVENT_TYPES[type].instants:
            fields[name] = format_instant(micros(value, name))
        elif isinstance(value, Event):
            fields[name] = {"source": value.source, "id": value.id}
        elif value is not None:
            fields[name] = value
    at = micros(time, "time")
    fact = Fact(source or "-", id, subject, at, make_event(type, fields), actor)
    fact.check_envelope()
    return fact if source else fact._replace(source="")


def _constructor(model: type[Model]) -> Callable[..., Fact]:
    """Return the function that makes facts of one type, with the signature that help() shows."""

    def make(subject: str, /, **fields: Any) -> Fact:
        for name in ("time", "id"):
            if name not in fields:
                raise TypeError(f"{model.type} needs {name}=, as `help({model.type})` says")
        return make_fact(model.type, subject, **fields)

    whom = "subject" if model.stream_kind == "any" else model.stream_kind
    parameters = [Parameter(whom, Parameter.POSITIONAL_ONLY, annotation="str")]
    named = {
        **{name: info.is_required() for name, info in model.model_fields.items()},
        "time": True,
        "id": True,
        "source": False,
        "actor": False,
    }
    for name, required in named.items():
        default = Parameter.empty if required else None
        parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default))
    make.__signature__ = Signature(parameters, return_annotation="Fact")  # type: ignore[attr-defined]
    make.__name__ = make.__qualname__ = model.type
    make.__module__ = "attempt_ledger"
    make.__doc__ = (
        f"{getdoc(model)}\n\n`time` is when it was true: a datetime with a zone, a date, or text. "
        "`id` with the source is\nits idempotency key: appended again, the same fact is a "
        "duplicate. Raises TypeError or ValueError."
    )
    return make


CONSTRUCTORS = {
    model.type: _constructor(model) for model in EVENTS if model is not CandidateForgotten
}
"""By type of event; not CandidateForgotten, before which `attempt-ledger forget` destroys a key."""
