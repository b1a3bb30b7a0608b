"""The exceptions desk: requests made, granted, rejected, revoked, and listed."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from attempt_ledger.api.problems import BadQuestion
from attempt_ledger.api.register import Access
from attempt_ledger.api.routing import (
    AsOf,
    Id,
    KnownAt,
    OfCandidate,
    OfExam,
    Text,
    body_like,
    decided,
    decisions,
    identity_of,
    instant_of,
    problems,
    require,
    router,
    service_of,
)
from ledger.facts import Fact
from ledger.models import ExceptionRequested, make_event
from projections.exceptions import Request as Made
from replay.desk import Desk, Reference, readable

routes = router("exceptions")

State = Literal["open", "rejected", "granted", "used", "expired", "revoked"]
_CLEAR: Final = "GET /v1/exceptions clear"


class NewRequest(BaseModel):
    """A request for a retake exception; personal fields are kept encrypted."""

    model_config = body_like(
        {
            "candidate": "C-1001",
            "exam": "AZ-104",
            "request_id": "X-17",
            "registration_id": "R-77",
            "reason": "lab-crash",
        }
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


_DECIDED: Final = {"candidate": "C-1001", "request_id": "X-17"}


class _Decision(BaseModel):
    """Which request is decided; `exam` where a candidate has requests of one id for several."""

    candidate: Id
    request_id: Id
    exam: Id | None = None
    time: str | None = Field(None, max_length=64, description="When it was decided; default: now.")


class Grant(_Decision):
    """A grant; without `waives` all that the policy lets."""

    model_config = body_like({**_DECIDED, "waives": ["wait"], "valid_until": "2022-04-01"})

    waives: list[Literal["wait", "cap", "passed"]] | None = None
    valid_until: str | None = Field(None, max_length=64)


class Rejection(_Decision):
    """A rejection, and why, without personal data."""

    model_config = body_like({**_DECIDED, "why": "the test centre's log shows no failure"})

    why: Text


class Revocation(_Decision):
    """A grant withdrawn, and why, without personal data."""

    model_config = body_like({**_DECIDED, "reason": "granted for another registration"})

    reason: Text


class AnsweredRequest(BaseModel):
    """A request as it stands now, and what was recorded: nothing, where it stood so already."""

    request: Made
    events: list[dict[str, Any]] = Field(description="CloudEvents, without personal fields.")


@routes.post("/v1/exceptions", **decisions(AnsweredRequest))
async def request_exception(request: Request, wanted: NewRequest) -> Response:
    """Request a retake exception, answered at once: left open, or rejected with all that is wrong.

    Both are recorded. The same request again records nothing.
    """
    fields = wanted.model_dump(exclude_none=True, exclude={"candidate", "time"})
    now, who = service_of(request).now(), identity_of(request).name
    event = make_event("ExceptionRequested", fields)
    assert isinstance(event, ExceptionRequested)
    Fact("urn", event.request_id, wanted.candidate, now, event, who).row()
    at = instant_of("time", wanted.time)
    return await decided(
        request,
        "request",
        lambda ledger: Desk(ledger).request(wanted.candidate, event, now=now, time=at, actor=who),
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


@routes.post("/v1/exceptions/grant", **decisions(AnsweredRequest))
async def grant_exception(request: Request, decision: Grant) -> Response:
    """Grant an open request: the next sitting that counts skips what is waived."""
    of, ends = _reference(request, decision), instant_of("valid_until", decision.valid_until)
    return await decided(
        request,
        "request",
        lambda ledger: Desk(ledger).grant(of, waives=decision.waives, valid_until=ends),
    )


@routes.post("/v1/exceptions/reject", **decisions(AnsweredRequest))
async def reject_exception(request: Request, decision: Rejection) -> Response:
    """Reject an open request."""
    of = _reference(request, decision)
    return await decided(
        request, "request", lambda ledger: Desk(ledger).reject(of, why=decision.why)
    )


@routes.post("/v1/exceptions/revoke", **decisions(AnsweredRequest))
async def revoke_exception(request: Request, decision: Revocation) -> Response:
    """Withdraw a grant that is not used yet."""
    of = _reference(request, decision)
    return await decided(
        request, "request", lambda ledger: Desk(ledger).revoke(of, reason=decision.reason)
    )


class ListedRequest(Made):
    """A request, with personal fields in clear text where they were asked for."""

    clear: dict[str, Any] | None = None


@routes.get("/v1/exceptions", response_model=list[ListedRequest], responses=problems(404))
async def exceptions(
    request: Request,
    candidate: OfCandidate = None,
    exam: OfExam = None,
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
            for each in desk.requests(snapshot.moment, candidate, state)
            if exam in (None, each.exam)
        ]
        if not clear:
            return ",".join(each.model_dump_json() for each in found)
        shown = [ListedRequest(**each.model_dump(), clear=dict(desk.clear(each))) for each in found]
        fields = tuple(dict.fromkeys(name for each in shown for name in readable(each.clear or {})))
        access = Access(
            service.now(), identity_of(request).name, str(candidate), fields, "GET /v1/exceptions"
        )
        service.register.note_accesses([access] if fields else [])
        return ",".join(each.model_dump_json() for each in shown)

    body = await service.many(listed)
    return Response(f"[{body}]", media_type="application/json")
