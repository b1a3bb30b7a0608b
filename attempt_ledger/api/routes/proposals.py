"""What needs two people: erasure, annulment, publishing a policy."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import Query, Request
from pydantic import BaseModel, Field

from attempt_ledger.api.proposals import Proposal, Proposals, State
from attempt_ledger.api.proposals import approve as carried_out
from attempt_ledger.api.proposals import propose as made_proposal
from attempt_ledger.api.routing import (
    Id,
    Text,
    body_like,
    identity_of,
    problems,
    router,
    service_of,
)
from ledger.instants import format_instant
from ledger.ledger import Ledger

routes = router("proposals")


class Annul(BaseModel):
    """Annul an event that was recorded in error."""

    model_config = body_like(
        {"kind": "annul", "source": "urn:vue", "id": "R-77/result", "reason": "of another"}
    )

    kind: Literal["annul"]
    source: Id
    id: Id
    reason: Text = Field(description="Why, without personal data.")


class Forget(BaseModel):
    """Erase a candidate's personal data for good."""

    model_config = body_like(
        {"kind": "forget", "candidate": "C-1001", "reason": "asked for by letter"}
    )

    kind: Literal["forget"]
    candidate: Id
    reason: Text = Field(description="Why, without personal data.")


class Publish(BaseModel):
    """Publish a policy."""

    model_config = body_like(
        {"kind": "publish", "toml": 'id = "general"\neffective_from = 2027-01-01T00:00:00Z\n…'}
    )

    kind: Literal["publish"]
    toml: Annotated[str, Field(min_length=1, max_length=65_536)]


Proposed: TypeAlias = Annotated[Annul | Forget | Publish, Field(discriminator="kind")]


class Decide(BaseModel):
    """Which proposal is decided."""

    model_config = body_like({"id": "4f1c…"})

    id: Annotated[str, Field(min_length=1, max_length=64)]


class ProposalShown(BaseModel):
    """A proposal, and what became of it."""

    id: str = Field(examples=["4f1c…"])
    kind: Literal["annul", "forget", "publish"]
    what: dict[str, str]
    state: Literal["open", "approved", "withdrawn", "expired"]
    proposed_by: str
    proposed_at: str
    expires_at: str
    decided_by: str | None
    decided_at: str | None
    effects: list[str] = Field(description="Of a policy: what it would change.")
    positions: list[int] = Field(description="Where what was recorded stands.")
    notes: list[str]


def shown(proposal: Proposal, effects: tuple[str, ...] = ()) -> ProposalShown:
    """Return a proposal as it is shown."""
    result: dict[str, Any] = proposal.result or {}
    decided = proposal.decided_at
    return ProposalShown(
        id=proposal.id,
        kind=proposal.kind,
        what=proposal.what,
        state=proposal.state,
        proposed_by=proposal.proposed_by,
        proposed_at=format_instant(proposal.proposed_at),
        expires_at=format_instant(proposal.expires_at),
        decided_by=proposal.decided_by,
        decided_at=None if decided is None else format_instant(decided),
        effects=list(effects),
        positions=result.get("positions", []),
        notes=result.get("notes", []),
    )


@routes.post(
    "/v1/proposals",
    status_code=201,
    response_model=ProposalShown,
    responses=problems(404, 409, 422),
)
async def propose(request: Request, proposed: Proposed) -> ProposalShown:
    """Propose an annulment, an erasure or a policy: another identity approves it within 24 hours.

    It is checked now, and again when it is carried out.
    """
    service, who = service_of(request), identity_of(request).name
    what = proposed.model_dump(exclude={"kind"})
    snapshot = service.snapshot()

    def make() -> ProposalShown:
        register, now = service.register, service.now()
        return shown(*made_proposal(register, snapshot, proposed.kind, what, who, now))

    return await service.many(make)


@routes.post(
    "/v1/proposals/approve", response_model=ProposalShown, responses=problems(404, 409, 422)
)
async def approve(request: Request, decide: Decide) -> ProposalShown:
    """Approve what another identity proposed: it is carried out, and `actor` names both."""
    service, who = service_of(request), identity_of(request).name

    def work(ledger: Ledger) -> ProposalShown:
        now = service.now()
        return shown(carried_out(service.register, ledger, decide.id, who, now, service.views))

    return await service.write(work)


@routes.post("/v1/proposals/withdraw", response_model=ProposalShown, responses=problems(404, 409))
async def withdraw(request: Request, decide: Decide) -> ProposalShown:
    """Withdraw an open proposal."""
    service, who = service_of(request), identity_of(request).name
    proposals = Proposals(service.register)
    return shown(await service.many(proposals.withdraw, decide.id, who, service.now()))


@routes.get("/v1/proposals", response_model=list[ProposalShown], responses=problems())
async def proposals(
    request: Request,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
) -> list[ProposalShown]:
    """List the proposals, the newest first, at most 1,000."""
    service = service_of(request)
    return [shown(each) for each in Proposals(service.register).all(state, service.now())]
