"""The exceptions desk, as Python programs reach it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attempt_ledger.answers import ExceptionRequest, public
from attempt_ledger.facts import make_fact
from attempt_ledger.moments import When, micros, utc
from attempt_ledger.snapshot import public_names, text, text_or_none
from ledger.events import ExceptionRequested
from replay.desk import Answered, Desk, Reference

if TYPE_CHECKING:
    from attempt_ledger.python import Ledger


class Exceptions:
    """Requests for retake exceptions: made, decided and listed. Raises DeskProblem."""

    def __init__(self, ledger: Ledger) -> None:
        """Use `Ledger.exceptions`."""
        self._ledger = ledger

    def __dir__(self) -> list[str]:
        return public_names(self)

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
        fact = make_fact(
            "ExceptionRequested",
            candidate,
            time=utc(now),
            id=request_id,
            exam=exam,
            request_id=request_id,
            registration_id=registration_id,
            reason=reason,
            **fields,
        )
        asked = fact.event
        assert isinstance(asked, ExceptionRequested)
        at = None if time is None else micros(time, "time")
        who = actor or self._ledger._actor
        return self._decided(
            lambda desk: desk.request(candidate, asked, now=now, time=at, actor=who)
        )

    def grant(
        self,
        candidate: str,
        request_id: str,
        *,
        waives: Sequence[str] | None = None,
        valid_until: When | None = None,
        exam: str | None = None,
        time: When | None = None,
        actor: str | None = None,
    ) -> ExceptionRequest:
        """Grant an open request; `waives` None is all that the policy allows."""
        reference = self._reference(candidate, request_id, exam, time, actor)
        ends = None if valid_until is None else micros(valid_until, "valid_until")
        return self._decided(lambda desk: desk.grant(reference, waives=waives, valid_until=ends))

    def reject(
        self,
        candidate: str,
        request_id: str,
        *,
        why: str,
        exam: str | None = None,
        time: When | None = None,
        actor: str | None = None,
    ) -> ExceptionRequest:
        """Reject an open request. `why` is kept in clear text: no personal data belongs there."""
        reference = self._reference(candidate, request_id, exam, time, actor)
        return self._decided(lambda desk: desk.reject(reference, why=text("why", why)))

    def revoke(
        self,
        candidate: str,
        request_id: str,
        *,
        reason: str,
        exam: str | None = None,
        time: When | None = None,
        actor: str | None = None,
    ) -> ExceptionRequest:
        """Withdraw a grant that is not used yet. `reason` is kept in clear text."""
        reference = self._reference(candidate, request_id, exam, time, actor)
        return self._decided(lambda desk: desk.revoke(reference, reason=text("reason", reason)))

    def list(
        self,
        candidate: str | None = None,
        *,
        as_of: When | None = None,
        known_at: When | None = None,
    ) -> list[ExceptionRequest]:
        """Return the requests of a candidate, or of everybody, sorted by candidate."""
        ledger = self._ledger
        moment = ledger.at(as_of, known_at)._bound.moment
        asked = text_or_none("candidate", candidate)
        found = Desk(ledger._store).requests(moment, asked)
        return [public(ExceptionRequest, each) for each in found]

    def _reference(
        self,
        candidate: str,
        request_id: str,
        exam: str | None,
        time: When | None,
        actor: str | None,
    ) -> Reference:
        return Reference(
            text("candidate", candidate),
            text("request_id", request_id),
            self._ledger._access.clock(),
            text_or_none("exam", exam),
            None if time is None else micros(time, "time"),
            actor or self._ledger._actor,
        )

    def _decided(self, decide: Callable[[Desk], Answered]) -> ExceptionRequest:
        store = self._ledger._writable()
        done = decide(Desk(store))
        self._ledger._access.seal_after(store)
        return public(ExceptionRequest, done.request)
