"""Plain `eventsourcing`: a candidate as an aggregate, on its own SQLite recorder.

Its defaults throughout: JSON transcoding, WAL, and SQLite's own `synchronous`, which is FULL.
Instants are whole microseconds, not datetimes, which its transcoder would take longer over.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Candidate(Aggregate):
    """A candidate with the sittings of one or several exams."""

    @event("Registered")
    def __init__(self, name: str) -> None:
        self.name = name
        self.sittings: dict[str, dict[str, Any]] = {}

    @event("Attempted")
    def attempt(
        self, exam: str, registration_id: str, delivery: str, at: int, ended_at: int | None
    ) -> None:
        self.sittings[registration_id] = {"exam": exam, "at": at, "ended": ended_at, "passed": None}

    @event("Passed")
    def passed(self, exam: str, registration_id: str, at: int, score: int | None) -> None:
        self.sittings.setdefault(registration_id, {"exam": exam, "at": at})["passed"] = True

    @event("Failed")
    def failed(self, exam: str, registration_id: str, at: int, score: int | None) -> None:
        self.sittings.setdefault(registration_id, {"exam": exam, "at": at})["passed"] = False

    @event("Noted")
    def note(self, what: str, key: str | None, at: int, until: int | None) -> None:
        """Take in what happens to few."""


class Candidates(Application[UUID]):
    """The application that keeps them."""


def application(path: Path) -> Candidates:
    """Open the application on an SQLite file, made if it is not there."""
    return Candidates(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(path),
            "SQLITE_LOCK_TIMEOUT": "10",
        }
    )


def tell(candidate: Candidate, row: Any) -> None:
    """Trigger on a candidate what a row of the ledger says."""
    topic = row.topic
    if topic.startswith("ExamAttempted"):
        delivery = "beta" if row.flag else "live"
        candidate.attempt(row.exam, row.key, delivery, row.occurred_at, row.until)
    elif topic.startswith("ExamPassed") or (topic.startswith("BetaRescored") and row.flag):
        candidate.passed(row.exam, row.key, row.occurred_at, 700)
    elif topic.startswith(("ExamFailed", "BetaRescored")):
        candidate.failed(row.exam, row.key, row.occurred_at, 500)
    else:
        candidate.note(topic, row.key, row.occurred_at, row.until)


def save_all(app: Candidates, rows: Iterable[Any], known: dict[str, Candidate]) -> None:
    """Take in a batch of rows and save it in one transaction; `known` are those met before."""
    changed: dict[str, Candidate] = {}
    for row in rows:
        candidate = known.get(row.stream)
        if candidate is None:
            candidate = known[row.stream] = Candidate(row.stream)
        tell(candidate, row)
        changed[row.stream] = candidate
    app.save(*changed.values())
