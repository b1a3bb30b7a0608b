"""What was asked of the exceptions desk and what became of it, folded from events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final, Literal, NamedTuple

from ledger.events import Recorded
from ledger.fields import Instant
from projections.answers import Answer, Cause, Sitting
from projections.catalogue import Catalogue, annulments, in_time
from projections.fold.facts import Question
from projections.fold.verdict import setting_at
from projections.history import history_of
from projections.standing import Moment, standing_of
from retake_policies.schema import Policy

State = Literal["open", "rejected", "granted", "used", "expired", "revoked"]
STATES: Final[tuple[State, ...]] = ("open", "rejected", "granted", "used", "expired", "revoked")

REQUESTED: Final = "ExceptionRequested"
REJECTED: Final = "ExceptionRejected"
GRANTED: Final = "ExceptionGranted"
REVOKED: Final = "ExceptionRevoked"
EXCEPTION_TYPES: Final = (REQUESTED, REJECTED, GRANTED, REVOKED)


class Request(Answer):
    """One request for a retake exception, as it stands at one (as_of, position).

    Keyed by (candidate, exam, request_id). What no visible event says is null: a grant may have
    been recorded without its request. `missing` and `why` are those of the rejection, `why` the
    reason of a revocation too; `used_by` is the registration of the sitting that used the grant.
    Personal fields are no part of it.
    """

    candidate: str
    exam: str
    request_id: str
    state: State
    registration_id: str | None
    reason: str | None
    requested_at: Instant | None
    changed_at: Instant
    """When its state last changed by an event, or a sitting, or by running out."""
    missing: tuple[str, ...]
    why: str | None
    waives: tuple[str, ...]
    valid_until: Instant | None
    used_by: str | None
    events: tuple[Cause, ...]


class Decision(NamedTuple):
    """What a request has come to, and since when."""

    state: State
    at: int
    used_by: str | None = None


def requests_of(
    candidate: str, rows: Sequence[Recorded], catalogue: Catalogue, moment: Moment
) -> tuple[Request, ...]:
    """Fold one candidate's events into requests, in the order of their first events.

    `rows` is everything recorded of the candidate, or more than is visible at `moment`;
    `catalogue` must hold all that is known at `moment.position`.
    """

    @cache
    def sittings(exam: str) -> tuple[Sitting, ...]:
        return sittings_at(candidate, exam, rows, catalogue, moment)

    told: dict[tuple[str, str], list[Recorded]] = {}
    for row in visible_exceptions(rows, moment):
        told.setdefault((row.exam or "", row.key or ""), []).append(row)
    return tuple(
        request_of(candidate, exam, request_id, events, moment.as_of, sittings)
        for (exam, request_id), events in told.items()
    )


def visible_exceptions(rows: Iterable[Recorded], moment: Moment) -> list[Recorded]:
    """Pick the exception events visible at a moment, in (time, position) order."""
    known = [row for row in rows if row.position <= moment.position]
    annulled = annulments(known)
    return in_time(
        row
        for row in known
        if row.type in EXCEPTION_TYPES
        and row.occurred_at <= moment.as_of
        and row.position not in annulled
    )


def request_of(
    candidate: str,
    exam: str,
    request_id: str,
    events: Sequence[Recorded],
    as_of: int,
    sittings: Callable[[str], tuple[Sitting, ...]],
) -> Request:
    """Fold the visible events of one request, in (time, position) order; the later one holds.

    `sittings` gives the candidate's sittings of an exam; asked only when there is a grant.
    """
    last = {row.type: row for row in events}
    asked = last[REQUESTED].payload() if REQUESTED in last else {}
    granted = last[GRANTED].payload() if GRANTED in last else {}
    decision = decide(events, as_of, lambda: sittings(exam))
    why: dict[str, object] = {}
    if decision.state == "rejected":
        why = last[REJECTED].payload()
    elif decision.state == "revoked":
        why = {"why": last[REVOKED].payload()["reason"]}
    return Request.model_validate(
        {
            "candidate": candidate,
            "exam": exam,
            "request_id": request_id,
            "state": decision.state,
            "registration_id": asked.get("registration_id"),
            "reason": asked.get("reason"),
            "requested_at": last[REQUESTED].occurred_at if asked else None,
            "changed_at": decision.at,
            "missing": tuple(why.get("missing", ())),  # type: ignore[arg-type]
            "why": why.get("why"),
            "waives": tuple(granted.get("waives", ())),
            "valid_until": granted.get("valid_until"),
            "used_by": decision.used_by,
            "events": tuple(Cause(source=row.source, id=row.id) for row in events),
        }
    )


def decide(
    events: Sequence[Recorded], as_of: int, sittings: Callable[[], tuple[Sitting, ...]]
) -> Decision:
    """Return what a request has come to by its visible events.

    "The last of its ExceptionGranted and ExceptionRevoked holds" (spec section 4), so where there
    is one of these a rejection says nothing: the state is what the fold makes of the grant. It is
    active "until before valid_until, unless used: the first counted sitting at or after the grant's
    time uses every grant of that exam, needed or not". A sitting at or after valid_until used
    nothing: the grant had run out before.
    """
    grants = [row for row in events if row.type in (GRANTED, REVOKED)]
    if not grants:
        last = [row for row in events if row.type in (REQUESTED, REJECTED)][-1]
        return Decision("rejected" if last.type == REJECTED else "open", last.occurred_at)
    last = grants[-1]
    if last.type == REVOKED:
        return Decision("revoked", last.occurred_at)
    ends = last.until
    for sitting in sittings():
        if sitting.counted and sitting.started_at >= last.occurred_at:
            if ends is None or sitting.started_at < ends:
                return Decision("used", sitting.started_at, sitting.registration_id)
            break
    if ends is not None and ends <= as_of:
        return Decision("expired", max(ends, last.occurred_at))
    return Decision("granted", last.occurred_at)


def sittings_at(
    candidate: str, exam: str, rows: Sequence[Recorded], catalogue: Catalogue, moment: Moment
) -> tuple[Sitting, ...]:
    """Return a candidate's sittings of an exam visible at a moment, in (start, position) order."""
    return standing_of(candidate, exam, history_of(rows, catalogue), catalogue, moment).sittings


def policy_at(catalogue: Catalogue, exam: str, moment: Moment) -> Policy | None:
    """Return the policy an exam follows at a moment, as the fold picks it.

    None for an exam that is not in the catalogue known then, or whose policy is not.
    """
    facts = history_of((), catalogue).facts
    q = Question(catalogue.exams.get(exam, -1), moment.as_of, moment.position, 0, 0, 0, 0)
    version = setting_at(facts, q, moment.as_of).version
    return None if version < 0 else catalogue.published[version].policy
