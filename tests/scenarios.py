"""Stories in the field's words: given facts, as of an instant, then a standing.

    given(exam("AZ-104"), failed("AZ-104", on="2021-04-01T09:00Z"))
        .as_of("2021-04-02T08:59:59Z")
        .then(status="waiting", until="2021-04-02T09:00Z")

Facts are recorded in the order in which they are told, one line a transaction. The shipped
policies are published first. What `then` accepts is in `said.py`. Cases in TOML use the same words:
each line of theirs is a builder's name and its arguments.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from plain_values import When, at, text
from standing_checks import assert_standing

from ledger import models
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.fields import Event, EventRef
from projections.answers import Standing
from projections.catalogue import Catalogue, catalogue_of
from projections.history import History, history_of
from projections.standing import Moment, standing_of
from retake_policies import shipped

CANDIDATE: Final = "C-1"
SOURCE: Final = "urn:test"
EARLY: Final = at("2000-01-01")
"""When catalogue entries hold from, unless a story says otherwise."""


class Line(NamedTuple):
    """One line of a story: facts that are recorded in one transaction."""

    facts: tuple[Fact, ...]
    taken: int | None = None
    """When the ledger took them; else when the last of them was true."""

    def recorded(self, when: When) -> Line:
        """Return when the ledger took them."""
        return self._replace(taken=at(when))


def line(subject: str, id: str, when: When, event: Event) -> Line:
    """Tell one fact."""
    return Line((Fact(SOURCE, id, subject, at(when), event),))


def instant_or_none(when: When | None) -> int | None:
    """Read an instant that may be left out."""
    return None if when is None else at(when)


# --- the catalogue ---------------------------------------------------------------------------


def policy(toml: str, *, on: When = EARLY) -> Line:
    """Publish a policy's text."""
    id = str(tomllib.loads(toml)["id"])
    return line(id, f"policy/{id}", on, models.PolicyPublished(toml=toml))


def exam(
    code: str,
    *,
    policy: str = "general",
    beta_opens: When | None = None,
    live: When | None = None,
    retires: When | None = None,
    on: When = EARLY,
) -> Line:
    """Announce an exam."""
    announced = models.ExamAnnounced(
        title=f"Exam {code}",
        policy=policy,
        beta_opens_at=instant_or_none(beta_opens),
        live_at=instant_or_none(live),
        retires_at=instant_or_none(retires),
    )
    return line(code, f"exam/{code}", on, announced)


def went_live(code: str, *, on: When) -> Line:
    """Say that an exam went live."""
    return line(code, f"exam/{code}/live", on, models.ExamWentLive())


def retired(code: str, *, on: When) -> Line:
    """Say that an exam was retired."""
    return line(code, f"exam/{code}/retired", on, models.ExamRetired())


def certification(id: str, *, exams: Sequence[str], on: When = EARLY) -> Line:
    """Define a certification."""
    defined = models.CertificationDefined(title=f"Certification {id}", exams=tuple(exams))
    return line(id, f"certification/{id}", on, defined)


# --- sittings --------------------------------------------------------------------------------


def registration(on: When, reg: str | None) -> str:
    """Name a registration by its start where the story does not."""
    return reg or f"R-{text(at(on))}"


def attempted(
    exam: str,
    *,
    on: When,
    reg: str | None = None,
    ended: When | None = None,
    delivery: str = "live",
    who: str = CANDIDATE,
) -> Line:
    """Begin a sitting."""
    reg = registration(on, reg)
    event = models.ExamAttempted(
        exam=exam,
        registration_id=reg,
        delivery=delivery,  # type: ignore[arg-type]
        ended_at=instant_or_none(ended),
    )
    return line(who, f"{reg}/attempted", on, event)


def beta(exam: str, *, on: When, reg: str | None = None, who: str = CANDIDATE) -> Line:
    """Begin a beta sitting."""
    return attempted(exam, on=on, reg=reg, delivery="beta", who=who)


def result(exam: str, *, reg: str, on: When, passed: bool, who: str = CANDIDATE) -> Line:
    """Return the result of a sitting."""
    kind = models.ExamPassed if passed else models.ExamFailed
    return line(who, f"{reg}/result", on, kind(exam=exam, registration_id=reg))


def passed(exam: str, *, on: When, result_at: When | None = None, **more: Any) -> Line:
    """Sit an exam and pass it; the result is there at `result_at`, else at the end."""
    return sat(exam, True, on, result_at, more)


def failed(exam: str, *, on: When, result_at: When | None = None, **more: Any) -> Line:
    """Sit an exam and fail it; the result is there at `result_at`, else at the end."""
    return sat(exam, False, on, result_at, more)


def sat(exam: str, good: bool, on: When, result_at: When | None, more: Mapping[str, Any]) -> Line:
    """Sit an exam: the attempt and its result."""
    start = attempted(exam, on=on, **more)
    known = result_at or more.get("ended") or on
    reg = registration(on, more.get("reg"))
    who = more.get("who", CANDIDATE)
    return Line(start.facts + result(exam, reg=reg, on=known, passed=good, who=who).facts)


def rescored(exam: str, *, reg: str, on: When, passed: bool, who: str = CANDIDATE) -> Line:
    """Determine a beta sitting's result."""
    event = models.BetaRescored(exam=exam, registration_id=reg, passed=passed)
    return line(who, f"{reg}/rescored", on, event)


def revoked(exam: str, *, reg: str, on: When, who: str = CANDIDATE) -> Line:
    """Revoke a result."""
    event = models.ResultRevoked(exam=exam, registration_id=reg, reason="proctor's report")
    return line(who, f"{reg}/revoked", on, event)


def missed(exam: str, *, on: When, reg: str | None = None, who: str = CANDIDATE) -> Line:
    """Not come to a sitting that was booked."""
    reg = registration(on, reg)
    event = models.SittingMissed(exam=exam, registration_id=reg)
    return line(who, f"{reg}/missed", on, event)


# --- authorizations --------------------------------------------------------------------------


def authorized(
    exam: str,
    *,
    on: When,
    id: str = "A-1",
    valid_until: When | None = None,
    sittings: int | None = None,
    who: str = CANDIDATE,
) -> Line:
    """Authorize a candidate to sit."""
    event = models.AuthorizationGranted(
        exam=exam,
        authorization_id=id,
        valid_until=instant_or_none(valid_until),
        sittings=sittings,
    )
    return line(who, f"{id}/granted", on, event)


def unauthorized(exam: str, *, on: When, id: str = "A-1", who: str = CANDIDATE) -> Line:
    """Withdraw an authorization."""
    event = models.AuthorizationRevoked(exam=exam, authorization_id=id, reason="granted in error")
    return line(who, f"{id}/revoked", on, event)


# --- exceptions ------------------------------------------------------------------------------


def requested(
    exam: str,
    *,
    on: When,
    reg: str,
    request: str = "X-1",
    reason: str = "lab-crash",
    who: str = CANDIDATE,
    **fields: str,
) -> Line:
    """Ask for a retake exception."""
    event = models.ExceptionRequested(
        request_id=request, exam=exam, registration_id=reg, reason=reason, **fields
    )
    return line(who, f"{request}/requested", on, event)


def rejected(
    exam: str,
    *,
    on: When,
    request: str = "X-1",
    missing: Sequence[str] = (),
    why: str = "something is missing",
    who: str = CANDIDATE,
) -> Line:
    """Refuse an exception."""
    event = models.ExceptionRejected(request_id=request, exam=exam, missing=tuple(missing), why=why)
    return line(who, f"{request}/rejected", on, event)


def granted(
    exam: str,
    *,
    on: When,
    waives: Sequence[str] = ("wait",),
    request: str = "X-1",
    valid_until: When | None = None,
    who: str = CANDIDATE,
) -> Line:
    """Grant an exception."""
    event = models.ExceptionGranted(
        request_id=request,
        exam=exam,
        waives=tuple(waives),  # type: ignore[arg-type]
        valid_until=instant_or_none(valid_until),
    )
    return line(who, f"{request}/granted", on, event)


def withdrawn(exam: str, *, on: When, request: str = "X-1", who: str = CANDIDATE) -> Line:
    """Revoke an exception."""
    event = models.ExceptionRevoked(request_id=request, exam=exam, reason="granted in error")
    return line(who, f"{request}/revoked", on, event)


# --- certifications --------------------------------------------------------------------------


def held(
    kind: type[models.CertEarned] | type[models.CertRenewed],
    certification: str,
    on: When,
    expires: When | None,
    exams: Sequence[str] | None,
    who: str,
) -> Line:
    """Hold a certification from now on."""
    event = kind(
        certification=certification,
        expires_at=instant_or_none(expires),
        exams=None if exams is None else tuple(exams),
    )
    return line(who, f"{certification}/{kind.type}", on, event)


def earned(
    certification: str,
    *,
    on: When,
    expires: When | None = None,
    exams: Sequence[str] | None = None,
    who: str = CANDIDATE,
) -> Line:
    """Earn a certification."""
    return held(models.CertEarned, certification, on, expires, exams, who)


def renewed(
    certification: str,
    *,
    on: When,
    expires: When | None = None,
    exams: Sequence[str] | None = None,
    who: str = CANDIDATE,
) -> Line:
    """Renew a certification."""
    return held(models.CertRenewed, certification, on, expires, exams, who)


def expired(certification: str, *, on: When, who: str = CANDIDATE) -> Line:
    """End a certification."""
    event = models.CertExpired(certification=certification)
    return line(who, f"{certification}/CertExpired", on, event)


# --- corrections -----------------------------------------------------------------------------


def forgotten(who: str = CANDIDATE, *, on: When) -> Line:
    """Erase a person's data."""
    return line(who, "forgotten", on, models.CandidateForgotten())


def annulled(
    id: str, *, on: When, subject: str = CANDIDATE, reason: str = "recorded in error"
) -> Line:
    """Say that an event told before, of this id, was recorded in error."""
    event = models.EventAnnulled(annuls=EventRef(source=SOURCE, id=id), reason=reason)
    return line(subject, f"{id}/annulled", on, event)


VERBS: Final[dict[str, Callable[..., Line]]] = {
    verb.__name__: verb
    for verb in (
        policy, exam, went_live, retired, certification, attempted, beta, passed, failed, result,
        rescored, revoked, missed, authorized, unauthorized, requested, rejected, granted,
        withdrawn, earned, renewed, expired, forgotten, annulled,
    )
}  # fmt: skip


def line_of(told: Mapping[str, Any]) -> Line:
    """Read a line of a case, its verb first: `{ failed = "AZ-104", on = …, recorded = … }`."""
    arguments = dict(told)
    verb = next(iter(arguments))
    taken = arguments.pop("recorded", None)
    said = VERBS[verb](arguments.pop(verb), **arguments)
    return said if taken is None else said.recorded(taken)


# --- given, when, then -----------------------------------------------------------------------


def recorded(lines: Sequence[Line]) -> list[Recorded]:
    """Record lines as a ledger would: positions from 1, recorded_at rising, annulments resolved."""
    rows: list[Recorded] = []
    ids: dict[str, Recorded] = {}
    last = -(1 << 61)
    for told in lines:
        clock = max(fact.time for fact in told.facts) if told.taken is None else told.taken
        last = max(clock, last + 1)
        for fact in told.facts:
            row = fact._replace(id=fresh(fact.id, ids)).row(as_recorded=True)
            if isinstance(fact.event, models.EventAnnulled):
                target = ids[fact.event.annuls.id]
                assert target.subject == fact.subject, f"{target.id} is of {target.subject}"
                row = row._replace(stream=target.stream, annuls=target.position)
            rows.append(Recorded(len(rows) + 1, last, *row))
            ids[row.id] = rows[-1]
    return rows


def fresh(id: str, taken: Mapping[str, Recorded]) -> str:
    """Return an id that is not taken: `R-1/result/2` after `R-1/result`."""
    number, name = 1, id
    while name in taken:
        number += 1
        name = f"{id}/{number}"
    return name


class Given:
    """Facts as recorded, ready to be asked about."""

    def __init__(self, lines: Sequence[Line], *, before: Sequence[Line] = ()) -> None:
        """Record `before` and then `lines`; positions in `knowing` count from `lines`."""
        self.rows = recorded([*before, *lines])
        self._lengths = [len(line.facts) for line in lines]
        self._before = sum(len(line.facts) for line in before)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue of all that is recorded."""
        return catalogue_of([row for row in self.rows if not is_of_candidate(row)])

    def history(self, who: str = CANDIDATE) -> History:
        """The history of one candidate."""
        mine = [row for row in self.rows if row.stream == f"candidate/{who}"]
        return history_of(mine, self.catalogue)

    def as_of(
        self,
        when: When,
        *,
        exam: str | None = None,
        who: str = CANDIDATE,
        known: int | None = None,
        known_at: When | None = None,
    ) -> Asked:
        """Ask, as known after the first `known` lines, or at `known_at`, or by default at the end.

        The exam is the first that any fact names, unless said.
        """
        position = len(self.rows)
        if known is not None:
            position = self._before + sum(self._lengths[:known])
        instant = self.rows[position - 1].recorded_at if position else None
        if known_at is not None:
            instant = at(known_at)
            position = bisect_right(self.rows, instant, key=lambda row: row.recorded_at)
        exam = exam or next(row.exam for row in self.rows if row.exam)
        moment = Moment(at(when), instant, position)
        standing = standing_of(who, exam, self.history(who), self.catalogue, moment)
        return Asked(standing)


class Asked(NamedTuple):
    """An answer, to be compared with what a story says."""

    standing: Standing

    def then(self, status: str, **said: Any) -> Standing:
        """Compare with what is said of it; see `said.py`."""
        assert_standing(self.standing, status, said)
        return self.standing


def is_of_candidate(row: Recorded) -> bool:
    """Tell a candidate's event from one of the catalogue."""
    return row.stream.startswith("candidate/")


SHIPPED: Final = tuple(policy(toml) for _, toml in shipped())


def given(*lines: Line, bare: bool = False) -> Given:
    """Record facts, after the shipped policies unless `bare`."""
    return Given(lines, before=() if bare else SHIPPED)
