"""Facts and clocks for the tests of the ledger: a sample of every event, strategies, workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ledger.cloudevents import to_cloudevent
from ledger.facts import Fact
from ledger.instants import parse_instant
from ledger.ledger import Ledger
from ledger.models import EVENT_TYPES, make_event
from ledger.outcomes import Outcome

GOLDEN = Path(__file__).parent / "golden"
NOW = parse_instant("2021-04-01T00:00:00Z")
NINE = parse_instant("2021-03-01T09:00:00Z")

MINIMAL: dict[str, dict[str, Any]] = {
    "ExamAttempted": {"exam": "AZ-104", "registration_id": "R-77", "delivery": "live"},
    "ExamPassed": {"exam": "AZ-104", "registration_id": "R-77"},
    "ExamFailed": {"exam": "AZ-104", "registration_id": "R-77"},
    "BetaRescored": {"exam": "AZ-104", "registration_id": "R-77", "passed": True},
    "ResultRevoked": {"exam": "AZ-104", "registration_id": "R-77", "reason": "proctor's report"},
    "SittingMissed": {"exam": "AZ-104", "registration_id": "R-77"},
    "AuthorizationGranted": {"exam": "AZ-104", "authorization_id": "A-1"},
    "AuthorizationRevoked": {"exam": "AZ-104", "authorization_id": "A-1", "reason": "refunded"},
    "ExceptionRequested": {
        "request_id": "Q-1",
        "exam": "AZ-104",
        "registration_id": "R-77",
        "reason": "lab-crash",
    },
    "ExceptionRejected": {"request_id": "Q-1", "exam": "AZ-104", "missing": ["email"], "why": "…"},
    "ExceptionGranted": {"request_id": "Q-1", "exam": "AZ-104", "waives": ["wait"]},
    "ExceptionRevoked": {"request_id": "Q-1", "exam": "AZ-104", "reason": "granted twice"},
    "CertEarned": {"certification": "azure-administrator-associate"},
    "CertRenewed": {"certification": "azure-administrator-associate"},
    "CertExpired": {"certification": "azure-administrator-associate"},
    "CandidateForgotten": {},
    "EventAnnulled": {
        "annuls": {"source": "urn:vue", "id": "R-77/result"},
        "reason": "another candidate's",
    },
    "ExamAnnounced": {"title": "Microsoft Azure Administrator", "policy": "general"},
    "ExamWentLive": {},
    "ExamRetired": {},
    "CertificationDefined": {"title": "Azure Administrator Associate", "exams": ["AZ-104"]},
    "PolicyPublished": {"toml": 'id = "general"\n'},
}
"""The least each type may say, in the order of spec section 2."""

FULL: dict[str, dict[str, Any]] = {
    "ExamAttempted": {"ended_at": "2021-03-01T10:41:07.25Z", "delivery": "beta"},
    "ExamPassed": {"score": 700},
    "ExamFailed": {"score": 699.5},
    "BetaRescored": {"score": 812},
    "SittingMissed": {"reason": "no-show"},
    "AuthorizationGranted": {
        "valid_until": "2022-03-01T00:00:00Z",
        "sittings": 3,
        "reason": "application approved",
    },
    "ExceptionRequested": {
        "exam_number": "AZ-104",
        "vue_case_number": "0815",
        "candidate_id": "C-1001",
        "first_name": "Zoë",
        "last_name": "O’Neill",
        "email": "zoe@example.org",
        "description": 'The lab went "black"\nafter 20 minutes.',
    },
    "ExceptionGranted": {
        "waives": ["wait", "cap", "passed"],
        "valid_until": "2021-06-01T00:00:00Z",
    },
    "CertEarned": {"expires_at": "2023-03-01T00:00:00Z", "exams": ["AZ-104", "AZ-500"]},
    "CertRenewed": {"expires_at": "2024-03-01T00:00:00Z", "exams": []},
    "ExamAnnounced": {
        "beta_opens_at": "2020-03-02T00:00:00Z",
        "live_at": "2020-04-07T00:00:00Z",
        "retires_at": "2026-01-31T00:00:00Z",
    },
}
"""What each may say besides."""

SUBJECTS = {
    "candidate": "C-1001",
    "any": "C-1001",
    "exam": "AZ-104",
    "certification": "azure-administrator-associate",
    "policy": "general",
}


def sample(
    type: str, id: str = "R-77/it", *, full: bool = False, time: int = NINE, **changes: Any
) -> Fact:
    """Return a well-formed fact of a type; keyword arguments replace single data fields."""
    data = {**MINIMAL[type], **(FULL.get(type, {}) if full else {}), **changes}
    event = make_event(type, data)
    return Fact("urn:vue", id, SUBJECTS[event.stream_kind], time, event, "results-feed")


def attempted(n: int = 1, *, candidate: str = "C-1", time: int = NINE, **changes: Any) -> Fact:
    """Return the nth ExamAttempted of a candidate."""
    data = {**MINIMAL["ExamAttempted"], "registration_id": f"R-{n}", **changes}
    return Fact(
        "urn:vue", f"R-{n}/attempted", candidate, time, make_event("ExamAttempted", data), "feed"
    )


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@contextmanager
def a_ledger(
    folder: Path, name: str = "a", *, clock: Callable[[], int] | None = None, **settings: Any
) -> Iterator[Ledger]:
    """Make a ledger in a folder, or open the one that is there; close it at the end."""
    path = folder / f"{name}.ledger"
    enter = Ledger.open if path.exists() else Ledger.create
    with enter(path, clock=clock or SetClock(), **settings) as ledger:
        yield ledger


def exported(ledger: Ledger) -> list[str]:
    """Return the ledger as CloudEvents lines."""
    return [to_cloudevent(row) for row in ledger.read()]


def kinds(outcomes: list[Outcome]) -> list[str]:
    """Name the outcomes."""
    return [type(outcome).__name__ for outcome in outcomes]


def json_data(fact: Fact) -> dict[str, Any]:
    """Return a fact's data as JSON values."""
    data: dict[str, Any] = json.loads(fact.event.to_json())
    return data


# -- strategies: few ids, so that the same again and the different again both come up

_codes = st.sampled_from(["AZ-104", "MO-200", "98-349", "日本語", 'a"b\\c'])
_instants = st.integers(
    parse_instant("2019-01-01T00:00:00Z"), parse_instant("2021-03-31T00:00:00Z")
)
_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_scores = st.one_of(st.integers(0, 1000), st.floats(0, 1000, allow_nan=False))


def _data(type: str) -> st.SearchStrategy[dict[str, Any]]:
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, value in MINIMAL[type].items():
        fields[name] = _values(name, value)
    optional = {
        name: _values(name, value)
        for name, value in FULL.get(type, {}).items()
        if name not in MINIMAL[type]
    }
    return st.fixed_dictionaries(fields, optional=optional)


def _values(name: str, value: Any) -> st.SearchStrategy[Any]:
    match name:
        case "score":
            return _scores
        case (
            "exam"
            | "registration_id"
            | "authorization_id"
            | "request_id"
            | "certification"
            | "policy"
        ):
            return _codes
        case "exams":
            return st.lists(_codes, max_size=3)
        case "delivery":
            return st.sampled_from(["live", "beta"])
        case "waives":
            return st.lists(st.sampled_from(["wait", "cap", "passed"]), unique=True)
        case "sittings":
            return st.integers(1, 4)
        case "missing":
            return st.lists(_texts, max_size=3)
        case "passed":
            return st.booleans()
        case "annuls":
            return st.just(value)
        case "ended_at" | "valid_until" | "expires_at" | "beta_opens_at" | "live_at" | "retires_at":
            return st.just(value)
        case _:
            return _texts


@st.composite
def facts(draw: st.DrawFn) -> Fact:
    """Draw a well-formed fact of any type, with few different ids."""
    type = draw(st.sampled_from(list(EVENT_TYPES)))
    event = make_event(type, draw(_data(type)))
    subject = "C-1" if event.stream_kind == "any" else draw(st.sampled_from(["C-1", "C-2"]))
    time, until = draw(_instants), event.columns(subject)[3]
    return Fact(
        "urn:vue",
        draw(st.sampled_from(["R-77/result", "b", "c", "d", "é ü", 'f"'])),
        subject,
        time if until is None else min(time, until - 1),
        event,
        draw(st.none() | _codes),
    )
