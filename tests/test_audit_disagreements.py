"""Sources that disagree, and who was forgotten: each by its events."""

from __future__ import annotations

from typing import Any

import pytest
from auditing import recorded_by, rows
from example_ledger import Ledgers
from scenarios import Line, annulled, exam, failed, forgotten, passed, requested

MINE = failed("AZ-104", on="2021-04-01T09:00Z", reg="R-1")
THEIRS = recorded_by("feed", passed("AZ-104", on="2021-04-01T09:00Z", reg="R-1"), "urn:other")


def found(crowd: Ledgers, query: str, *lines: Line, **asked: Any) -> list[dict[str, Any]]:
    """Ask a query of a story."""
    return rows(crowd.told(exam("AZ-104"), *lines).ledger, query, **asked)


def test_who_disagreed_is_told_event_by_event(crowd: Ledgers) -> None:
    """What each source says of the sitting, and who recorded it."""
    told = found(crowd, "disagreements", MINE, THEIRS)
    assert {(row["source"], row["actor"], row["says"]) for row in told} >= {
        ("urn:other", "feed", "passed"),
    }
    assert {row["registration_id"] for row in told} == {"R-1"}
    assert all("Two sources disagree about R-1" in row["disagreement"] for row in told)


@pytest.mark.parametrize(
    "lines",
    [
        (MINE,),
        (MINE, recorded_by("feed", MINE, "urn:other")),
        (MINE, THEIRS, annulled("R-1/result", on="2021-04-03")),
    ],
    ids=["one source", "two that agree", "one that was annulled"],
)
def test_who_agrees_is_not_told(crowd: Ledgers, lines: tuple[Line, ...]) -> None:
    """Nor is what was annulled."""
    assert found(crowd, "disagreements", *lines) == []


def test_of_another_candidate_or_exam_nothing_is_told(crowd: Ledgers) -> None:
    """The conditions are kept to."""
    assert found(crowd, "disagreements", MINE, THEIRS, candidate="C-2") == []
    assert found(crowd, "disagreements", MINE, THEIRS, exam="AZ-900") == []


def test_who_was_forgotten_is_told_with_what_was_erased(crowd: Ledgers) -> None:
    """How many personal fields can no longer be read; a candidate without any counts none."""
    asked = requested("AZ-104", on="2021-04-02", reg="R-1", first_name="Ann", email="a@example.org")
    told = found(crowd, "forgotten", MINE, asked, forgotten(on="2021-05-01"))
    assert [(row["candidate"], row["events"], row["fields"]) for row in told] == [("C-1", 1, 2)]
    assert found(crowd, "forgotten", MINE) == []
