"""As published and restated: one flag apart, and exactly the late facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reporting import IN_APRIL, MARCH, STORY, inputs, made, snapshot, tell, written
from scenarios import annulled, failed, passed, result

from projections.reports.registry import REPORTS
from replay.outputs import compute
from replay.receipts import Parameters
from replay.restating import restated


def reports(ledger: Any, known_at: str | None) -> dict[str, list[dict[str, Any]]]:
    """Return every report of March."""
    asked = snapshot(ledger)
    return {name: made(name, inputs(asked, known_at=known_at)) for name in REPORTS}


def test_what_is_recorded_later_does_not_touch_what_was_published(tmp_path: Path) -> None:
    """March as published says the same before and after April was recorded."""
    told = STORY[: -len(IN_APRIL)]
    with written(tmp_path / "a.ledger", told) as ledger:
        before = reports(ledger, MARCH[1])
        tell(ledger, IN_APRIL, before=told)
        assert reports(ledger, MARCH[1]) == before
        assert reports(ledger, None) != before


def test_with_nothing_late_published_and_restated_are_the_same(tmp_path: Path) -> None:
    """Nothing but late facts tells them apart: facts of April that came in April do not."""
    told = STORY[: -len(IN_APRIL)]
    later = failed("AZ-104", on="2021-04-05T09:00Z", reg="R-9", who="C-5")
    with written(tmp_path / "a.ledger", (*told, later)) as ledger:
        assert reports(ledger, None) == reports(ledger, MARCH[1])


@pytest.mark.parametrize(
    ("late", "differing"),
    [
        (
            result("AZ-104", reg="R-4", on="2021-03-20T10:00Z", passed=True, who="C-2").recorded(
                "2021-04-02"
            ),
            {"volumes", "blocked", "corrections"},
        ),
        (
            annulled("R-2/result", on="2021-04-02"),
            {"volumes", "blocked", "retakes", "violations", "corrections"},
        ),
        (
            failed("AZ-104", on="2021-03-05T09:00Z", reg="R-0").recorded("2021-04-02"),
            {"volumes", "retakes", "violations", "corrections"},
        ),
    ],
    ids=["a late result", "an annulled result", "a late sitting"],
)
def test_one_late_fact_shows_in_the_reports_that_it_bears_on(
    tmp_path: Path, late: Any, differing: set[str]
) -> None:
    """And in no other."""
    told = STORY[: -len(IN_APRIL)]
    with written(tmp_path / "a.ledger", (*told, late)) as ledger:
        then, now = reports(ledger, MARCH[1]), reports(ledger, None)
        assert {name for name in REPORTS if then[name] != now[name]} == differing


def published(ledger: Any, name: str) -> Any:
    """Compute a report of March as it was published."""
    asked = inputs(snapshot(ledger), known_at=MARCH[1])
    parameters = Parameters(start=asked.period.start, end=asked.period.end)
    return compute(
        asked.snapshot, "report", name, parameters,
        form="csv", basis="as-published", program="a program 1",
    )  # fmt: skip


def test_the_events_that_changed_a_published_report_are_named(tmp_path: Path) -> None:
    """C-2's result and C-4's correction; what only exceptions or April are about is not."""
    with written(tmp_path / "a.ledger") as ledger:
        found = restated(snapshot(ledger), published(ledger, "volumes"))
        (change,) = found
        assert "exam AZ-104, sitting first" in change.sentence
        assert "passed is 0 as it was, 2 restated" in change.sentence
        assert "pending is 1 as it was, 0 restated" in change.sentence
        assert [(event.type, event.id) for event in change.causes] == [
            ("ExamPassed", "R-4/result"),
            ("EventAnnulled", "R-6/result/annulled"),
            ("ExamPassed", "R-6/result/2"),
        ]


def test_under_each_row_stand_its_own_causes(tmp_path: Path) -> None:
    """Not those of other months, exams or candidates, though all came since."""
    late = [
        failed("AZ-104", on="2021-02-10T09:00Z", reg="R-7", who="C-7"),
        failed("AZ-104", on="2021-03-10T09:00Z", reg="R-8", who="C-8"),
        failed("AZ-700", on="2021-03-11T09:00Z", reg="R-9", who="C-8"),
        passed("AZ-104", on="2021-02-11T09:00Z", reg="R-10", who="C-8"),
    ]
    told = STORY[: -len(IN_APRIL)]
    late = [line.recorded("2021-04-10T09:00Z") for each in late for line in [each]]
    with written(tmp_path / "a.ledger", (*told, *late)) as ledger:
        asked = inputs(snapshot(ledger), known_at=MARCH[1])
        output = compute(asked.snapshot, "report", "volumes", Parameters(), form="csv")
        changes = restated(snapshot(ledger), output)
        found = {tuple(c.key.values()): [e.key for e in c.causes] for c in changes}
        assert found[("2021-02", "AZ-104", "first")] == ["R-7", "R-7", "R-10", "R-10"]
        assert found[("2021-03", "AZ-104", "retake")] == ["R-8", "R-8"]
        assert set(found[("2021-03", "AZ-700", "first")]) == {"R-9"}


def test_a_report_that_nothing_changed_names_no_event(tmp_path: Path) -> None:
    """Certifications of March were all known in March."""
    with written(tmp_path / "a.ledger") as ledger:
        assert restated(snapshot(ledger), published(ledger, "expiring")) == []
