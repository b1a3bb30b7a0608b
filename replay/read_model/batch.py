"""Some candidates' facts, made ready to be folded into the views."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.models import BY_TOPIC, EVENT_TYPES, UPCASTS, upcast
from projections.catalogue import Catalogue
from projections.fold.facts import NEVER, NONE
from projections.tables import OPEN, Kind, Table
from replay.columns.build import Numbers
from replay.columns.part import Ints, Part
from replay.compiled import Kernels
from replay.population import PartFold

NO_ROW = -1


class Late(NamedTuple):
    """From how late on a fact is told of, in microseconds between its truth and its recording."""

    late: int = 24 * 3_600_000_000
    """In `corrections`: a feed that comes once a day is in time."""
    very_late: int = 30 * 24 * 3_600_000_000
    """In `problems`: a month's report has been published without it."""


USUAL: Final = Late()


class Setting(NamedTuple):
    """What is the same for all facts: the catalogue and its numbers, the compiled fold, a position.

    `catalogue` must number every exam and certification that `exams` and `certifications` do.
    """

    position: int
    catalogue: Catalogue
    exams: Numbers
    certifications: Numbers
    kernels: Kernels
    late: Late


class Given:
    """All the facts of some candidates up to a position: as recorded, and arranged for the fold.

    `table` is of `ledger.store.scans.RECORDED`, by position; `part` is arranged from it.
    """

    def __init__(self, table: pa.Table, part: Part, setting: Setting) -> None:
        """Fold these facts in this setting."""
        self.table = table
        self.part = part
        self.setting = setting
        self.exam_names = setting.exams.names()
        self.certification_names = setting.certifications.names()

    @cached_property
    def fold(self) -> PartFold:
        """The part as the compiled fold takes it."""
        return PartFold(self.part, self.setting.catalogue, self.setting.kernels)

    # -- from positions to facts, from facts to groups

    @cached_property
    def positions(self) -> Ints:
        """The position of each fact, rising."""
        return self.numbers("position")

    def numbers(self, name: str) -> Ints:
        """Return a column of the facts as numbers; nulls as NONE."""
        values: Ints = pc.fill_null(self.table[name], NONE).to_numpy()
        return values

    def at(self, positions: Ints) -> Ints:
        """Return the fact at each position; all must be among them."""
        found: Ints = np.searchsorted(self.positions, positions)
        return found

    def texts(self, name: str, facts: Ints) -> pa.Array:
        """Return a text column of some facts, null where it is empty."""
        taken = self.table[name].take(pa.array(facts)).combine_chunks()
        return pc.if_else(pc.equal(taken, ""), pa.scalar(None, pa.string()), taken)

    @cached_property
    def annulled(self) -> Ints:
        """The positions that are annulled."""
        annulled: Ints = np.unique(self.table["annuls"].drop_null().to_numpy())
        return annulled

    def types(self) -> tuple[Ints, list[str]]:
        """Return the type of each fact as a number, and the type of each number."""
        encoded = self.table["topic"].combine_chunks().dictionary_encode()
        names = [topic.partition(":")[0] for topic in encoded.dictionary.to_pylist()]
        numbers: Ints = encoded.indices.to_numpy()
        return numbers, names

    def exam_numbers(self, codes: list[str]) -> Ints:
        """Return the number of each exam, NO_ROW for one that no sitting is of."""
        return np.array([self._exam_number.get(code, NO_ROW) for code in codes], dtype=np.int64)

    @cached_property
    def _exam_number(self) -> dict[str, int]:
        return {code: n for n, code in enumerate(self.exam_names)}

    def candidates(self, facts: Ints) -> Ints:
        """Return the number, in the part, of the candidate of each of some facts."""
        names = self.table["candidate"].take(pa.array(facts))
        found: Ints = pc.index_in(names, value_set=self.part.candidates).to_numpy()
        return found

    def groups_at(self, candidates: Ints, exams: Ints) -> Ints:
        """Return the group of each candidate and exam (by number), NO_ROW where there is none."""
        key, order = self._group_keys
        wanted = candidates.astype(np.int64) * (1 << 32) + exams
        at = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        if not len(key):
            return np.full(len(wanted), NO_ROW)
        found: Ints = np.where(key[at] == wanted, order[at], NO_ROW)
        return found

    @cached_property
    def _group_keys(self) -> tuple[Ints, Ints]:
        key = self.part.group_candidate.astype(np.int64) * (1 << 32) + self.part.group_exam
        order = np.argsort(key)
        return key[order], order

    # -- columns of groups

    def candidate_of(self, groups: Ints) -> pa.Array:
        """Return the candidate of each of some groups."""
        return self.part.candidates.take(pa.array(self.part.group_candidate[groups]))

    def exam_of(self, groups: Ints) -> pa.Array:
        """Return the exam of each of some groups."""
        return words(self.part.group_exam[groups], self.exam_names)

    def payload(self, fact: int) -> dict[str, Any]:
        """Return what a fact's event says, brought up to the current schema version."""
        topic, data = self.table["topic"][fact].as_py(), self.table["data"][fact].as_py()
        said: dict[str, Any] = json.loads(data)
        if topic in BY_TOPIC:
            return said
        type, _, version = topic.partition(":")
        return upcast(type, int(version), EVENT_TYPES[type].version, said, UPCASTS)


def words(numbers: Ints, names: list[str] | tuple[str, ...]) -> pa.Array:
    """Return the names of numbers; null where a number is negative."""
    return pa.array(names, pa.string()).take(pa.array(numbers, mask=numbers < 0))


def instants(values: Ints) -> pa.Array:
    """Return instants, the sentinels as null."""
    return pa.array(values, pa.int64(), mask=(values == NONE) | (values == NEVER))


def until_open(values: Ints) -> pa.Array:
    """Return instants, NEVER as the end of all time."""
    return pa.array(np.where(values == NEVER, OPEN, values), pa.int64())


def arrow(table: Table) -> pa.Schema:
    """Return the Arrow schema of a table of the views."""
    return pa.schema(
        [
            (column.name, pa.string() if column.kind is Kind.text else pa.int64())
            for column in table.columns
        ]
    )


def table_of(table: Table, **columns: Any) -> pa.Table:
    """Make rows of a table from its columns by name, in any order."""
    schema = arrow(table)
    return pa.table(
        [
            column
            if isinstance(column, pa.ChunkedArray)
            else pa.array(column, schema.field(n).type)
            for n, column in ((n, columns[n]) for n in schema.names)
        ],
        schema=schema,
    )


def rows_of(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Make rows of a table from dictionaries."""
    return pa.Table.from_pylist(rows, schema=arrow(table))
