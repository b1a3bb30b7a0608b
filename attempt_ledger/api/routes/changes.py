"""Standing changes: who may sit what from now on and might not before, or the reverse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Final

import anyio
from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from attempt_ledger.api.routes.events import reset_frame, streamed
from attempt_ledger.api.routing import (
    Exam,
    content,
    problems,
    reading,
    router,
    service_of,
    tail_of,
)
from attempt_ledger.api.service import Service
from attempt_ledger.api.tail import Tail
from ledger.instants import format_instant
from projections.standing import Moment
from replay.between import (
    Change,
    WasReset,
    beginning,
    changes,
    next_moment,
    read_cursor,
    write_cursor,
)

routes = router("changes")

_INSTANTS: Final = ("eligible_from", "period_ends_at", "last_sitting_at")
LOOK_SECONDS: Final = 5.0
"""A stream looks so often for what the clock alone has changed, or less often where that takes
long: it may take a fifth of the time."""
HEARTBEAT_SECONDS: Final = 15.0

After = Annotated[
    str | None,
    Query(max_length=200, description="The cursor of the last change that you have; none: begin."),
]


class ChangedState(BaseModel):
    """A standing, in short."""

    status: str
    eligible: bool
    eligible_from: str | None
    sittings_in_series: int
    period_ends_at: str | None
    last_sitting_at: str
    last_outcome: str


class ChangeCause(BaseModel):
    """An event that brought a change about."""

    source: str
    id: str


class StandingChange(BaseModel):
    """A standing that changed."""

    candidate: str
    exam: str
    before: ChangedState | None = Field(description="Null where there was no sitting.")
    after: ChangedState | None
    at: str = Field(description="When it changed, or was known to.")
    cause: str = Field(description="events, catalogue, policy or clock.")
    because: list[ChangeCause] = Field(description="Empty for the clock.")
    cursor: str


class Changes(BaseModel):
    """Changes since a cursor, and the cursor to go on from."""

    changes: list[StandingChange]
    cursor: str
    more: bool = Field(description="Whether more is there already.")


@routes.get("/v1/changes", response_model=Changes, responses=problems(409))
async def standing_changes(
    request: Request, after: After = None, exam: Exam = None
) -> dict[str, Any]:
    """List whose standing changed since a cursor, by which events or only by the clock.

    One change for each candidate and exam that differs between the two moments. At most 10,000
    events lie between them: `more` tells whether to ask again at once.
    """
    service = service_of(request)

    def answer() -> dict[str, Any]:
        before = reading(lambda: _moment(service, after))
        found, moment = _between(service, before, exam)
        cursor = write_cursor(moment, service.ledger)
        more = moment.position < service.ledger.head().position
        return {
            "changes": [_values(each, cursor) for each in found],
            "cursor": cursor,
            "more": more,
        }

    return await service.many(answer)


def _moment(service: Service, after: str | None) -> Moment:
    ledger = service.ledger
    return beginning(ledger) if after is None else read_cursor(after, ledger)


def _between(service: Service, before: Moment, exam: str | None) -> tuple[list[Change], Moment]:
    """Return what changed since a moment, and the moment that it was compared with."""
    base = service.base
    moment = next_moment(base.ledger, before, service.now())
    if (moment.as_of, moment.position) == (before.as_of, before.position):
        return [], moment
    return changes(base.at(before), base.at(moment), exam), moment


def _values(change: Change, cursor: str) -> dict[str, Any]:
    return {
        "candidate": change.candidate,
        "exam": change.exam,
        "before": _state(change.before),
        "after": _state(change.after),
        "at": format_instant(change.at),
        "cause": change.cause,
        "because": [{"source": source, "id": id} for source, id in change.because],
        "cursor": cursor,
    }


def _state(state: dict[str, Any] | None) -> dict[str, Any] | None:
    if state is None:
        return None
    values = {
        name: format_instant(value) if name in _INSTANTS and value is not None else value
        for name, value in state.items()
    }
    return {"status": values.pop("status"), "eligible": state["status"] == "eligible", **values}


@routes.get(
    "/v1/changes/stream",
    response_class=StreamingResponse,
    responses={
        200: content(
            "text/event-stream",
            {"type": "string"},
            "id: …\ndata: {…}\n\n",
            "Each change as `data`; `id` is the cursor once all of a moment are there. An event "
            "named `reset` says that the ledger was restored, and ends the stream.",
        ),
        **problems(409),
    },
)
async def stream_changes(
    request: Request,
    after: After = None,
    exam: Exam = None,
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> StreamingResponse:
    """Follow standing changes as they come (server-sent events); without a cursor from now on."""
    service, tail, after = service_of(request), tail_of(request), last_event_id or after
    if after is not None:
        with suppress(WasReset):  # which the stream tells
            reading(lambda: read_cursor(after, service.ledger), passing=WasReset)
    return streamed(request, _followed(service, tail, after, exam))


async def _followed(
    service: Service, tail: Tail, after: str | None, exam: str | None
) -> AsyncIterator[bytes]:
    yield b": changes come as they are known\n\n"
    try:
        if after is None:
            now = service.snapshot().moment
            yield f": from now on\nid: {write_cursor(now, service.ledger)}\n\n".encode()
        else:
            now = read_cursor(after, service.ledger)
    except WasReset as reset:
        yield reset_frame(service.ledger, str(reset))
        return
    ledger, quiet = tail.ledger, anyio.current_time()
    while not tail.ended:
        if tail.ledger is not ledger:
            ledger = tail.ledger
            try:
                read_cursor(write_cursor(now, ledger), ledger)
            except WasReset as reset:
                yield reset_frame(service.ledger, str(reset))
                return
        began = anyio.current_time()
        found, moment = await service.many(_between, service, now, exam)
        took = anyio.current_time() - began
        cursor = write_cursor(moment, ledger)
        now = moment
        lines = [
            json.dumps(_values(each, cursor), ensure_ascii=False, separators=(",", ":"))
            for each in found
        ]
        if lines:
            frames = "".join(f"data: {line}\n\n" for line in lines[:-1])
            yield f"{frames}id: {cursor}\ndata: {lines[-1]}\n\n".encode()
            quiet = anyio.current_time()
        elif anyio.current_time() - quiet > HEARTBEAT_SECONDS:
            yield f": nothing new\nid: {cursor}\n\n".encode()
            quiet = anyio.current_time()
        if moment.position >= tail.position:
            if took > 0.05:
                await anyio.sleep(min(LOOK_SECONDS, 4 * took))
            await tail.wait(max(LOOK_SECONDS, 4 * took))
