"""Every event of spec section 2: what may be said, and of whom, in which version of its schema."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from eventsourcing.utils import register_topic
from pydantic import Field, ValidationError

from ledger.fields import (
    Code,
    Codes,
    Columns,
    Count,
    Event,
    EventRef,
    Instant,
    Number,
    Personal,
    StreamKind,
    Text,
    Texts,
    faults_of,
)
from ledger.problems import MalformedFact
from ledger.upcasts import UPCASTS, VERSIONS, Upcasts, current_version, upcast


class ExamAttempted(Event):
    """The sitting began at `time`."""

    instants: ClassVar[tuple[str, ...]] = ("ended_at",)
    exam: Code
    registration_id: Code
    delivery: Literal["live", "beta"]
    ended_at: Instant | None = None

    def columns(self, subject: str) -> Columns:
        return self.exam, self.registration_id, int(self.delivery == "beta"), self.ended_at


class _Result(Event):
    exam: Code
    registration_id: Code
    score: Number | None = None

    def columns(self, subject: str) -> Columns:
        return self.exam, self.registration_id, None, None


class ExamPassed(_Result):
    """The result of a sitting: passed."""


class ExamFailed(_Result):
    """The result of a sitting: failed."""


class BetaRescored(Event):
    """A beta sitting's result, determined at `time`."""

    exam: Code
    registration_id: Code
    passed: bool
    score: Number | None = None

    def columns(self, subject: str) -> Columns:
        return self.exam, self.registration_id, int(self.passed), None


class ResultRevoked(Event):
    """The result no longer stands; the sitting still counts."""

    exam: Code
    registration_id: Code
    reason: Text

    def columns(self, subject: str) -> Columns:
        return self.exam, self.registration_id, None, None


class SittingMissed(Event):
    """A sitting was booked for `time`, and the candidate did not come."""

    exam: Code
    registration_id: Code
    reason: Text | None = None

    def columns(self, subject: str) -> Columns:
        return self.exam, self.registration_id, None, None


class AuthorizationGranted(Event):
    """The candidate may sit: an application, a purchase, a course."""

    instants: ClassVar[tuple[str, ...]] = ("valid_until",)
    exam: Code
    authorization_id: Code
    valid_until: Instant | None = None
    sittings: Count | None = None
    reason: Text | None = None

    def columns(self, subject: str) -> Columns:
        return self.exam, self.authorization_id, self.sittings, self.valid_until


class AuthorizationRevoked(Event):
    """The authorization is withdrawn."""

    exam: Code
    authorization_id: Code
    reason: Text

    def columns(self, subject: str) -> Columns:
        return self.exam, self.authorization_id, None, None


class ExceptionRequested(Event):
    """A retake exception was requested.

    `registration_id` and `reason` may be empty text: a request that left them out is recorded as it
    was made, and answered with an ExceptionRejected that says so (spec section 7, reading 9).
    """

    personal: ClassVar[frozenset[str]] = frozenset(
        ("first_name", "last_name", "email", "description")
    )
    request_id: Code
    exam: Code
    registration_id: str
    reason: str
    exam_number: str | None = None
    vue_case_number: str | None = None
    candidate_id: str | None = None
    first_name: Personal | None = None
    last_name: Personal | None = None
    email: Personal | None = None
    description: Personal | None = None

    def columns(self, subject: str) -> Columns:
        return self.exam, self.request_id, None, None


class ExceptionRejected(Event):
    """The request was refused, and what was missing."""

    request_id: Code
    exam: Code
    missing: Texts
    why: str

    def columns(self, subject: str) -> Columns:
        return self.exam, self.request_id, None, None


Waived: TypeAlias = Literal["wait", "cap", "passed"]
"""What a grant may waive."""


def waived_flag(waives: Collection[str]) -> int:
    """Return what a grant waives as bits: 1 for the wait, 2 for the cap, 4 for a pass that stands.

    >>> waived_flag(("passed", "wait"))
    5
    """
    return sum(1 << bit for bit, name in enumerate(get_args(Waived)) if name in waives)


class ExceptionGranted(Event):
    """One sitting may ignore what it waives."""

    instants: ClassVar[tuple[str, ...]] = ("valid_until",)
    request_id: Code
    exam: Code
    waives: Annotated[tuple[Waived, ...], Field(strict=False)]
    valid_until: Instant | None = None

    def columns(self, subject: str) -> Columns:
        return self.exam, self.request_id, waived_flag(self.waives), self.valid_until


class ExceptionRevoked(Event):
    """The grant is withdrawn."""

    request_id: Code
    exam: Code
    reason: Text

    def columns(self, subject: str) -> Columns:
        return self.exam, self.request_id, None, None


class _Certified(Event):
    instants: ClassVar[tuple[str, ...]] = ("expires_at",)
    certification: Code
    expires_at: Instant | None = None
    exams: Codes | None = None

    def columns(self, subject: str) -> Columns:
        return None, self.certification, None, self.expires_at


class CertEarned(_Certified):
    """A certification is held until `expires_at`; without one, for ever."""


class CertRenewed(_Certified):
    """A certification is held on until `expires_at`; without one, for ever."""


class CertExpired(Event):
    """The certification ended at `time`."""

    certification: Code

    def columns(self, subject: str) -> Columns:
        return None, self.certification, None, None


class CandidateForgotten(Event):
    """The person's data was erased: the key was destroyed."""


class EventAnnulled(Event):
    """An earlier event of the same subject was recorded in error.

    Its stream is the annulled event's, found when it is appended.
    """

    stream_kind: ClassVar[StreamKind] = "any"
    annuls: EventRef
    reason: Text


class ExamAnnounced(Event):
    """An exam's entry in the catalogue, from `time` on; it replaces the whole entry before it."""

    stream_kind: ClassVar[StreamKind] = "exam"
    instants: ClassVar[tuple[str, ...]] = ("beta_opens_at", "live_at", "retires_at")
    title: Text
    policy: Code
    beta_opens_at: Instant | None = None
    live_at: Instant | None = None
    retires_at: Instant | None = None

    def columns(self, subject: str) -> Columns:
        return subject, None, None, None


class ExamWentLive(Event):
    """The exam went live at `time`."""

    stream_kind: ClassVar[StreamKind] = "exam"

    def columns(self, subject: str) -> Columns:
        return subject, None, None, None


class ExamRetired(Event):
    """The exam was retired at `time`."""

    stream_kind: ClassVar[StreamKind] = "exam"

    def columns(self, subject: str) -> Columns:
        return subject, None, None, None


class CertificationDefined(Event):
    """A certification's entry in the catalogue, from `time` on."""

    stream_kind: ClassVar[StreamKind] = "certification"
    title: Text
    exams: Codes

    def columns(self, subject: str) -> Columns:
        return None, subject, None, None


class PolicyPublished(Event):
    """One version of a policy: the whole file, as it stands."""

    stream_kind: ClassVar[StreamKind] = "policy"
    toml: Text


EVENT_TYPES: Mapping[str, type[Event]] = {name: globals()[name] for name in VERSIONS}
"""The model of each type, which has its name."""
EVENTS: tuple[type[Event], ...] = tuple(EVENT_TYPES.values())
"""Every event, in the order of spec section 2."""

# The only topics ever resolved: a stored topic never imports a module.
for _event in EVENTS:
    register_topic(_event.topic, _event)


def event_class(type: str) -> type[Event]:
    """Return the model of an event type; raises MalformedFact, naming the types there are."""
    current_version(type)
    return EVENT_TYPES[type]


def make_event(
    type: str, data: Mapping[str, Any], version: int | None = None, *, upcasts: Upcasts = UPCASTS
) -> Event:
    """Build an event from JSON data, in which instants are RFC 3339 text.

    `version` is the schema version of the data, the current one by default. Raises MalformedFact,
    one sentence that names each missing, unknown or wrong field; never a personal value.
    """
    cls = event_class(type)
    if version is not None and version != cls.version:
        data = upcast(type, version, cls.version, dict(data), upcasts)
    for name in cls.instants:
        value = data.get(name)
        if value is not None and not isinstance(value, str):
            raise MalformedFact(f"{type}: data.{name} should be an RFC 3339 instant, not {value!r}")
    try:
        return cls.__pydantic_validator__.validate_python(data)  # type: ignore[no-any-return]
    except ValidationError as error:
        faults = faults_of(error, fields=cls.model_fields, personal=cls.personal)
        problem = MalformedFact(f"{type}: {'; '.join(faults.values())}")
        problem.faults = tuple(faults.items())
        raise problem from None
