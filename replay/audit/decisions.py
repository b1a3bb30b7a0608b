"""Decisions on exceptions, compared with the rule and the facts as they were known then."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from ledger.events import Recorded
from ledger.facts import event_of
from ledger.models import ExceptionGranted, ExceptionRequested
from projections.answers import Sitting
from projections.catalogue import Catalogue, Version, annulments, in_time, policy_at
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
    EXCEPTION_TYPES,
    GRANTED,
    REJECTED,
    REQUESTED,
    REVOKED,
    Request,
    request_of,
)
from projections.fold.facts import LAST, NEVER
from projections.history import history_of
from projections.sentences import listed
from replay.audit.playback import Playback, Seen
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
    """Its state, and what was last said of it; not every event of it."""
    requested: ExceptionRequested | None
    requested_row: Recorded | None
    version: Version | None
    """Of the policy in force at the decision."""
    assumed: bool
    """Whether it was used before its first day."""
    request_policy: Policy | None
    """In force when it was requested: the one that a request is judged by."""
    standing: Seen
    sitting: Sitting | None
    """The sitting that the request names, if there was one."""
    wrong: tuple[Wrong, ...]

    @property
    def policy(self) -> Policy | None:
        """The policy in force at the decision."""
        return None if self.version is None else self.version.policy


class Dated(NamedTuple):
    """The events of one request of one type, by (time, position)."""

    times: list[int]
    rows: list[Recorded]


class Decided:
    """One candidate's decisions on exceptions, up to a position.

    Quick if they are asked about by position: what one has looked up serves the next.
    """

    def __init__(
        self, candidate: str, rows: Sequence[Recorded], catalogue: Catalogue, position: int
    ) -> None:
        """Read all that is recorded of a candidate up to a position, and the catalogue by then."""
        self.rows = {row.position: row for row in rows}
        self._candidate, self._catalogue, self._position = candidate, catalogue, position
        self._annulled = annulments(rows)
        self._history = history_of(rows, catalogue)
        self._then, self._now = cache(self._playback), cache(self._at_the_end)
        self._requests: dict[tuple[str | None, str | None], dict[str, Dated]] = {}
        for row in in_time(row for row in rows if row.type in EXCEPTION_TYPES):
            types = self._requests.setdefault((row.exam, row.key), {})
            dated = types.setdefault(row.type, Dated([], []))
            dated.times.append(row.occurred_at)
            dated.rows.append(row)

    def _playback(self, exam: str) -> Playback:
        return Playback(exam, self._history, self._catalogue)

    def _at_the_end(self, exam: str) -> Playback:
        playback = self._playback(exam)
        playback.stand(LAST, self._position)
        return playback

    def _last(self, of: Recorded, type: str, as_of: int, position: int) -> Recorded | None:
        """Return the last event of a type of the same request that is visible at a moment."""
        dated = self._requests[of.exam, of.key].get(type, Dated([], []))
        for i in range(bisect_right(dated.times, as_of) - 1, -1, -1):
            at = dated.rows[i].position
            if at <= position < self._annulled.get(at, NEVER):
                return dated.rows[i]
        return None

    def then(self, decision: Recorded) -> Then:
        """Look up what was known just before a decision was recorded, as of the decision's time."""
        exam, as_of, position = decision.exam or "", decision.occurred_at, decision.position - 1
        playback = self._then(exam)
        judged = playback.stand(as_of, position)
        last = (self._last(decision, type, as_of, position) for type in EXCEPTION_TYPES)
        visible = in_time(row for row in last if row is not None)
        request = None
        if visible:
            request = request_of(
                self._candidate, exam, decision.key or "", visible, as_of, playback.used
            )
        requested_row = next((row for row in visible if row.type == REQUESTED), None)
        requested, policy, sitting = None, None, None
        wrong: tuple[Wrong, ...] = ()
        if requested_row is not None:
            requested = _requested(requested_row)
            policy = policy_at(self._catalogue, exam, requested_row.occurred_at, position)
            sitting = playback.sitting(requested.registration_id)
            sittings = () if sitting is None else (sitting,)
            wrong = wrongs(requested, self._candidate, policy, sittings)
            wrong = (*_said_missing(decision, requested, policy, wrong), *wrong)
        verdict = judged.verdict
        return Then(
            request=request,
            requested=requested,
            requested_row=requested_row,
            version=self._catalogue.published[verdict.version] if verdict.version >= 0 else None,
            assumed=verdict.assumed == 1,
            request_policy=policy,
            standing=playback.seen(judged, None),
            sitting=sitting,
            wrong=wrong,
        )

    def use(self, decision: Recorded) -> Sitting | None:
        """Return the sitting that used a grant, as known at the end.

        "The first counted sitting at or after the grant's time uses every grant of that exam,
        needed or not" (spec section 4), unless the grant had run out, or the request was granted
        anew or revoked before.
        """
        if decision.type != GRANTED or decision.position in self._annulled:
            return None
        ends = [self._replaced_at(decision)]
        ends += [] if decision.until is None else [decision.until]
        return self._now(decision.exam or "").used(decision.occurred_at, min(ends))

    def _replaced_at(self, decision: Recorded) -> int:
        """Return when a request that was granted was granted anew or revoked, LAST if never."""
        types = self._requests[decision.exam, decision.key]
        mine, at = (decision.occurred_at, decision.position), LAST
        for dated in (types[type] for type in (GRANTED, REVOKED) if type in types):
            for i in range(bisect_left(dated.times, mine[0]), len(dated.rows)):
                row = dated.rows[i]
                if (row.occurred_at, row.position) > mine and row.position not in self._annulled:
                    at = min(at, row.occurred_at)
                    break
        return at


def _requested(row: Recorded) -> ExceptionRequested:
    event = event_of(row)
    assert isinstance(event, ExceptionRequested)
    return event


def _said_missing(
    decision: Recorded,
    requested: ExceptionRequested,
    policy: Policy | None,
    found: Sequence[Wrong],
) -> tuple[Wrong, ...]:
    """Believe a rejection about blank personal fields: what is encrypted cannot be seen."""
    if decision.type != REJECTED or policy is None:
        return ()
    seen = {wrong.field for wrong in found}
    return tuple(
        Wrong(name, name, missing=True)
        for name in decision.payload()["missing"]
        if name in requested.personal and name in policy.exception.required and name not in seen
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
        against = (
            [] if then.requested is not None else ["nobody had requested it, as far as was known"]
        )
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
    payload = decision.payload()
    steps: dict[str, Callable[[], object]] = {
        GRANTED: lambda: grant(
            request,
            then.policy,
            time=decision.occurred_at,
            waives=_granted(decision).waives,
            valid_until=decision.until,
        ),
        REJECTED: lambda: reject(request, why=payload["why"]),
        REVOKED: lambda: revoke(request, reason=payload["reason"]),
    }
    try:
        steps[decision.type]()
    except DeskProblem as problem:
        return str(problem)
    return None


def _granted(row: Recorded) -> ExceptionGranted:
    event = event_of(row)
    assert isinstance(event, ExceptionGranted)
    return event


def row_of(decision: Recorded, decided: Decided, annulled_by: int | None) -> dict[str, Any]:
    """Return a decision with the request, the rule, the facts, the finding, and its use since."""
    then = decided.then(decision)
    found = finding_of(decision, then)
    used = decided.use(decision)
    payload, sitting = decision.payload(), then.sitting
    rule = then.request_policy or then.policy
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
        "waives": " ".join(payload.get("waives", ())) or None,
        "valid_until": decision.until,
        "why": payload.get("why", payload.get("reason")),
        "state_before": None if then.request is None else then.request.state,
        "wrong": why(then.wrong) if then.wrong else None,
        "missing": " ".join(wrong.field for wrong in then.wrong if wrong.missing) or None,
        "status": then.standing.status,
        "reasons": then.standing.reasons,
        "waived": then.standing.waived,
        "eligible_from": then.standing.eligible_from,
        "agrees": found.agrees,
        "clause": found.clause,
        "against": found.against,
    }
    if then.requested is not None and then.requested_row is not None:
        row |= {
            "request_position": then.requested_row.position,
            "requested_at": then.requested_row.occurred_at,
            "registration_id": then.requested.registration_id or None,
            "reason": then.requested.reason or None,
        }
    if sitting is not None:
        row |= {"sitting_started_at": sitting.started_at, "sitting_outcome": sitting.outcome}
    if then.policy is not None:
        row |= {
            "policy": then.policy.id,
            "policy_effective_from": then.policy.effective_from,
            "policy_assumed": then.assumed,
            "policy_sha256": then.policy.sha256,
        }
        row["may_waive"] = " ".join(then.policy.exception.waives)
    if rule is not None:
        row["accepted_reasons"] = " ".join(rule.exception.reasons)
        row["required"] = " ".join(rule.exception.required)
        row["asked_under_sha256"] = None if rule is then.policy else rule.sha256
    if used is not None:
        row |= {"used_by": used.registration_id, "used_at": used.started_at}
    return row
