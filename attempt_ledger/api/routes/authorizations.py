"""Authorizations: granted, withdrawn, listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from attempt_ledger.api.routing import (
    LONGEST_ID,
    AsOf,
    KnownAt,
    identity_of,
    instant_of,
    problems,
    router,
    service_of,
)
from ledger.cloudevents import to_cloudevents
from ledger.events import AuthorizationGranted, make_event
from ledger.instants import format_instant
from ledger.ledger import Ledger
from projections.authorizations import Authorization, State
from replay.authorizations import Authorizations, Authorized

routes = router("authorizations")

Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
Text = Annotated[str, Field(min_length=1, max_length=16_384, pattern=r"\S")]


class AuthorizationAsked(BaseModel):
    """Who may sit what: an application, a purchase, a course."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"candidate": "C-1001", "exam": "AZ-104", "authorization_id": "V-1", "sittings": 1}
            ]
        },
    )

    candidate: Id
    exam: Id
    authorization_id: Id = Field(description="The same call again grants no second one.")
    valid_until: str | None = Field(None, max_length=64)
    sittings: Annotated[int | None, Field(ge=1, le=1 << 31)] = None
    reason: Text | None = None
    time: str | None = Field(None, max_length=64)


class AuthorizationWithdrawn(BaseModel):
    """Which is withdrawn, and why, without personal data."""

    model_config = ConfigDict(extra="forbid")

    candidate: Id
    authorization_id: Id
    exam: Id | None = None
    reason: Text
    time: str | None = Field(None, max_length=64)


class AnsweredAuthorization(BaseModel):
    """An authorization as it stands now, and what was recorded: nothing, where it stood so."""

    authorization: Authorization
    events: list[dict[str, Any]]


def _answers() -> dict[str, Any]:
    again = {
        "description": "It stood so already: nothing was recorded.",
        "model": AnsweredAuthorization,
    }
    return {
        "status_code": 201,
        "response_model": AnsweredAuthorization,
        "responses": {200: again, **problems(404, 409, 422)},
    }


async def _decided(request: Request, decide: Callable[[Authorizations], Authorized]) -> Response:
    def work(ledger: Ledger) -> tuple[str, bool]:
        done = decide(Authorizations(ledger))
        rows = [row for at in done.positions if (row := ledger.event(at)) is not None]
        events = ",".join(to_cloudevents(rows))
        body = f'{{"authorization":{done.authorization.model_dump_json()},"events":[{events}]}}'
        return body, bool(rows)

    body, recorded = await service_of(request).write(work)
    return Response(body, 201 if recorded else 200, media_type="application/json")


@routes.post("/v1/authorizations", **_answers())
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
    return await _decided(
        request,
        lambda desk: desk.grant(wanted.candidate, granted, now=now, time=at, actor=who.name),
    )


@routes.post("/v1/authorizations/revoke", **_answers())
async def revoke_authorization(request: Request, wanted: AuthorizationWithdrawn) -> Response:
    """Withdraw an authorization, whether it runs or not."""
    at, now, who = instant_of("time", wanted.time), service_of(request).now(), identity_of(request)
    return await _decided(
        request,
        lambda desk: desk.revoke(
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
    candidate: Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID)] = None,
    exam: Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID)] = None,
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
