"""What a door checks of facts that the ledger cannot judge: their policies, and their exams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.events import Recorded
from ledger.facts import Fact
from ledger.intake.catalogue import CatalogueProblem
from ledger.intake.odd import (
    LONG_SITTING,
    RESULT_BEFORE_SITTING,
    RESULTS,
    SOURCES_DISAGREE,
    Oddities,
)
from ledger.intake.report import Report
from ledger.ledger import Ledger
from ledger.models import CertificationDefined, ExamAnnounced, PolicyPublished
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


@dataclass
class Gathered:
    """What is worth saying of facts when all of them are in, however they came."""

    exams: Counter[str] = field(default_factory=Counter)
    """How many facts name each exam."""
    sittings: set[tuple[str, str]] = field(default_factory=set)
    """(candidate, exam) of sittings of which several sources may speak."""
    unpaired: set[tuple[str, str]] = field(default_factory=set)
    """(candidate, exam) of results to be compared with their sittings."""
    accented: set[str] = field(default_factory=set)
    """The streams whose names are not ASCII, where they were looked at."""
    odd: Counter[str] = field(default_factory=Counter)
    """How many facts are odd, by the codes of `projections.problems`."""
    after: int | None = None
    """The position after which all of them stand; None where none is of the catalogue."""

    def add(self, report: Report) -> None:
        """Gather what an import found."""
        self.exams.update(report.exams)
        self.sittings |= report.of_several_sources
        self.unpaired |= report.odd.unpaired
        self.odd.update(report.odd.counts)

    def look(self, fact: Fact, ledger: Ledger, recorded_at: int) -> None:
        """Gather what one new fact says of a sitting."""
        row = fact.row()
        if row.exam is None or row.key is None:
            return
        seen = Oddities()
        seen.look([row], recorded_at)
        self.odd.update(seen.counts)
        self.unpaired |= seen.unpaired
        self.unpaired.update(ledger.of_topics(sorted(seen.alone), RESULTS))
        if ledger.has_several_sources():
            self.sittings.update(ledger.of_several_sources([row.key]))

    def sentences(self, ledger: Ledger, now: int) -> list[str]:
        """Return what a careful reader should know, each a sentence; none where all is usual."""
        found = [unknown_exams(ledger, self.exams)]
        if self.after is not None and (entries := ledger.catalogue(self.after)):
            found += unresolved(ledger, {row.stream for row in entries})
        if self.sittings | self.unpaired:
            found.append(self.compared(ledger, now))
        for code, sentence in _SAID_OF.items():
            if count := self.odd[code]:
                one = count == 1
                found.append(f"{count:,} {sentence[not one]} ({code})")
        return [sentence for sentence in found if sentence]

    def compared(self, ledger: Ledger, now: int) -> str | None:
        """Count results before their sittings; return what sources say differently."""
        # Who has one source, and sittings with their results, does not pay for the projections.
        from replay.snapshot import snapshot_at

        snapshot = snapshot_at(ledger, now, now=now)
        texts = []
        for pair in sorted(self.sittings | self.unpaired):
            candidate, exam = pair
            for problem in snapshot.standing(candidate, exam).problems:
                if problem.code == SOURCES_DISAGREE:
                    texts.append(f"{printable(candidate)} {printable(exam)}: {problem.text}")
                elif problem.code == RESULT_BEFORE_SITTING and pair in self.unpaired:
                    self.odd[problem.code] += 1
        return _disagreements(texts)


_SAID_OF: Mapping[str, tuple[str, str]] = {
    RESULT_BEFORE_SITTING: (
        "result is of an instant before its sitting began",
        "results are of instants before their sittings began",
    ),
    LONG_SITTING: ("sitting took more than 7 days", "sittings took more than 7 days"),
}
"""What is said of one such fact, and of several."""


def _disagreements(texts: Sequence[str]) -> str | None:
    """Return a sentence on sittings of which sources say different things; None if none do."""
    if not texts:
        return None
    one = len(texts) == 1
    more = f" And {len(texts) - _NAMED:,} more." if len(texts) > _NAMED else ""
    return (
        f"sources disagree about {len(texts):,} sitting{'' if one else 's'}: "
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


def unresolved(ledger: Ledger, streams: Collection[str] | None = None) -> list[str]:
    """Return a sentence on exams, and one on certifications, whose entries name what is not there.

    An exam may follow a policy that nobody published, a certification cover an exam that nobody
    announced. Of each the entry of the latest time is looked at; `streams` None is all of them.
    """
    rows = ledger.catalogue()
    annulled = {row.annuls for row in rows}
    last: dict[tuple[str, str], Recorded] = {}
    for row in sorted(rows, key=lambda row: (row.occurred_at, row.position)):
        if row.position not in annulled:
            last[row.type, row.subject] = row
    found = []
    for (type, key, of), (one, several) in _NAMED_BY.items():
        there = {subject for kind, subject in last if kind == of}
        gaps = []
        for (kind, subject), row in sorted(last.items()):
            if kind == type and (streams is None or row.stream in streams):
                named = row.payload()[key]
                lacking = {named} - there if isinstance(named, str) else {*named} - there
                gaps += [f"{printable(subject)} ({printable(name)})" for name in sorted(lacking)]
        if gaps:
            more = f" and {len(gaps) - _NAMED:,} more" if len(gaps) > _NAMED else ""
            words = one if len(gaps) == 1 else several
            found.append(f"{words}: {', '.join(gaps[:_NAMED])}{more}")
    return found


_NAMED_BY: Mapping[tuple[str, str, str], tuple[str, str]] = {
    (ExamAnnounced.type, "policy", PolicyPublished.type): (
        "an exam follows a policy that is not published",
        "exams follow policies that are not published",
    ),
    (CertificationDefined.type, "exams", ExamAnnounced.type): (
        "a certification names an exam that is not in the catalogue",
        "certifications name exams that are not in the catalogue",
    ),
}
"""By the type of an entry, its field, and the type of what that names: one such, and several."""
