"""Checks of what is recorded: facts that do not fit, which nobody refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from unicodedata import normalize

from attempt_ledger.checks import Gathered, unknown_exams, unresolved
from attempt_ledger.doctor.findings import Depth, Finding, Subject, fine, found
from ledger.events import Row
from ledger.intake.odd import (
    LATE_RESULT,
    LONG_SITTING,
    MOST_SITTINGS,
    RESULT_BEFORE_SITTING,
    SOURCES_DISAGREE,
    Oddities,
)
from ledger.ledger import Ledger
from ledger.models import EventAnnulled
from projections.history import SITTING_KINDS
from projections.problems import UNKNOWN_EXAM

TWIN_IDS = "twin-ids"
UNRESOLVED = "unresolved-entry"
MOST_READ = 3_000_000
"""Of more events the facts are looked at only with --full: some seconds for each million."""
_AT_ONCE = 500
_SENTENCES = {
    RESULT_BEFORE_SITTING: (
        "1 result is of an instant before its sitting began",
        "{} results are of instants before their sittings began",
    ),
    LONG_SITTING: ("1 sitting took more than 7 days", "{} sittings took more than 7 days"),
    LATE_RESULT: (
        "1 result was recorded more than 30 days after it was true",
        "{} results were recorded more than 30 days after they were true",
    ),
}
"""What is said of one such fact, and of several."""


def facts(subject: Subject) -> Iterator[Finding]:
    """Do the facts fit together, as a careful reader would see it?"""
    position = subject.head.position
    if subject.depth is Depth.quick or (subject.depth is Depth.usual and position > MOST_READ):
        yield fine("facts", "the facts were not looked at (--full does)", facts=None)
        return
    ledger = subject.opened
    gathered, count = gathered_of(ledger, position)
    some = False
    sentence = unknown_exams(ledger, gathered.exams)
    if sentence is not None:
        some = True
        yield found(UNKNOWN_EXAM, sentence)
    for sentence in unresolved(ledger):
        some = True
        yield found(UNRESOLVED, sentence)
    sentence = gathered.compared(ledger, subject.now)
    if sentence is not None:
        some = True
        yield found(SOURCES_DISAGREE, sentence)
    if alike := twins(ledger, gathered.accented):
        some = True
        one, other, *_ = (ascii(name) for name in alike[0])
        yield found(
            TWIN_IDS,
            f"{one} and {other} look the same, and are the ids of two candidates: they differ in "
            f"their Unicode normal form ({len(alike):,} such in all)",
            ids=len(alike),
        )
    for code, sentences in _SENTENCES.items():
        if number := gathered.odd[code]:
            some = True
            yield found(code, sentences[number > 1].format(f"{number:,}"), facts=number)
    if not some:
        yield fine("facts", f"all {count:,} facts about sittings fit together", facts=count)


def gathered_of(ledger: Ledger, position: int) -> tuple[Gathered, int]:
    """Read the facts about sittings up to a position; return what is odd, and how many there are.

    What was annulled is left out. Flat memory, but for the exams and what is to be compared.
    """
    gathered, odd, count = Gathered(), Oddities(), 0
    annulled = set(_annulled(ledger, position))
    several = ledger.has_several_sources()
    of_sittings = (
        row
        for row in ledger.read(upto=position)
        if row.type in SITTING_KINDS and row.position not in annulled
    )
    while rows := list(islice(of_sittings, _AT_ONCE)):
        count += len(rows)
        gathered.accented.update(row.stream for row in rows if not row.stream.isascii())
        gathered.exams.update(row.exam for row in rows if row.exam is not None)
        for recorded_at, together in groupby(rows, key=lambda row: row.recorded_at):
            odd.look((Row(*row[2:]) for row in together), recorded_at)
        if several and len(gathered.sittings) < MOST_SITTINGS:
            keys = [row.key for row in rows if row.key is not None]
            gathered.sittings.update(ledger.of_several_sources(keys))
    gathered.odd.update(odd.counts)
    gathered.unpaired |= odd.unpaired
    return gathered, count


def twins(ledger: Ledger, streams: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the ids of candidates that are the same but for their Unicode normal form, sorted.

    "Everywhere: sorted by code point" (spec section 5): to the ledger they are different people.
    `streams` are those whose names are not ASCII.
    """
    found = defaultdict[str, set[str]](set)
    for stream in streams:
        _, _, name = stream.partition("/")
        composed = normalize("NFC", name)
        found[composed].add(name)
        if composed.isascii() and is_there(ledger, composed):
            found[composed].add(composed)
    return sorted(tuple(sorted(names)) for names in found.values() if len(names) > 1)


def is_there(ledger: Ledger, candidate: str) -> bool:
    """Return whether anything is recorded of a candidate."""
    return ledger.last(f"candidate/{candidate}", ledger.head().position).position > 0


def _annulled(ledger: Ledger, position: int) -> Iterator[int]:
    after = 0
    while page := ledger.store.page(after, position, topics=[EventAnnulled.topic]):
        yield from (row.annuls for row in page if row.annuls is not None)
        after = page[-1].position
