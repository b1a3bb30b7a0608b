"""What Python programs read: the answers of the fold, with datetimes in UTC for its instants.

Each has the fields of its model in `projections.answers`, `projections.exceptions` or
`projections.authorizations`, to the letter of spec section 5; a test holds them equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any, TypeVar

from attempt_ledger.moments import utc
from projections.answers import Answer

A = TypeVar("A")


class Public:
    """An object of the Python door: dir(), and so completion, shows what of it is public."""

    __slots__ = ()

    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if not name.startswith("_")]


@dataclass(frozen=True, slots=True)
class Cause(Public):
    """An event that causes a reason, by its idempotency key."""

    source: str
    id: str


@dataclass(frozen=True, slots=True)
class Reason(Public):
    """Why a sitting is blocked, or would be but for an exception."""

    code: str
    """Such as ``waiting``: docs/reasons.md lists them in order of precedence."""
    until: datetime | None
    """None while the end is open."""
    clause: str | None
    """The key of the policy, or ``exam.…`` of the catalogue, that it comes from."""
    text: str
    """The reason as one sentence."""
    because: tuple[Cause, ...]
    expected: tuple[datetime, ...] | None
    """From when to when a beta result is expected; None where none is awaited."""


@dataclass(frozen=True, slots=True)
class PolicyUsed(Public):
    """The policy version that an answer was computed with; `assumed` before its first day."""

    id: str
    effective_from: datetime
    assumed: bool
    sha256: str


@dataclass(frozen=True, slots=True)
class Sitting(Public):
    """One sitting; `ordinal` is its place in its series, None when it is not counted."""

    registration_id: str
    started_at: datetime
    delivery: str
    outcome: str
    outcome_at: datetime | None
    ordinal: int | None
    counted: bool


@dataclass(frozen=True, slots=True)
class Problem(Public):
    """What a careful reader should know of the facts behind an answer."""

    code: str
    """Such as ``sources-disagree``: docs/reasons.md lists them."""
    text: str
    because: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Standing(Public):
    """Whether a candidate may sit an exam, why not and from when, at one (as_of, known_at)."""

    candidate: str
    exam: str
    known: bool
    """False when nothing visible is recorded of the candidate."""
    as_of: datetime
    known_at: datetime | None
    position: int
    """The last position that was known."""
    eligible: bool
    status: str
    """``eligible``, or the code of the first reason."""
    eligible_from: datetime | None
    """None where it is eligible, or cannot be retaken on any date as things stand."""
    next_change_at: datetime | None
    sittings_in_series: int
    period_ends_at: datetime | None
    policy: PolicyUsed | None
    reasons: tuple[Reason, ...]
    waived: tuple[Reason, ...]
    """Reasons that an exception waives."""
    sittings: tuple[Sitting, ...]
    problems: tuple[Problem, ...]
    _answer: Answer = field(repr=False, compare=False)

    def to_json(self) -> str:
        """Write it as `attempt-ledger standing --format json` does."""
        return self._answer.model_dump_json()


@dataclass(frozen=True, slots=True)
class ExceptionRequest(Public):
    """A request for a retake exception, and what became of it, without its personal fields."""

    candidate: str
    exam: str
    request_id: str
    state: str
    """``open``, ``rejected``, ``granted``, ``used``, ``expired`` or ``revoked``."""
    registration_id: str | None
    reason: str | None
    requested_at: datetime | None
    requested_by: str | None
    """Who recorded the request."""
    changed_at: datetime
    missing: tuple[str, ...]
    why: str | None
    waives: tuple[str, ...]
    valid_until: datetime | None
    used_by: str | None
    """The registration of the sitting that used the grant."""
    decided_by: str | None
    """Who recorded the decision."""
    events: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Authorization(Public):
    """An authorization to sit an exam, and what became of it."""

    candidate: str
    exam: str
    authorization_id: str
    state: str
    """``running``, ``used``, ``ended`` or ``revoked``."""
    granted_at: datetime | None
    valid_until: datetime | None
    sittings: int | None
    """How many sittings it may serve, as it or the policy says; None for any number."""
    served: int
    reason: str | None
    changed_at: datetime
    events: tuple[Cause, ...]


def public(cls: Callable[..., A], answer: Answer) -> A:
    """Return an answer of the fold as the class that Python programs read."""
    values = {name: convert(getattr(answer, name)) for name, convert in _conversions(cls)}
    if cls is Standing:
        values["_answer"] = answer
    return cls(**values)


@cache
def _conversions(cls: Any) -> list[tuple[str, Callable[[Any], Any]]]:
    """Return for each field how its value is converted, by what its type is made of."""
    fields = cls.__dataclass_fields__.items()
    return [(name, _conversion(str(each.type))) for name, each in fields if name != "_answer"]


def _conversion(type: str) -> Callable[[Any], Any]:
    made_of = re.search(r"datetime|Cause|Reason|Problem|PolicyUsed|Sitting", type)
    if made_of is None:
        return lambda value: value
    one = utc if made_of[0] == "datetime" else partial(public, globals()[made_of[0]])
    if type.startswith("tuple"):
        return lambda value: None if value is None else tuple(map(one, value))
    return lambda value: None if value is None else one(value)
