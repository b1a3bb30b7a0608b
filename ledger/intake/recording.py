"""Decide, under the write lock, what becomes of a batch: recorded, duplicate, corrected, refused.

A results row is taken or refused as a whole: if its result is in conflict, its sitting is not
recorded either, unless it is in the ledger already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain as joined
from typing import NamedTuple

from ledger.appending import Appended, Appending, Conflict, Duplicate
from ledger.events import ExamAttempted, Recorded, Row
from ledger.instants import format_instant
from ledger.intake.report import Counts
from ledger.intake.source import Item
from ledger.ledger import Ledger

MOST_RESULTS = 50
"""Results that a sitting may have, the first and those that correct it."""
_REMEMBERED = 10_000

Stopwatch = Callable[[], float]
"""Return seconds that only ever go forward, from any beginning."""


class Refusal(NamedTuple):
    """Why a row was refused, and whether because it contradicts what is recorded."""

    problem: str
    conflict: bool


@dataclass
class Recording(Counts):
    """What became of a batch in its one transaction."""

    refused: dict[int, Refusal] = field(default_factory=dict)
    """By index in the batch."""
    seconds: float = 0.0
    """How long it held the write lock, without the time it waited for it."""

    def follow(self, other: Recording, index: int) -> None:
        """Add what became of the rows that follow in the batch, from `index` on."""
        self.add(other)
        self.refused |= {index + each: refusal for each, refusal in other.refused.items()}
        self.seconds += other.seconds


class Lines:
    """Take each line for itself; with `keep_recorded_at` nothing after the first refused one."""

    def __init__(self, ledger: Ledger, stopwatch: Stopwatch, *, keep_recorded_at: bool) -> None:
        self._ledger = ledger
        self._stopwatch = stopwatch
        self._keep = keep_recorded_at

    def record(self, batch: Sequence[Item]) -> Recording:
        """Append a batch of sound lines; raises LedgerProblem, and then nothing of it was."""
        recording = Recording()
        rows = [item.rows[0] for item in batch]
        with self._ledger.appending() as appending:
            began = self._stopwatch()
            if self._keep:
                outcomes = appending.take_kept(rows, [item.kept for item in batch])
            else:
                outcomes = appending.take(rows)
        recording.seconds = self._stopwatch() - began
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, Appended):
                recording.recorded += 1
            elif isinstance(outcome, Duplicate):
                recording.duplicates += 1
            else:
                conflict = isinstance(outcome, Conflict)
                recording.refused[index] = Refusal(outcome.problem, conflict)
        return recording


class Results:
    """Take each results row as a whole, the sitting with its result."""

    def __init__(self, ledger: Ledger, stopwatch: Stopwatch, *, corrections: bool) -> None:
        self._ledger = ledger
        self._stopwatch = stopwatch
        self._corrections = corrections
        self._all_new = True  # the last batch was: then this one may well be too
        self._memory = _Memory()

    def record(self, batch: Sequence[Item]) -> Recording:
        """Append a batch of sound rows; raises LedgerProblem, and then nothing of it was."""
        recording = self._optimistic(batch) if self._all_new else None
        if recording is None:
            recording = self._careful(batch)
        self._all_new = not (recording.duplicates or recording.refused)
        return recording

    def _optimistic(self, batch: Sequence[Item]) -> Recording | None:
        """Append all of a batch if all of it is new; else change nothing."""
        rows = list(joined.from_iterable([item.rows for item in batch]))
        try:
            with self._ledger.appending() as appending:
                began = self._stopwatch()
                if set(map(type, appending.take(rows))) - {Appended}:
                    raise _NotAllNew
        except _NotAllNew:
            return None
        return Recording(recorded=len(rows), seconds=self._stopwatch() - began)

    def _careful(self, batch: Sequence[Item]) -> Recording:
        """Look at what the ledger holds of each row before any of it is appended."""
        memory, self._memory = self._memory, _Memory()  # what is rolled back is not remembered
        with self._ledger.appending() as appending:
            began = self._stopwatch()
            transaction = _Transaction(appending, memory, corrections=self._corrections)
            for index, item in enumerate(batch):
                transaction.record(index, item.rows)
            transaction.append()
        self._memory = memory
        transaction.recording.seconds = self._stopwatch() - began
        return transaction.recording


@dataclass
class _Memory:
    """What was looked up of corrected results: each event once, however many rows ask for it."""

    chains: dict[tuple[str, str], list[Recorded]] = field(default_factory=dict)
    """By the key of a first result: it and those that correct it. A chain only ever grows."""
    annulled: dict[str, tuple[int, set[int]]] = field(default_factory=dict)
    """By stream: up to which position it was looked through, and what was annulled by then."""

    def limit(self) -> None:
        """Forget all when it gets large, so that memory stays flat."""
        if len(self.chains) + len(self.annulled) > _REMEMBERED:
            self.chains.clear()
            self.annulled.clear()


class _NotAllNew(Exception):
    """Some of an optimistic batch is there already, or cannot be taken: roll it back."""


class _Transaction:
    """One transaction's decisions; what is to go in waits and is appended together."""

    def __init__(self, appending: Appending, memory: _Memory, *, corrections: bool) -> None:
        self.recording = Recording()
        self._appending = appending
        self._memory = memory
        memory.limit()
        self._corrections = corrections
        self._new: list[Row] = []
        self._keys: set[tuple[str, str]] = set()  # of the new

    def record(self, index: int, rows: Sequence[Row]) -> None:
        """Decide what becomes of one row of the input, the sitting and perhaps its result."""
        recording = self.recording
        new: list[Row] = []
        duplicates = corrections = 0
        for row in rows:
            refusal = None
            if problem := self._appending.future(row):
                refusal = Refusal(problem, False)
            elif (stored := self._find(row.source, row.id)) is None:
                new.append(row)
            elif not (differs := self._appending.differences(stored, row)) or (
                row.topic == ExamAttempted.topic and _only_says_more(stored, row)
            ):
                duplicates += 1
                if self._corrections and row.topic != ExamAttempted.topic:
                    self._note_if_replaced(row.source, f"{row.id}/2")
            elif self._corrections and _is_of_the_same_sitting(stored, row):
                correction = self._correction(stored, row)
                if isinstance(correction, Row):
                    new.append(correction)
                    corrections += 1
                elif correction is None:
                    duplicates += 1
                else:
                    refusal = correction
            else:
                refusal = _contradiction(stored, row, differs)
            if refusal is not None:
                recording.refused[index] = refusal
                return
        recording.duplicates += duplicates
        recording.corrections += corrections
        self._new += new
        self._keys.update((row.source, row.id) for row in new)

    def append(self) -> None:
        """Append what waits: all of it is new, and sound."""
        outcomes = self._appending.take(self._new)
        assert not set(map(type, outcomes)) - {Appended}
        self.recording.recorded += len(outcomes)
        self._new = []
        self._keys.clear()

    def _find(self, source: str, id: str) -> Recorded | None:
        if (source, id) in self._keys:
            self.append()
        return self._appending.find(source, id)

    def _correction(self, first: Recorded, row: Row) -> Row | Refusal | None:
        """Return a further result ``…/result/2``, or None if one of the results says the same.

        Not only the latest: a file imported again must add nothing, though a later one corrected
        what it says.
        """
        chain = self._memory.chains.setdefault((row.source, row.id), [first])
        while len(chain) < MOST_RESULTS:
            stored = self._find(row.source, f"{row.id}/{len(chain) + 1}")
            if stored is None:
                break
            chain.append(stored)
        further = row._replace(id=f"{row.id}/{len(chain) + 1}")
        for number, stored in enumerate(chain[1:], start=2):
            if stored.occurred_at == row.occurred_at and not self._appending.differences(
                stored, row._replace(id=stored.id)
            ):
                self.recording.superseded += number < len(chain)
                return None
        if len(chain) >= MOST_RESULTS:
            return Refusal(
                f"the result was corrected {len(chain) - 1} times already, which is as often as it "
                "can be: record a further one by `record`, under an id of its own",
                conflict=True,
            )
        later = [event for event in chain if event.occurred_at > row.occurred_at]
        if later:
            annulled = self._annulled(row.stream)
            later = [event for event in later if event.position not in annulled]
        if later:
            latest = max(event.occurred_at for event in later)
            return Refusal(
                f"the result at {format_instant(row.occurred_at)} would correct nothing, since the "
                f"one recorded is of {format_instant(latest)} and the later holds: give result_at "
                "as the instant of the correction, or annul the recorded one",
                conflict=True,
            )
        return further

    def _annulled(self, stream: str) -> set[int]:
        """Return the positions of the annulled events of a stream."""
        upto, positions = self._memory.annulled.get(stream, (0, set()))
        position, more = self._appending.annulled(stream, after=upto)
        positions.update(more)
        self._memory.annulled[stream] = position, positions
        return positions

    def _note_if_replaced(self, source: str, further: str) -> None:
        """Count a duplicate that repeats a result which a further one, of that id, corrected."""
        self.recording.superseded += self._find(source, further) is not None


def _only_says_more(stored: Recorded, row: Row) -> bool:
    """Return whether an attempt differs only by a field that was absent before (spec section 6)."""
    new = Recorded(0, 0, *row)
    if (stored.type, stored.occurred_at, stored.stream) != (new.type, new.occurred_at, new.stream):
        return False
    now = new.payload()
    said = {name: value for name, value in stored.payload().items() if value is not None}
    return all(now.get(name) == value for name, value in said.items())


def _is_of_the_same_sitting(stored: Recorded, row: Row) -> bool:
    return row.topic != ExamAttempted.topic and (stored.stream, stored.exam, stored.key) == (
        row.stream,
        row.exam,
        row.key,
    )


def _contradiction(stored: Recorded, row: Row, differs: tuple[str, ...]) -> Refusal:
    remedy = ""
    if _is_of_the_same_sitting(stored, row):
        remedy = "; --corrections records it as a further result"
    return Refusal(Conflict(stored.position, differs).problem + remedy, conflict=True)
