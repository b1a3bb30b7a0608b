"""What a table, a report or an audit is said in: columns with a type, a meaning and a null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from ledger.problems import LedgerProblem

INSTANT: Final = pa.timestamp("us", tz="UTC")
TEXT: Final = pa.string()
WHOLE: Final = pa.int64()
SMALL: Final = pa.int32()
NUMBER: Final = pa.float64()
TRUTH: Final = pa.bool_()


class CannotAsk(LedgerProblem, ValueError):
    """A table or a report is not about what was asked for; str() is one sentence."""


class Column(NamedTuple):
    """One column of a table, a report or an audit."""

    name: str
    type: pa.DataType
    meaning: str
    null: str = ""
    """What null means; empty where it is never null."""
    share: bool = False
    """Whether it is a share of a whole, 0 to 1."""

    @property
    def is_instant(self) -> bool:
        """Whether it holds instants."""
        return bool(self.type == INSTANT)

    @property
    def stored(self) -> type:
        """The type that SQLite stores it as."""
        return {TEXT: str, NUMBER: float}.get(self.type, int)


class Table(NamedTuple):
    """One table: a row for what, its columns, its key, what refers elsewhere, what is indexed."""

    name: str
    meaning: str
    columns: Sequence[Column]
    key: Sequence[str]
    """The columns that tell one row from another."""
    refers: Mapping[str, str] = {}
    """Columns that name a row of another table, whose key has the same name as the column."""
    indexes: Mapping[str, Sequence[str]] = {}
    """What the read model indexes, for which question."""
    by_candidate: bool = True
    """Whether a candidate's rows are replaced when something new is known of the candidate."""

    @property
    def names(self) -> list[str]:
        """The names of its columns, in their order."""
        return [column.name for column in self.columns]

    @property
    def schema(self) -> pa.Schema:
        """Its Arrow schema."""
        return schema_of(self.columns)

    @property
    def plain(self) -> pa.Schema:
        """The Arrow schema of what SQLite keeps of it: instants and truths are whole numbers."""
        kinds = {str: TEXT, int: WHOLE, float: NUMBER}
        return pa.schema([(column.name, kinds[column.stored]) for column in self.columns])


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of columns."""
    return pa.schema([(column.name, column.type) for column in columns])
