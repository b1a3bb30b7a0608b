"""The rules of the exceptions desk: for each what it accepts, refuses, and passes over."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from plain_values import at

from ledger.fields import Sealed
from ledger.models import (
    ExceptionGranted,
    ExceptionRejected,
    ExceptionRequested,
    ExceptionRevoked,
)
from projections.answers import Sitting
from projections.exception_rules import (
    DeskProblem,
    answer_request,
    grant,
    reject,
    revoke,
    wrongs,
)
from projections.exceptions import STATES, Request
from retake_policies import shipped
from retake_policies.schema import Policy, parse_policy

WHO = "C-1001"
GENERAL = parse_policy(dict(shipped())["general"], "general")
REQUIRED = GENERAL.exception.required
ACCEPTED = "(accepted are lab-crash, internet-connectivity and equipment-failure)"


def policy(exception: str) -> Policy:
    """Make a policy whose [exception] is this."""
    text = f'id = "ours"\neffective_from = 2021-01-01T00:00:00Z\n[exception]\n{exception}'
    return parse_policy(text, "ours.toml")


LENIENT = policy('waives = ["wait"]\nreasons = ["lab-crash"]\n')
NONE_OFFERED = parse_policy('id = "ours"\neffective_from = 2021-01-01T00:00:00Z\n', "ours.toml")


def asked(**changes: Any) -> ExceptionRequested:
    """Make a request with which nothing is wrong, but for these fields."""
    fields: dict[str, Any] = {
        "request_id": "X-1",
        "exam": "AZ-104",
        "registration_id": "R-77",
        "reason": "lab-crash",
        "exam_number": "AZ-104",
        "vue_case_number": "0815",
        "candidate_id": WHO,
        "first_name": "Robin",
        "last_name": "Sample",
        "email": "robin.sample@example.org",
        "description": "The lab stopped answering.",
    }
    return ExceptionRequested(**{**fields, **changes})


def sitting(outcome: str, registration: str = "R-77", **changes: Any) -> Sitting:
    """Make a sitting of that outcome."""
    fields: dict[str, Any] = {
        "registration_id": registration,
        "started_at": at("2021-05-01T09:00Z"),
        "delivery": "live",
        "outcome": outcome,
        "outcome_at": None,
        "ordinal": 1,
        "counted": True,
    }
    return Sitting(**{**fields, **changes})


FAILED = (sitting("failed"), sitting("passed", "R-78"))


class Asks(NamedTuple):
    """A request, what it is judged by, and the answer's `missing` and `why`; None: left open."""

    says: str
    fields: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default, never changed
    missing: tuple[str, ...] = ()
    why: str | None = None
    policy: Policy | None = GENERAL
    sittings: tuple[Sitting, ...] = FAILED


SEALED = Sealed(ciphertext="A" * 40, hmac="0" * 64)
NO_SITTING = "no registration_id of a failed sitting is given"

ASKED = (
    Asks("with nothing wrong it is left open"),
    # Required fields.
    *(
        Asks(f"{name} is required and left out", {name: None}, (name,), f"{name} is missing.")
        for name in REQUIRED
        if name != "registration_id"
    ),
    Asks("what is blank is missing", {"email": " \t"}, ("email",), "email is missing."),
    Asks("what is empty is missing", {"last_name": ""}, ("last_name",), "last_name is missing."),
    Asks("what is sealed already is there", {"first_name": SEALED, "email": SEALED}),
    Asks(
        "a required registration that is blank is missing, and told once",
        {"registration_id": ""},
        ("registration_id",),
        "registration_id is missing.",
    ),
    Asks(
        "what a policy does not require may be left out",
        dict.fromkeys((n for n in REQUIRED if n != "registration_id"), None),
        policy=LENIENT,
    ),
    Asks(
        "a reason may be required too",
        {"reason": ""},
        ("reason",),
        "reason is missing.",
        policy('waives = ["wait"]\nreasons = ["lab-crash"]\nrequired = ["reason"]\n'),
    ),
    # Whose request it is.
    Asks("white space around a candidate id is no matter", {"candidate_id": f" {WHO} "}),
    Asks(
        "another candidate's id is wrong",
        {"candidate_id": "C-2"},
        why="candidate_id says C-2, not C-1001.",
    ),
    Asks(
        "another candidate's id is wrong where none is required",
        {"candidate_id": "C-2"},
        why="candidate_id says C-2, not C-1001.",
        policy=LENIENT,
    ),
    Asks("an exam number may be written in lower case", {"exam_number": " az-104"}),
    Asks(
        "another exam's number is wrong",
        {"exam_number": "AZ-500"},
        why="exam_number says AZ-500, not AZ-104.",
    ),
    # The reason.
    *(Asks(f"{reason} is a reason", {"reason": reason}) for reason in GENERAL.exception.reasons),
    Asks(
        "lack of preparation is none",
        {"reason": "lack of preparation"},
        why=f"the reason lack of preparation is not accepted {ACCEPTED}.",
    ),
    Asks("no reason is none", {"reason": " "}, why=f"no reason is given {ACCEPTED}."),
    Asks(
        "a policy without [exception] offers none",
        why="the policy ours offers no exceptions.",
        policy=NONE_OFFERED,
    ),
    Asks(
        "what was typed is told on one short line",
        {"reason": "a\n" + "b" * 99},
        why=f"the reason a\\n{'b' * 56}… is not accepted {ACCEPTED}.",
    ),
    # The sitting.
    Asks("a failed beta is a failed sitting", sittings=(sitting("failed", delivery="beta"),)),
    Asks(
        "a sitting that was passed is none",
        {"registration_id": "R-78"},
        why="R-78 is no failed sitting: it was passed.",
    ),
    Asks(
        "one whose result is pending is none yet",
        why="R-77 is no failed sitting yet: its result is pending.",
        sittings=(sitting("pending"),),
    ),
    Asks(
        "one whose result was revoked is none",
        why="R-77 is no failed sitting: its result was revoked.",
        sittings=(sitting("revoked"),),
    ),
    Asks(
        "another's sitting is none",
        {"registration_id": "R-1"},
        why="R-1 is no sitting of C-1001 at AZ-104.",
    ),
    Asks(
        "a sitting is needed whatever a policy requires",
        {"registration_id": ""},
        why=f"{NO_SITTING}.",
        policy=LENIENT,
    ),
    # The exam, and everything at once.
    Asks(
        "an unknown exam has no policy to judge by",
        {"reason": "whatever", "email": None},
        why="AZ-104 is not in the catalogue, or the policy it follows is not.",
        policy=None,
    ),
    Asks(
        "of an unknown exam the rest is judged all the same",
        {"registration_id": "", "candidate_id": "C-2"},
        why="AZ-104 is not in the catalogue, or the policy it follows is not; candidate_id says "
        f"C-2, not C-1001; {NO_SITTING}.",
        policy=None,
    ),
    Asks(
        "everything wrong is told at once, what is missing first and in the policy's order",
        {
            "vue_case_number": None,
            "first_name": None,
            "description": "",
            "candidate_id": "C-2",
            "exam_number": "AZ-500",
            "reason": "bad luck",
            "registration_id": "R-78",
        },
        ("first_name", "description", "vue_case_number"),
        "first_name, description and vue_case_number are missing; candidate_id says C-2, not "
        "C-1001; exam_number says AZ-500, not AZ-104; the reason bad luck is not accepted "
        f"{ACCEPTED}; R-78 is no failed sitting: it was passed.",
    ),
    Asks(
        "of an empty request every required field is missing",
        dict.fromkeys(REQUIRED) | {"registration_id": "", "reason": ""},
        REQUIRED,
        "first_name, last_name, candidate_id, email, registration_id, exam_number, description and "
        f"vue_case_number are missing; no reason is given {ACCEPTED}.",
        sittings=(),
    ),
)


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.says)
def test_a_request_is_answered_at_once(case: Asks) -> None:
    """A request is recorded as it was made, and rejected with everything wrong, or left open."""
    request = asked(**case.fields)
    events = answer_request(request, WHO, case.policy, case.sittings)
    rejection = ExceptionRejected(
        request_id="X-1", exam="AZ-104", missing=case.missing, why=case.why or ""
    )
    assert events == ((request,) if case.why is None else (request, rejection))


def test_no_personal_value_is_ever_told() -> None:
    """What is wrong with a request names fields, and shows nothing of a person."""
    request = asked(
        first_name="Zebedee",
        last_name="",
        email="zebedee@example.org",
        description="Zebedee's lab",
        reason="?",
        registration_id="R-1",
    )
    told = " ".join(wrong.text for wrong in wrongs(request, WHO, GENERAL, FAILED))
    assert "last_name" in told
    assert "ebedee" not in told


# --- decisions -------------------------------------------------------------------------------

TIME = at("2021-05-03")
SINCE = at("2021-05-02")


def request(state: str, **changes: Any) -> Request:
    """Make a request in a state, since 2 May."""
    fields: dict[str, Any] = {
        "candidate": WHO,
        "exam": "AZ-104",
        "request_id": "X-1",
        "state": state,
        "registration_id": "R-77",
        "reason": "lab-crash",
        "requested_at": SINCE,
        "requested_by": None,
        "changed_at": SINCE,
        "missing": (),
        "why": None,
        "waives": (),
        "valid_until": None,
        "used_by": None,
        "decided_by": None,
        "events": (),
    }
    return Request(**{**fields, **changes})


def granted(*waives: str, **changes: Any) -> ExceptionGranted:
    """Make the grant of X-1."""
    return ExceptionGranted(request_id="X-1", exam="AZ-104", waives=waives, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", ["open", "revoked"])
def test_an_open_request_is_granted_with_all_the_policy_lets(state: str) -> None:
    """Without a word of what is waived it is all; a grant that was revoked may be made anew."""
    assert grant(request(state), GENERAL, time=TIME) == (granted("wait", "cap"),)
    assert grant(request(state), LENIENT, time=TIME) == (granted("wait"),)


def test_a_grant_waives_what_it_is_told_to() -> None:
    """Each once, wait before cap; until the instant after its time, at the least."""
    assert grant(request("open"), GENERAL, time=TIME, waives=["cap"]) == (granted("cap"),)
    twice = grant(
        request("open"), GENERAL, time=TIME, waives=["cap", "wait", "cap"], valid_until=TIME + 1
    )
    assert twice == (granted("wait", "cap", valid_until=TIME + 1),)


GRANTED = request("granted", waives=("wait",), valid_until=at("2021-06-01"))
NOT_GRANTED: tuple[tuple[Request, Policy | None, dict[str, Any], str], ...] = (
    (request("open"), LENIENT, {"waives": ["wait", "cap"]},
     "the policy ours of AZ-104 does not let cap be waived: accepted is wait"),
    (request("open"), GENERAL, {"waives": []},
     "a grant waives something: accepted is wait and cap"),
    (request("open"), NONE_OFFERED, {}, "the policy ours of AZ-104 lets nothing be waived"),
    (request("open"), None, {},
     "AZ-104 is not in the catalogue, or the policy it follows is not: nothing says what may be "
     "waived"),
    (request("open"), GENERAL, {"valid_until": TIME},
     "valid_until 2021-05-03T00:00:00Z is not after the grant, 2021-05-03T00:00:00Z: it would "
     "never be valid"),
    (request("rejected"), GENERAL, {},
     "X-1 was rejected on 2021-05-02T00:00:00Z: ask for a new exception, under a new request id"),
    (request("used", used_by="R-9"), GENERAL, {},
     "X-1 was used by R-9 on 2021-05-02T00:00:00Z: ask for a new exception, under a new request "
     "id"),
    (request("expired"), GENERAL, {},
     "X-1 was granted and ran out on 2021-05-02T00:00:00Z: ask for a new exception, under a new "
     "request id"),
    (GRANTED, GENERAL, {"waives": ["wait"]},
     "X-1 was granted on 2021-05-02T00:00:00Z on other terms (valid until 2021-06-01T00:00:00Z, "
     "not without an end): revoke it to grant it anew"),
    (GRANTED, GENERAL, {"valid_until": at("2021-06-01")},
     "X-1 was granted on 2021-05-02T00:00:00Z on other terms (waives wait, not wait and cap): "
     "revoke it to grant it anew"),
)  # fmt: skip


@pytest.mark.parametrize(("of", "by", "terms", "says"), NOT_GRANTED, ids=lambda value: "")
def test_what_is_not_granted(
    of: Request, by: Policy | None, terms: dict[str, Any], says: str
) -> None:
    """The desk asks the policy, and says in a sentence what it cannot do."""
    with pytest.raises(DeskProblem) as problem:
        grant(of, by, time=TIME, **terms)
    assert str(problem.value) == says


def test_the_same_grant_again_is_no_other_grant() -> None:
    """On the same terms there is nothing to record, whatever the policy says by now."""
    terms: dict[str, Any] = {"waives": ["wait"], "valid_until": at("2021-06-01")}
    assert grant(GRANTED, GENERAL, time=TIME, **terms) == ()
    assert grant(GRANTED, NONE_OFFERED, time=TIME, **terms) == ()


DECIDED = {
    "open": "X-1 was requested on 2021-05-02T00:00:00Z and is open",
    "rejected": "X-1 was rejected on 2021-05-02T00:00:00Z",
    "granted": "X-1 was granted on 2021-05-02T00:00:00Z",
    "used": "X-1 was used by R-9 on 2021-05-02T00:00:00Z",
    "expired": "X-1 was granted and ran out on 2021-05-02T00:00:00Z",
    "revoked": "X-1 was revoked on 2021-05-02T00:00:00Z",
}


def test_an_open_request_is_rejected() -> None:
    """For a reason that a person gives; nothing is missing then."""
    (rejection,) = reject(request("open"), why="the centre saw no failure")
    assert rejection == ExceptionRejected(
        request_id="X-1", exam="AZ-104", missing=(), why="the centre saw no failure"
    )
    assert reject(request("rejected", why="seen"), why="seen") == ()


@pytest.mark.parametrize(
    ("state", "rest"),
    [
        ("rejected", " for another reason: email is missing."),
        ("granted", ": revoke it instead"),
        ("used", ": there is nothing left to reject"),
        ("expired", ": there is nothing left to reject"),
        ("revoked", ": there is nothing left to reject"),
    ],
)
def test_what_is_decided_is_not_rejected(state: str, rest: str) -> None:
    """Only what is open can be rejected."""
    with pytest.raises(DeskProblem) as problem:
        reject(request(state, why="email is missing.", used_by="R-9"), why="too late")
    assert str(problem.value) == DECIDED[state] + rest


def test_a_grant_is_revoked() -> None:
    """While it is active; the same again records nothing."""
    (revocation,) = revoke(GRANTED, reason="granted in error")
    assert revocation == ExceptionRevoked(
        request_id="X-1", exam="AZ-104", reason="granted in error"
    )
    assert revoke(request("revoked", why="granted in error"), reason="granted in error") == ()


@pytest.mark.parametrize("state", [state for state in STATES if state != "granted"])
def test_what_is_not_granted_is_not_revoked(state: str) -> None:
    """There is nothing to withdraw of a request that is open, refused, used up or run out."""
    with pytest.raises(DeskProblem) as problem:
        revoke(request(state, why="granted twice", used_by="R-9"), reason="granted in error")
    rest = " for another reason: granted twice" if state == "revoked" else ""
    assert str(problem.value) == DECIDED[state] + (rest or ": there is no grant to withdraw")
