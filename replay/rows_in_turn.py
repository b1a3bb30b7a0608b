"""How two readings of rows in the same order differ, found in one pass and in flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from replay.rows_in_process import MOST, Apart, Row

_END: Row = ()


def apart_in_turn(
    ours: Iterable[Row], theirs: Iterable[Row], key: Sequence[str], *, here: str, there: str
) -> Apart:
    """Compare rows, headers first, as `here` and as `there` have them, both in about one order.

    What `rows_in_process.apart` does for rows that may be too many to hold: only those are held
    that have not met their like yet, which are few where few differ. Sentences are shortened.
    """
    mine, other = iter(ours), iter(theirs)
    head, their_head = next(mine, _END), next(other, _END)
    if not head and not their_head:
        return Apart([], [])
    wanted = head or tuple(key)  # JSON without a row has no header
    if their_head and (wanted != their_head if head else not {*key} <= {*their_head}):
        columns = [", ".join(names) for names in (their_head, wanted)]
        return Apart([f"the columns are {columns[0]} {there}, {columns[1]} {here}"], [])
    head = head or their_head
    waiting = _Waiting([head.index(name) for name in key])
    for our, their in zip_longest(mine, other, fillvalue=_END):
        waiting.meet(our, their)
    return waiting.told(head, key, here, there)


class _Waiting:
    """Rows of either reading that have not met their like yet, by key."""

    def __init__(self, at: Sequence[int]) -> None:
        self._at = at
        self._ours: dict[Row, list[Row]] = {}
        self._theirs: dict[Row, list[Row]] = {}
        self._differ: list[tuple[Row, Row]] = []
        self._more = 0
        self._moved = False

    def meet(self, our: Row, their: Row) -> None:
        """Take the next row of each; an end is no row."""
        if our == their:
            return
        if our and their and self._place(our) == self._place(their):
            self._unlike(our, their)
            return
        if our:
            self._find(our, self._theirs, self._ours, mine=True)
        if their:
            self._find(their, self._ours, self._theirs, mine=False)

    def _find(
        self, row: Row, among: dict[Row, list[Row]], else_in: dict[Row, list[Row]], *, mine: bool
    ) -> None:
        place = self._place(row)
        if place not in among:
            else_in.setdefault(place, []).append(row)
            return
        like = among[place].pop(0)
        if not among[place]:
            del among[place]
        self._moved = True
        if like != row:
            self._unlike(*((row, like) if mine else (like, row)))

    def _unlike(self, our: Row, their: Row) -> None:
        if len(self._differ) < MOST:
            self._differ.append((our, their))
        else:
            self._more += 1

    def _place(self, row: Row) -> Row:
        return tuple(row[i] if i < len(row) else "" for i in self._at)

    def told(self, head: Row, key: Sequence[str], here: str, there: str) -> Apart:
        """Return what differs, and what never met its like."""
        sentences: list[str] = []
        rows: list[dict[str, str]] = []

        def add(said: str, row: Row) -> None:
            place = zip(key, self._place(row), strict=True)
            named = ", ".join(f"{name} {value}" for name, value in place)
            sentences.append(f"{named}: {said}")
            rows.append(dict(zip(head, row, strict=False)))

        for our, their in self._differ:
            cells = [
                f"{name} is {b or 'empty'} {there}, {a or 'empty'} {here}"
                for name, a, b in zip(head, our, their, strict=False)
                if a != b
            ]
            add("; ".join(cells) or "the cells differ", our)
        more = self._more
        for some, said in ((self._ours, "missing"), (self._theirs, "a row more")):
            for row in _rows(some):
                if len(sentences) < MOST:
                    add(f"{said} {there}", row)
                else:
                    more += 1
        if more:
            sentences.append(f"and {more:,} more differences")
        if not sentences and self._moved:
            sentences.append(f"the rows are in another order {there}")
        return Apart(sentences, rows)


def _rows(by_place: dict[Row, list[Row]]) -> Iterator[Row]:
    for rows in by_place.values():
        yield from rows
