"""Events out: page by page, awaited, or followed as they come."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

import anyio.to_thread
from fastapi import Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from attempt_ledger.api.forms import BATCH, LINES, events_answer
from attempt_ledger.api.problems import BadQuestion, Problem
from attempt_ledger.api.routing import (
    LONGEST_ID,
    After,
    content,
    problems,
    router,
    service_of,
    tail_of,
)
from attempt_ledger.api.tail import PIECE, Entry, News, Tail, entries_of, news_of
from ledger.cloudevents import to_cloudevents
from ledger.ledger import Ledger
from ledger.models import EVENT_TYPES, event_class
from ledger.problems import MalformedFact, shown

routes = router("events")

MOST: Final = 1_000
LONGEST_WAIT: Final = 30
HEARTBEAT_SECONDS: Final = 15.0
ADMITTED_SECONDS: Final = 1.0
"""So long a follower is not asked anew whether his token is still valid."""
FOLLOWERS: Final = 2_000
"""So many streams at once; more are asked to come later."""

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


def streamed(request: Request, frames: AsyncIterator[bytes]) -> StreamingResponse:
    """Send server-sent events as they come; so many streams at once, and no more.

    A stream ends with the token that it was asked for by: who comes back is told why.
    """
    state, credentials = request.app.state, request.headers.get("authorization")

    async def counted() -> AsyncIterator[bytes]:
        state.followers += 1
        admitted = anyio.current_time()
        try:
            async for frame in frames:
                if anyio.current_time() - admitted >= ADMITTED_SECONDS:
                    try:
                        await state.gate.identity(credentials)
                    except Problem:
                        return
                    admitted = anyio.current_time()
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
) -> AsyncIterator[bytes]:
    """Yield the frames of a stream, many events in one where many are there."""
    ledger = tail.ledger
    yield b": events come as they are recorded\n\n"
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
        news = tail.after(after, types)
        if news is None:
            news = await anyio.to_thread.run_sync(
                _read, ledger, after, tail.position, topics_of(types), limiter=tail.reads
            )
        began, after = after, news.upto
        if news.frames:
            last = news.last
            yield news.frames
        elif after == began and not await tail.wait(HEARTBEAT_SECONDS):
            # An id without data tells how far it is, so that who comes back need not begin there.
            yield f": nothing new\nid: {after}\n\n".encode()


def _read(ledger: Ledger, after: int, upto: int, topics: Sequence[str]) -> News:
    """Read what is new to a follower who is far behind."""
    entries = entries_of(ledger.store.page(after, upto, topics=topics, limit=PIECE))
    return news_of(entries, frozenset(), entries[-1].position if len(entries) == PIECE else upto)


def reset_frame(ledger: Ledger, reset: str) -> bytes:
    """Write the event that says that who follows has to begin anew."""
    message = json.dumps({"detail": reset, "position": ledger.head().position}, ensure_ascii=False)
    return f"event: reset\ndata: {message}\n\n".encode()
