"""The demo's named candidates: fixed sittings, each telling one story of README.md.

The answers that the rules give are in questions.json; whoever edits a date here edits them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from facts import DESK, Line, Sitting, at, certified, show

# SC-100 went live a week after the date that the catalogue had planned.
WENT_LIVE = {"SC-100": at("2022-06-13T00:00")}

# The feed takes a sitting in some minutes after its end, and the result a little later.
_ATTEMPT_LAG = timedelta(minutes=4, seconds=12, microseconds=345_678)
_RESULT_LAG = timedelta(minutes=6, seconds=40, microseconds=90_210)


def stories() -> Iterator[Line]:
    """Yield every story's lines, in no particular order."""
    yield from _catalogue()
    for tell in (
        _waits,
        _reaches_the_cap,
        _passes_a_beta,
        _is_corrected,
        _lapses,
        _is_granted_an_exception,
        _is_refused_an_exception,
        _is_revoked,
        _hears_nothing_of_a_beta,
        _passes_mos_and_sits_again,
        _breaks_the_rules,
        _has_a_late_result,
        _is_scored_again,
        _loses_an_exception,
    ):
        yield from tell()


def _catalogue() -> Iterator[Line]:
    for exam, when in WENT_LIVE.items():
        recorded = when + timedelta(hours=7)
        source = "urn:attempt-ledger:catalogue"
        yield Line(
            recorded, "ExamWentLive", source, f"exam/{exam}/live", exam, when, "catalogue", {}
        )


def _waits() -> Iterator[Line]:
    """Fails twice, waits fourteen days, passes, and renews the certification in time."""
    yield from _sat("C-1001", "AZ-104", "R-10011", "2021-04-06T09:00", 110, "fail", 612)
    yield from _sat("C-1001", "AZ-104", "R-10012", "2021-04-08T13:30", 95, "fail", 655)
    yield from _sat("C-1001", "AZ-104", "R-10013", "2021-05-04T09:00", 100, "pass", 748)
    held = ("C-1001", "azure-administrator-associate")
    yield certified("CertEarned", *held, 1, at("2021-05-05T02:00"), at("2023-05-05"))
    yield certified("CertRenewed", *held, 2, at("2023-02-14T10:20"), at("2024-05-05"))


def _reaches_the_cap() -> Iterator[Line]:
    """Fails five times in ten weeks, keeping every wait; passes in the next period."""
    yield from _sat("C-1002", "AZ-500", "R-10021", "2021-09-06T08:00", 120, "fail", 540)
    yield from _sat("C-1002", "AZ-500", "R-10022", "2021-09-08T08:00", 115, "fail", 571)
    yield from _sat("C-1002", "AZ-500", "R-10023", "2021-09-27T08:00", 118, "fail", 602)
    yield from _sat("C-1002", "AZ-500", "R-10024", "2021-10-18T08:00", 120, "fail", 640)
    yield from _sat("C-1002", "AZ-500", "R-10025", "2021-11-15T10:00", 117, "fail", 683)
    yield from _sat("C-1002", "AZ-500", "R-10026", "2022-09-12T08:00", 104, "pass", 731)
    held = ("C-1002", "azure-security-engineer-associate")
    yield certified("CertEarned", *held, 1, at("2022-09-13T02:00"), at("2023-09-13"))


def _passes_a_beta() -> Iterator[Line]:
    """Sits AZ-700 in beta; the rescore comes eight days after the exam is live."""
    sitting = _sitting("C-1003", "AZ-700", "R-10031", "2021-08-18T14:00", 150, "pass", 721)
    rescored = replace(sitting, delivery="beta", result_at=at("2021-11-02T16:00"))
    yield rescored.attempted(rescored.ended_at + _ATTEMPT_LAG)
    yield rescored.result(at("2021-11-03T06:10:22.480116"))
    held = ("C-1003", "azure-network-engineer-associate")
    yield certified("CertEarned", *held, 1, at("2021-11-03T06:30"), at("2022-11-03"))


def _is_corrected() -> Iterator[Line]:
    """Has a pass recorded as a fail; eight days later the fail is annulled and the pass entered."""
    who = ("C-1004", "MS-900")
    yield from _sat(*who, "R-10041", "2022-03-07T10:00", 50, "fail", 640, source="urn:onvue")
    yield from _sat(*who, "R-10042", "2022-03-09T10:00", 55, "fail", 655, source="urn:onvue")
    yield Line(
        at("2022-03-17T08:50:41.207733"),
        "EventAnnulled",
        "urn:desk",
        "R-10042/result/annulled",
        "C-1004",
        at("2022-03-17T08:50"),
        DESK,
        {
            "annuls": {"source": "urn:onvue", "id": "R-10042/result"},
            "reason": "the score report of another seat was sent for this registration",
        },
    )
    yield _passed_after_all(
        *who, "R-10042", "urn:onvue", 755, "2022-03-09T10:55", recorded="2022-03-17T08:52:03.915520"
    )
    yield certified("CertEarned", "C-1004", "m365-fundamentals", 1, at("2022-03-18T02:00"))


def _lapses() -> Iterator[Line]:
    """Passes, lets the certification lapse, and sits again afterwards."""
    yield from _sat("C-1005", "AZ-104", "R-10051", "2021-07-12T09:00", 105, "pass", 702)
    held = ("C-1005", "azure-administrator-associate")
    yield certified("CertEarned", *held, 1, at("2021-07-13T02:00"), at("2022-07-13"))
    yield certified("CertExpired", *held, 2, at("2022-07-13"))
    yield from _sat("C-1005", "AZ-104", "R-10052", "2022-09-05T09:00", 100, "fail", 688)


def _is_granted_an_exception() -> Iterator[Line]:
    """Loses the second sitting to a lab crash, and need not wait for the third."""
    yield from _sat("C-1006", "DP-203", "R-10061", "2022-02-01T09:00", 108, "fail", 633)
    yield from _sat("C-1006", "DP-203", "R-10062", "2022-02-03T09:00", 35, "fail", 310)
    yield _desk(
        "ExceptionRequested",
        "C-1006",
        "X-3001",
        "2022-02-04T08:15",
        {
            "exam": "DP-203",
            "registration_id": "R-10062",
            "reason": "lab-crash",
            "exam_number": "DP-203",
            "vue_case_number": "VUE-08814417",
            "candidate_id": "C-1006",
            "first_name": "Robin",
            "last_name": "Sample",
            "email": "robin.sample@example.org",
            "description": "The lab stopped answering after half an hour and did not come back.",
        },
    )
    yield _desk(
        "ExceptionGranted",
        "C-1006",
        "X-3001",
        "2022-02-07T15:00",
        {"exam": "DP-203", "waives": ["wait"], "valid_until": show(at("2022-03-07"))},
    )
    yield from _sat("C-1006", "DP-203", "R-10063", "2022-02-09T09:00", 101, "pass", 733)
    held = ("C-1006", "azure-data-engineer-associate")
    yield certified("CertEarned", *held, 1, at("2022-02-10T02:00"), at("2023-02-10"))


def _is_refused_an_exception() -> Iterator[Line]:
    """Asks for an exception but leaves out two of the required fields."""
    yield from _sat("C-1007", "AZ-900", "R-10071", "2021-10-04T15:00", 48, "fail", 588)
    yield from _sat("C-1007", "AZ-900", "R-10072", "2021-10-06T15:00", 44, "fail", 610)
    yield _desk(
        "ExceptionRequested",
        "C-1007",
        "X-3002",
        "2021-10-07T11:05",
        {
            "exam": "AZ-900",
            "registration_id": "R-10072",
            "reason": "internet-connectivity",
            "exam_number": "AZ-900",
            "candidate_id": "C-1007",
            "first_name": "Kim",
            "last_name": "Example",
            "email": "kim.example@example.org",
        },
    )
    yield _desk(
        "ExceptionRejected",
        "C-1007",
        "X-3002",
        "2021-10-07T11:06",
        {
            "exam": "AZ-900",
            "missing": ["description", "vue_case_number"],
            "why": "description and vue_case_number are required and missing",
        },
    )


def _is_revoked() -> Iterator[Line]:
    """Passes, and has the result revoked two weeks later."""
    yield from _sat(
        "C-1008", "98-388", "CP-20081", "2021-11-15T10:00", 46, "pass", 780, source="urn:certiport"
    )
    yield Line(
        at("2021-11-30T12:04:19.660271"),
        "ResultRevoked",
        "urn:certiport",
        "CP-20081/revoked",
        "C-1008",
        at("2021-11-30T12:00"),
        DESK,
        {
            "exam": "98-388",
            "registration_id": "CP-20081",
            "reason": "the candidate agreement was breached",
        },
    )


def _hears_nothing_of_a_beta() -> Iterator[Line]:
    """Sits SC-100 in beta; no rescore ever comes; sits it live and fails."""
    sitting = _sitting("C-1009", "SC-100", "R-10091", "2022-04-20T13:00", 150, "pending", None)
    beta = replace(sitting, delivery="beta")
    yield beta.attempted(beta.ended_at + _ATTEMPT_LAG)
    yield from _sat("C-1009", "SC-100", "R-10092", "2022-07-04T13:00", 112, "fail", 667)


def _passes_mos_and_sits_again() -> Iterator[Line]:
    """Passes an Office exam and takes it again the next day, as that policy allows."""
    who = ("C-1010", "MO-200")
    yield from _sat(*who, "CP-20101", "2022-05-10T10:00", 50, "pass", 812, source="urn:certiport")
    yield from _sat(*who, "CP-20102", "2022-05-11T10:00", 49, "fail", 690, source="urn:certiport")


def _breaks_the_rules() -> Iterator[Line]:
    """Comes an hour early for the fourth sitting, and sits a sixth time within the period."""
    for number, (day, score) in enumerate(
        (
            ("2021-02-01T09:00", 512),
            ("2021-02-03T09:00", 530),
            ("2021-02-10T09:00", 566),
            ("2021-02-17T08:00", 590),
            ("2021-03-01T09:00", 633),
            ("2021-03-15T09:00", 655),
        ),
        start=1,
    ):
        yield from _sat(
            "C-1011", "98-361", f"CP-2011{number}", day, 45, "fail", score, source="urn:certiport"
        )


def _has_a_late_result() -> Iterator[Line]:
    """Fails, but the ledger hears of the result only six days later."""
    sitting = _sitting("C-1012", "AZ-900", "R-10121", "2022-01-12T09:00", 50, "fail", 598)
    yield sitting.attempted(sitting.ended_at + _ATTEMPT_LAG)
    yield sitting.result(at("2022-01-18T07:30:55.001204"))


def _is_scored_again() -> Iterator[Line]:
    """Fails; a review of the score makes it a pass, true from the day of the review."""
    yield from _sat("C-1013", "AZ-500", "R-10131", "2022-05-16T09:00", 110, "fail", 694)
    yield _passed_after_all(
        "C-1013",
        "AZ-500",
        "R-10131",
        "urn:vue",
        706,
        "2022-05-24T12:00",
        recorded="2022-05-24T12:21:37.554018",
    )
    held = ("C-1013", "azure-security-engineer-associate")
    yield certified("CertEarned", *held, 1, at("2022-05-25T02:00"), at("2023-05-25"))


def _loses_an_exception() -> Iterator[Line]:
    """Is granted an exception that is withdrawn before it is used."""
    yield from _sat("C-1014", "AZ-900", "R-10141", "2023-01-09T09:00", 47, "fail", 604)
    yield from _sat("C-1014", "AZ-900", "R-10142", "2023-01-11T09:00", 12, "fail", 205)
    yield _desk(
        "ExceptionRequested",
        "C-1014",
        "X-3003",
        "2023-01-12T16:40",
        {
            "exam": "AZ-900",
            "registration_id": "R-10142",
            "reason": "equipment-failure",
            "exam_number": "AZ-900",
            "vue_case_number": "VUE-09920335",
            "candidate_id": "C-1014",
            "first_name": "Alex",
            "last_name": "Placeholder",
            "email": "alex.placeholder@example.org",
            "description": "The screen of the workstation went dark and stayed dark.",
        },
    )
    yield _desk(
        "ExceptionGranted",
        "C-1014",
        "X-3003",
        "2023-01-13T10:00",
        {"exam": "AZ-900", "waives": ["wait", "cap"]},
    )
    yield _desk(
        "ExceptionRevoked",
        "C-1014",
        "X-3003",
        "2023-01-16T09:00",
        {"exam": "AZ-900", "reason": "the test centre's log shows no failure of the equipment"},
    )


def _sitting(
    candidate: str,
    exam: str,
    registration: str,
    start: str,
    minutes: int,
    outcome: str,
    score: int | None,
    source: str = "urn:vue",
) -> Sitting:
    started = at(start)
    ended = started + timedelta(minutes=minutes)
    return Sitting(
        candidate, exam, registration, source, started, ended, "live", outcome, None, score
    )


def _sat(
    candidate: str,
    exam: str,
    registration: str,
    start: str,
    minutes: int,
    outcome: str,
    score: int,
    source: str = "urn:vue",
) -> Iterator[Line]:
    """Yield a live sitting whose result was there at its end and known minutes later."""
    sitting = _sitting(candidate, exam, registration, start, minutes, outcome, score, source)
    yield sitting.attempted(sitting.ended_at + _ATTEMPT_LAG)
    yield sitting.result(sitting.ended_at + _RESULT_LAG)


def _passed_after_all(
    candidate: str,
    exam: str,
    registration: str,
    source: str,
    score: int,
    when: str,
    *,
    recorded: str,
) -> Line:
    """Return a second result, named as `import --corrections` names it."""
    data: dict[str, Any] = {"exam": exam, "registration_id": registration, "score": score}
    ident = f"{registration}/result/2"
    return Line(at(recorded), "ExamPassed", source, ident, candidate, at(when), DESK, data)


def _desk(name: str, candidate: str, request: str, when: str, data: dict[str, Any]) -> Line:
    """Return an event of the exceptions desk, known within the minute."""
    moment = at(when)
    ident = f"{request}/{name.removeprefix('Exception').lower()}"
    recorded = moment + timedelta(seconds=31, microseconds=118_204)
    return Line(
        recorded, name, "urn:desk", ident, candidate, moment, DESK, {"request_id": request, **data}
    )
