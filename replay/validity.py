"""How long an answer about one candidate stays what it is, and what would change it.

An answer changes by the clock alone: at its `next_change_at`, and when a fact that is recorded
already becomes true. Or by an event: of the candidate, or of the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.store.interface import Head
from projections.answers import Standing
from projections.fold.facts import NEVER
from projections.history import Line
from projections.sentences import Show
from projections.standing import standing_of
from replay.snapshot import Snapshot


class Validity(NamedTuple):
    """What answers were folded from, and when they hold over the same facts."""

    candidate: Head
    """The candidate's last event that was known: where it stands, and when it was recorded.

    Both, since after a restore another event may stand there.
    """
    catalogue: Head
    """The catalogue's."""
    since: int
    """From when they hold, at the latest: their as_of, microseconds UTC."""
    until: int
    """The first instant at which the clock may change them; NEVER for none."""


def answers_of(
    snapshot: Snapshot, candidate: str, exam: str | None, show: Show | None = None
) -> tuple[tuple[Standing, ...], Validity]:
    """Return a candidate's standing for an exam, or for each with a sitting; and how long it holds.

    The same standings as `Snapshot.standing` and `Snapshot.standings` give.
    """
    history, as_of = snapshot.history(candidate, exam), snapshot.as_of
    answers: Sequence[Standing]
    if exam is None:
        answers = snapshot.standings(candidate, show=show, history=history)
    else:
        catalogue, moment = snapshot.catalogue, snapshot.moment
        answers = [standing_of(candidate, exam, history, catalogue, moment, show)]
    changes = [each.next_change_at for each in answers if each.next_change_at is not None]
    ahead = [row.occurred_at for row in history.rows if row.occurred_at > as_of]
    until = min((*changes, *ahead), default=NEVER)
    return tuple(answers), Validity(_last(history.rows), _last(snapshot.entries), as_of, until)


def still_holds(validity: Validity, snapshot: Snapshot, candidate: str) -> bool:
    """Return whether answers are at a snapshot what they were, but for its own moment.

    Folds nothing: two looks by an index.
    """
    return (
        validity.since <= snapshot.as_of < validity.until
        and validity.catalogue == _last(snapshot.entries)
        and validity.candidate == snapshot.ledger.last(f"candidate/{candidate}", snapshot.position)
    )


def _last(rows: Sequence[Line]) -> Head:
    return Head(rows[-1].position, rows[-1].recorded_at) if rows else Head(0, 0)
