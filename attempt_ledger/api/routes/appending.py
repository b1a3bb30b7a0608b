"""Events in: one CloudEvent, structured or binary, or a batch of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import anyio.to_thread
from fastapi import Request, Response
from pydantic import BaseModel, Field

from attempt_ledger.api.forms import BATCH
from attempt_ledger.api.problems import BadQuestion, Fault, Problem, ProblemDetails
from attempt_ledger.api.routing import (
    JSON,
    LONGEST_ID,
    identity_of,
    media_of,
    problems,
    router,
    service_of,
    text_of,
    unsupported,
)
from ledger.cloudevents import parse_line
from ledger.events import Row
from ledger.facts import Fact
from ledger.fields import read_object
from ledger.intake.cloudevents import elements_of, imported_by
from ledger.outcomes import Appended, Conflict, Duplicate, Outcome, Refused
from ledger.problems import MalformedFact
from projections.history import CERTIFICATION_KINDS, SITTING_KINDS

routes = router("events")

TAKEN: Final = (*SITTING_KINDS, *CERTIFICATION_KINDS)
"""What is appended here: sittings, results, certification facts. Every other type has its own."""

ONE: Final = "application/cloudevents+json"
MOST_AT_ONCE: Final = 10_000
_AT_ONCE: Final = 20
"""So many events are read in the event loop; more would keep others waiting."""


class Recorded(BaseModel):
    """Where an event stands."""

    position: int = Field(examples=[721])


class ItemOutcome(BaseModel):
    """What became of an item: its status as if it had come alone; where it stands, or why not."""

    status: int = Field(examples=[201])
    position: int | None = None
    problem: ProblemDetails | None = None


class Results(BaseModel):
    """What became of each item of a batch, in order."""

    results: list[ItemOutcome]


_EVENT_EXAMPLE: Final = {
    "specversion": "1.0",
    "type": "ExamFailed",
    "source": "urn:vue",
    "id": "R-77/result",
    "subject": "C-1001",
    "time": "2021-03-01T10:40:00Z",
    "data": {"exam": "AZ-104", "registration_id": "R-77", "score": 640},
}
CLOUD_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "title": "CloudEvent",
    "description": "A CloudEvent 1.0 in JSON; docs/events.md lists types and their data.",
    "required": ["specversion", "type", "source", "id", "subject", "time"],
    "properties": {
        "specversion": {"type": "string"},
        **{name: {"type": "string"} for name in ("type", "source", "id", "subject")},
        "time": {"type": "string", "format": "date-time"},
        "data": {"type": "object", "additionalProperties": True},
    },
    "additionalProperties": True,
}
EVENT_DATA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "EventData",
    "description": "The data of an event, whose attributes are ce-… headers.",
    "additionalProperties": True,
}
_EVENT: Final = {"$ref": "#/components/schemas/CloudEvent"}
_DATA: Final = {"$ref": "#/components/schemas/EventData"}


@routes.post(
    "/v1/events",
    status_code=201,
    response_model=Recorded,
    responses={
        200: {
            "description": "It was recorded before; of a batch, what became of each item.",
            "model": Recorded | Results,
        },
        **problems(409, 413, 415, 422),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                ONE: {"schema": _EVENT, "example": _EVENT_EXAMPLE},
                BATCH: {
                    "schema": {"type": "array", "items": _EVENT, "maxItems": MOST_AT_ONCE},
                    "example": [_EVENT_EXAMPLE],
                },
                "application/json": {
                    "schema": _DATA,
                    "example": _EVENT_EXAMPLE["data"],
                },
            },
        }
    },
)
async def append(request: Request) -> Response:
    """Record a CloudEvent, in structured or binary mode, or a batch of them.

    Sittings, results and certification facts; every other type has a route of its own. The same
    event again is answered with its position (200), for ever; another one under the same source
    and id with what differs (409). `actor` is who asks; another one that an event names is kept as
    the extension attribute `originalactor`. In binary mode the attributes are `ce-…` headers and
    the body, `application/json`, is the data.
    """
    media = media_of(request)
    binary = "ce-specversion" in request.headers or "ce-type" in request.headers
    if media not in (ONE, BATCH) and not (binary and media in (JSON, "")):
        raise unsupported(media, f"{ONE}, {BATCH}, or {JSON} with the attributes as ce-… headers")
    body = text_of(await request.body())
    if media != BATCH:
        text = _structured(request, body) if media != ONE else body
        (outcome,) = await _appended(request, [text])
        status, position, problem = _of(outcome)
        if problem is not None:
            return problem.response()
        return _json({"position": position}, status)
    texts = elements_of(body.strip())
    if texts is None:
        raise BadQuestion("The body is no JSON array of events.")
    if len(texts) > MOST_AT_ONCE:
        raise Problem("too-large", f"A batch has at most {MOST_AT_ONCE:,} events.")
    outcomes = await _appended(request, texts)
    results = []
    for index, outcome in enumerate(outcomes):
        status, position, problem = _of(outcome, f"/{index}")
        result: dict[str, Any] = {"status": status}
        if position is not None:
            result["position"] = position
        if problem is not None:
            result["problem"] = {**problem.as_dict(), "pointer": f"/{index}"}
        results.append(result)
    return _json({"results": results}, 200)


def _json(value: object, status: int) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, media_type="application/json")


def _structured(request: Request, body: str) -> str:
    """Return an event that came in binary mode as one in structured mode."""
    attributes = {}
    for name, value in request.headers.items():
        if name.startswith("ce-"):
            try:
                attributes[name.removeprefix("ce-")] = _unquoted(value)
            except UnicodeDecodeError:
                raise Problem("refused", f"{name} is not UTF-8, percent-encoded.") from None
    if "data" in attributes:
        raise Problem("refused", "ce-data is no attribute: the body is the data.")
    try:
        read_object(body or "{}")  # so that it is nothing but one object
    except MalformedFact as problem:
        raise Problem("refused", f"data: {problem}") from None
    named = json.dumps(attributes, ensure_ascii=False)
    return f'{named[:-1]},"data":{body or "{}"}}}'


def _unquoted(value: str) -> str:
    """Read a header's value as the HTTP binding of CloudEvents writes it: percent-encoded UTF-8.

    Raises UnicodeDecodeError for anything else: two ids must not become one.
    """
    text = value.encode("latin-1").decode()
    if "%" not in text:
        return text
    from_hex = bytearray()
    raw, at = text.encode(), 0
    while at < len(raw):
        pair = raw[at + 1 : at + 3]
        if raw[at] == 0x25 and len(pair) == 2 and all(c in b"0123456789abcdefABCDEF" for c in pair):
            from_hex.append(int(pair, 16))
            at += 3
        else:
            from_hex.append(raw[at])
            at += 1
    return from_hex.decode()


async def _appended(request: Request, texts: Sequence[str]) -> list[Outcome]:
    """Append events, each a JSON object, in one transaction; return what became of each."""
    actor = identity_of(request).name
    if len(texts) > _AT_ONCE:
        rows = await anyio.to_thread.run_sync(lambda: [_row(text, actor) for text in texts])
    else:
        rows = [_row(text, actor) for text in texts]
    return await service_of(request).append(rows) if rows else []


def _row(text: str, actor: str) -> Row | Refused:
    try:
        fact: Fact = imported_by(actor, parse_line(text))
        if fact.event.type not in TAKEN:
            return Refused(
                f"{fact.event.type} is not recorded here: accepted are {', '.join(TAKEN)}; "
                "every other type has a route of its own"
            )
        row = fact.row()
    except MalformedFact as problem:
        return Refused(str(problem), tuple(problem.faults))
    key = "certification" if fact.event.type in CERTIFICATION_KINDS else "registration_id"
    named = {"source": row.source, "id": row.id, "subject": fact.subject}
    for name, value in {**named, "data.exam": row.exam, f"data.{key}": row.key}.items():
        if value is not None and len(value) > LONGEST_ID:  # nobody could ask about it here
            return Refused(f"{name} has more than {LONGEST_ID:,} characters")
    return row


def _of(outcome: Outcome, at: str = "") -> tuple[int, int | None, Problem | None]:
    """Return the status of an outcome, where the event stands, and what is wrong with it.

    `at` points at the event in the body.
    """
    match outcome:
        case Appended(position):
            return 201, position, None
        case Duplicate(position):
            return 200, position, None
        case Conflict(position, differs):
            problem = Problem("conflict", outcome.problem, position=position, differs=list(differs))
            return 409, None, problem
        case Refused(sentence, faults):
            errors = [Fault(pointer=f"{at}/data/{name}", detail=what) for name, what in faults]
            return 422, None, Problem("refused", sentence, errors=errors)
