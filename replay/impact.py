"""What importing some facts would change, found out without recording them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from ledger.events import Recorded
from ledger.store.scans import FACTS
from projections.standing import Moment
from replay.columns.build import Columns, Numbers, arrange
from replay.columns.part import merge
from replay.differences import Seen, compare
from replay.everyone import Everyone
from replay.population import Scope

_CANDIDATE = "candidate/"


def impact(everyone: Everyone, as_of: int, rehearsed: Sequence[Recorded]) -> pa.Table:
    """Compare everybody's standing as of an instant with and without rehearsed facts.

    `rehearsed` are events as they would be recorded, at positions after the
    ledger's last (see `ledger.dry_run`); what others recorded since comes
    before them. A table of `differences.CHANGED`.
    """
    head = everyone.ledger.head()
    columns = everyone.columns(head.position)
    here = columns.position  # the head, or what others have recorded just now
    rehearsed = list(moved_behind(here, rehearsed))
    after_all = rehearsed[-1].position if rehearsed else here
    facts: dict[str, list[Recorded]] = {}
    entries: list[Recorded] = []
    for row in rehearsed:
        if not row.stream.startswith(_CANDIDATE):
            entries.append(row)
            continue
        candidate = row.stream.removeprefix(_CANDIDATE)
        if candidate not in facts:
            facts[candidate] = everyone.ledger.stream(row.stream, upto=here)
        facts[candidate].append(row)
    if facts:
        columns = overlaid(columns, (row for rows in facts.values() for row in rows), after_all)
    seen = Seen(columns, [*everyone.ledger.catalogue(0, here), *entries])

    def facts_of(candidate: str) -> list[Recorded]:
        found = facts.get(candidate)
        if found is None:
            found = everyone.ledger.stream(_CANDIDATE + candidate, upto=here)
        return found

    return compare(
        everyone,
        seen,
        facts_of,
        Moment(as_of, None, here),
        Moment(as_of, None, after_all),
        Scope() if entries else Scope(candidates=frozenset(facts)),
    )


def moved_behind(position: int, rehearsed: Sequence[Recorded]) -> Iterator[Recorded]:
    """Yield rehearsed events at the positions after one, whatever they were rehearsed after."""
    if not rehearsed:
        return
    first = rehearsed[0].position
    by = position + 1 - first
    for row in rehearsed:
        annuls = row.annuls
        if annuls is not None and annuls >= first:
            annuls += by
        yield row._replace(position=row.position + by, annuls=annuls)


def overlaid(columns: Columns, rows: Iterable[Recorded], position: int) -> Columns:
    """Lay all the facts of some candidates over columns, in memory alone."""
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
    """Lay events out as `ledger.store.scans` reads them."""
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
