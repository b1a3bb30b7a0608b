"""What an event changes in a standing: the answer without knowing it, and with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger.events import Recorded
from projections.answers import Standing
from projections.catalogue import Catalogue
from projections.history import CERTIFICATION_KINDS, SITTING_KINDS, history_of
from projections.standing import Moment, standing_of


class Seen(NamedTuple):
    """What an auditor looks at in a standing; null where there is none."""

    status: str
    reasons: str | None
    """The codes of all that blocks, in order, with a blank between."""
    waived: str | None
    eligible_from: int | None
    sittings_in_series: int
    period_ends_at: int | None
    outcome: str | None
    """Of the sitting that the event is about; of the last one where it is about none."""


class Change(NamedTuple):
    """What one event does to the standing for one exam."""

    exam: str
    before: Seen
    after: Seen


class Told:
    """One candidate's events, up to a position, to be asked what each changed."""

    def __init__(self, candidate: str, rows: Sequence[Recorded], catalogue: Catalogue) -> None:
        """Take all that is recorded of a candidate, by position, and of the catalogue, by then."""
        self.candidate = candidate
        self.rows = {row.position: row for row in rows}
        self._catalogue = catalogue
        self._history = history_of(rows, catalogue)

    def standing(self, exam: str, as_of: int, position: int) -> Standing:
        """Return the standing for an exam as of an instant, as known at a position."""
        moment = Moment(as_of, None, position)
        return standing_of(self.candidate, exam, self._history, self._catalogue, moment)

    def about(self, row: Recorded) -> Recorded:
        """Return the event that an event is about: of an annulment what it annuls."""
        return row if row.annuls is None else self.rows[row.annuls]

    def exams(self, row: Recorded) -> list[str]:
        """Return the exams whose standings an event may change.

        A certification may cover any exam that the candidate has to do with.
        """
        about = self.about(row)
        if about.type not in CERTIFICATION_KINDS:
            return [] if about.exam is None else [about.exam]
        known = (each.exam for each in self.rows.values() if each.position <= row.position)
        return sorted({exam for exam in known if exam is not None})

    def change(self, row: Recorded, exam: str, as_of: int) -> Change:
        """Compare the standing known just before an event with the one known with it."""
        sitting = self._sitting(row)
        without = self.standing(exam, as_of, row.position - 1)
        within = self.standing(exam, as_of, row.position)
        return Change(exam, seen(without, sitting), seen(within, sitting))

    def _sitting(self, row: Recorded) -> str | None:
        about = self.about(row)
        return about.key if about.type in SITTING_KINDS else None

    def first_change(self, row: Recorded, exam: str, until: int) -> int | None:
        """Return the first instant before `until` at which an event changes the standing.

        From when what it is about was true. Between one instant and the next at which either
        standing may differ from itself, neither does.
        """
        t, sitting = self.about(row).occurred_at, self._sitting(row)
        while t < until:
            without = self.standing(exam, t, row.position - 1)
            within = self.standing(exam, t, row.position)
            if seen(without, sitting) != seen(within, sitting):
                return t
            t = min(self._turns(t, without, within), default=until)
        return None

    def _turns(self, t: int, *standings: Standing) -> Iterator[int]:
        for standing in standings:
            if standing.next_change_at is not None:
                yield standing.next_change_at
        yield from (row.occurred_at for row in self.rows.values() if row.occurred_at > t)


def seen(standing: Standing, sitting: str | None) -> Seen:
    """Look at a standing, and at the sitting of that registration in it, else at the last one."""
    looked_at = [s for s in standing.sittings if sitting in (None, s.registration_id)]
    return Seen(
        status=standing.status,
        reasons=" ".join(reason.code for reason in standing.reasons) or None,
        waived=" ".join(reason.code for reason in standing.waived) or None,
        eligible_from=standing.eligible_from,
        sittings_in_series=standing.sittings_in_series,
        period_ends_at=standing.period_ends_at,
        outcome=looked_at[-1].outcome if looked_at else None,
    )
