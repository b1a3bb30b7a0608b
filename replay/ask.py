"""Asking about one candidate: from the events, never from a table."""

from __future__ import annotations

from ledger.events import Recorded
from ledger.ledger import Ledger
from projections.answers import Standing
from projections.catalogue import Catalogue, catalogue_of
from projections.history import History, history_of
from projections.sentences import IN_UTC, Show
from projections.standing import Moment, standing_of


class Asker:
    """Answers questions against one ledger, keeping its catalogue at hand.

    The catalogue is read once and then only brought up to date: entries carry
    their positions, so one catalogue serves every known_at up to its own.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Ask against an open ledger; it stays the caller's to close."""
        self._ledger = ledger
        self._entries: list[Recorded] = []
        self._read_up_to = 0
        self._catalogue = catalogue_of(())

    def catalogue(self, position: int) -> Catalogue:
        """Return a catalogue that holds at least every entry up to `position`."""
        if position > self._read_up_to:
            fresh = list(self._ledger.catalogue(self._read_up_to, position))
            self._read_up_to = position
            if fresh:
                self._entries += fresh
                self._catalogue = catalogue_of(self._entries)
        return self._catalogue

    def history(self, candidate: str, position: int, exam: str | None = None) -> History:
        """Lay out what is recorded of a candidate up to `position`, for one exam or for all."""
        rows = self._ledger.stream(f"candidate/{candidate}", upto=position)
        return history_of(rows, self.catalogue(position), exam)

    def standing(
        self, candidate: str, exam: str, moment: Moment, *, show: Show = IN_UTC
    ) -> Standing:
        """Return one candidate's standing for one exam.

        A candidate of whom nothing is visible is answered like anybody who has
        never sat the exam. `show` writes the instants in sentences.
        """
        history = self.history(candidate, moment.position, exam)
        return standing_of(candidate, exam, history, self.catalogue(moment.position), moment, show)

    def standings(
        self, candidate: str, moment: Moment, *, show: Show = IN_UTC
    ) -> tuple[Standing, ...]:
        """Return a candidate's standing for every exam with a visible sitting, sorted by code."""
        history = self.history(candidate, moment.position)
        catalogue = self.catalogue(moment.position)
        every = (
            standing_of(candidate, exam, history, catalogue, moment, show)
            for exam in sorted(history.runs)
        )
        return tuple(standing for standing in every if standing.sittings)
