"""The desks, as Python programs reach them: of exceptions, and of authorizations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

from attempt_ledger.answers import Authorization, ExceptionRequest, Public, public
from attempt_ledger.arguments import text, text_or_none, texts, words
from attempt_ledger.facts import make_fact
from attempt_ledger.moments import When, micros, utc
from ledger.models import AuthorizationGranted, ExceptionRequested
from replay import authorizations as core
from replay.desk import Answered, Desk, Reference

if TYPE_CHECKING:
    from attempt_ledger.python import Ledger


class Decision(TypedDict, total=False):
    """How a decision is recorded, where that has to be said."""

    exam: str
    """Where a candidate has requests of one id for several exams."""
    time: When
    """When it was decided; left out: now."""
    actor: str
    """Who decided; left out: the ledger's own."""


class Exceptions(Public):
    """Requests for retake exceptions: made, decided and listed. Raises DeskProblem.

    What decides a request takes `exam` (where requests of one id are for several), `time` (when it
    was decided, else now) and `actor` too. Why is kept in clear text, without personal data.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Use `Ledger.exceptions`."""
        self._ledger = ledger

    def request(
        self,
        candidate: str,
        exam: str,
        *,
        request_id: str,
        registration_id: str,
        reason: str,
        time: When | None = None,
        actor: str | None = None,
        **fields: str,
    ) -> ExceptionRequest:
        """Request an exception, and have it answered at once: left open, or rejected.

        `request_id` is required: the same call again is no new request. Personal fields
        (first_name, last_name, email, description) are kept encrypted.
        """
        now = self._ledger._access.clock()
        ids = {"exam": exam, "request_id": request_id, "registration_id": registration_id}
        fact = make_fact(
            "ExceptionRequested",
            text("candidate", candidate),
            time=utc(now),
            id=text("request_id", request_id),
            **ids,
            reason=reason,
            **fields,
        )
        event, who = fact.event, text_or_none("actor", actor) or self._ledger._actor
        assert isinstance(event, ExceptionRequested)
        at = None if time is None else micros(time, "time")
        return self._decided(
            lambda desk: desk.request(candidate, event, now=now, time=at, actor=who)
        )

    def grant(
        self,
        candidate: str,
        request_id: str,
        *,
        waives: Sequence[str] | None = None,
        valid_until: When | None = None,
        **how: Unpack[Decision],
    ) -> ExceptionRequest:
        """Grant an open request; `waives` None is all that the policy allows."""
        of = self._reference(candidate, request_id, how)
        ends = None if valid_until is None else micros(valid_until, "valid_until")
        some = None if waives is None else texts("waives", waives)
        return self._decided(lambda desk: desk.grant(of, waives=some, valid_until=ends))

    def reject(
        self, candidate: str, request_id: str, *, why: str, **how: Unpack[Decision]
    ) -> ExceptionRequest:
        """Reject an open request."""
        of = self._reference(candidate, request_id, how)
        return self._decided(lambda desk: desk.reject(of, why=words("why", why)))

    def revoke(
        self, candidate: str, request_id: str, *, reason: str, **how: Unpack[Decision]
    ) -> ExceptionRequest:
        """Withdraw a grant that is not used yet."""
        of = self._reference(candidate, request_id, how)
        return self._decided(lambda desk: desk.revoke(of, reason=words("reason", reason)))

    def list(
        self,
        candidate: str | None = None,
        *,
        as_of: When | None = None,
        known_at: When | None = None,
    ) -> list[ExceptionRequest]:
        """Return the requests of a candidate, or of everybody, sorted by candidate."""
        moment = self._ledger.at(as_of, known_at)._bound.moment
        desk = Desk(self._ledger._store)
        found = desk.requests(moment, text_or_none("candidate", candidate))
        return [public(ExceptionRequest, each) for each in found]

    def _reference(self, candidate: str, request_id: str, how: Decision) -> Reference:
        if other := sorted(how.keys() - Decision.__annotations__.keys()):
            raise TypeError(f"{', '.join(other)}: accepted are exam, time and actor")
        return Reference(
            text("candidate", candidate),
            text("request_id", request_id),
            self._ledger._access.clock(),
            text_or_none("exam", how.get("exam")),
            micros(how["time"], "time") if "time" in how else None,
            text_or_none("actor", how.get("actor")) or self._ledger._actor,
        )

    def _decided(self, decide: Callable[[Desk], Answered]) -> ExceptionRequest:
        store = self._ledger._writable()
        done = decide(Desk(store))
        self._ledger._access.seal_after(store)
        return public(ExceptionRequest, done.request)


class Authorizations(Public):
    """Authorizations to sit an exam: granted, withdrawn and listed. Raises DeskProblem.

    `time` is when it was decided, else now. Reasons are kept in clear text, without personal data.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Use `Ledger.authorizations`."""
        self._ledger = ledger

    def grant(
        self,
        candidate: str,
        exam: str,
        *,
        authorization_id: str,
        valid_until: When | None = None,
        sittings: int | None = None,
        reason: str | None = None,
        time: When | None = None,
        actor: str | None = None,
    ) -> Authorization:
        """Authorize a candidate to sit an exam; the same call again changes nothing."""
        now = self._ledger._access.clock()
        event = make_fact(
            "AuthorizationGranted",
            text("candidate", candidate),
            time=utc(now) if time is None else time,
            id=text("authorization_id", authorization_id),
            exam=exam,
            authorization_id=authorization_id,
            valid_until=valid_until,
            sittings=sittings,
            reason=None if reason is None else words("reason", reason),
        ).event
        assert isinstance(event, AuthorizationGranted)
        at = None if time is None else micros(time, "time")
        who = text_or_none("actor", actor) or self._ledger._actor
        return self._decided(lambda desk: desk.grant(candidate, event, now=now, time=at, actor=who))

    def revoke(
        self,
        candidate: str,
        authorization_id: str,
        *,
        reason: str,
        exam: str | None = None,
        time: When | None = None,
        actor: str | None = None,
    ) -> Authorization:
        """Withdraw an authorization; `exam` where one id is used for several."""
        return self._decided(
            lambda desk: desk.revoke(
                text("candidate", candidate),
                text("authorization_id", authorization_id),
                reason=words("reason", reason),
                now=self._ledger._access.clock(),
                exam=text_or_none("exam", exam),
                time=None if time is None else micros(time, "time"),
                actor=text_or_none("actor", actor) or self._ledger._actor,
            )
        )

    def list(
        self,
        candidate: str | None = None,
        *,
        as_of: When | None = None,
        known_at: When | None = None,
    ) -> list[Authorization]:
        """Return the authorizations of a candidate, or of everybody, sorted by candidate."""
        moment = self._ledger.at(as_of, known_at)._bound.moment
        desk = core.Authorizations(self._ledger._store)
        found = desk.every(moment, text_or_none("candidate", candidate))
        return [public(Authorization, each) for each in found]

    def _decided(self, decide: Callable[[core.Authorizations], core.Authorized]) -> Authorization:
        store = self._ledger._writable()
        done = decide(core.Authorizations(store))
        self._ledger._access.seal_after(store)
        return public(Authorization, done.authorization)
