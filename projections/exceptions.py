"""Requests for retake exceptions and what became of them, folded from events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final, Literal, NamedTuple, TypeAlias

from ledger.events import Recorded
from ledger.fields import Instant
from projections.answers import Answer, Cause, Sitting
from projections.catalogue import Catalogue, annulments, in_time
from projections.fold.facts import NEVER
from projections.fold.grants import used_by
from projections.history import history_of
from projections.standing import Moment, sittings_of

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
    requested_by: str | None
    """The actor of the request's event; None where none was named."""
    changed_at: Instant
    """When its state last changed by an event, or a sitting, or by running out."""
    missing: tuple[str, ...]
    why: str | None
    waives: tuple[str, ...]
    valid_until: Instant | None
    used_by: str | None
    decided_by: str | None
    """The actor of the event that granted, rejected or revoked it last."""
    events: tuple[Cause, ...]


Used: TypeAlias = Callable[[int, int], Sitting | None]
"""Return the sitting that used a grant made at the first instant, if before the second."""


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
    history = history_of(rows, catalogue)

    @cache
    def used_of(exam: str) -> Used:
        counted = [s for s in sittings_of(exam, history, catalogue, moment) if s.counted]
        starts = [sitting.started_at for sitting in counted]

        def used(since: int, until: int) -> Sitting | None:
            s = used_by(starts, since, until)
            return None if s < 0 else counted[s]

        return used

    keyed: dict[tuple[str, str], list[Recorded]] = {}
    for row in visible_exceptions(rows, moment):
        keyed.setdefault((row.exam or "", row.key or ""), []).append(row)
    return tuple(
        request_of(candidate, exam, request_id, events, moment.as_of, used_of(exam))
        for (exam, request_id), events in keyed.items()
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
    used: Used,
) -> Request:
    """Fold the visible events of one request, in (time, position) order; the later one holds.

    `used` finds the sitting that used a grant; asked only when there is one.
    """
    last = {row.type: row for row in events}
    requested = last[REQUESTED].payload() if REQUESTED in last else {}
    granted = last[GRANTED].payload() if GRANTED in last else {}
    decision, deciding_event = decide(events, as_of, used), deciding(events)
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
            "registration_id": requested.get("registration_id"),
            "reason": requested.get("reason"),
            "requested_at": last[REQUESTED].occurred_at if requested else None,
            "requested_by": last[REQUESTED].actor if requested else None,
            "changed_at": decision.at,
            "missing": tuple(why.get("missing", ())),  # type: ignore[arg-type]
            "why": why.get("why"),
            "waives": tuple(granted.get("waives", ())),
            "valid_until": granted.get("valid_until"),
            "used_by": decision.used_by,
            "decided_by": None if deciding_event is None else deciding_event.actor,
            "events": tuple(Cause(source=row.source, id=row.id) for row in events),
        }
    )


def deciding(events: Sequence[Recorded]) -> Recorded | None:
    """Return the visible event of a request, of those in (time, position) order, that decides it.

    The last grant or revocation; without one a rejection, unless it was asked for again since.
    """
    grants = [row for row in events if row.type in (GRANTED, REVOKED)]
    if grants:
        return grants[-1]
    return events[-1] if events[-1].type == REJECTED else None


def decide(events: Sequence[Recorded], as_of: int, used: Used) -> Decision:
    """Return what a request has come to by its visible events.

    "The last of its ExceptionGranted and ExceptionRevoked holds" (spec section 4), so where there
    is one of these a rejection says nothing: the state is what the fold makes of the grant. It is
    active "until before valid_until, unless used: the first counted sitting at or after the grant's
    time uses every grant of that exam, needed or not". A sitting at or after valid_until used
    nothing: the grant had run out before.
    """
    last = deciding(events)
    if last is None:
        return Decision("open", events[-1].occurred_at)
    if last.type in (REJECTED, REVOKED):
        return Decision("rejected" if last.type == REJECTED else "revoked", last.occurred_at)
    ends = last.until
    sitting = used(last.occurred_at, NEVER if ends is None else ends)
    if sitting is not None:
        return Decision("used", sitting.started_at, sitting.registration_id)
    if ends is not None and ends <= as_of:
        return Decision("expired", max(ends, last.occurred_at))
    return Decision("granted", last.occurred_at)
