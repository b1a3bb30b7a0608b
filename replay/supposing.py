"""A ledger as if it held further facts: a draft that is not published, a file not imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from ledger.events import Recorded
from ledger.store.scans import FACTS
from replay.columns.arrange import Numbers, arrange
from replay.columns.build import Columns
from replay.columns.part import merge
from replay.snapshot import Shared, Snapshot

_CANDIDATE = "candidate/"


def supposing(snapshot: Snapshot, facts: Sequence[Recorded]) -> Snapshot:
    """Return a snapshot of the ledger as if it held further facts, at positions that it lacks.

    It knows all that the other does and all of them. Nothing is written anywhere, and the other
    snapshot stays as it is.
    """
    last = max([snapshot.position, *(row.position for row in facts)])
    moment = snapshot.moment._replace(position=last)
    return Snapshot(snapshot.ledger, moment, shared=Supposed(snapshot, facts))


class Supposed(Shared):
    """What the snapshots of a ledger share that is supposed to hold further facts."""

    def __init__(self, snapshot: Snapshot, facts: Sequence[Recorded]) -> None:
        super().__init__(snapshot.ledger, snapshot.engine)
        self._known = snapshot
        self._facts = [row for row in facts if row.stream.startswith(_CANDIDATE)]
        entries = [row for row in facts if not row.stream.startswith(_CANDIDATE)]
        self._every = [*snapshot.entries, *entries]

    def _reaching(self, position: int) -> list[Recorded]:
        return self._every

    def events(self, candidate: str, upto: int, exam: str | None = None) -> list[Recorded]:
        """Return a candidate's events up to a position, and after them what is supposed."""
        known = super().events(candidate, min(upto, self._known.position), exam)
        more = [row for row in self._facts if row.subject == candidate and row.position <= upto]
        return known + more

    def outlines(self, candidate: str, upto: int) -> list[Recorded]:
        """Return all of the same: what is supposed cannot be read by its position."""
        return self.events(candidate, upto)

    def columns(self, position: int) -> Columns:
        """Return the columns with what is supposed of candidates laid over them, in memory."""
        if self._columns is None:
            self._columns = self._known.columns
            if self._facts:
                last = self._facts[-1].position
                people = dict.fromkeys(row.subject for row in self._facts)
                rows = (row for name in people for row in self.events(name, last))
                self._columns = overlaid(self._columns, rows, last)
        return self._columns


def overlaid(columns: Columns, rows: Iterable[Recorded], position: int) -> Columns:
    """Put all the facts of some candidates over columns, in memory alone."""
    exams, certifications = Numbers(columns.exams), Numbers(columns.certifications)
    new = arrange(as_scanned(rows), exams, certifications)
    return Columns(
        position=position,
        base=columns.base,
        delta=new if columns.delta is None else merge(columns.delta, new),
        exams=tuple(exams.names()),
        certifications=tuple(certifications.names()),
    )


def as_scanned(rows: Iterable[Recorded]) -> pa.Table:
    """Return events as `ledger.store.scans` reads them."""
    return pa.Table.from_pylist(
        [
            {
                "position": row.position,
                "occurred_at": row.occurred_at,
                "topic": row.topic,
                "candidate": row.subject,
                "exam": row.exam or "",
                "key": row.key or "",
                "flag": row.flag,
                "until": row.until,
                "annuls": row.annuls,
                "data": row.data if row.exam is None else "",
            }
            for row in rows
        ],
        schema=FACTS,
    )
