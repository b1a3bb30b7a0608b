"""Every sitting of everybody, judged at its own start and without itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ledger.store.scans import Clock
from projections.catalogue import Catalogue
from projections.standing import Moment
from replay.columns.part import Ints, Part
from replay.compiled import Kernels
from replay.kernels import Sat
from replay.population import facts_of, groups_of, scratch_for


class Judgement(NamedTuple):
    """Sittings of one part in order; parallel columns."""

    row: Ints
    """The row of the part that opened the sitting."""
    group: Ints
    status: Ints
    eligible_from: Ints
    """Microseconds UTC; NONE when eligible, NEVER when it never is, or was not asked."""
    waived: Ints
    """The reasons that an active grant waived at its start, as bits."""

    def only(self, kept: Ints) -> Judgement:
        """Keep some of the sittings: those whose mask is true."""
        return Judgement(*(column[kept] for column in self))


def judge(
    part: Part,
    catalogue: Catalogue,
    moment: Moment,
    kernels: Kernels,
    wanted: Ints,
    *,
    then: Clock | None = None,
    ahead: bool = False,
) -> Judgement:
    """Judge each sitting of the wanted groups that is visible at a moment.

    By what is known at `moment.position`; with `then`, by what was known when
    it began, the sitting's own policy and catalogue too. The sittings are the
    same ones either way, in the same order. With `ahead`, also from when the
    candidate would have been eligible.
    """
    empty: Ints = np.empty(0, dtype=np.int64)
    known = empty if then is None else then.position_at(part.sittings.time, moment.position)  # type: ignore[arg-type]
    size = len(part.sittings.kind)
    out: Any = Sat(
        row=np.empty(size, dtype=np.int64),  # type: ignore[arg-type]
        group=np.empty(size, dtype=np.int64),  # type: ignore[arg-type]
        status=np.empty(size, dtype=np.int8),  # type: ignore[arg-type]
        eligible_from=np.empty(size, dtype=np.int64),  # type: ignore[arg-type]
        waived=np.empty(size, dtype=np.int8),  # type: ignore[arg-type]
    )
    count = kernels.judge_sittings(
        part.sittings,
        groups_of(part),
        facts_of(part, catalogue),
        wanted,
        0,
        len(part.group_exam),
        moment.as_of,
        moment.position,
        known,
        int(ahead),
        scratch_for(part),
        scratch_for(part),
        out,
        0,
    )
    return Judgement(*(column[:count] for column in out))
