"""Facts that no ledger has, as one would have them, and the standing that policies make of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from ledger.events import Recorded
from ledger.facts import Fact
from ledger.instants import MIN_INSTANT
from ledger.models import ExamAnnounced, PolicyPublished
from projections.answers import Standing
from projections.catalogue import Catalogue, catalogue_of
from projections.history import History, history_of
from projections.sentences import IN_UTC, Show
from projections.standing import Moment, standing_of

CANDIDATE: Final = "C-1"
SOURCE: Final = "urn:example"


class Story:
    """One candidate's facts, recorded in their order after the policies and the exams."""

    def __init__(
        self,
        policies: Mapping[str, Sequence[str]],
        facts: Sequence[Fact],
        *,
        exams: Mapping[str, str],
    ) -> None:
        """Record `policies`, the texts of each id, then `exams`, each with its policy, then facts.

        Policies and exams hold from the beginning of time, unless a fact announces an exam anew.
        Raises MalformedFact for a fact that cannot be.
        """
        published = (
            Fact(SOURCE, f"policy/{id}/{number}", id, MIN_INSTANT, PolicyPublished(toml=text))
            for id, texts in policies.items()
            for number, text in enumerate(texts, start=1)
        )
        announced = (
            Fact(SOURCE, f"exam/{exam}", exam, MIN_INSTANT, ExamAnnounced(title=exam, policy=id))
            for exam, id in exams.items()
        )
        self._rows = recorded([*published, *announced, *facts])

    @cached_property
    def _catalogue(self) -> Catalogue:
        return catalogue_of([row for row in self._rows if row.stream != f"candidate/{CANDIDATE}"])

    @cached_property
    def _history(self) -> History:
        mine = [row for row in self._rows if row.stream == f"candidate/{CANDIDATE}"]
        return history_of(mine, self._catalogue)

    def standing(self, exam: str, as_of: int, show: Show = IN_UTC) -> Standing:
        """Return the candidate's standing at an instant (microseconds UTC), knowing everything."""
        last = self._rows[-1]
        moment = Moment(as_of, last.recorded_at, last.position)
        return standing_of(CANDIDATE, exam, self._history, self._catalogue, moment, show)


def recorded(facts: Iterable[Fact]) -> list[Recorded]:
    """Return facts as a ledger would have them: positions from 1, recorded when they were true.

    Of facts with one id the second gets `…/2`: a further result of one sitting is no duplicate.
    """
    rows: list[Recorded] = []
    last = MIN_INSTANT - 1
    ids: Counter[str] = Counter()
    for position, fact in enumerate(facts, start=1):
        last = max(fact.time, last + 1)
        ids[fact.id] += 1
        id = fact.id if ids[fact.id] == 1 else f"{fact.id}/{ids[fact.id]}"
        rows.append(Recorded(position, last, *fact._replace(id=id).row()))
    return rows
