"""What needs two people: proposals, made by one, carried out by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from attempt_ledger.api.proposals import Proposal, Proposals, approve, propose
from attempt_ledger.api.register import Register
from attempt_ledger.api.routes.proposals import Proposed
from attempt_ledger.console.view import Content, View
from ledger.ledger import Ledger
from retake_policies.schema import Policy, PolicyError, parse_policy

STATES: Final = ("open", "approved", "withdrawn", "expired")
_FIELDS: Final = {
    "forget": ("candidate", "reason"),
    "annul": ("source", "id", "reason"),
    "publish": ("toml",),
}
_NAMED: Final = ("candidate", "source", "id")
"""What a link to the form may name."""
_PROPOSED: Final[TypeAdapter[Any]] = TypeAdapter(Proposed)


def proposals(
    view: View,
    typed: Mapping[str, str] | None = None,
    problem: str = "",
    effects: Sequence[str] = (),
) -> Content:
    """List the proposals of a state, and the forms to make one.

    What was typed comes back with what is wrong; `effects` are those of a policy just proposed.
    """
    state = view.address.get("state") or "open"
    every = Proposals(view.register).all(None, view.now)
    values = dict(typed or {name: view.address.get(name) or "" for name in _NAMED})
    return Content(
        "proposals.html",
        {
            "proposals": [each for each in every if state in ("all", each.state)],
            "policies": {each.id: _policy(each) for each in every if each.kind == "publish"},
            "state": state,
            "states": (*STATES, "all"),
            "values": values,
            "kind": values.get("kind") or _kind(values),
            "problem": problem,
            "effects": effects,
        },
        400 if problem else 200,
    )


def _policy(proposal: Proposal) -> Policy | None:
    """Return the policy that a proposal would publish; None where this release reads it no more."""
    try:
        return parse_policy(proposal.what["toml"], proposal.id, published=True)
    except PolicyError:
        return None


def _kind(values: Mapping[str, str]) -> str:
    """Return which form the address asks for."""
    return "forget" if values.get("candidate") else "annul" if values.get("id") else ""


def make(view: View, values: Mapping[str, str], by: str) -> tuple[str, ...]:
    """Keep the proposal of a form; return what a policy would change.

    Raises ValueError, Problem, LedgerProblem, PolicyError.
    """
    kind = values.get("kind", "")
    fields = {name: values.get(name, "") for name in _FIELDS.get(kind, ())}
    try:
        proposed = _PROPOSED.validate_python({"kind": kind, **fields})
    except ValidationError as error:
        fault = error.errors()[0]
        missing = fault["type"] in ("string_too_short", "string_pattern_mismatch")
        name = str(fault["loc"][-1]) if fault["loc"] else "the proposal"
        raise ValueError(f"{name} {'is required' if missing else fault['msg'].lower()}") from None
    what = proposed.model_dump(exclude={"kind"})
    return propose(view.register, view.latest, proposed.kind, what, by, view.now)[1]


def decide(
    register: Register, ledger: Ledger, values: Mapping[str, str], by: str, now: int, views: Any
) -> None:
    """Approve or withdraw what a form names; raises Problem, LedgerProblem, ValueError."""
    id = values.get("id", "")
    match values.get("decision"):
        case "approve":
            approve(register, ledger, id, by, now, views)
        case "withdraw":
            Proposals(register).withdraw(id, by, now)
        case _:
            raise ValueError("choose a decision: approve or withdraw")
