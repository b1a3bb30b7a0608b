"""Events in and out: append, page, follow."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

import anyio.to_thread
from fastapi import Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from attempt_ledger.api.forms import BATCH, LINES, events_answer
from attempt_ledger.api.problems import BadQuestion, Problem, ProblemDetails
from attempt_ledger.api.routing import (
    LONGEST_ID,
    After,
    content,
    identity_of,
    problems,
    router,
    service_of,
    tail_of,
)
from attempt_ledger.api.tail import Entry, Tail, entries_of
from ledger.appending import Appended, Conflict, Duplicate, Outcome, Refused
from ledger.cloudevents import parse_line, to_cloudevents
from ledger.events import EVENT_TYPES, Fact, Row, event_class
from ledger.fields import read_object
from ledger.intake.cloudevents import elements_of, imported_by
from ledger.intake.recording import from_outside
from ledger.ledger import Ledger
from ledger.problems import MalformedFact, shown

routes = router("events")

TAKEN: Final = (
    "ExamAttempted", "ExamPassed", "ExamFailed", "BetaRescored", "ResultRevoked", "SittingMissed",
    "CertEarned", "CertRenewed", "CertExpired",
)  # fmt: skip
"""What is appended here: sittings, results, certification facts. Every other type has its own."""

ONE: Final = "application/cloudevents+json"
MOST_AT_ONCE: Final = 10_000
MOST: Final = 1_000
LONGEST_WAIT: Final = 30
HEARTBEAT_SECONDS: Final = 15.0
FOLLOWERS: Final = 2_000
"""So many streams at once; more are asked to come later."""
_PIECE: Final = 500


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
_OBJECT: Final = {"type": "object", "additionalProperties": True}


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
                ONE: {"schema": _OBJECT, "example": _EVENT_EXAMPLE},
                BATCH: {
                    "schema": {"type": "array", "items": _OBJECT, "maxItems": MOST_AT_ONCE},
                    "example": [_EVENT_EXAMPLE],
                },
                "application/json": {
                    "schema": _OBJECT,
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
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    binary = "ce-specversion" in request.headers or "ce-type" in request.headers
    if media not in (ONE, BATCH) and not (binary and media in ("application/json", "")):
        raise Problem(
            "unsupported-type",
            f"A body of type {shown(media)} is not read here: send {ONE}, {BATCH}, or "
            "application/json with the attributes as ce-… headers.",
        )
    body = _text(await request.body())
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
        status, position, problem = _of(outcome)
        result: dict[str, Any] = {"status": status}
        if position is not None:
            result["position"] = position
        if problem is not None:
            result["problem"] = {**problem.as_dict(), "pointer": f"/{index}"}
        results.append(result)
    return _json({"results": results}, 200)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BadQuestion("The body is not UTF-8.") from None


def _json(value: object, status: int) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, media_type="application/json")


def _structured(request: Request, body: str) -> str:
    """Return an event that came in binary mode as one in structured mode."""
    attributes = {
        name.removeprefix("ce-"): _unquoted(value)
        for name, value in request.headers.items()
        if name.startswith("ce-")
    }
    if "data" in attributes:
        raise Problem("refused", "ce-data is no attribute: the body is the data.")
    try:
        read_object(body or "{}")  # so that it is nothing but one object
    except MalformedFact as problem:
        raise Problem("refused", f"data: {problem}") from None
    named = json.dumps(attributes, ensure_ascii=False)
    return f'{named[:-1]},"data":{body or "{}"}}}'


def _unquoted(value: str) -> str:
    """Read a header's value as the HTTP binding of CloudEvents writes it: percent-encoded UTF-8."""
    text = value.encode("latin-1").decode("utf-8", "replace")
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
    return from_hex.decode("utf-8", "replace")


async def _appended(request: Request, texts: Sequence[str]) -> list[Outcome]:
    """Append events, each a JSON object, in one transaction; return what became of each."""
    actor = identity_of(request).name

    def append(ledger: Ledger) -> list[Outcome]:
        rows = [_row(text, actor) for text in texts]
        if not rows:
            return []
        with ledger.appending() as appending:
            return appending.take(
                [row if isinstance(row, Refused) else from_outside(row, appending) for row in rows]
            )

    return await service_of(request).write(append)


def _row(text: str, actor: str) -> Row | Refused:
    try:
        fact: Fact = imported_by(actor, parse_line(text))
        if fact.event.type not in TAKEN:
            return Refused(
                f"{fact.event.type} is not recorded here: accepted are {', '.join(TAKEN)}; "
                "every other type has a route of its own"
            )
        return fact.row()
    except MalformedFact as problem:
        return Refused(str(problem))


def _of(outcome: Outcome) -> tuple[int, int | None, Problem | None]:
    """Return the status of an outcome, where the event stands, and what is wrong with it."""
    match outcome:
        case Appended(position):
            return 201, position, None
        case Duplicate(position):
            return 200, position, None
        case Conflict(position, differs):
            problem = Problem("conflict", outcome.problem, position=position, differs=list(differs))
            return 409, None, problem
        case Refused(sentence):
            return 422, None, Problem("refused", sentence)


# -- out

Types = Annotated[
    list[str] | None,
    Query(
        alias="type", description="Only events of this type; repeats.", examples=[["ExamPassed"]]
    ),
]
LastSource = Annotated[
    str | None,
    Query(
        description="With last_id, the source of the event that you have at `after`: where another "
        "stands there now, the ledger was restored, and you are told.",
        max_length=LONGEST_ID,
        examples=["urn:vue"],
    ),
]
LastId = Annotated[
    str | None,
    Query(description="Its id.", max_length=LONGEST_ID, examples=["R-77/result"]),
]


def _types(named: Sequence[str] | None) -> frozenset[str]:
    try:
        return frozenset(event_class(name).type for name in named or ())
    except MalformedFact as problem:
        raise BadQuestion(f"type: {problem}") from None


def topics_of(types: frozenset[str]) -> list[str]:
    """Return the topics of types, of every schema version."""
    return [
        f"{type}:{version}"
        for type in sorted(types)
        for version in range(1, EVENT_TYPES[type].version + 1)
    ]


def reset_of(ledger: Ledger, after: int, source: str | None, id: str | None) -> str | None:
    """Return why who resumes after a position has to begin anew; None if nothing is in the way."""
    head = ledger.head().position
    elsewhere = "the ledger was put back to an earlier day, or it is another one"
    if after > head:
        return f"position {after} lies beyond the last, {head}: {elsewhere}"
    if source is None or id is None or after == 0:
        return None
    event = ledger.event(after)
    if event is not None and (event.source, event.id) == (source, id):
        return None
    return (
        f"at position {after} stands another event than {shown(id)} of {shown(source)}: {elsewhere}"
    )


def _check_last(source: str | None, id: str | None) -> None:
    if (source is None) != (id is None):
        raise BadQuestion("last_source and last_id go together: give both, or neither")


@routes.get(
    "/v1/events",
    response_class=Response,
    responses={
        200: {
            "description": "CloudEvents by position, as lines, or as a batch by Accept.",
            "headers": {"Ledger-Position": {"schema": {"type": "integer"}}},
            "content": {LINES: {"schema": {"type": "string"}}, BATCH: {"schema": {}}},
        },
        **problems(406, 409),
    },
)
async def events(
    request: Request,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
    type: Types = None,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait where nothing is there.")
    ] = 0,
    last_source: LastSource = None,
    last_id: LastId = None,
) -> Response:
    """Page through the ledger's events, or wait for the next.

    `Ledger-Position` is the head that was read: with fewer events than `limit` you have all up to
    there, of the types you asked for.
    """
    service, tail, types = service_of(request), tail_of(request), _types(type)
    _check_last(last_source, last_id)
    topics = topics_of(types)
    ledger = service.ledger
    if (reset := reset_of(ledger, after, last_source, last_id)) is not None:
        head = ledger.head().position
        raise Problem("reset", reset, headers={"ledger-position": str(head)}, position=head)
    deadline = anyio.current_time() + wait
    while True:
        ledger = service.ledger
        head = ledger.head().position
        rows = ledger.store.page(after, head, topics=topics, limit=limit)
        left = deadline - anyio.current_time()
        if rows or left <= 0 or tail.ended or not await tail.wait(left):
            break
    return events_answer(request, to_cloudevents(rows), head)


@routes.get(
    "/v1/events/stream",
    response_class=StreamingResponse,
    responses={
        200: content(
            "text/event-stream",
            {"type": "string"},
            "id: 721\ndata: {…}\n\n",
            "Each event as `id` (its position) and `data` (a CloudEvent). An event named `reset` "
            "says that the ledger was restored, and ends the stream.",
        ),
        **problems(409),
    },
)
async def stream_events(
    request: Request,
    after: After = 0,
    type: Types = None,
    last_source: LastSource = None,
    last_id: LastId = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> StreamingResponse:
    """Follow the ledger's events as they come, from a position on (server-sent events).

    `Last-Event-ID`, which browsers send when they come back, wins over `after`.
    """
    tail, types = tail_of(request), _types(type)
    _check_last(last_source, last_id)
    if last_event_id:
        if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > 18:
            raise BadQuestion("Last-Event-ID is no position.")
        if int(last_event_id) != after:
            last_source = last_id = None
        after = int(last_event_id)
    following = _followed(tail, after, types, last_source, last_id)
    return streamed(request, following)


def streamed(request: Request, frames: AsyncIterator[str]) -> StreamingResponse:
    """Send server-sent events as they come; so many streams at once, and no more."""
    state = request.app.state

    async def counted() -> AsyncIterator[str]:
        state.followers += 1
        try:
            async for frame in frames:
                yield frame
        finally:
            state.followers -= 1

    if state.followers >= FOLLOWERS:
        raise Problem("unavailable", f"There are {FOLLOWERS:,} followers already: come back later.")
    return StreamingResponse(
        counted(),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _followed(
    tail: Tail, after: int, types: frozenset[str], source: str | None, id: str | None
) -> AsyncIterator[str]:
    """Yield the frames of a stream, many events in one where many are there."""
    ledger, topics = tail.ledger, topics_of(types)
    yield ": events come as they are recorded\n\n"
    if (reset := reset_of(ledger, after, source, id)) is not None:
        yield reset_frame(ledger, reset)
        return
    last: Entry | None = None
    while not tail.ended:
        if tail.ledger is not ledger:
            ledger = tail.ledger
            named = (last.source, last.id) if last is not None and last.position == after else None
            reset = reset_of(ledger, after, *(named or (None, None)))
            if reset is not None:
                yield reset_frame(ledger, reset)
                return
        entries = tail.after(after, _PIECE)
        if entries is None:
            upto = tail.position
            rows = await anyio.to_thread.run_sync(
                lambda start=after, end=upto, of=ledger: of.store.page(  # type: ignore[misc]
                    start, end, topics=topics, limit=_PIECE
                )
            )
            entries = entries_of(rows)
            after = entries[-1].position if len(entries) == _PIECE else upto
        elif entries:
            after = entries[-1].position
        if wanted := [each for each in entries if not types or each.type in types]:
            last = wanted[-1]
            yield "".join(each.frame for each in wanted)
        elif not entries and not await tail.wait(HEARTBEAT_SECONDS):
            # An id without data tells how far it is, so that who comes back need not begin there.
            yield f": nothing new\nid: {after}\n\n"


def reset_frame(ledger: Ledger, reset: str) -> str:
    """Write the event that says that who follows has to begin anew."""
    said = json.dumps({"detail": reset, "position": ledger.head().position}, ensure_ascii=False)
    return f"event: reset\ndata: {said}\n\n"
