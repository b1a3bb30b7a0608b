"""Decisions on exceptions, held against the rule and the facts as they were known then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ledger.events import (
    ExceptionGranted,
    ExceptionRequested,
    Recorded,
)
from projections.answers import Sitting, Standing
from projections.catalogue import Catalogue, policy_at
from projections.exception_rules import (
    DeskProblem,
    Wrong,
    grant,
    reject,
    revoke,
    why,
    wrongs,
)
from projections.exceptions import (
    GRANTED,
    REJECTED,
    REQUESTED,
    REVOKED,
    Request,
    counted,
    requests_of,
    sitting_that_used,
    visible_exceptions,
)
from projections.fold.facts import LAST
from projections.history import history_of
from projections.sentences import listed
from projections.standing import Moment, sittings_of, standing_of
from retake_policies.schema import Policy

DECISIONS: Final = {GRANTED: "granted", REJECTED: "rejected", REVOKED: "revoked"}
AGREES, AGAINST, OPEN = "yes", "no", "open"

_CLAUSES: Final = {"exam": "exam", "reason": "exception.reasons"}


class Finding(NamedTuple):
    """Whether a decision agrees with the rule, by which keys of it, and what speaks against it."""

    agrees: str
    clause: str
    against: str | None = None


class Then(NamedTuple):
    """What was known when a decision was recorded, as of when it was true."""

    request: Request | None
    asked: ExceptionRequested | None
    asked_row: Recorded | None
    policy: Policy | None
    """In force at the decision."""
    asked_under: Policy | None
    """In force when it was asked for: the one that a request is judged by."""
    standing: Standing
    wrong: tuple[Wrong, ...]

    @property
    def sitting(self) -> Sitting | None:
        """The sitting that the request names, if there was one."""
        named = None if self.asked is None else self.asked.registration_id
        return next((s for s in self.standing.sittings if s.registration_id == named), None)


def known_then(decision: Recorded, rows: Sequence[Recorded], catalogue: Catalogue) -> Then:
    """Look up what was known just before a decision was recorded, as of the decision's time.

    `rows` are the candidate's events, `catalogue` at least what was known then.
    """
    candidate, exam = decision.subject, decision.exam or ""
    moment = Moment(decision.occurred_at, None, decision.position - 1)
    known = [row for row in rows if row.position <= moment.position]
    requests = requests_of(candidate, known, catalogue, moment)
    keyed = [each for each in requests if (each.exam, each.request_id) == (exam, decision.key)]
    asked_row = next(
        (
            row
            for row in reversed(visible_exceptions(known, moment))
            if (row.type, row.exam, row.key) == (REQUESTED, exam, decision.key)
        ),
        None,
    )
    standing = standing_of(candidate, exam, history_of(known, catalogue), catalogue, moment)
    asked, asked_under = None, None
    wrong: tuple[Wrong, ...] = ()
    if asked_row is not None:
        asked = _asked(asked_row)
        asked_under = policy_at(catalogue, exam, asked_row.occurred_at, moment.position)
        wrong = wrongs(asked, candidate, asked_under, standing.sittings)
        wrong = (*_said_missing(decision, asked, asked_under, wrong), *wrong)
    return Then(
        request=keyed[0] if keyed else None,
        asked=asked,
        asked_row=asked_row,
        policy=policy_at(catalogue, exam, moment.as_of, moment.position),
        asked_under=asked_under,
        standing=standing,
        wrong=wrong,
    )


def _asked(row: Recorded) -> ExceptionRequested:
    event = row.event()
    assert isinstance(event, ExceptionRequested)
    return event


def _said_missing(
    decision: Recorded, asked: ExceptionRequested, policy: Policy | None, found: Sequence[Wrong]
) -> tuple[Wrong, ...]:
    """Believe a rejection about blank personal fields: what is encrypted cannot be seen."""
    if decision.type != REJECTED or policy is None:
        return ()
    seen = {wrong.field for wrong in found}
    return tuple(
        Wrong(name, name, missing=True)
        for name in decision.payload()["missing"]
        if name in asked.personal and name in policy.exception.required and name not in seen
    )


def finding_of(decision: Recorded, then: Then) -> Finding:
    """Compare a decision with the rule: the policy's for what is asked, the desk's for its course.

    A grant needs a request in which nothing is wrong, and may waive what the policy in force lets
    be waived. A rejection agrees where something is wrong; where nothing is, the rule leaves it
    open, as it does the revocation of a grant that is active.
    """
    clauses = sorted({clause_of(wrong) for wrong in then.wrong})
    course = against_course(decision, then)
    if decision.type == GRANTED:
        allowed = () if then.policy is None else then.policy.exception.waives
        more = sorted({*_granted(decision).waives} - {*allowed}, reverse=True)
        against = [] if then.asked is not None else ["nobody had asked for it, as far as was known"]
        against += [why(then.wrong)] if then.wrong else []
        against += [] if course is None else [course]
        if more and then.request is None:
            against.append(f"the policy does not let {listed(more)} be waived")
        if more:
            clauses.append("exception.waives")
        clause = ", ".join(clauses) or "exception.waives"
        if against:
            return Finding(AGAINST, clause, "; ".join(each.rstrip(".") for each in against))
        return Finding(AGREES, clause)
    if course is not None:
        return Finding(AGAINST, "exception", course)
    if decision.type == REJECTED and then.wrong:
        return Finding(AGREES, ", ".join(clauses))
    return Finding(OPEN, "exception")


def clause_of(wrong: Wrong) -> str:
    """Name the policy's key, or the event's field, by which something is wrong."""
    if wrong.missing:
        return "exception.required"
    return _CLAUSES.get(wrong.field, wrong.field)


def against_course(decision: Recorded, then: Then) -> str | None:
    """Return why the desk would not have taken this step, None where it would have."""
    request = then.request
    if request is None:
        return None if decision.type == GRANTED else "there was nothing to decide, as far as known"
    said = decision.payload()
    steps: dict[str, Callable[[], object]] = {
        GRANTED: lambda: grant(
            request,
            then.policy,
            time=decision.occurred_at,
            waives=_granted(decision).waives,
            valid_until=decision.until,
        ),
        REJECTED: lambda: reject(request, why=said["why"]),
        REVOKED: lambda: revoke(request, reason=said["reason"]),
    }
    try:
        steps[decision.type]()
    except DeskProblem as problem:
        return str(problem)
    return None


def _granted(row: Recorded) -> ExceptionGranted:
    event = row.event()
    assert isinstance(event, ExceptionGranted)
    return event


def use_of(
    decision: Recorded, rows: Sequence[Recorded], catalogue: Catalogue, position: int
) -> Sitting | None:
    """Return the sitting that used a grant, as known at a position.

    "The first counted sitting at or after the grant's time uses every grant of that exam, needed or
    not" (spec section 4), unless the grant had run out, or the request was granted anew or revoked
    before.
    """
    if decision.type != GRANTED:
        return None
    moment = Moment(LAST, None, position)
    known = [row for row in rows if row.position <= position]
    told = [
        row
        for row in visible_exceptions(known, moment)
        if (row.exam, row.key) == (decision.exam, decision.key) and row.type in (GRANTED, REVOKED)
    ]
    if decision not in told:
        return None  # it was annulled
    later = told[told.index(decision) + 1 :]
    ends = [later[0].occurred_at] if later else []
    ends += [] if decision.until is None else [decision.until]
    sittings = sittings_of(decision.exam or "", history_of(known, catalogue), catalogue, moment)
    return sitting_that_used(counted(sittings), decision.occurred_at, min(ends, default=LAST))


def row_of(
    decision: Recorded,
    rows: Sequence[Recorded],
    catalogue: Catalogue,
    position: int,
    annulled_by: int | None,
) -> dict[str, Any]:
    """Return a decision with the request, the rule, the facts, the finding, and its use since."""
    then = known_then(decision, rows, catalogue)
    found = finding_of(decision, then)
    used = use_of(decision, rows, catalogue, position)
    said, sitting, policy = decision.payload(), then.sitting, then.standing.policy
    rule = then.asked_under or then.policy
    row = {
        "position": decision.position,
        "decision": DECISIONS[decision.type],
        "decided_at": decision.occurred_at,
        "recorded_at": decision.recorded_at,
        "actor": decision.actor,
        "source": decision.source,
        "id": decision.id,
        "candidate": decision.subject,
        "exam": decision.exam,
        "request_id": decision.key,
        "annulled_by": annulled_by,
        "waives": " ".join(said.get("waives", ())) or None,
        "valid_until": decision.until,
        "why": said.get("why", said.get("reason")),
        "state_before": None if then.request is None else then.request.state,
        "wrong": why(then.wrong) if then.wrong else None,
        "missing": " ".join(wrong.field for wrong in then.wrong if wrong.missing) or None,
        "status": then.standing.status,
        "reasons": " ".join(reason.code for reason in then.standing.reasons) or None,
        "waived": " ".join(reason.code for reason in then.standing.waived) or None,
        "eligible_from": then.standing.eligible_from,
        "agrees": found.agrees,
        "clause": found.clause,
        "against": found.against,
    }
    if then.asked is not None and then.asked_row is not None:
        row |= {
            "request_position": then.asked_row.position,
            "requested_at": then.asked_row.occurred_at,
            "registration_id": then.asked.registration_id or None,
            "reason": then.asked.reason or None,
        }
    if sitting is not None:
        row |= {"sitting_started_at": sitting.started_at, "sitting_outcome": sitting.outcome}
    if policy is not None:
        row |= {
            "policy": policy.id,
            "policy_effective_from": policy.effective_from,
            "policy_assumed": policy.assumed,
            "policy_sha256": policy.sha256,
        }
    if then.policy is not None:
        row["may_waive"] = " ".join(then.policy.exception.waives)
    if rule is not None:
        row["accepted_reasons"] = " ".join(rule.exception.reasons)
        row["required"] = " ".join(rule.exception.required)
        row["asked_under_sha256"] = None if rule is then.policy else rule.sha256
    if used is not None:
        row |= {"used_by": used.registration_id, "used_at": used.started_at}
    return row
