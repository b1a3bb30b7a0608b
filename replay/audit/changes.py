"""What an event changes in a standing: the answer without knowing it, and with it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from ledger.events import Recorded
from projections.catalogue import Catalogue
from projections.fold.facts import NEVER
from projections.history import CERTIFICATION_KINDS, SITTING_KINDS, history_of, part_of
from replay.audit.playback import Playback, Seen


class Change(NamedTuple):
    """What one event does to the standing for one exam."""

    exam: str
    before: Seen
    after: Seen


class CandidateRecord:
    """One candidate's events, up to a position, to be asked what each changed.

    Quick if they are asked about by position.
    """

    def __init__(self, rows: Sequence[Recorded], catalogue: Catalogue) -> None:
        """Read all that is recorded of a candidate, by position, and of the catalogue, by then."""
        self.rows = {row.position: row for row in rows}
        self._times = sorted(row.occurred_at for row in rows)
        self._first = {row.exam: row.position for row in reversed(rows)}
        """From which position on each exam is the candidate's."""
        self._catalogue = catalogue
        self._history = history_of(rows, catalogue)
        self._codes = list(catalogue.exams)
        """The exam of each number."""
        self._events_of: dict[str | None, list[int]] = {}
        """The rows of each certification."""
        for i, event in enumerate(self._history.certification_events):
            self._events_of.setdefault(event.key, []).append(i)
        self._covered = cache(self._covered_by)
        self._playback = cache(self._new_playback)

    def _new_playback(self, exam: str, of: str) -> Playback:
        return Playback(exam, self._history, self._catalogue)

    def about(self, row: Recorded) -> Recorded:
        """Return the event that an event is about: of an annulment what it annuls."""
        return row if row.annuls is None else self.rows[row.annuls]

    def exams(self, row: Recorded) -> list[str]:
        """Return the exams whose standings an event may change: of a certification all it covers.

        Of those that the candidate has to do with by then.
        """
        about = self.about(row)
        if about.type not in CERTIFICATION_KINDS:
            return [] if about.exam is None else [about.exam]
        covered = self._covered(about.key)
        return sorted(exam for exam in covered if self._first[exam] <= row.position)

    def _covered_by(self, certification: str | None) -> list[str]:
        """Return the exams that it covers by any entry of it, or any event of the candidate."""
        defined, earned = self._catalogue.defined, self._history.facts.certifications
        number = self._catalogue.certifications.get(certification or "", -1)
        found: set[int] = set()
        for i in range(defined.lo[number], defined.hi[number]) if number >= 0 else ():
            found.update(defined.exam[defined.exam_lo[i] : defined.exam_hi[i]])
        for i in self._events_of.get(certification, ()):
            found.update(earned.exam[earned.exam_lo[i] : earned.exam_hi[i]])
        codes = (self._codes[exam] for exam in found if exam >= 0)
        return [code for code in codes if code in self._first]

    def change(self, row: Recorded, exam: str, as_of: int) -> Change:
        """Compare the standing known just before an event with the one known with it."""
        playback, sitting = self._playback(exam, "change"), self._sitting(row)
        before = playback.at(as_of, row.position - 1, sitting)
        return Change(exam, before, playback.at(as_of, row.position, sitting))

    def first_change(self, row: Recorded, exam: str, until: int) -> int | None:
        """Return the first instant before `until` at which an event changes the standing.

        From when what it is about was true. Between one instant and the next at which either
        standing may differ from itself, neither does.
        """
        if part_of(self.about(row).topic) < 0:
            return None  # it bears on no standing
        t, sitting = self.about(row).occurred_at, self._sitting(row)
        without, within = self._playback(exam, "without"), self._playback(exam, "within")
        while t < until:
            before = without.at(t, row.position - 1, sitting)
            if before != within.at(t, row.position, sitting):
                return t
            made = within.made_of(sitting)
            if made is not None and made == without.made_of(sitting):
                return None  # nothing is another with it, and no later fact makes it so
            t = min(without.horizon, within.horizon, self._next_event(t))
        return None

    def _sitting(self, row: Recorded) -> str | None:
        about = self.about(row)
        return about.key if about.type in SITTING_KINDS else None

    def _next_event(self, t: int) -> int:
        at = bisect_right(self._times, t)
        return self._times[at] if at < len(self._times) else NEVER
