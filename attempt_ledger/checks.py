"""What a door checks of facts that the ledger cannot judge: their policies, and their exams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ledger.events import ExamAnnounced, Fact, PolicyPublished
from ledger.intake.catalogue import CatalogueProblem
from ledger.ledger import Ledger
from ledger.problems import printable
from retake_policies.schema import PolicyError, parse_policy

_NAMED = 5
_LIKENED = 100  # codes that are compared with all of the catalogue: a feed may have a million


def checked_id(text: str, where: str) -> str:
    """Return a policy text's id; raises CatalogueProblem with a sentence for each of its faults.

    `where` names the file in each sentence.
    """
    try:
        return parse_policy(text, where).id
    except PolicyError as error:
        raise CatalogueProblem(error.problems) from None


def fault_of(fact: Fact) -> str | None:
    """Return what is wrong with a PolicyPublished that came as an event; None if nothing is."""
    event = fact.event
    if not isinstance(event, PolicyPublished):
        return None
    try:
        policy = parse_policy(event.toml, f"policy {fact.subject}")
    except PolicyError as error:
        return " ".join(error.problems)
    if policy.id != fact.subject:
        return (
            f"the policy's id is {policy.id!r} and its subject {fact.subject!r}: "
            "they should be the same"
        )
    return None


class KnownExams:
    """The exams of a ledger's catalogue; one that was not in it is looked up again each time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: set[str] = set()
        self._named: dict[str, str] = {}

    def fault_of(self, exam: str) -> str | None:
        """Return that an exam is not in the catalogue, with the nearest code; None if it is."""
        if exam in self:
            return None
        return f"{self.named(exam)} is not in the catalogue: announce it, or mend the code"

    def __contains__(self, exam: str) -> bool:
        if exam in self._known:
            return True
        rows = self._ledger.stream(f"exam/{exam}")
        annulled = {row.annuls for row in rows}
        if any(row.type == ExamAnnounced.type and row.position not in annulled for row in rows):
            self._known.add(exam)
            return True
        return False

    def named(self, exam: str) -> str:
        """Return the code of an exam that is not in the catalogue, and the one that may be meant.

        ``az-104 (AZ-104?)``.
        """
        if exam not in self._named and len(self._named) < _LIKENED:
            # Who names none but known exams does not pay for the projections: 80 ms.
            from projections.catalogue import catalogue_of
            from projections.problems import nearest

            near = nearest(exam, catalogue_of(self._ledger.catalogue()))
            like = "" if near in (None, exam) else f" ({near}?)"
            self._named[exam] = f"{printable(exam)}{like}"
        return self._named.get(exam, printable(exam))


def disagreements(ledger: Ledger, sittings: Iterable[tuple[str, str]], now: int) -> str | None:
    """Return a sentence on sittings of which sources say different things; None if none do.

    `sittings` are (candidate, exam) of those that more than one source speaks of.
    """
    # Who has one source does not pay for the projections.
    from projections.problems import SOURCES_DISAGREE
    from replay.snapshot import snapshot_at

    snapshot = snapshot_at(ledger, now, now=now)
    texts = [
        f"{printable(candidate)} {printable(exam)}: {problem.text}"
        for candidate, exam in sorted(sittings)
        for problem in snapshot.standing(candidate, exam).problems
        if problem.code == SOURCES_DISAGREE
    ]
    if not texts:
        return None
    one = len(texts) == 1
    more = f" And {len(texts) - _NAMED:,} more." if len(texts) > _NAMED else ""
    return (
        f"{len(texts):,} sitting{' is' if one else 's are'} told differently by different sources: "
        f"annul what is wrong. {' '.join(texts[:_NAMED])}{more}"
    )


def unknown_exams(ledger: Ledger, exams: Mapping[str, int]) -> str | None:
    """Return a sentence on rows that name exams which are not in the catalogue; None if none do.

    `exams` counts the rows by exam. Asked when all is in: the catalogue may have come last.
    """
    known = KnownExams(ledger)
    unknown = {exam: count for exam, count in exams.items() if exam not in known}
    if not unknown:
        return None
    rows = sum(unknown.values())
    named = [known.named(exam) for exam in sorted(unknown, key=unknown.__getitem__)[-_NAMED:]]
    more = len(unknown) - len(named)
    return (
        f"{rows:,} row{' names' if rows == 1 else 's name'} "
        f"{'an exam that is' if len(unknown) == 1 else 'exams that are'} not in the catalogue: "
        f"{', '.join(reversed(named))}{f' and {more:,} more' if more else ''}"
    )
