"""A beta result that has not come: from when it is overdue, and blocks no longer."""

from __future__ import annotations

from projections.answers import Standing
from projections.catalogue import Catalogue
from projections.fold.catalogue import exam_dates, exam_definition
from projections.fold.facts import NEVER
from projections.fold.rules import overdue_from


def overdue_since(standing: Standing, catalogue: Catalogue) -> int | None:
    """Return since when the pending beta results of a standing are overdue; None if they are not.

    "After that it blocks no longer and is reported as overdue" (spec section 7, reading 2): the
    exam's live date plus the policy's overdue_after_live, if that is past at as_of. Microseconds
    UTC. `catalogue` must hold all that is known at the standing's position.
    """
    if standing.policy is None:
        return None
    exam = catalogue.exams.get(standing.exam, -1)
    definition = exam_definition(catalogue.definitions, exam, standing.as_of, standing.position)
    if definition < 0:
        return None
    dates = exam_dates(
        catalogue.definitions, catalogue.milestones, exam, definition, standing.position
    )
    for version in catalogue.published:
        if version.policy.sha256 == standing.policy.sha256:
            since = overdue_from(version.rules, dates)
            return since if since != NEVER and since <= standing.as_of else None
    return None
