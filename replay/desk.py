"""The exceptions desk over a ledger: look up what a decision needs, decide, record, read back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.appending import Appending
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.fields import Event
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.models import EVENT_TYPES, ExceptionRejected, ExceptionRequested
from ledger.outcomes import Conflict, Refused
from ledger.privacy.vault import ERASED
from projections.catalogue import annulments, in_time, policy_at, setting_of
from projections.exception_rules import (
    DeskProblem,
    answer_request,
    grant,
    reject,
    revoke,
    wrong_candidate,
)
from projections.exceptions import (
    EXCEPTION_TYPES,
    GRANTED,
    REJECTED,
    REQUESTED,
    REVOKED,
    Request,
    State,
    deciding,
    requests_of,
    visible_exceptions,
)
from projections.fold.facts import LAST
from projections.history import history_of
from projections.problems import nearest
from projections.sentences import listed
from projections.standing import Moment, sittings_of
from replay.snapshot import Snapshot
from retake_policies.schema import Policy

SOURCE: Final = "urn:attempt-ledger:desk"
"""The source of every event the desk records."""

_IDS: Final = {
    REQUESTED: "requested",
    REJECTED: "rejected",
    GRANTED: "granted",
    REVOKED: "revoked",
}


class WrongCall(DeskProblem):
    """What was asked cannot be meant: another candidate, exam or request is."""


Rule = Callable[[Request, Policy | None, int], Sequence[Event]]
"""Given a request, the policy in force and an instant: the events that decide it, or none."""


class Reference(NamedTuple):
    """Which request is decided, and how that is recorded. Instants are microseconds UTC."""

    candidate: str
    request_id: str
    now: int
    exam: str | None = None
    """Needed only where a candidate has requests of one id for several exams."""
    time: int | None = None
    """When it was true; None: now."""
    actor: str | None = None


class Answered(NamedTuple):
    """A request as it stands now; `positions` is empty where nothing had to be recorded."""

    request: Request
    positions: tuple[int, ...]


def readable(clear: Mapping[str, object]) -> tuple[str, ...]:
    """Return the fields that `Desk.clear` shows in clear text: not those erased."""
    return tuple(name for name, value in clear.items() if isinstance(value, str))


class Desk:
    """Takes requests for retake exceptions and decides them, each in one transaction.

    Whatever the desk cannot do is a DeskProblem (or a LedgerProblem of the store): one sentence,
    and nothing was recorded. The same again changes nothing.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Serve an open ledger; it stays the caller's to close."""
        self._ledger = ledger
        self._snapshot = Snapshot(ledger, Moment(0, None, 0))

    def check(
        self, candidate: str, requested: ExceptionRequested, *, now: int, time: int | None = None
    ) -> str | None:
        """Return why a request would be rejected, None if it would be left open; record nothing."""
        events = self._answer(
            candidate, requested, self._rows(candidate), now if time is None else time
        )
        return None if len(events) == 1 else events[1].why

    def request(
        self,
        candidate: str,
        requested: ExceptionRequested,
        *,
        now: int,
        time: int | None = None,
        actor: str | None = None,
    ) -> Answered:
        """Record a request and answer it at once: rejected, or left open.

        It is judged by the policy in force at its time, and by the sittings visible at its time as
        known now. A request id that stands already with the same fields is no new request (its time
        is compared only if given); with others it is a DeskProblem that says what differs. A typing
        error is recorded by nobody: an unknown candidate or exam, or a `candidate_id` of another,
        is a WrongCall.
        """
        of = Reference(candidate, requested.request_id, now, requested.exam, time, actor)
        with self._ledger.appending() as appending:
            rows = self._rows(candidate)
            stands = self._standing_request(rows, requested)
            if stands is not None:
                at = stands.occurred_at if time is None else time
                again = Fact(stands.source, stands.id, candidate, at, requested)
                same_request(stands, appending.differences(stands, again.row()))
                positions: tuple[int, ...] = ()
            else:
                at = now if time is None else time
                events = self._answer(candidate, requested, rows, at)
                positions = recorded(appending, self._facts(of, at, events))
        return Answered(self._read_back(candidate, requested, max(now, at)), positions)

    def grant(
        self, of: Reference, *, waives: Sequence[str] | None = None, valid_until: int | None = None
    ) -> Answered:
        """Grant a request; `waives` None is all the policy allows (see `grant` of the rules)."""
        return self._decide(
            of,
            lambda request, policy, at: grant(
                request, policy, time=at, waives=waives, valid_until=valid_until
            ),
        )

    def reject(self, of: Reference, *, why: str) -> Answered:
        """Reject an open request. `why` is kept in clear text: no personal data belongs there."""
        return self._decide(of, lambda request, policy, at: reject(request, why=why))

    def revoke(self, of: Reference, *, reason: str) -> Answered:
        """Withdraw a grant. `reason` is kept in clear text: no personal data belongs there."""
        return self._decide(of, lambda request, policy, at: revoke(request, reason=reason))

    def requests(
        self, moment: Moment, candidate: str | None = None, state: State | None = None
    ) -> Iterator[Request]:
        """Yield requests at a moment: of one candidate, or of all, sorted by candidate.

        Those of a candidate come in the order of their first events; of one state, or of any.
        Memory is flat but for the ids of the candidates that ever asked.
        """
        catalogue = self._snapshot.at(moment).catalogue
        names: Iterable[str] = [] if candidate is None else [candidate]
        if candidate is None:
            of = may_be_open if state == "open" else asked_ever
            names = of(self._ledger, moment)
        for name in names:
            for each in requests_of(name, self._rows(name, moment.position), catalogue, moment):
                if state in (None, each.state):
                    yield each

    def clear(self, request: Request) -> dict[str, str | Mapping[str, bool]]:
        """Return a request's personal fields in clear text, and `ERASED` for those erased.

        Raises KeyFileProblem when the key file is missing or another.
        """
        requested = [self._ledger.find(cause.source, cause.id) for cause in request.events]
        for row in reversed(requested):
            if row is not None and row.type == REQUESTED:
                data = self._ledger.vault.reveal(row, erased=ERASED)
                return {
                    name: data[name]
                    for name in ExceptionRequested.model_fields
                    if name in ExceptionRequested.personal and data.get(name) is not None
                }
        return {}

    # -- how it is decided: all of it under the write lock, so that nobody decides in between

    def _answer(
        self, candidate: str, requested: ExceptionRequested, rows: Sequence[Recorded], at: int
    ) -> tuple[ExceptionRequested] | tuple[ExceptionRequested, ExceptionRejected]:
        moment = Moment(at, None, self._ledger.head().position)
        catalogue = self._snapshot.at(moment).catalogue
        if not rows:
            raise WrongCall(f"No candidate {candidate!r} in this ledger: nothing was recorded")
        if setting_of(catalogue, requested.exam, at, moment.position).definition < 0:
            near = nearest(requested.exam, catalogue)
            hint = "" if near is None else f": did you mean {near}?"
            raise WrongCall(f"{requested.exam} is not in the catalogue{hint}")
        for wrong in wrong_candidate(requested, candidate):
            raise WrongCall(f"{wrong.text}: nothing was recorded")
        policy = policy_at(catalogue, requested.exam, at, moment.position)
        sittings = sittings_of(requested.exam, history_of(rows, catalogue), catalogue, moment)
        return answer_request(requested, candidate, policy, sittings)

    def _decide(self, of: Reference, rule: Rule) -> Answered:
        candidate, request_id, now, _, time, _ = of
        with self._ledger.appending() as appending:
            position = self._ledger.head().position
            rows = self._rows(candidate)
            exam, changed = chosen(of, rows, position)
            at = max(now, changed) if time is None else time
            if at < changed:
                raise DeskProblem(
                    f"{request_id} was last changed on {format_instant(changed)}: what is decided "
                    f"after that cannot have the time {format_instant(at)}"
                )
            moment = Moment(at, None, position)
            catalogue = self._snapshot.at(moment).catalogue
            request = next(
                each
                for each in requests_of(candidate, rows, catalogue, moment)
                if (each.exam, each.request_id) == (exam, request_id)
            )
            events = rule(request, policy_at(catalogue, exam, at, position), at)
            if not events and time not in (None, changed):
                raise DeskProblem(
                    f"{request_id} was {request.state} on {format_instant(changed)}, not on "
                    f"{format_instant(at)}"
                )
            positions = recorded(appending, self._facts(of, at, events))
        return Answered(self._read_back(candidate, request, at), positions)

    def _facts(self, of: Reference, at: int, events: Sequence[Event]) -> list[Fact]:
        return [
            Fact(
                SOURCE,
                self._free_id(of.request_id, event.type),
                of.candidate,
                at,
                event,
                of.actor,
            )
            for event in events
        ]

    def _free_id(self, request_id: str, type: str) -> str:
        number = 1
        while self._ledger.find(SOURCE, event_id(request_id, type, number)) is not None:
            number += 1
        return event_id(request_id, type, number)

    # -- what is recorded

    def _rows(self, candidate: str, upto: int | None = None) -> list[Recorded]:
        return self._ledger.stream(f"candidate/{candidate}", upto=upto)

    def _standing_request(
        self, rows: Sequence[Recorded], requested: ExceptionRequested
    ) -> Recorded | None:
        """Find the request of this id, whoever recorded it; one that was annulled blocks the id."""
        annulled = annulments(rows)
        for row in rows:
            if row.position in annulled:
                continue
            if (row.type, row.exam, row.key) == (REQUESTED, requested.exam, requested.request_id):
                return row
        ours = self._ledger.find(SOURCE, event_id(requested.request_id, REQUESTED))
        if ours is not None and ours.position in annulled:
            raise DeskProblem(
                f"the request {requested.request_id} was annulled: ask anew under another request "
                "id"
            )
        return ours

    def _read_back(self, candidate: str, of: ExceptionRequested | Request, as_of: int) -> Request:
        moment = Moment(as_of, None, self._ledger.head().position)
        requests = self.requests(moment, candidate)
        return next(r for r in requests if (r.exam, r.request_id) == (of.exam, of.request_id))


def asked_ever(ledger: Ledger, moment: Moment) -> list[str]:
    """Return who has a request, whatever became of it, sorted."""
    return subjects_of(ledger, EXCEPTION_TYPES, moment.position)


def may_be_open(ledger: Ledger, moment: Moment) -> list[str]:
    """Return whose request may be open, sorted: nothing decides it, or something was annulled.

    Most requests that there ever were are decided, and whose are all decided is not folded.
    """
    found: dict[tuple[str, str | None, str | None], list[Recorded]] = {}
    for row in _events_of(ledger, EXCEPTION_TYPES, moment.position):
        if row.occurred_at <= moment.as_of:
            bare = row._replace(data="", extensions=None)  # many are kept at once
            found.setdefault((row.subject, row.exam, row.key), []).append(bare)
    some = {subject for (subject, *_), rows in found.items() if deciding(in_time(rows)) is None}
    corrected = subjects_of(ledger, ("EventAnnulled",), moment.position)
    return sorted(some | ({subject for subject, *_ in found} & set(corrected)))


def subjects_of(ledger: Ledger, types: Iterable[str], upto: int) -> list[str]:
    """Return whom events of some types up to a position are about, sorted."""
    return sorted({row.subject for row in _events_of(ledger, types, upto)})


def _events_of(ledger: Ledger, types: Iterable[str], upto: int) -> Iterator[Recorded]:
    topics = [
        f"{type}:{version}" for type in types for version in range(EVENT_TYPES[type].version + 1)
    ]
    after = 0
    while page := ledger.store.page(after, upto, topics=topics):
        yield from page
        after = page[-1].position


def event_id(request_id: str, type: str, number: int = 1) -> str:
    """Name an event of the desk; with a counter where the same is recorded once more.

    >>> event_id("X-1", "ExceptionGranted"), event_id("X-1", "ExceptionGranted", 2)
    ('exception/X-1/granted', 'exception/X-1/granted/2')
    """
    counter = "" if number == 1 else f"/{number}"
    return f"exception/{request_id}/{_IDS[type]}{counter}"


def recorded(appending: Appending, facts: Sequence[Fact]) -> tuple[int, ...]:
    """Append facts and return their positions; raises DeskProblem if one is refused."""
    positions = []
    rows = [fact.row() for fact in facts]
    for fact, outcome in zip(facts, appending.take(rows) if rows else (), strict=True):
        match outcome:
            case Refused(problem):
                raise DeskProblem(problem)
            case Conflict():
                raise DeskProblem(f"{fact.source} {fact.id} {outcome.problem}")
            case _:
                positions.append(outcome.position)
    return tuple(positions)


def same_request(stands: Recorded, differs: Sequence[str]) -> None:
    """Raise DeskProblem, saying what differs, unless a request is the one that stands already."""
    if differs:
        raise DeskProblem(
            f"the request {stands.key} stands at position {stands.position} already, with other "
            f"fields: {', '.join(differs)}"
        )


def chosen(of: Reference, rows: Sequence[Recorded], position: int) -> tuple[str, int]:
    """Pick a candidate's request by its id: its exam, and when its last event was true.

    Raises WrongCall where there is none, or one for each of several exams.
    """
    candidate, request_id, exam = of.candidate, of.request_id, of.exam
    if not rows:
        raise WrongCall(f"No candidate {candidate!r} in this ledger")
    changed: dict[str, int] = {}
    for row in visible_exceptions(rows, Moment(LAST, None, position)):
        if row.key == request_id and exam in (None, row.exam):
            changed[row.exam or ""] = row.occurred_at
    if not changed:
        for_exam = "" if exam is None else f" for {exam}"
        raise WrongCall(f"{candidate} has no request {request_id}{for_exam}")
    if len(changed) > 1:
        raise WrongCall(
            f"{candidate} has requests {request_id} for {listed(sorted(changed))}: say which exam"
        )
    return next(iter(changed.items()))
