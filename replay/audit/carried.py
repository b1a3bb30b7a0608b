"""What a playback carries from one moment to the next: what becomes visible, and grants."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from projections.fold.facts import (
    GRANTED,
    NEVER,
    Facts,
    GrantRows,
    Question,
    SittingRows,
)
from projections.fold.grants import is_active

Rows: TypeAlias = SittingRows | GrantRows


class Coming:
    """Which of some rows become visible, or invisible, from one moment to a later one."""

    def __init__(self, rows: Rows, some: Iterable[int]) -> None:
        """Arrange the rows; none is visible yet."""
        self._rows, some = rows, list(some)
        self._known = sorted((rows.position[i], i) for i in some)
        self._annulled = sorted((rows.annulled[i], i) for i in some if rows.annulled[i] != NEVER)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was visible."""
        self._at, self._ended = 0, 0
        self._ahead: list[tuple[int, int]] = []
        """The rows that are known and true only later, by time."""

    def between(self, q: Question) -> tuple[list[int], list[int]]:
        """Return the rows that became visible since the last moment, and those that were and went.

        Each in (time, position) order.
        """
        rows, every = self._rows, (q.known, len(self._rows.time))
        upto, ended = bisect_right(self._known, every), bisect_right(self._annulled, every)
        ahead = [(rows.time[i], i) for _, i in self._known[self._at : upto]]
        gone = {i for _, i in self._annulled[self._ended : ended]}
        seen = gone - {i for _, i in (*ahead, *(self._ahead if gone else ()))}
        ahead = [each for each in ahead if q.known < rows.annulled[each[1]]]
        if gone:
            self._ahead = [each for each in self._ahead if each[1] not in gone]
        for each in ahead:
            insort(self._ahead, each)
        self._at, self._ended = upto, ended
        due = bisect_right(self._ahead, (q.as_of, len(rows.time)))
        fresh, self._ahead = [i for _, i in self._ahead[:due]], self._ahead[due:]
        return fresh, sorted(seen)


class Grants:
    """The grants that hold of one candidate's requests for one exam, as more become visible."""

    def __init__(self, facts: Facts, exam: int) -> None:
        """Know of none yet."""
        self._facts, self._rows = facts, facts.grants
        mine = [i for i, number in enumerate(facts.grants.exam) if number == exam]
        self._coming = Coming(self._rows, mine)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all that was visible."""
        self._coming.begin_anew()
        self._visible: dict[int, list[int]] = {}
        """The visible rows of each request: the last holds."""
        self._active: list[tuple[int, int]] = []
        """Those that hold and are grants, by time."""

    def go_on(self, q: Question) -> None:
        """Take in what is newly visible, and take out what is newly annulled."""
        fresh, gone = self._coming.between(q)
        for some, change in ((gone, list[int].remove), (fresh, insort)):
            for i in some:
                visible = self._visible.setdefault(self._rows.key[i], [])
                before = visible[-1:]
                change(visible, i)
                if before != visible[-1:]:
                    self._hold(before, visible[-1:])

    def _hold(self, before: Sequence[int], after: Sequence[int]) -> None:
        """Let another row hold of a request."""
        rows = self._rows
        for i in before:
            if rows.kind[i] == GRANTED:
                del self._active[bisect_left(self._active, (rows.time[i], i))]
        for i in after:
            if rows.kind[i] == GRANTED:
                insort(self._active, (rows.time[i], i))

    def waiver_at(self, t: int, since: int, bits: int) -> tuple[int, int]:
        """Return what `grants.waiver_at` does, of the grants that no sitting used."""
        rows, waives, next_end = self._rows, 0, NEVER
        first = bisect_right(self._active, (since, len(rows.time)))
        for _, i in self._active[first:] if bits else ():
            if rows.waives[i] & bits and is_active(self._facts, i, t, since):
                waives |= rows.waives[i] & bits
                next_end = min(next_end, rows.until[i])
        return waives, next_end
