"""What did we know, when: the answers of one candidate and exam over both axes of time, small."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from projections.standing import Moment
from replay.snapshot import Snapshot
from replay.stretches import stretches_of

MOST: Final = 40
"""So many fields at most, along and up."""
_REMEMBERED: Final = 64 * MOST
"""So many rows are kept of the pictures that were drawn last."""


class Field(NamedTuple):
    """An area of one answer: between two instants, for what was known from a position to another.

    Its lowest row is `y`; instants are microseconds UTC.
    """

    x: int
    y: int
    width: int
    height: int
    status: str
    as_of: int
    """An instant inside it."""
    position: int
    """That of its lowest row."""
    last_position: int
    """That of its highest."""


class Knowledge(NamedTuple):
    """The fields, in columns of valid time and rows of positions; the lowest row knew least."""

    fields: Sequence[Field]
    columns: int
    rows: int
    here: tuple[int, int]
    """The column and the row of the page's own moment."""
    starts: Sequence[int]
    """When each column begins."""
    positions: Sequence[int]
    """From which position on each row holds."""


def thinned(values: Sequence[int], most: int) -> list[int]:
    """Return at most so many of some values, evenly chosen, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


@lru_cache(maxsize=_REMEMBERED)
def _answers(known: Snapshot, candidate: str, exam: str) -> Sequence[tuple[int, int, str]]:
    """Return from when to when there is which answer, on what is known, whatever the as_of.

    What was known at a position never changes, so that a slider that is moved folds nothing anew.
    """
    history = known.history(candidate, exam)
    found = stretches_of(history, known.catalogue, exam, known.position)
    return [(each.valid_from, each.valid_to, each.status) for each in found]


def knowledge_of(
    snapshot: Snapshot, candidate: str, exam: str, positions: Sequence[int], head: int
) -> Knowledge | None:
    """Fold one candidate's answers at each of some positions; None where nothing is known.

    `positions` are those at which something about the candidate was learned, rising.
    """
    rows = thinned(positions, MOST)
    latest = snapshot.at(Moment(snapshot.as_of, None, head))
    events = latest.events(candidate, exam)
    every = [_answers(snapshot.at(Moment(0, None, each)), candidate, exam) for each in rows]
    cuts = sorted({start for stretches in every for start, _, _ in stretches})
    if not events or not cuts:
        return None
    starts = thinned(cuts, MOST)
    fields: list[Field] = []
    below: dict[tuple[int, int, str], int] = {}
    for y, (position, stretches) in enumerate(zip(rows, every, strict=True)):
        here: dict[tuple[int, int, str], int] = {}
        begins = [start for start, _, _ in stretches]
        x = 0
        while x < len(starts):
            at = bisect_right(begins, starts[x]) - 1
            status = stretches[at][2] if at >= 0 else "nothing"
            width = 1
            while x + width < len(starts):
                next_at = bisect_right(begins, starts[x + width]) - 1
                if (stretches[next_at][2] if next_at >= 0 else "nothing") != status:
                    break
                width += 1
            area = x, width, status
            if (same := below.get(area)) is None:
                same = len(fields)
                fields.append(Field(x, y, width, 0, status, starts[x], position, position))
            field = fields[same]
            fields[same] = field._replace(height=field.height + 1, last_position=position)
            here[area] = same
            x += width
        below = here
    column = max(bisect_right(starts, snapshot.as_of) - 1, 0)
    row = max(bisect_right(rows, snapshot.position) - 1, 0)
    return Knowledge(fields, len(starts), len(rows), (column, row), starts, rows)
