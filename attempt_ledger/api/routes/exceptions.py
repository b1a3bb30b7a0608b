"""The exceptions desk: requests made, granted, rejected, revoked, and listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from attempt_ledger.api.problems import BadQuestion
from attempt_ledger.api.register import Access
from attempt_ledger.api.routing import (
    LONGEST_ID,
    AsOf,
    KnownAt,
    identity_of,
    instant_of,
    problems,
    require,
    router,
    service_of,
)
from ledger.cloudevents import to_cloudevents, without_personal
from ledger.events import ExceptionRequested, Fact, make_event
from ledger.ledger import Ledger
from projections.exceptions import Request as Made
from replay.desk import Answered, Desk, Reference

routes = router("exceptions")

Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
Text = Annotated[str, Field(min_length=1, max_length=16_384, pattern=r"\S")]
State = Literal["open", "rejected", "granted", "used", "expired", "revoked"]
_CLEAR: Final = "GET /v1/exceptions clear"


class Asked(BaseModel):
    """A request for a retake exception; personal fields are kept encrypted."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "candidate": "C-1001",
                    "exam": "AZ-104",
                    "request_id": "X-17",
                    "registration_id": "R-77",
                    "reason": "lab-crash",
                }
            ]
        },
    )

    candidate: Id
    exam: Id
    request_id: Id = Field(description="Names the request: the same call again is no new one.")
    registration_id: Id
    reason: Text
    exam_number: Text | None = None
    vue_case_number: Text | None = None
    candidate_id: Text | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    email: Text | None = None
    description: Text | None = None
    time: str | None = Field(None, max_length=64)


class _Decision(BaseModel):
    """Which request is decided; `exam` where a candidate has requests of one id for several."""

    model_config = ConfigDict(extra="forbid")

    candidate: Id
    request_id: Id
    exam: Id | None = None
    time: str | None = Field(None, max_length=64, description="When it was decided; default: now.")


class Grant(_Decision):
    """A grant; without `waives` all that the policy lets."""

    waives: list[Literal["wait", "cap", "passed"]] | None = None
    valid_until: str | None = Field(None, max_length=64)


class Rejection(_Decision):
    """A rejection, and why, without personal data."""

    why: Text


class Revocation(_Decision):
    """A grant withdrawn, and why, without personal data."""

    reason: Text


class AnsweredRequest(BaseModel):
    """A request as it stands now, and what was recorded: nothing, where it stood so already."""

    request: Made
    events: list[dict[str, Any]] = Field(description="CloudEvents, without personal fields.")


async def _decided(request: Request, decide: Callable[[Desk], Answered]) -> Response:
    """Have the desk decide, and answer with what was recorded."""

    def work(ledger: Ledger) -> str:
        answered = decide(Desk(ledger))
        rows = [row for at in answered.positions if (row := ledger.event(at)) is not None]
        lines = ",".join(to_cloudevents(map(without_personal, rows)))
        return f'{{"request":{answered.request.model_dump_json()},"events":[{lines}]}}'

    body = await service_of(request).write(work)
    created = not body.endswith('"events":[]}')
    return Response(body, 201 if created else 200, media_type="application/json")


def _answers() -> dict[str, Any]:
    again = {"description": "It stood so already: nothing was recorded.", "model": AnsweredRequest}
    return {
        "status_code": 201,
        "response_model": AnsweredRequest,
        "responses": {200: again, **problems(404, 409, 422)},
    }


@routes.post("/v1/exceptions", **_answers())
async def request_exception(request: Request, wanted: Asked) -> Response:
    """Request a retake exception, answered at once: left open, or rejected with all that is wrong.

    Both are recorded. The same request again records nothing.
    """
    fields = wanted.model_dump(exclude_none=True, exclude={"candidate", "time"})
    now, who = service_of(request).now(), identity_of(request).name
    event = make_event("ExceptionRequested", fields)
    assert isinstance(event, ExceptionRequested)
    Fact("urn", event.request_id, wanted.candidate, now, event, who).row()
    at = instant_of("time", wanted.time)
    return await _decided(
        request, lambda desk: desk.request(wanted.candidate, event, now=now, time=at, actor=who)
    )


def _reference(request: Request, decision: _Decision) -> Reference:
    return Reference(
        decision.candidate,
        decision.request_id,
        service_of(request).now(),
        decision.exam,
        instant_of("time", decision.time),
        identity_of(request).name,
    )


@routes.post("/v1/exceptions/grant", **_answers())
async def grant_exception(request: Request, decision: Grant) -> Response:
    """Grant an open request: the next sitting that counts skips what is waived."""
    of, ends = _reference(request, decision), instant_of("valid_until", decision.valid_until)
    return await _decided(
        request, lambda desk: desk.grant(of, waives=decision.waives, valid_until=ends)
    )


@routes.post("/v1/exceptions/reject", **_answers())
async def reject_exception(request: Request, decision: Rejection) -> Response:
    """Reject an open request."""
    of = _reference(request, decision)
    return await _decided(request, lambda desk: desk.reject(of, why=decision.why))


@routes.post("/v1/exceptions/revoke", **_answers())
async def revoke_exception(request: Request, decision: Revocation) -> Response:
    """Withdraw a grant that is not used yet."""
    of = _reference(request, decision)
    return await _decided(request, lambda desk: desk.revoke(of, reason=decision.reason))


class ListedRequest(Made):
    """A request, with personal fields in clear text where they were asked for."""

    clear: dict[str, Any] | None = None


@routes.get("/v1/exceptions", response_model=list[ListedRequest], responses=problems(404))
async def exceptions(
    request: Request,
    candidate: Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID)] = None,
    exam: Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID)] = None,
    state: State | None = None,
    clear: Annotated[
        bool, Query(description="Personal fields too, of one candidate: for officers, and logged.")
    ] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> Response:
    """List requests, and what became of each, sorted by candidate."""
    service = service_of(request)
    if clear:
        require(request, _CLEAR)
        if candidate is None:
            raise BadQuestion("clear text is shown of one candidate at a time: name the candidate")
    snapshot = service.snapshot(as_of, known_at)
    desk = Desk(snapshot.ledger)

    def listed() -> str:
        found = [
            each
            for each in desk.requests(snapshot.moment, candidate)
            if exam in (None, each.exam) and state in (None, each.state)
        ]
        if not clear:
            return ",".join(each.model_dump_json() for each in found)
        shown = [ListedRequest(**each.model_dump(), clear=dict(desk.clear(each))) for each in found]
        fields = tuple(dict.fromkeys(name for each in shown for name in each.clear or {}))
        who, page = identity_of(request).name, "GET /v1/exceptions"
        service.register.note_accesses([Access(service.now(), who, str(candidate), fields, page)])
        return ",".join(each.model_dump_json() for each in shown)

    body = await service.many(listed)
    return Response(f"[{body}]", media_type="application/json")
