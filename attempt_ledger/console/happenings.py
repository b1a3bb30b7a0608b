"""Events as a page words them: what happened, in a few words, and how it turned out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ledger.cloudevents import to_cloudevent
from ledger.events import Recorded


class Happening(NamedTuple):
    """An event, worded."""

    position: int
    occurred_at: int
    recorded_at: int
    what: str
    kind: str
    """How it is coloured: passed, failed, pending, granted, plain."""
    actor: str
    source: str
    id: str
    payload: str
    """The CloudEvent, indented; personal fields as ciphertext."""
    annulled_at: int | None
    """The position of its annulment, if that is known."""
    is_known: bool
    """Whether it was recorded by the page's known_at."""
    is_true: bool
    """Whether it was true by the page's as_of."""


def happening(row: Recorded, annulled: Mapping[int, int], position: int, as_of: int) -> Happening:
    """Word an event, for a page at (as_of, position)."""
    what, kind = worded(row)
    by = annulled.get(row.position)
    return Happening(
        row.position, row.occurred_at, row.recorded_at, what, kind, row.actor or "", row.source,
        row.id, json.dumps(json.loads(to_cloudevent(row)), indent=1, ensure_ascii=False),
        by if by is not None and by <= position else None,
        row.position <= position, row.occurred_at <= as_of,
    )  # fmt: skip


def worded(row: Recorded) -> tuple[str, str]:
    """Return what happened in a few words, and how it is coloured."""
    data = row.payload()
    if row.type in _WORDS:
        return _WORDS[row.type](row, data)
    return row.type, "plain"


def _score(data: Mapping[str, Any]) -> str:
    return "" if data.get("score") is None else f" {data['score']:g}"


def _attempted(row: Recorded, data: Mapping[str, Any]) -> tuple[str, str]:
    beta = " in beta" if data["delivery"] == "beta" else ""
    return f"Began {row.exam}{beta}, {row.key}", "plain"


def _result(word: str) -> Callable[[Recorded, Mapping[str, Any]], tuple[str, str]]:
    return lambda row, data: (f"{word.capitalize()} {row.exam}{_score(data)}, {row.key}", word)


def _rescored(row: Recorded, data: Mapping[str, Any]) -> tuple[str, str]:
    word = "passed" if data["passed"] else "failed"
    return f"Beta result: {word} {row.exam}{_score(data)}, {row.key}", word


def _granted(row: Recorded, data: Mapping[str, Any]) -> tuple[str, str]:
    return f"Exception {row.key} granted for {row.exam}: {', '.join(data['waives'])}", "granted"


def _plain(text: str) -> Callable[[Recorded, Mapping[str, Any]], tuple[str, str]]:
    def word(row: Recorded, data: Mapping[str, Any]) -> tuple[str, str]:
        names = {"exam": row.exam, "key": row.key, "reason": data.get("reason") or "no reason"}
        return text.format(**names), "plain"

    return word


_WORDS: Final[Mapping[str, Callable[[Recorded, Mapping[str, Any]], tuple[str, str]]]] = {
    "ExamAttempted": _attempted,
    "ExamPassed": _result("passed"),
    "ExamFailed": _result("failed"),
    "BetaRescored": _rescored,
    "ResultRevoked": _plain("Result of {key} revoked: {reason}"),
    "SittingMissed": _plain("Missed {exam}, {key}"),
    "AuthorizationGranted": lambda row, data: (
        f"Authorized for {row.exam}, {data['authorization_id']}",
        "granted",
    ),
    "AuthorizationRevoked": _plain("Authorization for {exam} revoked: {reason}"),
    "ExceptionRequested": _plain("Exception {key} requested for {exam}"),
    "ExceptionRejected": _plain("Exception {key} rejected for {exam}"),
    "ExceptionGranted": _granted,
    "ExceptionRevoked": _plain("Exception {key} revoked: {reason}"),
    "CertEarned": _plain("Certification {key} earned"),
    "CertRenewed": _plain("Certification {key} renewed"),
    "CertExpired": _plain("Certification {key} expired"),
    "CandidateForgotten": _plain("Personal data erased"),
    "EventAnnulled": _plain("An earlier event annulled: {reason}"),
}
