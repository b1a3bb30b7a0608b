"""The lines of the demo's history: facts with the instant at which each became known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

RESULTS_FEED = "results-feed"
CREDENTIALS_FEED = "credentials-feed"
DESK = "exam-desk"


def at(text: str) -> datetime:
    """Read `2021-04-06T09:00` as that instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def show(instant: datetime) -> str:
    """Write an instant as the ledger does: `Z`, and six decimals only when they are not zero."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Line:
    """One CloudEvents line: `time` is when it was true, `recorded` when it became known."""

    recorded: datetime
    type: str
    source: str
    id: str
    subject: str
    time: datetime
    actor: str
    data: dict[str, Any]

    def text(self) -> str:
        """Give the line as compact JSON, members in the order in which the ledger exports them."""
        members = {
            "specversion": "1.0",
            "type": self.type,
            "source": self.source,
            "id": self.id,
            "subject": self.subject,
            "time": show(self.time),
            "recordedtime": show(self.recorded),
            "actor": self.actor,
            "data": self.data,
        }
        return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Sitting:
    """One sitting as a testing centre reports it; `result_at` None: known as it ended."""

    candidate: str
    exam: str
    registration_id: str
    source: str
    started_at: datetime
    ended_at: datetime
    delivery: str  # live | beta
    outcome: str  # pass | fail | pending
    result_at: datetime | None
    score: int | None

    def row(self) -> list[str]:
        """Return the row of the results CSV, in the column order of COLUMNS."""
        return [
            self.candidate,
            self.exam,
            self.registration_id,
            show(self.started_at),
            show(self.ended_at),
            self.delivery,
            self.outcome,
            "" if self.result_at is None or self.outcome == "pending" else show(self.result_at),
            "" if self.score is None or self.outcome == "pending" else str(self.score),
            self.source,
        ]

    def attempted(self, recorded: datetime) -> Line:
        """Return the ExamAttempted that the row of this sitting would become too."""
        data = {
            "exam": self.exam,
            "registration_id": self.registration_id,
            "delivery": self.delivery,
            "ended_at": show(self.ended_at),
        }
        return self._line(recorded, "ExamAttempted", "attempted", self.started_at, data)

    def result(self, recorded: datetime) -> Line:
        """Return the result that the row of this sitting would become too; it must have one."""
        if self.outcome == "pending":
            raise ValueError(f"{self.registration_id} is pending: it has no result")
        when = self.result_at or self.ended_at
        data: dict[str, Any] = {"exam": self.exam, "registration_id": self.registration_id}
        if self.delivery == "beta":
            data["passed"] = self.outcome == "pass"
        if self.score is not None:
            data["score"] = self.score
        live = "ExamPassed" if self.outcome == "pass" else "ExamFailed"
        name = "BetaRescored" if self.delivery == "beta" else live
        return self._line(recorded, name, "result", when, data)

    def _line(
        self, recorded: datetime, name: str, kind: str, when: datetime, data: dict[str, Any]
    ) -> Line:
        ident = f"{self.registration_id}/{kind}"
        return Line(recorded, name, self.source, ident, self.candidate, when, RESULTS_FEED, data)


COLUMNS = (
    "candidate_id",
    "exam",
    "registration_id",
    "started_at",
    "ended_at",
    "delivery",
    "outcome",
    "result_at",
    "score",
    "source",
)


def certified(
    name: str,
    candidate: str,
    certification: str,
    number: int,
    when: datetime,
    expires_at: datetime | None = None,
    *,
    recorded: datetime | None = None,
) -> Line:
    """Return a CertEarned, CertRenewed or CertExpired, known ten minutes later unless said."""
    data: dict[str, Any] = {"certification": certification}
    if name != "CertExpired":
        data["expires_at"] = None if expires_at is None else show(expires_at)
    ident = f"{candidate}/{certification}/{number}"
    recorded = recorded or when + timedelta(minutes=10)
    return Line(recorded, name, "urn:credentials", ident, candidate, when, CREDENTIALS_FEED, data)
