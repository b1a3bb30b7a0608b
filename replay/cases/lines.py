"""The facts of a case: each line one verb and what belongs to it, as `{ failed = "X", on = … }`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError

from ledger import models
from ledger.facts import Fact
from ledger.fields import Event
from ledger.instants import MIN_INSTANT, format_instant
from replay.stories import CANDIDATE, SOURCE
from retake_policies.fields import Instant, Line, Listed, refused
from retake_policies.problems import describe
from retake_policies.schema import Table

_INSTANT: Final = "an instant or a date: 2021-03-15T09:00:00Z, or 2021-03-15 for 00:00 UTC"


def _midnight(value: Any) -> Any:
    """Turn a date into its 00:00 UTC, as everywhere else."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value


When = Annotated[Instant, BeforeValidator(_midnight)]


def when(**more: Any) -> Any:
    """Declare a field that is an instant."""
    return Field(description=_INSTANT, **more)


def code(what: str = "exam", **more: Any) -> Any:
    """Declare a field that names something."""
    return Field(description=f"a text: the {what}", **more)


class CaseLine(Table):
    """One line: the fields are what it may say."""

    of: Line

    @property
    def exams_named(self) -> tuple[str, ...]:
        """The exams that it is about."""
        return (self.of,)

    @abstractmethod
    def facts(self, policy: str) -> Iterator[Fact]:
        """Yield the facts of this line; `policy` is the id of the one that is tried."""


class _Dated(CaseLine):
    on: When = when()

    @abstractmethod
    def event(self) -> Event:
        """Return what became true."""

    def facts(self, policy: str) -> Iterator[Fact]:
        """Yield the one fact."""
        event = self.event()
        yield Fact(SOURCE, f"{self.of}/{event.type}/{self.on}", CANDIDATE, self.on, event)


class _Sitting(CaseLine):
    on: When = when()
    reg: Line | None = code("registration", default=None)
    ended: When | None = when(default=None)
    delivery: Literal["live", "beta"] = Field("live", description='"live" or "beta"')

    def facts(self, policy: str) -> Iterator[Fact]:
        """Yield the attempt."""
        event = models.ExamAttempted(
            exam=self.of,
            registration_id=self.registration,
            delivery=self.delivery,
            ended_at=self.ended,
        )
        yield Fact(SOURCE, f"{self.registration}/attempted", CANDIDATE, self.on, event)

    @property
    def registration(self) -> str:
        """The registration, named by the start where the line does not name it."""
        return self.reg or f"{self.of}@{format_instant(self.on)}"


class Attempted(_Sitting):
    """A sitting without a result."""

    of: Line = code(alias="attempted")


class _Result(_Sitting):
    result_at: When | None = when(default=None)

    def facts(self, policy: str) -> Iterator[Fact]:
        """Yield the attempt and its result, at `result_at`, else at the end."""
        yield from super().facts(policy)
        at = self.result_at or self.ended or self.on
        yield Fact(SOURCE, f"{self.registration}/result", CANDIDATE, at, self.result())

    @abstractmethod
    def result(self) -> Event:
        """Return the result."""


class Failed(_Result):
    """A failed sitting."""

    of: Line = code(alias="failed")

    def result(self) -> Event:
        """Return the failure."""
        if self.delivery == "beta":
            return rescore(self.of, self.registration, False)
        return models.ExamFailed(exam=self.of, registration_id=self.registration)


class Passed(_Result):
    """A passed sitting."""

    of: Line = code(alias="passed")

    def result(self) -> Event:
        """Return the pass."""
        if self.delivery == "beta":
            return rescore(self.of, self.registration, True)
        return models.ExamPassed(exam=self.of, registration_id=self.registration)


def rescore(exam: str, registration: str, passed: bool) -> Event:
    """Return a beta sitting's result."""
    return models.BetaRescored(exam=exam, registration_id=registration, passed=passed)


class Missed(CaseLine):
    """A sitting that the candidate did not come to."""

    of: Line = code(alias="missed")
    on: When = when()
    reg: Line | None = code("registration", default=None)

    def facts(self, policy: str) -> Iterator[Fact]:
        """Yield that nobody came."""
        registration = self.reg or f"{self.of}@{format_instant(self.on)}"
        event = models.SittingMissed(exam=self.of, registration_id=registration)
        yield Fact(SOURCE, f"{registration}/missed", CANDIDATE, self.on, event)


class Revoked(_Dated):
    """A result that no longer stands."""

    of: Line = code(alias="revoked")
    reg: Line = code("registration")

    def event(self) -> Event:
        """Return the revocation."""
        return models.ResultRevoked(exam=self.of, registration_id=self.reg, reason="example")


class Authorized(_Dated):
    """An application, a purchase or a course: the candidate may sit."""

    of: Line = code(alias="authorized")
    id: Line = code("authorization", default="A-1")
    valid_until: When | None = when(default=None)
    sittings: int | None = Field(None, ge=1, description="a whole number of 1 or more")

    def event(self) -> Event:
        """Return the authorization."""
        return models.AuthorizationGranted(
            exam=self.of,
            authorization_id=self.id,
            valid_until=self.valid_until,
            sittings=self.sittings,
        )


class Unauthorized(_Dated):
    """An authorization that is withdrawn."""

    of: Line = code(alias="unauthorized")
    id: Line = code("authorization", default="A-1")

    def event(self) -> Event:
        """Return the withdrawal."""
        return models.AuthorizationRevoked(exam=self.of, authorization_id=self.id, reason="example")


class Granted(_Dated):
    """A retake exception."""

    of: Line = code(alias="granted")
    request: Line = code("request", default="X-1")
    waives: Listed[Literal["wait", "cap", "passed"]] = Field(
        description='a list of "wait", "cap" and "passed"'
    )
    valid_until: When | None = when(default=None)

    def event(self) -> Event:
        """Return the grant."""
        return models.ExceptionGranted(
            request_id=self.request,
            exam=self.of,
            waives=self.waives,
            valid_until=self.valid_until,
        )


class Withdrawn(_Dated):
    """A retake exception that is withdrawn."""

    of: Line = code(alias="withdrawn")
    request: Line = code("request", default="X-1")

    def event(self) -> Event:
        """Return the withdrawal."""
        return models.ExceptionRevoked(request_id=self.request, exam=self.of, reason="example")


class _Certified(_Dated):
    expires: When | None = when(default=None)
    exams: Listed[Line] | None = Field(None, description='a list of exams, such as ["AZ-104"]')

    @property
    def exams_named(self) -> tuple[str, ...]:
        """The exams that it counts for."""
        return self.exams or ()


class Earned(_Certified):
    """A certification is earned."""

    of: Line = code("certification", alias="earned")

    def event(self) -> Event:
        """Return the certification."""
        return models.CertEarned(certification=self.of, expires_at=self.expires, exams=self.exams)


class Renewed(_Certified):
    """A certification is renewed."""

    of: Line = code("certification", alias="renewed")

    def event(self) -> Event:
        """Return the renewal."""
        return models.CertRenewed(certification=self.of, expires_at=self.expires, exams=self.exams)


class Expired(_Dated):
    """A certification ended."""

    of: Line = code("certification", alias="expired")

    def event(self) -> Event:
        """Return the end."""
        return models.CertExpired(certification=self.of)


class Announced(CaseLine):
    """An exam with its dates; one that no line announces follows the policy that is tried."""

    of: Line = code(alias="exam")
    policy: Line | None = code("id of its policy", default=None)
    beta_opens: When | None = when(default=None)
    live: When | None = when(default=None)
    retires: When | None = when(default=None)

    def facts(self, policy: str) -> Iterator[Fact]:
        """Yield the announcement, which holds from the beginning of time."""
        event = models.ExamAnnounced(
            title=self.of,
            policy=self.policy or policy,
            beta_opens_at=self.beta_opens,
            live_at=self.live,
            retires_at=self.retires,
        )
        yield Fact(SOURCE, f"exam/{self.of}/announced", self.of, MIN_INSTANT, event)


VERBS: Final[Mapping[str, type[CaseLine]]] = {
    str(line.model_fields["of"].alias): line
    for line in (
        Failed, Passed, Attempted, Missed, Revoked, Authorized, Unauthorized, Granted, Withdrawn,
        Earned, Renewed, Expired, Announced,
    )
}  # fmt: skip
"""Each verb, and what a line with it may say."""


def read_line(value: Any) -> CaseLine:
    """Read one line; raises PydanticCustomError, whose message follows `key = value`."""
    if not isinstance(value, dict):
        raise refused('is no fact; write a table, such as { failed = "AZ-104", on = 2021-03-01 }')
    verb = next((key for key in value if key in VERBS), None)
    if verb is None:
        raise refused(f"says no fact; write one of {', '.join(VERBS)}")
    try:
        return VERBS[verb].model_validate(value)
    except ValidationError as error:
        first = next(describe(error, VERBS[verb], of=f"a line with `{verb}`"))
        raise refused(f"is not accepted: {first.rstrip('.')}") from None
