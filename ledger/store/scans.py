"""The events as Arrow, without a Python object for each: what scans of a store give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Int64s = npt.NDArray[np.int64]


def _texts(*names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, pa.string()) for name in names]


def _numbers(*names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, pa.int64()) for name in names]


FACTS: Final = pa.schema(
    [
        *_numbers("position", "occurred_at"),
        *_texts("topic", "candidate", "exam", "key"),
        *_numbers("flag", "until", "annuls"),
        *_texts("data"),
    ]
)
"""Facts of candidates. No text is null; `data` only where it may hold what no column does."""

RECORDED: Final = FACTS.insert(9, pa.field("recorded_at", pa.int64())).insert(
    10, pa.field("backfilled", pa.int64())
)
"""The same, with the time at which the ledger took each, whether (1) as one that was moved in, and
the data of exceptions."""

DESCRIBED: Final = pa.schema(
    [
        *_numbers("position", "recorded_at", "occurred_at"),
        *_texts("type", "subject", "source", "id", "actor", "exam", "key"),
        *_numbers("annuls"),
        *_texts("reason"),
    ]
)
"""Every event but for its data; a text that there is not is null."""

EXCEPTIONS: Final = pa.schema(
    [
        *_numbers("position", "occurred_at"),
        *_texts("topic", "candidate", "exam", "key"),
        *_numbers("until"),
        *_texts("data"),
    ]
)
"""Events about exceptions; `data` is JSON, `until` null where there is no end."""

CORRECTIONS: Final = pa.schema(
    [
        *_numbers("position", "recorded_at", "annuls"),
        *_texts("candidate", "topic"),
        *_numbers("true_at"),
        *_texts("exam", "key"),
    ]
)
"""Facts of candidates that correct others. Nothing is null: a text is empty, `annuls` 0.

Of an annulment topic, true_at (its time), exam and key are those of what it annuls.
"""

SELECTED: Final = pa.schema(
    [
        *_numbers("position", "recorded_at", "occurred_at"),
        *_texts("type", "about", "subject", "exam", "key", "source", "id", "actor"),
        *_numbers("annuls"),
    ]
)
"""Events by what is recorded of them. Nothing is null: a text is empty, `annuls` 0.

`about` and `subject` are the stream's two parts. `exam` and `key` of an annulment are those of what
it annuls.
"""


class Selection(NamedTuple):
    """Which events are wanted: those of which all of this is true; instants in microseconds."""

    after: int
    """The position that they come after."""
    upto: int
    """The last position."""
    streams: tuple[str, ...] | None = None
    types: tuple[str, ...] = ()
    """Empty: of any type."""
    source: str | None = None
    actor: str | None = None
    exam: str | None = None
    true_from: int | None = None
    """Inclusive."""
    true_to: int | None = None
    """Exclusive."""
    later_than: int | None = None
    """Recorded more than so many microseconds after they were true, but for those moved in."""


class Clock(NamedTuple):
    """When positions were recorded: from first[i] on at recorded_at[i], both rising."""

    first: Int64s
    recorded_at: Int64s

    def position_at(self, known_at: Int64s, upto: int) -> Int64s:
        """Return for each instant the last position recorded by then, 0 if none."""
        after = np.searchsorted(self.recorded_at, known_at, side="right")
        last: Int64s = np.append(self.first, upto + 1)[after] - 1
        return last

    @classmethod
    def of(cls, batches: Iterator[tuple[Int64s, Int64s]]) -> Clock:
        """Keep one entry for each transaction, of (position, recorded_at) by position."""
        firsts, instants = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        before = np.array([-1 << 63])  # no instant
        for position, instant in batches:
            new = np.append(instant[:1] != before, instant[1:] != instant[:-1])
            firsts.append(position[new])
            instants.append(instant[new])
            before = instant[-1:]
        return cls(np.concatenate(firsts), np.concatenate(instants))


class Annulments(NamedTuple):
    """What was annulled, and by which position: the first that did; both parallel, sorted."""

    annulled: Int64s
    by: Int64s

    def of(self, positions: Int64s) -> Int64s:
        """Return the position that annulled each, 0 for what stands."""
        if not len(self.annulled):
            return np.zeros_like(positions)
        at = np.minimum(np.searchsorted(self.annulled, positions), len(self.annulled) - 1)
        found: Int64s = np.where(self.annulled[at] == positions, self.by[at], 0)
        return found

    @classmethod
    def among(cls, pairs: Sequence[tuple[int, int]]) -> Annulments:
        """Make them of (annulled, by) in any order."""
        annulled, by = np.array(pairs, np.int64).reshape(-1, 2).T
        order = np.lexsort((by, annulled))
        annulled, by = annulled[order], by[order]
        first = np.append(True, annulled[1:] != annulled[:-1])[: len(annulled)]
        return cls(annulled[first], by[first])


class Scans(Protocol):
    """Reads the events of a store as Arrow. All instants are microseconds; raises LedgerProblem.

    Personal fields are in none of it.
    """

    def facts(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield the facts of candidates in a range, by position, as FACTS."""

    def facts_of_touched(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield all facts up to `upto` of candidates who have one after `after`, in any order."""

    def recorded(self, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield the facts of candidates up to a position, by position, as RECORDED."""

    def recorded_of(self, candidates: Sequence[str], upto: int) -> pa.Table:
        """Return all facts of some candidates up to a position, by position, as RECORDED."""

    def described(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield every event in a range, by position, as DESCRIBED."""

    def sample(self, upto: int, count: int) -> list[str]:
        """Return the candidates of about `count` facts spread evenly over the ledger, sorted."""

    def clock(self, upto: int) -> Clock:
        """Return when every position up to one was recorded."""

    def exceptions(self, upto: int) -> pa.Table:
        """Return the events about exceptions that are not annulled, by position, as EXCEPTIONS."""

    def corrections(self, upto: int, late: int) -> pa.Table:
        """Return annulments, revocations and facts recorded `late` or more after they were true.

        Those of candidates that were not moved in, by position, as CORRECTIONS.
        """

    def backfilled(self, upto: int) -> int:
        """Return how many events up to a position were moved in as a migration."""

    def select(
        self, wanted: Selection, *, order: Literal["position", "lag"] = "position"
    ) -> Iterator[pa.RecordBatch]:
        """Yield the wanted events as SELECTED, in flat memory.

        By position; or by the time from truth to recording, longest first, then by position.
        """

    def annulments(self, wanted: Selection, upto: int) -> Annulments:
        """Return what is annulled, as known at a position, of the events that may be wanted.

        An annulment comes after what it annuls and stands in the same stream.
        """
