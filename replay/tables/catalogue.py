"""`exams`, `policies` and `certification_exams`: the catalogue at a moment."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pyarrow as pa

from projections.catalogue import Catalogue, setting_of
from projections.fold.catalogue import certification_definition
from projections.fold.facts import NEVER
from projections.fold.rules import overdue_from, results_expected
from projections.standing import Moment
from projections.tables import DEFINITIONS, EXAMS, POLICIES
from replay.tables.batch import rows_of


def exams(catalogue: Catalogue, moment: Moment, names: Collection[str]) -> pa.Table:
    """Return a row for each exam that is announced, sorted."""
    rows = (_exam(catalogue, code, moment) for code in sorted(catalogue.exams))
    return rows_of(EXAMS, [row for row in rows if row is not None], names)


def _exam(catalogue: Catalogue, code: str, moment: Moment) -> dict[str, Any] | None:
    setting = setting_of(catalogue, code, moment.as_of, moment.position)
    if setting.definition < 0:
        return None
    definition = catalogue.definition_events[setting.definition].payload()
    defined, number = catalogue.definitions, catalogue.exams[code]
    row: dict[str, Any] = {
        "exam": code,
        "title": definition["title"],
        "policy": definition["policy"],
        **{name: _or_null(at) for name, at in setting.dates._asdict().items()},
        "announced_at": defined.time[setting.definition],
        "definitions": sum(
            defined.position[i] <= moment.position < defined.annulled[i]
            for i in range(defined.lo[number], defined.hi[number])
        ),
    }
    if setting.version >= 0:
        version = catalogue.published[setting.version]
        since, by = results_expected(version.rules, setting.dates)
        row |= {
            "policy_sha256": version.policy.sha256,
            "results_from": _or_null(since),
            "results_by": _or_null(by),
            "overdue_from": _or_null(overdue_from(version.rules, setting.dates)),
        }
    return row


def _or_null(instant: int) -> int | None:
    return None if instant == NEVER else instant


def policies(catalogue: Catalogue, moment: Moment, names: Collection[str]) -> pa.Table:
    """Return a row for each published version that is not annulled, by policy and position."""
    annulled = catalogue.versions.annulled
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
        if version.event.position <= moment.position < annulled[number]
    ]
    rows.sort(key=lambda row: (row["policy"], row["position"]))
    return rows_of(POLICIES, rows, names)


def certification_exams(catalogue: Catalogue, moment: Moment, names: Collection[str]) -> pa.Table:
    """Return a row for each exam of each certification, sorted by both."""
    defined, codes = catalogue.defined, list(catalogue.exams)
    rows = []
    for id, number in sorted(catalogue.certifications.items()):
        at = certification_definition(defined, number, moment.as_of, moment.position)
        if at < 0:
            continue
        title = catalogue.defined_events[at].payload()["title"]
        covered = {codes[defined.exam[k]] for k in range(defined.exam_lo[at], defined.exam_hi[at])}
        rows += [{"certification": id, "exam": code, "title": title} for code in sorted(covered)]
    return rows_of(DEFINITIONS, rows, names)
