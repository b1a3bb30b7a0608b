"""Authorizations over a ledger: granted, withdrawn and listed, each in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger.events import Recorded
from ledger.facts import Fact
from ledger.fields import Event
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.models import AuthorizationGranted, AuthorizationRevoked
from projections.authorizations import TYPES, Authorization, authorizations_of
from projections.catalogue import setting_of
from projections.exception_rules import DeskProblem
from projections.fold.facts import LAST
from projections.problems import nearest
from projections.sentences import listed
from projections.standing import Moment
from replay.desk import SOURCE, WrongCall, recorded, subjects_of
from replay.snapshot import Snapshot

_IDS: Final = {AuthorizationGranted: "granted", AuthorizationRevoked: "revoked"}


class Authorized(NamedTuple):
    """An authorization as it stands now; `positions` is empty where nothing had to be recorded."""

    authorization: Authorization
    positions: tuple[int, ...]


class Authorizations:
    """Grants and withdraws authorizations to sit an exam.

    Whatever cannot be done is a DeskProblem (or a LedgerProblem of the store): one sentence, and
    nothing was recorded. The same again changes nothing. Instants are microseconds UTC.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Serve an open ledger; it stays the caller's to close."""
        self._ledger = ledger
        self._snapshot = Snapshot(ledger, Moment(0, None, 0))

    def grant(
        self, candidate: str, granted: AuthorizationGranted, *, now: int, time: int | None = None,
        actor: str | None = None,
    ) -> Authorized:  # fmt: skip
        """Authorize a candidate, who need not be known yet, to sit an exam of the catalogue.

        Granted already on these terms, it stays as it is; on others it is a DeskProblem, unless it
        was revoked: then it starts afresh. An exam that is not in the catalogue is a WrongCall.
        """
        with self._ledger.appending() as appending:
            at = now if time is None else time
            self._check_exam(granted.exam, at)
            stands = self._one(candidate, granted.exam, granted.authorization_id)
            positions: tuple[int, ...] = ()
            if stands is None or stands.state == "revoked":
                self._check_time(stands, at)
                fact = self._fact(candidate, granted.authorization_id, at, granted, actor)
                positions = recorded(appending, [fact])
            else:
                self._check_terms(stands, granted, time)
        return self._read_back(candidate, granted.exam, granted.authorization_id, at, positions)

    def revoke(
        self, candidate: str, authorization_id: str, *, reason: str, now: int,
        exam: str | None = None, time: int | None = None, actor: str | None = None,
    ) -> Authorized:  # fmt: skip
        """Withdraw an authorization, whether it runs or not; revoked already, it stays so.

        `exam` is needed only where a candidate has authorizations of one id for several exams.
        `reason` is kept in clear text: no personal data belongs there.
        """
        with self._ledger.appending() as appending:
            stands = self._chosen(candidate, authorization_id, exam)
            at = max(now, stands.changed_at) if time is None else time
            positions: tuple[int, ...] = ()
            if stands.state != "revoked":
                self._check_time(stands, at)
                event = AuthorizationRevoked(
                    exam=stands.exam, authorization_id=authorization_id, reason=reason
                )
                positions = recorded(
                    appending, [self._fact(candidate, authorization_id, at, event, actor)]
                )
            elif stands.reason != reason:
                raise DeskProblem(
                    f"{authorization_id} was withdrawn on {format_instant(stands.changed_at)} for "
                    f"another reason: {stands.reason}"
                )
        return self._read_back(candidate, stands.exam, authorization_id, at, positions)

    def every(self, moment: Moment, candidate: str | None = None) -> Iterator[Authorization]:
        """Yield authorizations at a moment: of one candidate, or of all, sorted by candidate.

        Those of a candidate come in the order of their first events.
        """
        catalogue = self._snapshot.at(moment).catalogue
        names = [] if candidate is None else [candidate]
        if candidate is None:
            names = subjects_of(self._ledger, TYPES, moment.position)
        for name in names:
            yield from authorizations_of(name, self._rows(name), catalogue, moment)

    def _rows(self, candidate: str) -> list[Recorded]:
        return self._ledger.stream(f"candidate/{candidate}")

    def _moment(self, as_of: int) -> Moment:
        return Moment(as_of, None, self._ledger.head().position)

    def _one(self, candidate: str, exam: str, id: str) -> Authorization | None:
        """Return an authorization as it stands after all that is recorded of it."""
        for each in self.every(self._moment(LAST), candidate):
            if (each.exam, each.authorization_id) == (exam, id):
                return each
        return None

    def _chosen(self, candidate: str, id: str, exam: str | None) -> Authorization:
        found = [
            each
            for each in self.every(self._moment(LAST), candidate)
            if each.authorization_id == id and exam in (None, each.exam)
        ]
        if not found:
            for_exam = "" if exam is None else f" for {exam}"
            raise WrongCall(f"{candidate} has no authorization {id}{for_exam}")
        if len(found) > 1:
            exams = listed(sorted(each.exam for each in found))
            raise WrongCall(f"{candidate} has authorizations {id} for {exams}: say which exam")
        return found[0]

    def _check_exam(self, exam: str, at: int) -> None:
        moment = self._moment(at)
        catalogue = self._snapshot.at(moment).catalogue
        if setting_of(catalogue, exam, at, moment.position).definition < 0:
            near = nearest(exam, catalogue)
            hint = "" if near is None else f": did you mean {near}?"
            raise WrongCall(f"{exam} is not in the catalogue{hint}")

    def _check_time(self, stands: Authorization | None, at: int) -> None:
        if stands is not None and at < stands.changed_at:
            raise DeskProblem(
                f"{stands.authorization_id} was last changed on "
                f"{format_instant(stands.changed_at)}: what is decided after that cannot have the "
                f"time {format_instant(at)}"
            )

    def _check_terms(
        self, stands: Authorization, granted: AuthorizationGranted, time: int | None
    ) -> None:
        """Raise DeskProblem, saying what differs, unless it was granted on these terms."""
        event = self._ledger.find(stands.events[-1].source, stands.events[-1].id)
        assert event is not None
        data = event.payload()
        same = {**granted.model_dump(mode="json", exclude_none=True)}
        differs = [
            f"{name} {data.get(name, 'none')}, not {same.get(name, 'none')}"
            for name in ("valid_until", "sittings", "reason")
            if data.get(name) != same.get(name)
        ]
        if time not in (None, event.occurred_at):
            differs.append(f"time {format_instant(event.occurred_at)}")
        if differs:
            raise DeskProblem(
                f"{stands.authorization_id} was granted on {format_instant(event.occurred_at)} on "
                f"other terms ({'; '.join(differs)}): revoke it to grant it anew, or give another "
                "id"
            )

    def _fact(self, candidate: str, id: str, at: int, event: Event, actor: str | None) -> Fact:
        stem, number = f"authorization/{id}/{_IDS[type(event)]}", 1
        name = stem
        while self._ledger.find(SOURCE, name) is not None:
            number += 1
            name = f"{stem}/{number}"
        return Fact(SOURCE, name, candidate, at, event, actor)

    def _read_back(
        self, candidate: str, exam: str, id: str, at: int, positions: tuple[int, ...]
    ) -> Authorized:
        found = self.every(self._moment(at), candidate)
        return Authorized(
            next(each for each in found if (each.exam, each.authorization_id) == (exam, id)),
            positions,
        )
