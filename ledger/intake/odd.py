"""What is odd of a sitting and can be true: recorded all the same, and counted as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeAlias

from ledger.events import MARK, Row
from ledger.instants import DAY
from ledger.upcasts import topic_of

RESULT_BEFORE_SITTING: Final = "result-before-sitting"
LONG_SITTING: Final = "long-sitting"
LATE_RESULT: Final = "late-result"
SOURCES_DISAGREE: Final = "sources-disagree"
LONG: Final = 7 * DAY
"""A sitting that took longer is a `long-sitting`. Microseconds."""
LATE: Final = 30 * DAY
"""A result recorded longer than that after it was true is a `late-result`, unless it was moved in
as a migration. Microseconds."""
MOST_SITTINGS: Final = 1_000
"""Sittings that are compared with what else is recorded of them, one by one."""

RESULTS: Final = tuple(map(topic_of, ("ExamPassed", "ExamFailed", "BetaRescored")))
_ATTEMPTED: Final = topic_of("ExamAttempted")
_MOST_STARTS: Final = 100_000
_Sitting: TypeAlias = tuple[str, str | None, str | None]
"""(stream, exam, registration)."""
_NONE: Final[_Sitting] = ("", None, None)


class Oddities:
    """Count what is odd of new facts by what they say themselves, in flat memory.

    A result whose sitting was not among the last ones is compared with what is recorded, later:
    `unpaired` are the (candidate, exam) of those, as many as there is room for; so is a sitting
    that comes without its result, if that came before (`alone`).
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.unpaired: set[tuple[str, str]] = set()
        self.alone: set[str] = set()
        """The registrations of sittings whose result has not been looked at yet."""
        self._starts: dict[_Sitting, int] = {}

    def look(self, rows: Iterable[Row], recorded_at: int) -> None:
        """Look at rows that were recorded at an instant; all but those of sittings say nothing."""
        starts, alone = self._starts, self.alone
        long = late = before = 0
        sitting, start = _NONE, 0  # the last one, behind which its result stands as a rule
        for at, topic, stream, _, _, _, exam, key, _, until, _, _, extensions in rows:
            if topic == _ATTEMPTED:
                long += until is not None and until - at > LONG
                if sitting[2] is not None:
                    alone.add(sitting[2])
                if len(starts) >= _MOST_STARTS:
                    starts.clear()
                sitting = stream, exam, key
                start = starts.setdefault(sitting, at)
            elif topic in RESULTS:
                if recorded_at - at > LATE:
                    late += extensions is None or MARK not in extensions
                if sitting == (stream, exam, key):
                    before += at < start
                    sitting = _NONE
                    continue
                alone.discard(key or "")
                earlier = starts.get((stream, exam, key))
                if earlier is not None:
                    before += at < earlier
                elif exam is not None and len(self.unpaired) < MOST_SITTINGS:
                    self.unpaired.add((stream.partition("/")[2], exam))
        if sitting[2] is not None:
            alone.add(sitting[2])
        # Once for all of them: this runs for each row of an import.
        counts = ((LONG_SITTING, long), (LATE_RESULT, late), (RESULT_BEFORE_SITTING, before))
        for name, count in counts:
            if count:
                self.counts[name] += count
