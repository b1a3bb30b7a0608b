"""Decisions: what a booking system needs of a standing, for many candidates and exams at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from projections.history import History
from projections.standing import standing_of
from replay.snapshot import Snapshot


class Decided(NamedTuple):
    """The decision about one candidate and exam; instants are microseconds UTC."""

    candidate: str
    exam: str
    known: bool
    status: str
    eligible_from: int | None
    next_change_at: int | None


def decisions_of(snapshot: Snapshot, pairs: Sequence[Sequence[str]]) -> Iterator[Decided]:
    """Yield the decision about each pair of a candidate and an exam, in order.

    What `Snapshot.standing` says of them.
    """
    histories: dict[str, History] = {}
    catalogue, moment = snapshot.catalogue, snapshot.moment
    for candidate, exam in pairs:
        history = histories.get(candidate)
        if history is None:
            history = histories[candidate] = snapshot.history(candidate)
        found = standing_of(candidate, exam, history, catalogue, moment)
        yield Decided(
            candidate, exam, found.known, found.status, found.eligible_from, found.next_change_at
        )
