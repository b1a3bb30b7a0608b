"""How the service is: alive, ready; and the policies that it answers by."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, Field

from attempt_ledger.api.metrics import CONTENT_TYPE
from attempt_ledger.api.routing import AsOf, KnownAt, content, problems, router, service_of
from replay.publishing import version_values, versions_of

routes = router("operations")


class Health(BaseModel):
    """That it answers."""

    status: str = Field(examples=["ok"])


class Readiness(BaseModel):
    """How far the ledger is that it answers from."""

    status: str = Field(examples=["ok"])
    position: int = Field(examples=[720])


@routes.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """Answer, as long as the process does."""
    return Response('{"status":"ok"}', media_type="application/json")


@routes.get("/readyz", response_model=Readiness, responses=problems())
async def readyz(request: Request) -> Readiness:
    """Answer once the ledger can be read; a problem while it cannot."""
    return Readiness(status="ok", position=service_of(request).ledger.head().position)


@routes.get(
    "/metrics",
    response_class=Response,
    responses={
        200: content("text/plain", {"type": "string"}, "attempt_ledger_position 720.0\n"),
        **problems(),
    },
)
async def metrics(request: Request) -> Response:
    """Count and time what was answered, as Prometheus reads it."""
    state = request.app.state
    text = state.metrics.text(state.service.ledger.head().position, state.followers)
    return Response(text, media_type=CONTENT_TYPE)


class PolicyVersion(BaseModel):
    """A published version of a policy, and its text."""

    id: str
    effective_from: str
    title: str | None
    source: str | None
    sha256: str
    position: int
    recorded_at: str
    toml: str


@routes.get("/v1/policies", response_model=list[PolicyVersion], responses=problems())
async def policies(
    request: Request, as_of: AsOf = None, known_at: KnownAt = None
) -> list[dict[str, Any]]:
    """List the policies that are published, every version of each, with their texts."""
    snapshot = service_of(request).snapshot(as_of, known_at)
    return [
        {**version_values(version), "toml": version.event.payload()["toml"]}
        for version in versions_of(snapshot.catalogue, snapshot.position)
    ]
