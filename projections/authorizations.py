"""Authorizations and what became of them, folded from events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

from ledger.events import Recorded
from ledger.fields import Instant
from projections.answers import Answer, Cause
from projections.catalogue import Catalogue
from projections.explain import Context, causes
from projections.fold.authorizations import UNBOUNDED, serve
from projections.fold.facts import GRANTED, NEVER
from projections.history import AUTHORIZATION_KINDS, Line, history_of
from projections.problems import is_visible
from projections.standing import Moment, judged_for

State = Literal["running", "used", "ended", "revoked"]
STATES: Final[tuple[State, ...]] = get_args(State)


class Authorization(Answer):
    """One authorization to sit an exam, as it stands at one (as_of, position).

    Keyed by (candidate, exam, authorization_id); granted again under one id it starts afresh.
    """

    candidate: str
    exam: str
    authorization_id: str
    state: State
    granted_at: Instant | None
    """Null where only its withdrawal is recorded."""
    valid_until: Instant | None
    sittings: int | None
    """How many sittings it may serve, as it or the policy says; null for any number."""
    served: int
    """How many it has served."""
    reason: str | None
    """Why it was granted or, revoked, why it was withdrawn."""
    changed_at: Instant
    """When it was granted or withdrawn last."""
    events: tuple[Cause, ...]


def authorizations_of(
    candidate: str, rows: Sequence[Recorded], catalogue: Catalogue, moment: Moment
) -> tuple[Authorization, ...]:
    """Fold one candidate's events into authorizations, in the order of their first events.

    `rows` is everything recorded of the candidate, or more than is visible at `moment`;
    `catalogue` must hold all that is known at `moment.position`.
    """
    history = history_of(rows, catalogue)
    exams: dict[str, list[tuple[int, Line]]] = {}
    for i, row in enumerate(history.authorization_events):
        exams.setdefault(row.exam or "", []).append((i, row))
    found: dict[tuple[int, str], Authorization] = {}
    for exam, some in exams.items():
        c = judged_for(exam, history, catalogue, moment)
        allowed = c.rules.authorization_sittings if c.judged.setting.version >= 0 else 0
        serve(history.facts, c.q, allowed, c.sittings, c.n, moment.as_of)
        visible: dict[str, list[int]] = {}
        for i, row in some:
            if is_visible(c, row):
                visible.setdefault(row.key or "", []).append(i)
        for id, mine in visible.items():
            found[mine[0], id] = authorization_of(candidate, id, c, mine, allowed)
    return tuple(found[key] for key in sorted(found))


def authorization_of(
    candidate: str, id: str, c: Context, rows: Sequence[int], allowed: int
) -> Authorization:
    """Describe one authorization by its visible rows, of which the last holds."""
    facts = c.history.facts.authorizations
    every, last = c.history.authorization_events, rows[-1]
    events = dict(zip(rows, c.history.whole(every[i] for i in rows), strict=True))
    granted = next((i for i in reversed(rows) if facts.kind[i] == GRANTED), None)
    may = UNBOUNDED if granted is None else facts.sittings[granted] or allowed or UNBOUNDED
    holds = granted == last
    left = c.sittings.served.left[last] if holds else may
    state: State = "revoked" if not holds else "running"
    if holds and left == 0:
        state = "used"
    elif holds and facts.until[last] <= c.t:
        state = "ended"
    until = NEVER if granted is None else facts.until[granted]
    return Authorization.trusted(
        candidate=candidate,
        exam=c.exam,
        authorization_id=id,
        state=state,
        granted_at=None if granted is None else events[granted].occurred_at,
        valid_until=None if until == NEVER else until,
        sittings=None if may == UNBOUNDED else may,
        served=may - left,
        reason=events[last].payload().get("reason"),
        changed_at=events[last].occurred_at,
        events=causes(events[i] for i in rows),
    )


TYPES: Final = tuple(AUTHORIZATION_KINDS)
"""The events about authorizations."""
