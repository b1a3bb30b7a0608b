"""What a playback carries from one moment to the next: grants, certifications, windows of caps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from projections.fold.certifications import Cover, covers, last_held, next_definition, run_end
from projections.fold.facts import (
    GRANTED,
    NEVER,
    NONE,
    CertificationDefinitions,
    CertificationRows,
    Facts,
    GrantRows,
    Question,
    SittingRows,
)
from projections.fold.grants import Waiver, is_active
from projections.fold.passes import window_opens
from projections.fold.rules import NOT_CAPPED, Capped, is_anchored, leaves_window
from projections.fold.verdict import Covered
from retake_policies.rules import Rules

Rows: TypeAlias = SittingRows | CertificationRows | GrantRows | CertificationDefinitions


class Moves(NamedTuple):
    """At which positions rows become known or are annulled, in order, and when each is true."""

    position: Sequence[int]
    time: Sequence[int]

    def first_between(self, before: int, after: int) -> int:
        """Return the first instant of which another position knows otherwise, NEVER if none."""
        lo, hi = bisect_right(self.position, before), bisect_right(self.position, after)
        return min(self.time[lo:hi], default=NEVER)


def moves(rows: Rows) -> Moves:
    """Arrange rows by when they become known, and by when they are annulled."""
    both = (
        *zip(rows.position, rows.time, strict=True),
        *zip(rows.annulled, rows.time, strict=True),
    )
    moved = sorted(each for each in both if each[0] != NEVER)
    return Moves([position for position, _ in moved], [time for _, time in moved])


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

    def waiver_at(self, t: int, since: int, bits: int) -> Waiver:
        """Return what `grants.waiver_at` does, of the grants that no sitting used."""
        rows, waives, next_end = self._rows, 0, NEVER
        first = bisect_right(self._active, (since, len(rows.time)))
        for _, i in self._active[first:] if bits else ():
            if rows.waives[i] & bits and is_active(self._facts, i, t, since):
                waives |= rows.waives[i] & bits
                next_end = min(next_end, rows.until[i])
        return Waiver(waives, next_end)


class Covers:
    """The certifications that cover an exam, as more of them become visible."""

    def __init__(self, facts: Facts) -> None:
        """Know of none yet."""
        self._facts, self._rows = facts, facts.certifications
        self._coming = Coming(self._rows, range(len(self._rows.time)))
        self._defined = moves(facts.defined).position
        self._first: list[int] = []
        """Of each row the first of its certification."""
        self._hi: dict[int, int] = {}
        """Where the rows of a certification end, by its first."""
        while (lo := len(self._first)) < len(self._rows.time):
            self._hi[lo] = run_end(self._rows, lo, len(self._rows.time))
            self._first += [lo] * (self._hi[lo] - lo)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all that was visible."""
        self._coming.begin_anew()
        self._stale: set[int] = set()
        """Certifications, by their first rows, that may stand otherwise than in `_ends`."""
        self._end: dict[int, tuple[int, int, int, int]] = {}
        """The end of each that covers the exam, and what goes by it."""
        self._ends: list[tuple[int, int, int, int]] = []
        """These, in order: of equal ends the last is the one that was earned first."""
        self._since, self._until, self._known = NEVER, NONE, -1
        """From when until when, and of how much that is known, the definitions are as in `_end`."""

    def go_on(self, q: Question) -> None:
        """Take in what is newly visible, and take out what is newly annulled."""
        fresh, gone = self._coming.between(q)
        self._stale.update(self._first[i] for i in (*fresh, *gone))

    def at(self, q: Question, rules: Rules, t: int) -> Covered:
        """Return what `verdict.covered_at` does, where it stands."""
        known = bisect_right(self._defined, q.known)
        if known != self._known or not self._since <= t < self._until:
            self._since, self._until = t, next_definition(self._facts, q, t)
            self._known = known
            self._stale.update(self._hi)
        for lo in self._stale:
            self._put(q, t, lo)
        self._stale.clear()
        first = bisect_right(self._ends, (t, NEVER, NEVER, NEVER))
        lapsed_at = self._ends[first - 1][0] if first else NONE
        until, row = NONE, -1
        if first < len(self._ends):
            until, _, _, row = self._ends[-1]
        return Covered(Cover(until, lapsed_at, row, window_opens(rules, until)), self._until)

    def _put(self, q: Question, t: int, lo: int) -> None:
        """Put the end of a certification where it belongs, if it covers the exam."""
        if (before := self._end.pop(lo, None)) is not None:
            del self._ends[bisect_left(self._ends, before)]
        rows, hi = self._rows, self._hi[lo]
        last, _, ends_at = last_held(rows, lo, hi, q.as_of, q.known)
        if last >= 0 and covers(self._facts, q, lo, hi, q.as_of, t):
            self._end[lo] = ends_at, -rows.time[last], -rows.position[last], last
            insort(self._ends, self._end[lo])


class Windows:
    """When the counted sittings leave the windows of a policy's caps, in order."""

    def __init__(self) -> None:
        """Know of no policy yet."""
        self._by = -1
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all sittings."""
        self._start: dict[int, int] = {}
        """When each counted sitting began, by its key."""
        self._leaves: dict[int, list[int]] = {}
        """By cap: when each leaves its window."""

    def follow(self, version: int, rules: Rules) -> bool:
        """Return whether another policy holds than before: then there are no sittings yet."""
        if version == self._by and self._leaves:
            return False
        self.begin_anew()
        self._by = version
        caps = range(len(rules.cap_anchor))
        self._leaves = {c: [] for c in caps if not is_anchored(rules, c)}
        return bool(self._leaves)

    def put(self, rules: Rules, key: int, start: int | None) -> None:
        """Let a counted sitting have begun at an instant; None where it is not, or not counted."""
        before = self._start.pop(key, None)
        if before == start:
            self._start |= {} if start is None else {key: start}
            return
        for c, leaves in self._leaves.items():
            if before is not None:
                del leaves[bisect_left(leaves, leaves_window(rules, c, before))]
            if start is not None:
                insort(leaves, leaves_window(rules, c, start))
        if start is not None:
            self._start[key] = start

    def used(self, rules: Rules, c: int, t: int) -> Capped:
        """Return what `rules.window_cap` does."""
        leaves, allowed = self._leaves[c], rules.cap_sittings[c]
        first = bisect_right(leaves, t)
        if len(leaves) - first < allowed:
            return NOT_CAPPED
        return Capped(leaves[len(leaves) - allowed], c, leaves[first])
