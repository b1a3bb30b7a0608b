"""Decisions on exceptions, each held against the rule and the facts as they were known then."""

from __future__ import annotations

from typing import Any

import pytest
from auditing import ids, recorded_by, rows
from example_ledger import Ledgers
from plain_values import at
from scenarios import (
    Line,
    annulled,
    attempted,
    exam,
    failed,
    forgotten,
    granted,
    passed,
    policy,
    rejected,
    requested,
    result,
    withdrawn,
)

from replay.snapshot import Known
from retake_policies import shipped
from retake_policies.schema import parse_policy

GENERAL = dict(shipped())["general"]
SHA256 = parse_policy(GENERAL, "general").sha256

WHOLE: dict[str, str] = {
    "first_name": "Zoë", "last_name": "Quandt", "candidate_id": "C-1", "email": "z@example.org",
    "exam_number": "AZ-104", "description": "the screen went dark", "vue_case_number": "V-1",
}  # fmt: skip
FAILED = failed("AZ-104", on="2021-04-01T09:00Z", reg="R-1")
NEXT = failed("AZ-104", on="2021-04-03T09:00Z", reg="R-2")
ASKED = requested("AZ-104", on="2021-04-04T09:00Z", reg="R-2", **WHOLE)
GRANTED = granted("AZ-104", on="2021-04-05T09:00Z")
GRANT = at("2021-04-05T09:00Z")


def decisions(crowd: Ledgers, *lines: Line, **asked: Any) -> list[dict[str, Any]]:
    """Return the decisions of a story."""
    return rows(crowd.told(exam("AZ-104"), *lines).ledger, "exceptions", **asked)


def test_a_decision_is_told_with_request_rule_and_facts(crowd: Ledgers) -> None:
    """All of it as it was known when it was made."""
    (row,) = decisions(crowd, FAILED, NEXT, ASKED, recorded_by("desk", GRANTED))
    position = row["position"]
    assert row == row | {
        "decision": "granted", "actor": "desk", "candidate": "C-1", "exam": "AZ-104",
        "request_id": "X-1", "decided_at": GRANT, "waives": "wait", "why": None,
        "request_position": position - 1, "requested_at": at("2021-04-04T09:00Z"),
        "registration_id": "R-2", "reason": "lab-crash", "state_before": "open",
        "policy": "general", "policy_effective_from": at("2021-03-31"), "policy_assumed": False,
        "policy_sha256": SHA256, "asked_under_sha256": None, "may_waive": "wait cap",
        "accepted_reasons": "lab-crash internet-connectivity equipment-failure",
        "sitting_started_at": at("2021-04-03T09:00Z"), "sitting_outcome": "failed",
        "status": "waiting", "reasons": "waiting", "eligible_from": at("2021-04-17T09:00Z"),
        "missing": None, "wrong": None, "agrees": "yes", "clause": "exception.waives",
        "against": None, "used_by": None, "used_at": None, "annulled_by": None,
    }  # fmt: skip
    assert row["required"].split()[:2] == ["first_name", "last_name"]


CALM = """
id = "calm"
effective_from = 2021-01-01T00:00:00Z
[exception]
waives = ["wait"]
reasons = ["lab-crash"]
required = ["vue_case_number"]
"""
LATER = result("AZ-104", reg="R-2", on="2021-04-03T10:00Z", passed=True)
BEGAN = attempted("AZ-104", on="2021-04-03T09:00Z", reg="R-2")


@pytest.mark.parametrize(
    ("lines", "agrees", "clause", "against"),
    [
        # Everything filled in, the sitting failed, nothing decided yet.
        ([FAILED, NEXT, ASKED, GRANTED], "yes", "exception.waives", None),
        # Nobody asked.
        ([FAILED, NEXT, GRANTED], "no", "exception.waives", "nobody had requested it"),
        # Nobody asked, and it waives what the policy does not let be waived.
        ([policy(CALM), exam("AZ-1", policy="calm"), failed("AZ-1", on="2021-04-03T09:00Z"),
          granted("AZ-1", on=GRANT, waives=["wait", "cap"])],
         "no", "exception.waives", "the policy does not let cap be waived"),
        # All of it at once: the clauses are named together.
        ([policy(CALM), exam("AZ-1", policy="calm"), failed("AZ-1", on=GRANT - 2, reg="R-2"),
          requested("AZ-1", on=GRANT - 1, reg="R-2", reason="tired"),
          granted("AZ-1", on=GRANT, waives=["wait", "cap"])],
         "no", "exception.reasons, exception.required, exception.waives",
         "missing; the reason tired is not accepted (accepted are lab-crash); the policy calm of"),
        # What the form requires was left out.
        ([NEXT, requested("AZ-104", on="2021-04-04T09:00Z", reg="R-2"), GRANTED],
         "no", "exception.required", "first_name, last_name"),
        # A reason that is not accepted.
        ([NEXT, requested("AZ-104", on="2021-04-04T09:00Z", reg="R-2", reason="tired", **WHOLE),
          GRANTED],
         "no", "exception.reasons", "the reason tired is not accepted"),
        # A sitting that nobody had.
        ([NEXT, requested("AZ-104", on="2021-04-04T09:00Z", reg="R-9", **WHOLE), GRANTED],
         "no", "registration_id", "R-9 is no sitting of C-1 at AZ-104"),
        # Passed, and that was known.
        ([passed("AZ-104", on="2021-04-03T09:00Z", reg="R-2"), ASKED, GRANTED],
         "no", "registration_id", "it was passed"),
        # Passed, which nobody knew yet: by what was known the result was pending.
        ([BEGAN, ASKED, GRANTED, LATER.recorded("2021-04-06")],
         "no", "registration_id", "its result is pending"),
        # Known failed then; that it was passed came later, and is not held against the desk.
        ([NEXT, ASKED, GRANTED, LATER.recorded("2021-04-06")], "yes", "exception.waives", None),
        # It had been rejected before.
        ([NEXT, ASKED, rejected("AZ-104", on="2021-04-04T10:00Z"), GRANTED],
         "no", "exception.waives", "was rejected on 2021-04-04T10:00:00Z"),
        # Revoked and granted anew: the desk may.
        ([NEXT, ASKED, granted("AZ-104", on="2021-04-04T10:00Z"),
          withdrawn("AZ-104", on="2021-04-04T11:00Z"), GRANTED], "yes", "exception.waives", None),
        # The request was annulled before.
        ([NEXT, ASKED, annulled("X-1/requested", on="2021-04-04T10:00Z"), GRANTED],
         "no", "exception.waives", "nobody had requested it"),
        # The exam is not in the catalogue.
        ([failed("AZ-999", on="2021-04-03T09:00Z", reg="R-2"),
          requested("AZ-999", on="2021-04-04T09:00Z", reg="R-2", **WHOLE),
          granted("AZ-999", on=GRANT)], "no", "exam", "is not in the catalogue"),
    ],
)  # fmt: skip
def test_a_grant_against_the_rule_is_flagged(
    crowd: Ledgers, lines: list[Line], agrees: str, clause: str, against: str | None
) -> None:
    """By all that speaks against it, as known then."""
    row = next(r for r in reversed(decisions(crowd, *lines)) if r["decided_at"] == GRANT)
    assert row["agrees"] == agrees
    assert clause in row["clause"]
    assert (row["against"] is None) == (against is None)
    assert (against or "") in (row["against"] or "")


NO_CAP = GENERAL.replace('waives = ["wait", "cap"]', 'waives = ["wait"]').replace(
    "effective_from = 2021-03-31", "effective_from = 2021-04-05"
)


@pytest.mark.parametrize(
    ("decided", "agrees"),
    [(at("2021-04-05") - 1, "yes"), (at("2021-04-05"), "no"), (at("2021-04-05") + 1, "no")],
)
def test_what_may_be_waived_is_by_the_policy_in_force_at_the_decision(
    crowd: Ledgers, decided: int, agrees: str
) -> None:
    """A new version lets less be waived from its first instant on."""
    assert NO_CAP != GENERAL
    grant = granted("AZ-104", on=decided, waives=["wait", "cap"])
    (row,) = decisions(crowd, policy(NO_CAP), FAILED, NEXT, ASKED, grant)
    assert row["agrees"] == agrees
    new = parse_policy(NO_CAP, "no cap").sha256
    assert row["policy_sha256"] == (SHA256 if agrees == "yes" else new)
    assert row["may_waive"] == ("wait cap" if agrees == "yes" else "wait")
    if agrees == "no":
        assert "exception.waives" in row["clause"]
        assert "does not let cap be waived" in row["against"]
        assert row["asked_under_sha256"] == SHA256


def test_a_request_is_judged_by_the_policy_of_its_own_day(crowd: Ledgers) -> None:
    """Reasons that were accepted when it was made stay accepted when it is decided."""
    fewer = NO_CAP.replace('waives = ["wait"]', 'waives = ["wait", "cap"]').replace(
        '"lab-crash", ', ""
    )
    assert "lab-crash" not in fewer
    (row,) = decisions(crowd, policy(fewer), FAILED, NEXT, ASKED, GRANTED)
    assert (row["agrees"], row["wrong"]) == ("yes", None)
    assert "lab-crash" in row["accepted_reasons"]
    assert row["asked_under_sha256"] == SHA256
    later = requested("AZ-104", on="2021-04-05T08:00Z", reg="R-2", **WHOLE)
    (row,) = decisions(crowd, policy(fewer), FAILED, NEXT, later, GRANTED)
    assert (row["agrees"], row["asked_under_sha256"]) == ("no", None)


def test_a_policy_published_later_is_not_what_was_known(crowd: Ledgers) -> None:
    """Though it says that it was in force already."""
    late = policy(NO_CAP, on="2021-04-01").recorded("2021-05-01")
    grant = granted("AZ-104", on=GRANT, waives=["wait", "cap"])
    (row,) = decisions(crowd, FAILED, NEXT, ASKED, grant, late)
    assert (row["agrees"], row["policy_sha256"]) == ("yes", SHA256)


BARE = requested("AZ-104", on="2021-04-04T09:00Z", reg="R-2", exam_number="AZ-104")
REJECT = rejected("AZ-104", on=GRANT, missing=["email"])


@pytest.mark.parametrize(
    ("lines", "agrees", "missing"),
    [
        ([NEXT, BARE, REJECT], "yes", "first_name last_name candidate_id email"),
        ([NEXT, ASKED, rejected("AZ-104", on=GRANT)], "open", None),
        # A field of blanks is sealed as it is: only who rejected it could see that.
        ([NEXT, requested("AZ-104", on="2021-04-04T09:00Z", reg="R-2", **(WHOLE | {"email": " "})),
          REJECT], "yes", "email"),
        # The rejection cannot claim what is there to be seen.
        ([NEXT, ASKED, rejected("AZ-104", on=GRANT, missing=["vue_case_number"])], "open", None),
        # Nor what the policy does not require.
        ([policy(CALM), exam("AZ-1", policy="calm"), failed("AZ-1", on=GRANT - 2, reg="R-2"),
          requested("AZ-1", on=GRANT - 1, reg="R-2", vue_case_number="V-1"),
          rejected("AZ-1", on=GRANT, missing=["email"])], "open", None),
        ([NEXT, rejected("AZ-104", on=GRANT)], "no", None),
        ([NEXT, ASKED, granted("AZ-104", on="2021-04-04T10:00Z"),
          rejected("AZ-104", on=GRANT)], "no", None),
    ],
)  # fmt: skip
def test_a_rejection_agrees_where_something_was_wrong(
    crowd: Ledgers, lines: list[Line], agrees: str, missing: str | None
) -> None:
    """Where nothing was, the rule leaves it open."""
    row = decisions(crowd, *lines)[-1]
    assert row["agrees"] == agrees
    assert (row["missing"] or "").startswith(missing or "")
    assert (row["missing"] is None) == (missing is None)
    assert (row["against"] is None) == (agrees != "no")


@pytest.mark.parametrize(
    ("lines", "agrees", "state"),
    [
        ([NEXT, ASKED, GRANTED], "open", "granted"),
        ([NEXT, ASKED], "no", "open"),
        ([NEXT, ASKED, granted("AZ-104", on=GRANT, valid_until=GRANT + 1)], "no", "expired"),
        ([NEXT, ASKED, GRANTED, failed("AZ-104", on="2021-04-06T08:00Z", reg="R-3")], "no", "used"),
        ([NEXT], "no", None),
    ],
)  # fmt: skip
def test_a_revocation_is_open_where_there_was_a_grant_to_revoke(
    crowd: Ledgers, lines: list[Line], agrees: str, state: str | None
) -> None:
    """Else it is against the rule."""
    row = decisions(crowd, *lines, withdrawn("AZ-104", on="2021-04-06T09:00Z"))[-1]
    assert (row["decision"], row["agrees"], row["state_before"]) == ("revoked", agrees, state)
    assert row["clause"] == "exception"


@pytest.mark.parametrize(
    ("start", "more", "used"),
    [
        (GRANT - 1, [], None),
        (GRANT, [], "R-3"),
        (GRANT + 1, [], "R-3"),
        (at("2021-04-10") - 1, [], "R-3"),
        (at("2021-04-10"), [], None),
        (at("2021-04-08"), [withdrawn("AZ-104", on="2021-04-07")], None),
        (at("2021-04-08"), [withdrawn("AZ-104", on="2021-04-09")], "R-3"),
        (at("2021-04-08"), [annulled("X-1/granted", on="2021-04-09")], None),
    ],
)
def test_whether_a_grant_was_used_since(
    crowd: Ledgers, start: int, more: list[Line], used: str | None
) -> None:
    """By the first counted sitting from its time on, before it ran out or was revoked."""
    grant = granted("AZ-104", on=GRANT, valid_until="2021-04-10")
    sat = failed("AZ-104", on=start, reg="R-3").recorded("2021-04-20")
    row = decisions(crowd, NEXT, ASKED, grant, sat, *(each.recorded("2021-04-21") for each in more))
    assert row[0]["used_by"] == used
    assert row[0]["used_at"] == (None if used is None else start)
    # As known before the sitting was recorded nothing had used it.
    before = Known(instant=at("2021-04-19"))
    assert decisions(crowd, NEXT, ASKED, grant, sat, known_at=before)[0]["used_by"] is None


def test_an_annulled_decision_is_told_with_what_annulled_it(crowd: Ledgers) -> None:
    """It was made, whatever was done to it after."""
    gone = annulled("X-1/granted", on="2021-04-06")
    (row,) = decisions(crowd, NEXT, ASKED, GRANTED, gone)
    assert row["annulled_by"] == row["position"] + 1
    (row,) = decisions(crowd, NEXT, ASKED, GRANTED, gone, known_at=Known(position=row["position"]))
    assert row["annulled_by"] is None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["X-1/granted", "X-2/rejected", "X-1/revoked"]),
        ({"exam": "AZ-104"}, ["X-1/granted", "X-1/revoked"]),
        ({"actor": "desk"}, ["X-1/granted", "X-2/rejected"]),
        ({"candidate": "C-2"}, ["X-2/rejected"]),
        ({"types": ("ExceptionRevoked", "ExceptionRequested")}, ["X-1/revoked"]),
        ({"types": ("ExamFailed",)}, []),
        ({"valid_from": GRANT + 1}, ["X-2/rejected", "X-1/revoked"]),
        ({"recorded_to": GRANT}, []),
    ],
    ids=str,
)
def test_which_decisions(crowd: Ledgers, asked: dict[str, Any], found: list[str]) -> None:
    """Requests are no decisions."""
    lines = [
        exam("AZ-104"), exam("AZ-700"), NEXT, ASKED, recorded_by("desk", GRANTED),
        recorded_by("desk", rejected("AZ-700", on="2021-04-06", request="X-2", who="C-2")),
        recorded_by("head", withdrawn("AZ-104", on="2021-04-07")),
    ]  # fmt: skip
    assert ids(crowd.told(*lines).ledger, "exceptions", **asked) == found


def test_no_decision_shows_anything_personal(crowd: Ledgers) -> None:
    """And it comes out the same when the candidate is forgotten."""
    lines = [NEXT, ASKED, GRANTED]
    shown = decisions(crowd, *lines)
    for secret in (WHOLE["first_name"], WHOLE["last_name"], WHOLE["email"], "dark", "ciphertext"):
        assert secret not in str(shown)
    assert decisions(crowd, *lines, forgotten(on="2021-05-01")) == shown
