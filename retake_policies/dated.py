"""Find the version of a policy that is in force at an instant, as known at a position."""

from __future__ import annotations

from collections.abc import Sequence


def version_in_force(
    effective_from: Sequence[int],
    time: Sequence[int],
    position: Sequence[int],
    annulled: Sequence[int],
    lo: int,
    hi: int,
    at: int,
    known: int,
) -> int:
    """Pick the row, of rows lo <= row < hi of one policy, that is in force at `at`.

    Parallel integer columns: `effective_from` and `time` (of the publishing event) in
    microseconds, `position` of that event, `annulled` the position of its annulment (any number
    beyond all positions when there is none). A row is known when position <= known < annulled.

    "In force at as_of is the known version with the latest effective_from <= as_of. Before the
    first, the first is used", and "of equal effective_from the one later in (time, position)".
    Returns -1 when no row is known; the answer is assumed when the row's effective_from > at.

    Compiles with numba as it stands, so: integers and one loop, no calls.
    """
    found = -1
    for row in range(lo, hi):
        if position[row] > known or annulled[row] <= known:
            continue
        if found < 0:
            found = row
            continue
        mine = effective_from[row]
        best = effective_from[found]
        if mine == best:
            if time[row] > time[found] or (
                time[row] == time[found] and position[row] > position[found]
            ):
                found = row
        elif mine <= at:
            if best > at or mine > best:
                found = row
        elif best > at and mine < best:
            found = row
    return found
