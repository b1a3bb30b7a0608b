"""Some candidates' facts at a moment, as tables are computed from them.

One way for all. Asked at a moment, the facts are a part of the columns, and what those do not keep
of an event is looked up in the ledger (`InLedger`). In the read model they are all facts of the
candidates that something new is known of (`InFacts`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import Recorded
from ledger.intake.odd import LATE
from ledger.ledger import Ledger
from ledger.store.scans import CORRECTIONS, EXCEPTIONS, Clock
from projections.catalogue import Catalogue
from projections.fold.facts import NEVER, NONE
from projections.standing import Moment
from projections.table import Table
from replay.columns.part import Ints, Part
from replay.interpreted import Kernels
from replay.population import PartFold, words

REVOCATIONS = ("ResultRevoked", "ExceptionRevoked", "AuthorizationRevoked")


class Late(NamedTuple):
    """From how late on a fact is reported, in microseconds between its truth and its recording."""

    late: int = 24 * 3_600_000_000
    """In `corrections`: a feed that comes once a day is in time."""
    very_late: int = 30 * 24 * 3_600_000_000
    """In `problems`: a month's report has been published without it."""


USUAL = Late()


class Setting(NamedTuple):
    """What is the same for all facts: a moment, the catalogue with its numbers, the compiled fold.

    `catalogue` numbers every exam and certification as `exams` and `certifications` do.
    """

    moment: Moment
    catalogue: Catalogue
    exams: Sequence[str]
    certifications: Sequence[str]
    kernels: Kernels
    late: Late = USUAL


class Events(Protocol):
    """What tables look up of single events, which columns do not keep."""

    def keys(self, positions: Ints) -> pa.Array:
        """Return the registration, request or certification of the event at each position."""

    def recorded_at(self, positions: Ints) -> Ints:
        """Return when the event at each position was recorded, microseconds UTC."""

    def of_several_sources(self, positions: Sequence[int]) -> Mapping[int, Recorded]:
        """Return the events at some positions; none where one source said everything."""

    @property
    def exceptions(self) -> pa.Table:
        """Events about exceptions that are not annulled: `ledger.store.scans.EXCEPTIONS`."""

    @property
    def corrections(self) -> pa.Table:
        """Annulments, revocations and late facts: `ledger.store.scans.CORRECTIONS`."""


LookUp = Callable[[Sequence[int]], Mapping[int, Recorded]]
"""Returns whole events by their positions; none where one source said everything."""


def of_several_sources_in(ledger: Ledger) -> LookUp:
    """Return what looks up events of a ledger."""

    def look_up(positions: Sequence[int]) -> Mapping[int, Recorded]:
        return ledger.at(positions) if positions and ledger.has_several_sources() else {}

    return look_up


class InLedger:
    """Events looked up in a ledger, as known at a position; the same for every part."""

    def __init__(self, ledger: Ledger, position: int, late: Late = USUAL) -> None:
        """Look up nothing yet."""
        self._ledger, self._position, self._late = ledger, position, late
        self.of_several_sources = of_several_sources_in(ledger)

    def keys(self, positions: Ints) -> pa.Array:
        """Return the key of the event at each position."""
        return pa.array(self._ledger.keys_at(positions.tolist()), pa.string())

    def recorded_at(self, positions: Ints) -> Ints:
        """Return when the event at each position was recorded."""
        return self._clock.recorded_at[np.searchsorted(self._clock.first, positions, "right") - 1]

    @cached_property
    def _clock(self) -> Clock:
        return self._ledger.scans.clock(self._position)

    @cached_property
    def exceptions(self) -> pa.Table:
        """Events about exceptions."""
        return self._ledger.scans.exceptions(self._position)

    @cached_property
    def corrections(self) -> pa.Table:
        """Annulments, revocations and late facts."""
        return self._ledger.scans.corrections(self._position, min(LATE, *self._late))


class InFacts:
    """Events looked up among all the facts of some candidates.

    `table` is of `ledger.store.scans.RECORDED`, by position.
    """

    def __init__(self, table: pa.Table, late: Late, of_several_sources: LookUp) -> None:
        """Look up nothing yet. A table does not keep who said what: that is looked up."""
        self.table, self._late = table, late
        self.of_several_sources = of_several_sources
        self._positions = table["position"].to_numpy()

    def _at(self, positions: Ints) -> Ints:
        at: Ints = np.searchsorted(self._positions, positions)
        return at

    def keys(self, positions: Ints) -> pa.Array:
        """Return the key of the event at each position."""
        return text(self.table["key"].take(pa.array(self._at(positions))))

    def recorded_at(self, positions: Ints) -> Ints:
        """Return when the event at each position was recorded."""
        recorded_at: Ints = self.table["recorded_at"].to_numpy()[self._at(positions)]
        return recorded_at

    @cached_property
    def _annuls(self) -> Ints:
        annuls: Ints = pc.fill_null(self.table["annuls"], 0).to_numpy()
        return annuls

    @cached_property
    def exceptions(self) -> pa.Table:
        """Events about exceptions."""
        some = pc.starts_with(self.table["topic"], "Exception").to_numpy()
        some &= ~np.isin(self._positions, self._annuls)
        return self.table.filter(pa.array(some)).select(EXCEPTIONS.names).cast(EXCEPTIONS)

    @cached_property
    def corrections(self) -> pa.Table:
        """Annulments, revocations and late facts."""
        table, annuls = self.table, self._annuls
        recorded_at = table["recorded_at"].to_numpy()
        some = recorded_at - table["occurred_at"].to_numpy() >= min(LATE, *self._late)
        some |= annuls > 0
        for type in REVOCATIONS:
            some |= pc.starts_with(table["topic"], f"{type}:").to_numpy()
        at = np.flatnonzero(some & (table["backfilled"].to_numpy() == 0))
        # Of an annulment, what it annuls is what it is about, and when that was true.
        about = at.copy()
        about[annuls[at] > 0] = self._at(annuls[at][annuls[at] > 0])
        of = table.take(pa.array(about))
        return pa.table(
            [
                self._positions[at],
                recorded_at[at],
                annuls[at],
                of["candidate"],
                of["topic"],
                of["occurred_at"],
                of["exam"],
                of["key"],
            ],
            schema=CORRECTIONS,
        )


class Batch:
    """A part of the columns at a moment, of the groups and candidates that are wanted."""

    def __init__(
        self,
        part: Part,
        events: Events,
        setting: Setting,
        *,
        wanted: Ints | None = None,
        skip: Ints | None = None,
    ) -> None:
        """Compute nothing yet. `wanted` is 1 for each group, and `skip` true for each candidate."""
        self.part = part
        self.events = events
        self.setting = setting
        self.moment = setting.moment
        self.wanted = np.ones(len(part.group_exam), dtype=np.int8) if wanted is None else wanted
        self._skip = np.zeros(len(part.candidates), dtype=bool) if skip is None else skip

    @cached_property
    def fold(self) -> PartFold:
        """The part as the compiled fold takes it."""
        return PartFold(self.part, self.setting.catalogue, self.setting.kernels)

    @cached_property
    def sittings(self) -> Any:
        """Every sitting that is visible, by group, start and position: `Numbered`, of arrays."""
        return self.fold.sittings(self.wanted, self.moment.as_of, self.moment.position)

    @cached_property
    def judged(self) -> Any:
        """Each of the sittings judged at its own start, without itself, by what is known now."""
        found = self.sittings
        without = np.asarray(self.part.sittings.key)[found.row]
        return self.fold.answers(found.group, found.start, self.moment.position, without)

    def of_candidates(self, events: pa.Table) -> tuple[pa.Table, Ints]:
        """Return the events of the candidates of this part, and which candidate each is of."""
        found = pc.index_in(events["candidate"], value_set=self.part.candidates)
        number = pc.fill_null(found, -1).to_numpy()
        mine = number >= 0
        mine[mine] = ~self._skip[number[mine]]
        return events.filter(pa.array(mine)), number[mine]

    # -- from names to numbers and back

    @cached_property
    def wanted_candidates(self) -> Ints:
        """Of each candidate, by 1 or 0, whether rows of certifications are wanted."""
        return (~self._skip).astype(np.int8)

    @cached_property
    def _exam_numbers(self) -> Mapping[str, int]:
        return {code: number for number, code in enumerate(self.setting.exams)}

    def groups_at(self, candidates: Ints, exams: Collection[str]) -> Ints:
        """Return the group of each candidate (by number) and exam, -1 where there is none."""
        numbers = np.array([self._exam_numbers.get(code, -1) for code in exams], dtype=np.int64)
        key, order = self._group_keys
        wanted = candidates.astype(np.int64) * (1 << 32) + numbers
        if not len(key):
            return np.full(len(wanted), -1)
        at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        found: Ints = np.where((key[at] == wanted) & (numbers >= 0), order[at], -1)
        return found

    @cached_property
    def _group_keys(self) -> tuple[Ints, Ints]:
        key = self.part.group_candidate.astype(np.int64) * (1 << 32) + self.part.group_exam
        order = np.argsort(key)
        return key[order], order

    def candidate_of(self, groups: Ints) -> pa.Array:
        """Return the candidate of each of some groups."""
        return self.part.candidates.take(pa.array(self.part.group_candidate[groups]))

    def exam_of(self, groups: Ints) -> pa.Array:
        """Return the exam of each of some groups, null for none (-1)."""
        if not len(self.part.group_exam):
            return pa.nulls(len(groups), pa.string())
        exam = self.part.group_exam[np.maximum(groups, 0)]
        return words(np.where(groups < 0, -1, exam), self.setting.exams)


Made = Mapping[str, Callable[[], Any]]
"""How each column of a table is made, by name; only those that are asked for are."""


def table_of(table: Table, made: Made, names: Collection[str]) -> pa.Table:
    """Make rows of a table: of its columns those in `names`, in its own order."""
    columns = [column for column in table.columns if column.name in names]
    return pa.table(
        [_column(made[column.name](), column.type) for column in columns],
        names=[column.name for column in columns],
    )


def rows_of(table: Table, rows: Sequence[Mapping[str, Any]], names: Collection[str]) -> pa.Table:
    """Make rows of a table from dictionaries; instants in microseconds."""
    columns = [column for column in table.columns if column.name in names]
    return pa.table(
        [_column([row.get(column.name) for row in rows], column.type) for column in columns],
        names=[column.name for column in columns],
    )


def _column(values: Any, type: pa.DataType) -> pa.ChunkedArray:
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        raw = pa.int64() if pa.types.is_timestamp(type) else None
        values = pa.array(values, raw if len(values) else type)
    if isinstance(values, pa.Array):
        values = pa.chunked_array([values])
    return values.cast(type)


def instants(values: Ints) -> pa.Array:
    """Return instants, the sentinels as null."""
    return pa.array(values, pa.int64(), mask=(values == NONE) | (values == NEVER))


def taken(column: Any, rows: Ints) -> pa.Array:
    """Return the values of a column at rows, null where a row is negative."""
    values = np.asarray(column)
    some = values[np.maximum(rows, 0)] if len(values) else np.zeros(len(rows), dtype=np.int64)
    return pa.array(some, pa.int64(), mask=rows < 0)


def text(column: Any) -> Any:
    """Return a text column, null where it is empty."""
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
