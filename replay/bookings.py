"""Bookings: from when until when somebody may sit an exam, and what differs between two moments.

Of one candidate interpreted; of everybody by the compiled fold, a part of the columns at a time, so
that a million candidates take no more room than a part's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import merge
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.instants import AHEAD
from projections.catalogue import Catalogue
from projections.fold.facts import GRANTED, NEVER, NONE
from projections.history import History, history_of
from projections.standing import Moment
from replay import kernels
from replay.columns.part import Ints, Part, replaced
from replay.desk import subjects_of
from replay.population import groups_of, part_fold, questions_of
from replay.questions import Booked, Groups, Questions
from replay.snapshot import Snapshot
from replay.stretches import group_of, room_of

FEW: Final = 1_000
"""So many candidates are asked about one by one, rather than looked up among everybody."""


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

    Or where there is no sitting, grant or authorization of it. The stretch of eligibility that
    holds the moment, with its true beginning, else the next one.
    """
    out = Booked([NONE], [NEVER])
    kernels.book_each(
        history.sittings,
        group_of(history, catalogue, exam),
        history.facts,
        Questions([0], [moment.as_of], [moment.position], [-1]),
        room_of(history, exam),
        out,
    )
    return _booking(candidate, exam, out.start[0], out.until[0])


def _booking(candidate: str, exam: str, start: int, until: int) -> Booking | None:
    return None if start == NONE else Booking(candidate, exam, start, _or_none(until))


def _or_none(until: int) -> int | None:
    return None if until == NEVER else until


def bookings(snapshot: Snapshot, candidates: Iterable[str] | None = None) -> Iterator[Booking]:
    """Yield the bookings of some candidates, or of everybody, by candidate and exam."""
    wanted = None if candidates is None else sorted(candidates)
    if snapshot.ledger.head().position > snapshot.engine.small and (
        wanted is None or len(wanted) > FEW
    ):
        yield from _of_many(snapshot, None if wanted is None else frozenset(wanted))
        return
    # Together, since the catalogue is numbered otherwise once columns were read.
    catalogue, moment = snapshot.catalogue, snapshot.moment
    for candidate in snapshot.ledger.candidates(snapshot.position) if wanted is None else wanted:
        history = history_of(snapshot.events(candidate), catalogue)
        for exam in sorted({row.exam for row in history.rows if row.exam}):
            one = booking(candidate, exam, history, catalogue, moment)
            if one is not None:
                yield one


def _of_many(snapshot: Snapshot, wanted: Collection[str] | None) -> Iterator[Booking]:
    columns, _ = snapshot.columns, snapshot.catalogue  # numbered as the columns are
    delta = columns.delta
    base = (
        one
        for part in columns.base
        for one in _of_part(snapshot, part, None if delta is None else replaced(part, delta))
    )
    every = base
    if delta is not None:  # no candidate is in both
        every = merge(base, _of_part(snapshot, delta, None), key=attrgetter("candidate"))
    return every if wanted is None else (one for one in every if one.candidate in wanted)


def _of_part(snapshot: Snapshot, part: Part, skip: Ints | None) -> Iterator[Booking]:
    """Yield the bookings of a part's candidates, but for those to skip."""
    fold, codes = part_fold(snapshot, part), snapshot.columns.exams
    groups = _groups(part, codes, skip)
    size = len(groups.exam)
    room: Any = (np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64))
    out: Any = Booked(*room)
    questions = questions_of(np.arange(size), snapshot.as_of, snapshot.position)
    fold.kernels.book_each(part.sittings, groups, fold.facts, questions, fold.scratch(), out)
    candidate, exam = np.asarray(groups.candidate), np.asarray(groups.exam)
    for some in np.array_split(np.flatnonzero(out.start != NONE), size // _TOGETHER + 1):
        names = part.candidates.take(candidate[some]).to_pylist()
        columns = (column[some].tolist() for column in (exam, out.start, out.until))
        for name, number, start, until in zip(names, *columns, strict=True):
            yield Booking(name, codes[number], start, _or_none(until))


_TOGETHER: Final = 10_000


def _groups(part: Part, codes: Sequence[str], skip: Ints | None) -> Groups:
    """Return whom and what may be booked, by candidate and exam: without a sitting too."""
    count = max(len(codes), 1)
    found = [part.group_candidate.astype(np.int64) * count + part.group_exam]
    for offset, rows in (
        (part.grant_offset, part.grants), (part.authorization_offset, part.authorizations),
    ):  # fmt: skip
        of, exam = np.repeat(np.arange(len(offset) - 1), np.diff(offset)), np.asarray(rows.exam)
        found.append((of * count + exam)[(np.asarray(rows.kind) == GRANTED) & (exam >= 0)])
    key, first = np.unique(np.concatenate(found), return_index=True)
    candidate, exam = np.divmod(key, count)
    rank = np.empty(count, dtype=np.int64)
    rank[sorted(range(len(codes)), key=codes.__getitem__)] = np.arange(len(codes))
    order = np.lexsort((rank[exam], candidate))
    if skip is not None:
        order = order[~skip[candidate[order]]]
    candidate, exam, first = candidate[order], exam[order], first[order]
    has_sat = first < len(part.group_exam)
    own = np.where(has_sat, first, 0)
    lo, hi = (
        np.where(has_sat, bound[own], 0) if len(bound) else np.zeros(len(own), dtype=np.int64)
        for bound in (part.group_lo, part.group_hi)
    )
    columns: Any = {
        "candidate": candidate.astype(part.group_candidate.dtype),
        "exam": exam.astype(part.group_exam.dtype),
        "lo": lo,
        "hi": hi,
    }
    return groups_of(part)._replace(**columns)


def difference(before: Snapshot, after: Snapshot) -> Iterator[Row]:
    """Yield what a booking system is to do that was told about one moment, at another.

    By candidate and exam. From a moment at which nothing was known everything is added.
    """
    whom = affected(before, after)
    old = bookings(before, whom) if before.position else iter(())
    for was, now in matched(old, bookings(after, whom)):
        if was != now:
            yield row_of(was, now)


def matched(
    old: Iterator[Booking], new: Iterator[Booking]
) -> Iterator[tuple[Booking | None, Booking | None]]:
    """Yield the bookings of each candidate and exam in one of two sorted rows, or in both."""
    was, now = next(old, None), next(new, None)
    while was is not None or now is not None:
        if now is None or (was is not None and was[:2] < now[:2]):
            yield was, None
            was = next(old, None)
        elif was is None or now[:2] < was[:2]:
            yield None, now
            now = next(new, None)
        else:
            yield was, now
            was, now = next(old, None), next(new, None)


def row_of(was: Booking | None, now: Booking | None) -> Row:
    """Return what turns one booking into another; one of them at least is there."""
    if now is None:
        assert was is not None
        return Row("delete", was)
    return Row("add" if was is None else "update", now)


def affected(before: Snapshot, after: Snapshot) -> Collection[str] | None:
    """Return candidates whose bookings may differ between two moments; None for all of them.

    All of them where the catalogue changed. Else who has new events, or some that became true;
    whose standing changed by the clock, which the compiled fold finds; and who has nothing but a
    grant or an authorization.
    """
    ledger = after.ledger
    if before.position == 0 or before.entries[-1:] != after.entries[-1:]:
        return None
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
    return touched
