"""Authorizations: granted, withdrawn, listed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import BaseModel, Field

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
    router,
    service_of,
)
from ledger.instants import format_instant
from ledger.models import AuthorizationGranted, make_event
from projections.authorizations import Authorization, State
from replay.authorizations import Authorizations

routes = router("authorizations")


class AuthorizationAsked(BaseModel):
    """Who may sit what: an application, a purchase, a course."""

    model_config = body_like(
        {"candidate": "C-1001", "exam": "AZ-104", "authorization_id": "V-1", "sittings": 1}
    )

    candidate: Id
    exam: Id
    authorization_id: Id = Field(description="The same call again grants no second one.")
    valid_until: str | None = Field(None, max_length=64)
    sittings: Annotated[int | None, Field(ge=1, le=1 << 31, strict=True)] = None
    reason: Text | None = None
    time: str | None = Field(None, max_length=64)


class AuthorizationWithdrawn(BaseModel):
    """Which is withdrawn, and why, without personal data."""

    model_config = body_like(
        {"candidate": "C-1001", "authorization_id": "V-1", "reason": "the purchase was refunded"}
    )

    candidate: Id
    authorization_id: Id
    exam: Id | None = None
    reason: Text
    time: str | None = Field(None, max_length=64)


class AnsweredAuthorization(BaseModel):
    """An authorization as it stands now, and what was recorded: nothing, where it stood so."""

    authorization: Authorization
    events: list[dict[str, Any]]


@routes.post("/v1/authorizations", **decisions(AnsweredAuthorization))
async def authorize(request: Request, wanted: AuthorizationAsked) -> Response:
    """Authorize a candidate, who need not be known yet, to sit an exam of the catalogue."""
    ends = instant_of("valid_until", wanted.valid_until)
    fields = wanted.model_dump(exclude_none=True, include={"exam", "authorization_id"})
    if ends is not None:
        fields["valid_until"] = format_instant(ends)
    more = wanted.model_dump(exclude_none=True, include={"sittings", "reason"})
    granted = make_event("AuthorizationGranted", {**fields, **more})
    assert isinstance(granted, AuthorizationGranted)
    at, now, who = instant_of("time", wanted.time), service_of(request).now(), identity_of(request)
    return await decided(
        request,
        "authorization",
        lambda ledger: Authorizations(ledger).grant(
            wanted.candidate, granted, now=now, time=at, actor=who.name
        ),
    )


@routes.post("/v1/authorizations/revoke", **decisions(AnsweredAuthorization))
async def revoke_authorization(request: Request, wanted: AuthorizationWithdrawn) -> Response:
    """Withdraw an authorization, whether it runs or not."""
    at, now, who = instant_of("time", wanted.time), service_of(request).now(), identity_of(request)
    return await decided(
        request,
        "authorization",
        lambda ledger: Authorizations(ledger).revoke(
            wanted.candidate,
            wanted.authorization_id,
            reason=wanted.reason,
            now=now,
            exam=wanted.exam,
            time=at,
            actor=who.name,
        ),
    )


@routes.get("/v1/authorizations", response_model=list[Authorization], responses=problems())
async def authorizations(
    request: Request,
    candidate: OfCandidate = None,
    exam: OfExam = None,
    state: State | None = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> Response:
    """List authorizations, and what became of each, sorted by candidate."""
    snapshot = service_of(request).snapshot(as_of, known_at)

    def listed() -> str:
        return ",".join(
            each.model_dump_json()
            for each in Authorizations(snapshot.ledger).every(snapshot.moment, candidate)
            if exam in (None, each.exam) and state in (None, each.state)
        )

    body = await service_of(request).many(listed)
    return Response(f"[{body}]", media_type="application/json")
