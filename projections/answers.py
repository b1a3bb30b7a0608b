"""The answers other programs read, to the letter of spec section 5."""

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from ledger.fields import Instant

# What `object.__setattr__` finds by name, found once.
_set_values, _set_names, _set_extra, _set_private = (
    vars(BaseModel)[slot].__set__
    for slot in (
        "__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__",
    )
)  # fmt: skip


_new: Callable[[Any], Any] = object.__new__
_names: dict[type[BaseModel], set[str]] = {}
"""The fields of each answer: an attribute of a model is looked up in ten times the time."""


class Answer(BaseModel):
    """Frozen; instants are microseconds UTC, in JSON RFC 3339 text with `Z`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def trusted(cls, /, **fields: Any) -> Self:  # each name would be compared with `cls`
        """Make one of all its fields, in order: what the fold computed needs no validation.

        As unpickling does it: validating took about a fifth of a whole answer's time.
        """
        made: Self = _new(cls)
        _set_values(made, fields)
        _set_names(made, _names[cls])
        _set_extra(made, None)
        _set_private(made, None)
        return made

    @classmethod
    def __pydantic_init_subclass__(cls, **settings: Any) -> None:
        """Keep the names of all fields at hand."""
        _names[cls] = set(cls.model_fields)


class Cause(Answer):
    """An event that causes a reason, by its idempotency key."""

    source: str
    id: str


class Reason(Answer):
    """Why a sitting is blocked, or would be but for an exception.

    `until` is null while the end is open; `clause` is the key of the policy
    (or `exam.…`, of the catalogue) that it comes from, entries counted from 1;
    `expected` is there only while a beta result is awaited and the exam's
    live date is known.
    """

    code: str
    until: Instant | None
    clause: str | None
    text: str
    because: tuple[Cause, ...]
    expected: tuple[Instant, ...] | None = None

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        if self.expected is None:
            del written["expected"]
        return written


class Problem(Answer):
    """What a careful reader should know of the facts behind an answer; see docs/reasons.md."""

    code: str
    text: str
    because: tuple[Cause, ...]


class PolicyUsed(Answer):
    """The policy version that the answer was computed with; `assumed` before its first day."""

    id: str
    effective_from: Instant
    assumed: bool
    sha256: str


class Sitting(Answer):
    """One sitting; `ordinal` is its place in its series, null when it is not counted."""

    registration_id: str
    started_at: Instant
    delivery: str
    outcome: str
    outcome_at: Instant | None
    ordinal: int | None
    counted: bool


class Standing(Answer):
    """What the fold says of one candidate and one exam at one (as_of, known_at)."""

    candidate: str
    exam: str
    known: bool
    """False when nothing visible is recorded of the candidate: the answer is a newcomer's."""
    as_of: Instant
    known_at: Instant | None
    position: Annotated[int, Field(ge=0)]
    eligible: bool
    status: str
    eligible_from: Instant | None
    next_change_at: Instant | None
    sittings_in_series: int
    period_ends_at: Instant | None
    policy: PolicyUsed | None
    reasons: tuple[Reason, ...]
    waived: tuple[Reason, ...]
    sittings: tuple[Sitting, ...]
    problems: tuple[Problem, ...]
