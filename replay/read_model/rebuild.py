"""Rebuild: a read model folded from nothing beside the live one, compared with it, swapped in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from projections.table import TEXT, Table
from projections.tables import KEPT
from replay.read_model.build import Options
from replay.read_model.follow import Keeper, built, is_sound, swap_in, why_anew
from replay.read_model.state import draft_of, keeping, remove
from replay.read_model.store import ReadModel, in_batches, reading
from replay.tables.batch import USUAL, Late

_ABSENT = chr(1)  # no text of ours holds it; a column whose first texts are all null has no type

Row = tuple[Any, ...]


class Difference(NamedTuple):
    """One row that is not the same; None where it is missing."""

    table: Table
    live: Row | None
    rebuilt: Row | None

    def __str__(self) -> str:
        """Return it in a line."""
        row = self.live or self.rebuilt
        assert row is not None
        named = dict(zip(self.table.names, row, strict=True))
        which = ", ".join(f"{name} {_shown(named[name])}" for name in self.table.key)
        if self.rebuilt is None:
            return f"{self.table.name}: {which}: in the live file only"
        if self.live is None:
            return f"{self.table.name}: {which}: missing in the live file"
        differences = [
            f"{name} is {_shown(one)}, rebuilt {_shown(other)}"
            for name, one, other in zip(self.table.names, self.live, self.rebuilt, strict=True)
            if one != other
        ]
        return f"{self.table.name}: {which}: {'; '.join(differences)}"


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def differences(live: Any, rebuilt: Path) -> Iterator[Difference]:
    """Yield every row in which two read models differ, by table and key.

    `live` is a connection that `reading` opened: all of it is read in its one snapshot.
    """
    with reading(rebuilt) as other:
        for table in KEPT:
            ones, others = _batches(live, table), _batches(other, table)
            one, two = next(ones, None), next(others, None)
            while one is not None and two is not None and one.equals(two):
                one, two = next(ones, None), next(others, None)
            yield from _merged(table, _rows(table, one, ones), _rows(table, two, others))


def _batches(connection: Any, table: Table) -> Iterator[pa.RecordBatch]:
    columns = ", ".join(
        f"coalesce(\"{column.name}\", '{_ABSENT}')"
        if column.type == TEXT and column.null
        else f'"{column.name}"'
        for column in table.columns
    )
    key = ", ".join(f'"{name}"' for name in table.key)
    with in_batches(connection) as cursor:
        cursor.execute(f"SELECT {columns} FROM {table.name} ORDER BY {key}")
        yield from cursor.fetch_record_batch()


def _rows(
    table: Table, first: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch]
) -> Iterator[Row]:
    if first is None:
        return
    for batch in chain((first,), rest):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield tuple(None if value == _ABSENT else value for value in row)


def _merged(table: Table, ones: Iterator[Row], others: Iterator[Row]) -> Iterator[Difference]:
    """Walk two runs of rows sorted by key side by side."""
    places = [table.names.index(name) for name in table.key]

    def key(row: Row) -> Row:
        return tuple(row[place] for place in places)

    one, two = next(ones, None), next(others, None)
    while one is not None or two is not None:
        if two is None or (one is not None and key(one) < key(two)):
            yield Difference(table, one, None)
            one = next(ones, None)
        elif one is None or key(two) < key(one):
            yield Difference(table, None, two)
            two = next(others, None)
        else:
            if one != two:
                yield Difference(table, one, two)
            one, two = next(ones, None), next(others, None)


class Compared(NamedTuple):
    """What a rebuild found."""

    position: int
    """Where the live one was, and was compared."""
    differences: int


Tell = Callable[[Difference], None]


def rebuild(
    ledger: Ledger, path: Path, options: Options, tell: Tell, late: Late = USUAL
) -> Compared | None:
    """Build a read model anew, tell each difference from the live one, and put it in its place.

    They are compared where the live one is, whatever has come since; then brought up to the
    head. None where there was nothing to compare with. Raises BeingKept if somebody follows.
    """
    with keeping(path):
        reason = _why_nothing_to_compare(ledger, path, late)
        if reason is not None:
            if reason:
                options.say(f"the read model at {path} is {reason}: nothing to compare with")
            built(ledger, draft_of(path), options, late)
            swap_in(path)
            found = None
        else:
            with ReadModel(path) as live:
                keeper = Keeper(ledger, live, options, late)
                keeper.refold(keeper.position)
            found = _compared(ledger, path, draft_of(path), options, tell, late)
            if found.differences:
                swap_in(path)
            remove(draft_of(path))
        with ReadModel(path) as model:
            Keeper(ledger, model, options, late).catch_up()
    return found


def check(ledger: Ledger, path: Path, options: Options, tell: Tell, late: Late = USUAL) -> Compared:
    """Build a read model anew and tell each difference from the live one, which stays as it is.

    Somebody may go on following meanwhile: what is compared is the live one as it is now.
    Raises LedgerProblem where there is nothing to compare with.
    """
    reason = _why_nothing_to_compare(ledger, path, late)
    if reason is not None:
        which = f"the read model at {path} is {reason}" if reason else f"no read model at {path}"
        raise LedgerProblem(f"{which}: nothing to compare with; `rebuild` builds it")
    draft = Path(f"{path}.check")
    with keeping(draft):
        found = _compared(ledger, path, draft, options, tell, late)
        remove(draft)
    return found


def _why_nothing_to_compare(ledger: Ledger, path: Path, late: Late) -> str | None:
    """Return why a read model cannot be compared: empty if there is none; None if it can."""
    reason = why_anew(ledger, path, late, however_far=True)
    return "damaged" if reason is None and not is_sound(path) else reason


def _compared(
    ledger: Ledger, path: Path, draft: Path, options: Options, tell: Tell, late: Late
) -> Compared:
    """Build a draft up to where the live one is and compare it with one snapshot of that."""
    with reading(path) as live:
        with live.cursor() as cursor:
            cursor.execute("SELECT (SELECT position FROM position), (SELECT count(*) FROM stale)")
            position, stale = cursor.fetchone()
        if stale:
            options.say(
                f"{stale} exam{'s are' if stale != 1 else ' is'} being folded again just now: "
                "their rows may differ"
            )
        built(ledger, draft, options, late, position)
        count = 0
        for difference in differences(live, draft):
            count += 1
            tell(difference)
    return Compared(position, count)
