"""Decide, under the write lock, what becomes of a batch: recorded, duplicate, corrected, refused.

A results row is taken or refused as a whole: if its result is in conflict, its sitting is not
recorded either, unless it is in the ledger already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain as joined_lists
from typing import NamedTuple, TypeAlias

from ledger.appending import Appending
from ledger.events import OWN_SOURCES, Recorded, Row
from ledger.instants import format_instant
from ledger.intake.mapping import BadRow
from ledger.intake.report import Counts
from ledger.intake.source import Item
from ledger.intake.unsaid import BETA_UNSAID, UNSAID, filled, joined
from ledger.ledger import Ledger
from ledger.models import ExamAttempted, SittingMissed
from ledger.outcomes import Appended, Conflict, Duplicate, Refused
from ledger.problems import shown

MOST_RESULTS = 50
"""Results that a sitting may have, the first and those that correct it."""
_REMEMBERED = 10_000
_SITTINGS = (ExamAttempted.topic, SittingMissed.topic)  # all but their results

Chains: TypeAlias = dict[tuple[str, str], list[Recorded]]
"""By the key of a first event: it and those that correct it. A chain only ever grows, so each event
is looked up once, however many rows ask for it."""
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
    new: list[int] = field(default_factory=list)
    """By index in the batch: what brought anything new."""
    joined: dict[int, Row] = field(default_factory=dict)
    """By index in the batch: a result that came without its sitting, as that of its sitting."""
    seconds: float = 0.0
    """How long it held the write lock, without the time it waited for it."""

    def follow(self, other: Recording, index: int) -> None:
        """Add what became of the rows that follow in the batch, from `index` on."""
        self.add(other)
        self.refused |= {index + each: refusal for each, refusal in other.refused.items()}
        self.new += [index + each for each in other.new]
        self.joined |= {index + each: row for each, row in other.joined.items()}
        self.seconds += other.seconds


class Lines:
    """Record each line for itself; with `keep_recorded_at` nothing after the first refused one."""

    def __init__(
        self, ledger: Ledger, stopwatch: Stopwatch, *, keep_recorded_at: bool, again: bool
    ) -> None:
        self._ledger = ledger
        self._stopwatch = stopwatch
        self._keep = keep_recorded_at
        self._again = again

    def record(self, batch: Sequence[Item]) -> Recording:
        """Append a batch of sound lines; raises LedgerProblem, and then nothing of it was."""
        recording = Recording()
        rows = [item.rows[0] for item in batch]
        with self._ledger.appending() as appending:
            began = self._stopwatch()
            if self._keep:
                outcomes = appending.take_kept(rows, [item.kept for item in batch])
            else:
                if self._again:
                    rows = [_anew(row, appending) for row in rows]
                outcomes = appending.take([from_outside(row, appending) for row in rows])
        recording.seconds = self._stopwatch() - began
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, Appended):
                recording.recorded += 1
                recording.new.append(index)
            elif isinstance(outcome, Duplicate):
                recording.duplicates += 1
            else:
                conflict = isinstance(outcome, Conflict)
                recording.refused[index] = Refusal(outcome.problem, conflict)
        return recording


def from_outside(row: Row, appending: Appending) -> Row | Refused:
    """Refuse a row of a source that is the program's own, unless it is recorded already."""
    if not row.source.startswith(OWN_SOURCES) or appending.find(row.source, row.id) is not None:
        return row
    return Refused(
        f"source {shown(row.source)} is this program's own: what others say has a source of theirs"
    )


def _anew(row: Row, appending: Appending) -> Row:
    """Return a row under the first id, of its own and further ones, that was not annulled."""
    anew = row
    for number in range(2, MOST_RESULTS + 1):
        stored = appending.find(anew.source, anew.id)
        if stored is None or appending.annulment(stored) is None:
            break
        anew = row._replace(id=f"{row.id}/{number}")
    return anew


class Results:
    """Record each results row as a whole, the sitting with its result.

    `silent` are the columns that the file does not have: it says nothing of them. With
    `keep_recorded_at` nothing is recorded after the first refused row.
    """

    def __init__(
        self,
        ledger: Ledger,
        stopwatch: Stopwatch,
        *,
        corrections: bool,
        again: bool,
        keep_recorded_at: bool,
        silent: frozenset[str],
    ) -> None:
        self._ledger = ledger
        self._stopwatch = stopwatch
        self._rules = _Rules(corrections, again, keep_recorded_at, silent)
        self._all_new = "started_at" not in silent  # the last batch was: then this one may well be
        self._chains: Chains = {}

    def record(self, batch: Sequence[Item]) -> Recording:
        """Append a batch of sound rows; raises LedgerProblem, and then nothing of it was."""
        recording = self._optimistic(batch) if self._all_new else None
        if recording is None:
            recording = self._careful(batch)
        self._all_new = not (recording.duplicates or recording.refused or recording.joined)
        return recording

    def _optimistic(self, batch: Sequence[Item]) -> Recording | None:
        """Append all of a batch if all of it is new; else change nothing."""
        rows = list(joined_lists.from_iterable([item.rows for item in batch]))
        if SittingMissed.topic in {row.topic for row in rows}:
            return None
        new, began = list(range(len(batch))), self._stopwatch()
        if not self._rules.keep and self._ledger.append_new(rows) is not None:
            return Recording(recorded=len(rows), new=new, seconds=self._stopwatch() - began)
        try:
            with self._ledger.appending() as appending:
                began = self._stopwatch()
                if self._rules.keep:
                    kept = [item.kept for item in batch for _ in item.rows]
                    outcomes = appending.take_kept(rows, kept)
                else:
                    outcomes = appending.take(rows)
                if set(map(type, outcomes)) - {Appended}:
                    raise _NotAllNew
        except _NotAllNew:
            return None
        return Recording(recorded=len(rows), new=new, seconds=self._stopwatch() - began)

    def _careful(self, batch: Sequence[Item]) -> Recording:
        """Look at what the ledger holds of each row before any of it is appended."""
        chains, self._chains = self._chains, {}  # what is rolled back is not remembered
        if len(chains) > _REMEMBERED:
            chains = {}
        with self._ledger.appending() as appending:
            began = self._stopwatch()
            transaction = _Transaction(appending, chains, self._rules)
            for index, item in enumerate(batch):
                transaction.record(index, item)
                if self._rules.keep and transaction.recording.refused:
                    break
            transaction.append()
        self._chains = chains
        transaction.recording.seconds = self._stopwatch() - began
        return transaction.recording


class _NotAllNew(Exception):
    """Some of an optimistic batch is there already, or cannot be taken: roll it back."""


class _Rules(NamedTuple):
    """What a call says about what becomes of a row."""

    corrections: bool
    again: bool
    keep: bool
    silent: frozenset[str]


class _Transaction:
    """One transaction's decisions; what is to go in waits and is appended together."""

    def __init__(self, appending: Appending, chains: Chains, rules: _Rules) -> None:
        self.recording = Recording()
        self._appending = appending
        self._chains = chains
        self._rules = rules
        self._new: list[Row] = []
        self._kept: list[int | None] = []  # their recorded_at
        self._keys: set[tuple[str, str]] = set()  # of the new

    def record(self, index: int, item: Item) -> None:
        """Decide what becomes of one row of the input, the sitting and perhaps its result."""
        counts = Counts()
        new: list[Row] = []
        rows = item.rows
        if self._rules.keep:
            self.append()  # what comes next is compared with the last one recorded
        if {"started_at", "delivery"} & self._rules.silent:
            try:
                rows = self._of_their_sitting(rows)
            except BadRow as bad:
                self.recording.refused[index] = Refusal(str(bad), False)
                return
            if len(rows) == 1 and rows != item.rows:
                self.recording.joined[index] = rows[0]
        for row in rows:
            decided = self._decide(row, item.kept, counts)
            if isinstance(decided, Refusal):
                self.recording.refused[index] = decided
                return
            if decided is None:
                counts.duplicates += 1
            else:
                new.append(decided)
        self.recording.add(counts)
        if new:
            self.recording.new.append(index)
        self._new += new
        self._kept += [item.kept] * len(new)
        self._keys.update((row.source, row.id) for row in new)

    def append(self) -> None:
        """Append what waits: all of it is new, and sound."""
        if self._rules.keep:
            outcomes = self._appending.take_kept(self._new, self._kept)
        else:
            outcomes = self._appending.take(self._new)
        assert not set(map(type, outcomes)) - {Appended}
        self.recording.recorded += len(outcomes)
        self._new, self._kept = [], []
        self._keys.clear()

    def _of_their_sitting(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return rows with what their file does not say taken from their sitting, if recorded.

        That is all but the outcome of a result alone, and that a sitting was beta. Raises BadRow
        for a result alone whose sitting is not recorded.
        """
        *attempts, result = rows
        if result.topic in _SITTINGS:
            return rows
        source, registration = result.source, result.id.removesuffix("/result")
        first = self._find(source, f"{registration}/attempted")
        chain = [] if first is None else self._chain(first, f"{registration}/attempted")
        sitting = next((each for each in chain if self._appending.annulment(each) is None), None)
        if sitting is None and not attempts:
            raise BadRow(
                f"the sitting {shown(registration)} of source {shown(source)} is not recorded: "
                "import the sittings first, or name their --source"
            )
        if attempts:
            if sitting is None or sitting.flag != 1 or sitting.stream != result.stream:
                return rows
            if "result_at" in self._rules.silent:
                result = result._replace(occurred_at=UNSAID)
        assert sitting is not None
        return *attempts, joined(result, sitting)

    def _decide(self, row: Row, kept: int | None, counts: Counts) -> Row | Refusal | None:
        """Return what is to be appended of a row, None if it is recorded, or why it is refused.

        With corrections, or again, it may become a further event, ``…/result/2``. Then it is
        compared with all that there are, not only with the latest: a file imported again must add
        nothing, though a later one corrected what it says.
        """
        keep = self._rules.keep
        if not keep and (problem := self._appending.future(row)):
            return Refusal(problem, False)
        first = self._find(row.source, row.id)
        if first is None and row.topic == SittingMissed.topic:
            return self._contradicted(row) or self._checked(row, kept)
        if first is None:
            return self._checked(row, kept)
        corrects = self._rules.corrections and row.topic not in _SITTINGS
        chain = self._chain(first, row.id) if corrects or self._rules.again else [first]
        equal = [event for event in chain if self._are_equal(event, row)]
        standing = [event for event in chain if self._appending.annulment(event) is None]
        if any(event in standing for event in equal) or (equal and keep):
            counts.superseded += corrects and equal[0] is not chain[-1]
            return None
        if equal and not self._rules.again:
            return Refusal(self._appending.as_annulled(equal[-1]), False)
        if len(chain) >= MOST_RESULTS:
            return Refusal(
                f"it was corrected {len(chain) - 1} times already, which is as often as it can be: "
                "record a further one by `record`, under an id of its own",
                conflict=True,
            )
        further = row._replace(id=f"{row.id}/{len(chain) + 1}")
        if not standing and self._rules.again:
            return self._checked(further, kept)
        if not corrects or not _are_of_one_sitting(first, row):
            return self._contradiction((standing or chain)[-1], row)
        later = max((event.occurred_at for event in standing), default=row.occurred_at)
        if row.occurred_at < later:
            return Refusal(
                f"the result at {format_instant(row.occurred_at)} would correct nothing, since the "
                f"one recorded is of {format_instant(later)} and the later holds: give result_at "
                "as the instant of the correction, or annul the recorded one",
                conflict=True,
            )
        checked = self._checked(further, kept)
        counts.corrections += not isinstance(checked, Refusal)
        return checked

    def _contradicted(self, missed: Row) -> Refusal | None:
        """Return why a sitting was not missed: it has a result; None if it has none."""
        id = f"{missed.key}/result"
        first = self._find(missed.source, id)
        chain = [] if first is None else self._chain(first, id)
        standing = [event for event in chain if self._appending.annulment(event) is None]
        if not standing:
            return None
        return Refusal(
            f"conflicts with position {standing[-1].position}, which is a result of this sitting: "
            "annul that if nobody came",
            conflict=True,
        )

    def _checked(self, row: Row, kept: int | None) -> Row | Refusal:
        """Return a new row, or why it cannot be recorded at its time."""
        if row.occurred_at == UNSAID:
            return Refusal(BETA_UNSAID, False)
        if self._rules.keep and (problem := self._appending.out_of_order(row, kept)):
            return Refusal(problem, False)
        return row

    def _find(self, source: str, id: str) -> Recorded | None:
        if (source, id) in self._keys:
            self.append()
        return self._appending.find(source, id)

    def _chain(self, first: Recorded, id: str) -> list[Recorded]:
        """Return the first event of an id and the further ones, ``…/result/2`` and so on."""
        chain = self._chains.setdefault((first.source, id), [first])
        while len(chain) < MOST_RESULTS:
            stored = self._find(first.source, f"{id}/{len(chain) + 1}")
            if stored is None:
                break
            chain.append(stored)
        return chain

    def _are_equal(self, stored: Recorded, row: Row) -> bool:
        if stored.occurred_at != row.occurred_at and "result_at" not in self._rules.silent:
            return False  # as nearly all of a chain are; the data of each is long to read
        row = filled(row, stored, self._rules.silent)
        return stored.occurred_at == row.occurred_at and (
            not self._appending.differences(stored, row) or _only_says_more(stored, row)
        )

    def _contradiction(self, stored: Recorded, row: Row) -> Refusal:
        differs = self._appending.differences(stored, filled(row, stored, self._rules.silent))
        problem = Conflict(stored.position, differs, self._appending.annulment(stored)).problem
        if _are_of_one_sitting(stored, row):
            problem += "; --corrections records it as a further result"
        return Refusal(problem, conflict=True)


def _only_says_more(stored: Recorded, row: Row) -> bool:
    """Return whether an attempt differs only by a field that was absent before (spec section 6)."""
    new = Recorded(0, 0, *row)
    if row.topic != ExamAttempted.topic or (stored.type, stored.stream) != (new.type, new.stream):
        return False
    now = new.payload()
    before = {name: value for name, value in stored.payload().items() if value is not None}
    return all(now.get(name) == value for name, value in before.items())


def _are_of_one_sitting(stored: Recorded, row: Row) -> bool:
    """Return whether both are results of one sitting."""
    same = (stored.stream, stored.exam, stored.key) == (row.stream, row.exam, row.key)
    return same and row.topic not in _SITTINGS
