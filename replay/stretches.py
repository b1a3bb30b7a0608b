"""One candidate's valid time for one exam, cut where the standing changes; and its sittings.

The loops of `replay.kernels`, over one candidate's facts instead of everybody's: interpreted, since
one candidate's are few, and so without the compiler.
"""

from __future__ import annotations

from typing import NamedTuple

from projections.catalogue import Catalogue
from projections.fold.facts import NEVER, NONE
from projections.fold.rules import STATUSES
from projections.history import History
from replay import kernels
from replay.questions import Groups, Scratch, Stretches, room_for


class Stretch(NamedTuple):
    """A stretch of valid time in which nothing of a standing changes; microseconds UTC."""

    valid_from: int
    valid_to: int
    """Exclusive; NEVER for the last."""
    status: str
    eligible_from: int | None
    """None while eligible, and where no date is known."""


def stretches_of(history: History, catalogue: Catalogue, exam: str, known: int) -> list[Stretch]:
    """Return the stretches of one exam from its first sitting on, as known at a position, in order.

    `history` must hold what is known of the candidate, `catalogue` what is known of it at least.
    Empty where no sitting is known. The same rows as the table `timeline` has of them.
    """
    if exam not in history.runs:
        return []
    group, scratch = group_of(history, catalogue, exam), room_of(history, exam)
    size = 64
    while True:
        out = Stretches(*([0] * size for _ in Stretches._fields))
        end, count = kernels.stretch_all(
            history.sittings, group, history.facts, 0, 1, known, scratch, size, out
        )
        if end:
            break
        size *= 8
    return [
        Stretch(
            out.valid_from[i],
            out.valid_to[i],
            STATUSES[out.status[i]],
            None if out.eligible_from[i] in (NONE, NEVER) else out.eligible_from[i],
        )
        for i in range(count)
    ]


def group_of(history: History, catalogue: Catalogue, exam: str) -> Groups:
    """Return one candidate and exam as the loops take it, with a sitting or without."""
    lo, hi = history.runs.get(exam, (0, 0))
    return Groups(
        candidate=[0],
        exam=[catalogue.exams.get(exam, -1)],
        lo=[lo],
        hi=[hi],
        certification_offset=[0, len(history.certification_events)],
        grant_offset=[0, len(history.grant_events)],
        authorization_offset=[0, len(history.authorization_events)],
    )


def room_of(history: History, exam: str) -> Scratch:
    """Make room for one candidate and exam."""
    lo, hi = history.runs.get(exam, (0, 0))
    return room_for(
        hi - lo,
        len(history.authorization_events),
        len(history.certification_events),
        len(history.facts.versions.time),
    )
