"""Decisions: what a booking system needs of a standing, for many candidates and exams at once.

From the compiled fold over the columns, which are in memory once the first was asked for. What that
does not tell (who has no sitting; a change of the reasons alone) is folded for the one candidate.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from projections.fold.facts import NEVER, NONE
from projections.fold.rules import STATUSES
from projections.history import History, history_of
from projections.standing import standing_of
from replay.many import many
from replay.snapshot import Snapshot

if TYPE_CHECKING:
    from replay.columns.part import Part


class Decided(NamedTuple):
    """The decision about one candidate and exam; instants are microseconds UTC."""

    candidate: str
    exam: str
    known: bool
    status: str
    eligible_from: int | None
    next_change_at: int | None


_WORTH: Final = 20
"""So many pairs are worth the columns."""

Pair = Sequence[str]


def decisions_of(snapshot: Snapshot, pairs: Sequence[Pair]) -> Iterator[Decided]:
    """Yield the decision about each pair of a candidate and an exam, in order.

    What `Snapshot.standing` says of them.
    """
    found: dict[int, Decided] = {}
    if len(pairs) >= _WORTH and snapshot.ledger.head().position > snapshot.engine.small:
        found = _compiled(snapshot, pairs)
    rest = _one_by_one(snapshot, [pairs[i] for i in range(len(pairs)) if i not in found])
    for i in range(len(pairs)):
        yield found[i] if i in found else next(rest)


def _one_by_one(snapshot: Snapshot, pairs: Sequence[Pair]) -> Iterator[Decided]:
    histories: dict[str, History] = {}
    catalogue, moment = snapshot.catalogue, snapshot.moment
    for candidate, exam in pairs:
        history = histories.get(candidate)
        if history is None:
            history = history_of(snapshot.events(candidate), catalogue)
            histories[candidate] = history
        found = standing_of(candidate, exam, history, catalogue, moment)
        yield Decided(
            candidate, exam, found.known, found.status, found.eligible_from, found.next_change_at
        )


def _compiled(snapshot: Snapshot, pairs: Sequence[Pair]) -> dict[int, Decided]:
    """Return the decisions that the compiled fold gives, by the place of their pair."""
    columns = snapshot.columns
    exams = {code: number for number, code in enumerate(columns.exams)}
    parts = [*columns.base, *([] if columns.delta is None else [columns.delta])]
    firsts = [_first(part) for part in columns.base]
    wanted: list[list[tuple[int, int, int]]] = [[] for _ in parts]
    new = None if columns.delta is None else _Names(columns.delta)
    names = [_names_of(part) for part in columns.base]
    for i, (candidate, exam) in enumerate(pairs):
        number = exams.get(exam)
        if number is None:
            continue
        if new is not None and (row := new.row(candidate)) >= 0:
            wanted[-1].append((i, row, number))
            continue
        at = bisect_left(firsts, candidate)
        at -= at == len(firsts) or firsts[at] != candidate
        if at >= 0 and (row := names[at].row(candidate)) >= 0:
            wanted[at].append((i, row, number))
    found: dict[int, Decided] = {}
    for part, some in zip(parts, wanted, strict=True):
        if some:
            found.update(_decided(snapshot, part, some, pairs))
    return found


def _decided(
    snapshot: Snapshot, part: Part, some: Sequence[tuple[int, int, int]], pairs: Sequence[Pair]
) -> Iterator[tuple[int, Decided]]:
    """Yield the decisions of pairs in one part, each with its place."""
    offset, exam_of = part.group_offset, part.group_exam
    groups = [_group(offset, exam_of, row, number) for _, row, number in some]
    fold = many("part_fold")(snapshot, part)
    stood = fold.stood(groups, snapshot.as_of, snapshot.position, changes=True)
    columns = (column.tolist() for column in (stood.status, stood.eligible_from, stood.changes))
    for (i, _, _), code, first, change in zip(some, *columns, strict=True):
        if code >= 0 and change != NONE:
            yield (
                i,
                Decided(
                    pairs[i][0],
                    pairs[i][1],
                    True,
                    STATUSES[code],
                    None if first in (NONE, NEVER) else first,
                    None if change == NEVER else change,
                ),
            )


def _group(offset: Any, exam_of: Any, row: int, number: int) -> int:
    for group in range(int(offset[row]), int(offset[row + 1])):
        if exam_of[group] == number:
            return group
    return -1


def _first(part: Part) -> str:
    return part.candidates[0].as_py() if len(part.candidates) else ""


class _Names:
    """The candidates of a part by name."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._rows = {name: row for row, name in enumerate(part.candidates.to_pylist())}

    def row(self, candidate: str) -> int:
        """Return the row of a candidate, -1 for none."""
        return self._rows.get(candidate, -1)


_KEPT: Final = 64
_made: list[_Names] = []
"""The names of the parts that were asked about last: made once for many questions."""


def _names_of(part: Part) -> _Names:
    for made in _made:
        if made.part is part:
            return made
    names = _Names(part)
    _made.append(names)
    del _made[:-_KEPT]
    return names
