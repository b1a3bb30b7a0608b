"""The difference between two moments, for programs that follow standings: changes, and bookings.

Who follows keeps a cursor, the moment that it knows of, and learns what differs now.
So nothing is remembered for it here, and what was missed comes with the next answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from ledger.appending import AHEAD
from ledger.events import Recorded
from ledger.ledger import Ledger
from projections.catalogue import Catalogue
from projections.fold.facts import NEVER, NONE
from projections.fold.rules import ELIGIBLE
from projections.fold.verdict import first_eligible, verdict_at
from projections.history import History, history_of
from projections.standing import Moment, judged_for
from replay.desk import subjects_of
from replay.snapshot import Snapshot, recorded_at, scope_of

STEP: Final = 10_000
"""So many events, at most, lie between two moments that are compared in one answer of a feed."""

STATE: Final = (
    "status", "eligible_from", "sittings_in_series", "period_ends_at", "last_sitting_at",
    "last_outcome",
)  # fmt: skip
"""What a change says of a standing, before and after."""


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class NotACursor(ValueError):
    """A text is no cursor of this program; str() is one sentence."""


class WasReset(Exception):
    """Another event stands where a cursor ends: the ledger was restored; str() is one sentence."""


def write_cursor(moment: Moment, ledger: Ledger) -> str:
    """Write the moment that somebody knows of; opaque, and bound to what the ledger held."""
    text = f"{moment.as_of}.{moment.position}.{_mark(ledger, moment.position)}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str, ledger: Ledger) -> Moment:
    """Read a cursor; raises NotACursor, and WasReset where the ledger is another one by now."""
    try:
        packed = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        as_of, position, mark = packed.decode().split(".")
        moment = Moment(int(as_of), None, int(position))
    except (ValueError, binascii.Error):
        raise NotACursor("the cursor is none that was given here: leave it out to begin") from None
    if moment.position > ledger.head().position or _mark(ledger, moment.position) != mark:
        raise WasReset(
            f"at position {moment.position} stands another event, or none: the ledger was put back "
            "to an earlier day, or it is another one; begin without a cursor"
        )
    return moment._replace(known_at=recorded_at(ledger, moment.position))


def _mark(ledger: Ledger, position: int) -> str:
    event = ledger.event(position)
    key = "" if event is None else f"{event.source}\0{event.id}"
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def beginning(ledger: Ledger) -> Moment:
    """Return the moment before anything was known."""
    first = ledger.event(1)
    return Moment(0 if first is None else first.recorded_at, None, 0)


def next_moment(ledger: Ledger, before: Moment, now: int) -> Moment:
    """Return the moment to compare with: now, or an earlier one where too much lies in between."""
    head = ledger.head()
    if head.position - before.position <= STEP:
        return Moment(max(now, before.as_of), head.recorded_at or None, head.position)
    position = before.position + STEP
    at = recorded_at(ledger, position) or now
    return Moment(max(at, before.as_of), at, position)


# -- changes


class Change(NamedTuple):
    """A standing that differs, and since when; instants are microseconds UTC."""

    candidate: str
    exam: str
    before: dict[str, Any] | None
    """By the names of STATE; None where there was no standing."""
    after: dict[str, Any] | None
    at: int
    """When it changed: by the clock, or when the last of its events was known and true."""
    cause: str
    """``events``, ``catalogue``, ``policy`` or ``clock``."""
    because: tuple[tuple[str, str], ...]
    """(source, id) of the events; empty for the clock."""


def changes(before: Snapshot, after: Snapshot, exam: str | None = None) -> list[Change]:
    """Return whose standing differs between two moments, by when it changed, candidate and exam."""
    table = before.diff(after, scope_of(exam))
    found = []
    for row in table.to_pylist():
        events = [(each["source"], each["id"]) for each in row["events"]]
        found.append(
            Change(
                row["candidate"],
                row["exam"],
                _state(row, "from_"),
                _state(row, "to_"),
                _changed_at(before, after, row["candidate"], row["exam"], events),
                row["cause"],
                tuple(events),
            )
        )
    return sorted(found, key=lambda each: (each.at, each.candidate, each.exam))


def _state(row: dict[str, Any], side: str) -> dict[str, Any] | None:
    if row[f"{side}status"] is None:
        return None
    return {name: _number(row[f"{side}{name}"]) for name in STATE}


def _number(value: Any) -> Any:
    """Return an instant of a table as microseconds UTC, anything else as it is."""
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value


def _changed_at(
    before: Snapshot,
    after: Snapshot,
    candidate: str,
    exam: str,
    events: Sequence[tuple[str, str]],
) -> int:
    rows = [before.ledger.find(*each) for each in events]
    if made := [max(row.recorded_at, row.occurred_at) for row in rows if row is not None]:
        return min(max(made), after.as_of)
    changes = before.standing(candidate, exam).next_change_at
    return after.as_of if changes is None else min(changes, after.as_of)


# -- bookings


class Booking(NamedTuple):
    """When somebody may sit an exam, as a booking system keeps it; instants microseconds UTC."""

    candidate: str
    exam: str
    eligible_from: int
    eligible_until: int | None
    """Exclusive: the first instant at which it is over, on present facts; None if it never is."""

    @property
    def id(self) -> str:
        """Its id for ever, made of candidate and exam alone."""
        return booking_id(self.candidate, self.exam)


class Row(NamedTuple):
    """What a booking system is to do."""

    transaction: str
    """``add``, ``update`` or ``delete``."""
    booking: Booking
    """Of a deletion the one that was."""


def booking_id(candidate: str, exam: str) -> str:
    """Name a candidate and an exam.

    >>> booking_id("C-1001", "AZ-104")
    '9fdbd1a70ea2e6b4e5aa'
    """
    return hashlib.sha256(f"{candidate}\0{exam}".encode()).hexdigest()[:20]


def booking(
    candidate: str, exam: str, history: History, catalogue: Catalogue, moment: Moment
) -> Booking | None:
    """Return from when until when a candidate may sit an exam; None if on no date ahead.

    The stretch of eligibility that holds the moment, with its true beginning, else the next one.
    """
    c = judged_for(exam, history, catalogue, moment)
    if c.judged.verdict.status == ELIGIBLE:
        start = _began(exam, history, catalogue, moment)
        at, judged = moment.as_of, c.judged
    else:
        start = first_eligible(history.facts, c.q, c.sittings, c.n, c.judged)
        if start in (NONE, NEVER):
            return None
        at, judged = start, verdict_at(history.facts, c.q, c.sittings, c.n, start)
    until = None
    while judged.horizon != NEVER:
        at = judged.horizon
        judged = verdict_at(history.facts, c.q, c.sittings, c.n, at)
        if judged.verdict.status != ELIGIBLE:
            until = at
            break
    return Booking(candidate, exam, start, until)


def _began(exam: str, history: History, catalogue: Catalogue, moment: Moment) -> int:
    """Return since when somebody is eligible who is so at a moment: at the latest the first fact.

    On what is known then: from each fact back to the one before it, by the clock in between.
    """
    times = sorted(
        {
            row.occurred_at
            for row in history.rows
            if row.occurred_at <= moment.as_of and row.annuls is None and row.exam in (exam, None)
        }
    )
    began, end = moment.as_of, moment.as_of + 1
    for start in reversed(times):
        c = judged_for(exam, history, catalogue, moment._replace(as_of=start))
        at, judged, since = start, c.judged, None
        while at < end:
            if judged.verdict.status != ELIGIBLE:
                since = None
            elif since is None:
                since = at
            if judged.horizon == NEVER:
                break
            at = judged.horizon
            judged = verdict_at(history.facts, c.q, c.sittings, c.n, at) if at < end else judged
        if since is None:
            return began
        began, end = since, start
        if since > start:
            return since
    return began


class Bookings:
    """The bookings of a ledger at one moment."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def of(self, candidate: str) -> dict[str, Booking]:
        """Return a candidate's bookings by exam: with a sitting, a grant, or an authorization."""
        # Together, since the catalogue is numbered otherwise once columns were read.
        catalogue, moment = self.snapshot.catalogue, self.snapshot.moment
        history = history_of(self.snapshot.events(candidate), catalogue)
        found = {}
        for exam in _exams(history.rows, moment.as_of):
            one = booking(candidate, exam, history, catalogue, moment)
            if one is not None:
                found[exam] = one
        return found


_OF_AN_EXAM: Final = (
    "ExamAttempted", "ExamPassed", "ExamFailed", "BetaRescored", "SittingMissed",
    "ExceptionGranted", "AuthorizationGranted",
)  # fmt: skip


def _exams(rows: Iterable[Recorded], as_of: int) -> list[str]:
    return sorted(
        {
            row.exam
            for row in rows
            if row.exam and row.occurred_at <= as_of and row.type in _OF_AN_EXAM
        }
    )


def difference(before: Snapshot, after: Snapshot) -> Iterator[Row]:
    """Yield what a booking system is to do that was told about one moment, at another.

    By candidate and exam. From a moment at which nothing was known everything is added.
    """
    old, new = Bookings(before), Bookings(after)
    for candidate in affected(before, after):
        was = old.of(candidate) if before.position else {}
        now = new.of(candidate)
        for exam in sorted(was.keys() | now.keys()):
            if was.get(exam) != now.get(exam):
                yield row_of(was.get(exam), now.get(exam))


def row_of(was: Booking | None, now: Booking | None) -> Row:
    """Return what turns one booking into another; one of them at least is there."""
    if now is None:
        assert was is not None
        return Row("delete", was)
    return Row("add" if was is None else "update", now)


def affected(before: Snapshot, after: Snapshot) -> Iterable[str]:
    """Return candidates whose bookings may differ between two moments, sorted.

    All of them where the catalogue changed. Else who has new events, or some that became true;
    whose standing changed by the clock, which the compiled fold finds; and who has nothing but a
    grant or an authorization.
    """
    ledger = after.ledger
    if before.position == 0 or before.entries[-1:] != after.entries[-1:]:
        return ledger.candidates(after.position)
    touched = {
        row.subject
        for row in ledger.read(before.position, after.position)
        if row.stream.startswith("candidate/")
    }
    # What was recorded already and true only now: at most AHEAD of its recording.
    since = ledger.position_at(before.as_of - AHEAD)
    touched.update(
        row.subject
        for row in ledger.read(since, before.position)
        if row.occurred_at > before.as_of and row.stream.startswith("candidate/")
    )
    touched.update(before.diff(after)["candidate"].to_pylist())
    touched.update(
        subjects_of(ledger, ("ExceptionGranted", "AuthorizationGranted"), after.position)
    )
    return sorted(touched)
