"""How two readings of the same rows differ, in sentences: found in one pass and in flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Final, NamedTuple, TypeAlias

MOST: Final = 20
"""How many differences are said one by one."""

Row: TypeAlias = tuple[str, ...]
_END: Final[Row] = ()
_MOST_WAITING: Final = 512 << 20
"""Bytes of rows, about, that wait for their like: a small file may unpack to rows without end."""
_ROW: Final = 300
"""Bytes of a row besides its texts, about."""


class RowDiff(NamedTuple):
    """What differs, and in which rows."""

    sentences: list[str]
    rows: list[dict[str, str]]
    """The rows that differ, by column, each as either reading has it."""


def compare_rows(
    ours: Iterable[Row],
    theirs: Iterable[Row],
    key: Sequence[str],
    *,
    here: str,
    there: str,
    most: int | None = MOST,
) -> RowDiff:
    """Compare rows, headers first, as `here` and as `there` have them, both in about one order.

    `key` names the columns that tell one row from another. With no difference there is no
    sentence; of more than `most` the rest are counted. Only rows that have not met their like yet
    are kept, which are few where few differ.
    """
    mine, other = iter(ours), iter(theirs)
    head, their_head = next(mine, _END), next(other, _END)
    if not head and not their_head:
        return RowDiff([], [])
    wanted = head or tuple(key)  # JSON without a row has no header
    if their_head and (wanted != their_head if head else not {*key} <= {*their_head}):
        columns = [", ".join(names) for names in (their_head, wanted)]
        return RowDiff([f"the columns are {columns[0]} {there}, {columns[1]} {here}"], [])
    head = head or their_head
    waiting = _Waiting([head.index(name) for name in key], most)
    for our, their in zip_longest(mine, other, fillvalue=_END):
        waiting.meet(our, their)
        if waiting.bytes > _MOST_WAITING:
            return RowDiff([f"so much differs {there} that it was not read to its end"], [])
    return waiting.differences(head, key, here, there)


class _Waiting:
    """Rows of either reading that have not met their like yet, by key."""

    def __init__(self, at: Sequence[int], most: int | None) -> None:
        self._at = at
        self._most = most
        self._ours: dict[Row, list[Row]] = {}
        self._theirs: dict[Row, list[Row]] = {}
        self._differ: list[tuple[Row, Row]] = []
        self._more = 0
        self._moved = False
        self.bytes = 0
        """What the rows that are kept take, about."""

    def meet(self, our: Row, their: Row) -> None:
        """Read the next row of each; an end is no row."""
        if our == their:
            return
        if our and their and self._key(our) == self._key(their):
            self._unlike(our, their)
            return
        if our:
            self._find(our, self._theirs, self._ours, mine=True)
        if their:
            self._find(their, self._ours, self._theirs, mine=False)

    def _find(
        self, row: Row, among: dict[Row, list[Row]], else_in: dict[Row, list[Row]], *, mine: bool
    ) -> None:
        key = self._key(row)
        if key not in among:
            else_in.setdefault(key, []).append(row)
            self.bytes += _size(row)
            return
        like = among[key].pop(0)
        self.bytes -= _size(like)
        if not among[key]:
            del among[key]
        self._moved = True
        if like != row:
            self._unlike(*((row, like) if mine else (like, row)))

    def _unlike(self, our: Row, their: Row) -> None:
        if self._most is None or len(self._differ) < self._most:
            self._differ.append((our, their))
        else:
            self._more += 1

    def _key(self, row: Row) -> Row:
        return tuple(row[i] if i < len(row) else "" for i in self._at)

    def differences(self, head: Row, key: Sequence[str], here: str, there: str) -> RowDiff:
        """Return what differs, and what never met its like."""
        found: list[tuple[str, Row]] = []
        for our, their in self._differ:
            cells = [
                f"{name} is {b or 'empty'} {there}, {a or 'empty'} {here}"
                for name, a, b in zip(head, our, their, strict=False)
                if a != b
            ]
            found.append(("; ".join(cells) or "the cells differ", our))
        more = self._more
        left = chain(
            ((f"missing {there}", row) for row in _rows(self._ours)),
            ((f"a row more {there}", row) for row in _rows(self._theirs)),
        )
        for sentence, row in left:
            if self._most is None or len(found) < self._most:
                found.append((sentence, row))
            else:
                more += 1
        sentences = []
        for sentence, row in found:
            named = zip(key, self._key(row), strict=True)
            sentences.append(f"{', '.join(map(' '.join, named))}: {sentence}")
        if more:
            sentences.append(f"and {more:,} more differences")
        if not sentences and self._moved:
            sentences.append(f"the rows are in another order {there}")
        return RowDiff(sentences, [dict(zip(head, row, strict=False)) for _, row in found])


def _size(row: Row) -> int:
    return _ROW + sum(map(len, row))


def _rows(by_key: dict[Row, list[Row]]) -> Iterator[Row]:
    for rows in by_key.values():
        yield from rows


def compare_lines(ours: Iterable[Row], theirs: Iterable[Row], *, here: str, there: str) -> RowDiff:
    """Compare lines of text one by one; sentences are shortened."""
    sentences: list[str] = []
    more = here_count = there_count = 0
    for number, (our, their) in enumerate(zip_longest(ours, theirs), 1):
        here_count += our is not None
        there_count += their is not None
        if our is None or their is None or our == their:
            continue
        if len(sentences) < MOST - 1:
            sentences.append(f"line {number} is {their[0]!r} {there}, {our[0]!r} {here}")
        else:
            more += 1
    if here_count != there_count:
        sentences.append(f"there are {there_count:,} lines {there}, {here_count:,} {here}")
    if more:
        sentences.append(f"and {more:,} more differences")
    return RowDiff(sentences, [])


def shortened(sentences: Sequence[str]) -> list[str]:
    """Keep as many sentences as anyone reads, and say how many more there are."""
    if len(sentences) <= MOST + 1:  # to say that there is one more takes as much room as it does
        return list(sentences)
    return [*sentences[:MOST], f"and {len(sentences) - MOST:,} more differences"]
