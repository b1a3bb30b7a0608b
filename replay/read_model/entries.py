"""The catalogue's own tables: exams, policies and certifications by their last entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from projections.catalogue import Catalogue
from projections.fold.catalogue import exam_dates
from projections.fold.facts import NEVER
from projections.tables import DEFINITIONS, EXAMS, POLICIES
from replay.read_model.batch import rows_of


def exams(catalogue: Catalogue, named: Iterable[str], stale: frozenset[str]) -> pa.Table:
    """Return a row for each exam that the catalogue or anything else names, sorted."""
    every = sorted({*catalogue.exams, *named})
    return rows_of(EXAMS, [_exam(catalogue, code, code in stale) for code in every])


def _exam(catalogue: Catalogue, code: str, stale: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"exam": code, "definitions": 0, "stale": int(stale)}
    number = catalogue.exams.get(code, -1)
    defined = catalogue.definitions
    standing = (
        [i for i in range(defined.lo[number], defined.hi[number]) if defined.annulled[i] == NEVER]
        if number >= 0
        else []
    )
    if not standing:
        return row
    last = standing[-1]
    dates = exam_dates(defined, catalogue.milestones, number, last, NEVER - 1)
    said = catalogue.definition_events[last].payload()
    return row | {
        "title": said["title"],
        "policy": said["policy"],
        **{name: None if date == NEVER else date for name, date in dates._asdict().items()},
        "announced_at": defined.time[last],
        "definitions": len(standing),
    }


def policies(catalogue: Catalogue) -> pa.Table:
    """Return a row for each published version that is not annulled, by policy and position."""
    rows = [
        {
            "policy": version.policy.id,
            "position": version.event.position,
            "title": version.policy.title,
            "source": version.policy.source,
            "effective_from": version.policy.effective_from,
            "published_at": version.event.occurred_at,
            "recorded_at": version.event.recorded_at,
            "sha256": version.policy.sha256,
        }
        for number, version in enumerate(catalogue.published)
        if catalogue.versions.annulled[number] == NEVER
    ]
    return rows_of(POLICIES, sorted(rows, key=lambda row: (row["policy"], row["position"])))


def certification_exams(catalogue: Catalogue, entries: dict[int, Any]) -> pa.Table:
    """Return a row for each exam of each certification by its last definition.

    `entries` gives the catalogue's events by position.
    """
    defined = catalogue.defined
    codes = list(catalogue.exams)
    rows = []
    for id, number in sorted(catalogue.certifications.items()):
        standing = [
            i for i in range(defined.lo[number], defined.hi[number]) if defined.annulled[i] == NEVER
        ]
        if not standing:
            continue
        last = standing[-1]
        title = entries[defined.position[last]].payload()["title"]
        covered = {
            codes[defined.exam[k]] for k in range(defined.exam_lo[last], defined.exam_hi[last])
        }
        rows += [{"certification": id, "exam": code, "title": title} for code in sorted(covered)]
    return rows_of(DEFINITIONS, rows)
