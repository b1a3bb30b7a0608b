"""What is decided over HTTP: exceptions by one person, erasure, annulment and policies by two."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from serving import Served, event, example, lines_of, served

from attempt_ledger.api.proposals import VALID, Proposals
from attempt_ledger.api.register import Register
from attempt_ledger.api.tokens import TokenProblem, Tokens
from ledger.ledger import Ledger

SECRET = "Robin.Sample@example.org"
REQUEST = {
    "candidate": "S-1", "exam": "AZ-104", "registration_id": "S-1", "reason": "lab-crash",
    "first_name": "Robin", "last_name": "Sample", "email": SECRET, "description": "It went dark.",
    "exam_number": "AZ-104", "vue_case_number": "0815", "candidate_id": "S-1",
}  # fmt: skip


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example, with three who failed an exam; two admins."""
    with served(example(tmp_path_factory.mktemp("api"))) as it:
        headers = {"content-type": "application/cloudevents+json"}
        for n in range(1, 4):
            it.ask("POST", "/v1/events", by="recorder", json=event(n), headers=headers)
        it.tokens["other"] = it.call("token", "create", "other", "--role", "admin").strip()
        yield it


def post(it: Served, path: str, body: Any, by: str = "officer") -> httpx.Response:
    return it.ask("POST", path, by=by, json=body)


def test_an_exception_is_requested_decided_and_listed(it: Served) -> None:
    """Each event under who decided; the same again records nothing; personal fields stay hidden."""
    asked = post(it, "/v1/exceptions", {**REQUEST, "request_id": "X-1"})
    assert asked.status_code == 201, asked.text
    assert asked.json()["request"]["state"] == "open"
    assert asked.json()["events"][0]["actor"] == "officer"
    assert SECRET not in asked.text
    assert post(it, "/v1/exceptions", {**REQUEST, "request_id": "X-1"}).status_code == 200
    other = post(
        it, "/v1/exceptions", {**REQUEST, "request_id": "X-1", "reason": "internet-connectivity"}
    )
    it.problem(other, 409, "undecidable")
    decided = {"candidate": "S-1", "request_id": "X-1"}
    granted = post(it, "/v1/exceptions/grant", {**decided, "waives": ["wait"]})
    assert granted.json()["request"]["state"] == "granted"
    assert [each["type"] for each in granted.json()["events"]] == ["ExceptionGranted"]
    assert post(it, "/v1/exceptions/grant", {**decided, "waives": ["wait"]}).status_code == 200
    rejected = post(it, "/v1/exceptions/reject", {**decided, "why": "no"})
    it.problem(rejected, 409, "undecidable")
    revoked = post(it, "/v1/exceptions/revoke", {**decided, "reason": "granted in error"})
    assert revoked.json()["request"]["state"] == "revoked"
    incomplete = {key: REQUEST[key] for key in ("candidate", "exam", "registration_id", "reason")}
    answered = post(it, "/v1/exceptions", {**incomplete, "request_id": "X-2"}).json()
    assert answered["request"]["state"] == "rejected"
    assert "email" in answered["request"]["missing"]
    listed = it.get("/v1/exceptions", by="support", candidate="S-1").json()
    assert [(each["request_id"], each["state"]) for each in listed] == [
        ("X-1", "revoked"), ("X-2", "rejected"),
    ]  # fmt: skip
    command = json.loads(it.call("exception", "list", "S-1", "--format", "json"))
    assert [{k: v for k, v in each.items() if k != "clear"} for each in listed] == command
    nobody = post(it, "/v1/exceptions/grant", {"candidate": "S-9", "request_id": "X-1"})
    it.problem(nobody, 404, "unknown")
    blank = post(it, "/v1/exceptions/reject", {**decided, "why": "  "})
    it.problem(blank, 422, "malformed-body")


def test_an_authorization_is_granted_withdrawn_and_listed(it: Served) -> None:
    """Each event under who decided; the same again records nothing; other terms are refused."""
    asked = {"candidate": "S-7", "exam": "AZ-104", "authorization_id": "V-1", "sittings": 1}
    first = post(it, "/v1/authorizations", asked)
    assert first.status_code == 201, first.text
    assert first.json()["events"][0]["actor"] == "officer"
    assert post(it, "/v1/authorizations", asked).status_code == 200
    for no_number in ("1", True, 1.0, 0):
        terms = {**asked, "sittings": no_number}
        it.problem(post(it, "/v1/authorizations", terms), 422, "malformed-body")
    it.problem(post(it, "/v1/authorizations", {**asked, "sittings": 2}), 409, "undecidable")
    it.problem(post(it, "/v1/authorizations", {**asked, "exam": "AZ-1O4"}), 404, "unknown")
    withdrawn = {"candidate": "S-7", "authorization_id": "V-1", "reason": "refunded"}
    done = post(it, "/v1/authorizations/revoke", withdrawn)
    assert done.json()["authorization"]["state"] == "revoked"
    listed = it.get("/v1/authorizations", by="support", candidate="S-7").json()
    command = it.call("authorization", "list", "S-7", "--format", "json")
    assert listed == json.loads(command)


def test_clear_text_is_for_officers_and_is_noted(it: Served) -> None:
    """Of one candidate at a time; who saw it is written down; nobody else sees it."""
    post(it, "/v1/exceptions", {**REQUEST, "request_id": "X-3"})
    clear = it.get("/v1/exceptions", by="officer", candidate="S-1", clear="true")
    assert SECRET in clear.text
    for by in ("support", "auditor", "admin"):
        answer = it.get("/v1/exceptions", by=by, candidate="S-1", clear="true")
        it.problem(answer, 403, "forbidden")
        for path in ("/v1/history", "/v1/exceptions", "/v1/standing"):
            assert SECRET not in it.get(path, by=by, candidate="S-1").text
    everyone = it.get("/v1/exceptions", by="officer", clear="true")
    it.problem(everyone, 400, "malformed-question")
    register = Register(it.path.with_name("attempts.ledger.tokens"))
    (access,) = register.accesses()
    register.close()
    assert (access.identity, access.candidate) == ("officer", "S-1")
    assert "email" in access.fields
    assert SECRET not in it.get("/v1/events", by="auditor", after=720).text


def test_an_annulment_needs_two_people(it: Served) -> None:
    """Who proposed it cannot approve it; `actor` names both; the same again changes nothing."""
    what = {"kind": "annul", "source": "urn:feed", "id": "S-2", "reason": "another seat"}
    it.problem(post(it, "/v1/proposals", {**what, "id": "S-99"}, "admin"), 404, "unknown")
    answer = post(it, "/v1/proposals", {**what, "reason": " "}, "admin")
    blank = it.problem(answer, 422, "malformed-body")
    assert blank["errors"] == [{"pointer": "/reason", "detail": "is blank"}]
    kind = it.problem(post(it, "/v1/proposals", {"kind": "x"}, "admin"), 422, "malformed-body")
    assert kind["detail"] == "the body: 'kind' should be one of 'annul', 'forget', 'publish'"
    made = post(it, "/v1/proposals", what, "admin")
    assert (made.status_code, made.json()["state"]) == (201, "open")
    id = {"id": made.json()["id"]}
    it.problem(post(it, "/v1/proposals/approve", id, "admin"), 403, "forbidden")
    it.problem(post(it, "/v1/proposals/approve", id, "officer"), 403, "forbidden")
    done = post(it, "/v1/proposals/approve", id, "other")
    assert done.json()["state"] == "approved"
    (position,) = done.json()["positions"]
    (line,) = lines_of(it.get("/v1/events", by="auditor", after=position - 1))
    assert (line["type"], line["actor"]) == ("EventAnnulled", "admin + other")
    assert post(it, "/v1/proposals/approve", id, "other").json()["positions"] == [position]
    again = it.problem(post(it, "/v1/proposals", what, "admin"), 409, "undecidable")
    assert again["detail"] == f"'S-2' of 'urn:feed' is annulled already, by position {position}."
    assert (
        it.get("/v1/standing", by="reader", candidate="S-2", exam="AZ-104").json()["known"] is False
    )


def test_an_erasure_needs_two_people(it: Served) -> None:
    """After it nobody reads what was personal."""
    post(it, "/v1/exceptions", {**REQUEST, "candidate": "S-3", "candidate_id": "S-3",
                                "registration_id": "S-3", "request_id": "X-4"})  # fmt: skip
    what = {"kind": "forget", "candidate": "S-3", "reason": "asked to"}
    made = post(it, "/v1/proposals", what)
    done = post(it, "/v1/proposals/approve", {"id": made.json()["id"]}, "admin").json()
    assert done["state"] == "approved", done
    again = it.problem(post(it, "/v1/proposals", what), 409, "undecidable")
    assert again["detail"] == f"'S-3' is erased already, by position {done['positions'][0]}."
    assert str(it.path.parent) not in json.dumps(done["notes"])  # where the server keeps its files
    clear = it.get("/v1/exceptions", by="officer", candidate="S-3", clear="true")
    assert SECRET not in clear.text
    noted = json.loads(it.call("audit", "access", "--format", "json", "--candidate", "S-3"))
    assert noted == []  # what nobody can read was not read
    with Ledger.open(it.path, clock=lambda: 0, read_only=True) as ledger:
        assert ledger.is_forgotten("S-3")
        row = ledger.event(done["positions"][0])
        assert row is not None
        assert row.actor == "officer + admin"


def test_a_policy_is_published_by_two_people(it: Served) -> None:
    """What it would change is told when it is proposed."""
    text = it.call("policy", "show", "general", "--format", "toml")
    text = text.replace("effective_from = 2021-03-31", "effective_from = 2040-01-01")
    made = post(it, "/v1/proposals", {"kind": "publish", "toml": text}, "admin").json()
    assert "general" in " ".join(made["effects"])
    done = post(it, "/v1/proposals/approve", {"id": made["id"]}, "other").json()
    assert done["state"] == "approved"
    dates = {each["effective_from"] for each in it.get("/v1/policies", by="reader").json()}
    assert "2040-01-01T00:00:00Z" in dates
    again = it.problem(
        post(it, "/v1/proposals", {"kind": "publish", "toml": text}, "admin"), 409, "undecidable"
    )
    assert again["detail"] == "The policy 'general' is published so already."
    wrong = post(it, "/v1/proposals", {"kind": "publish", "toml": "id = 7"}, "admin")
    it.problem(wrong, 422, "malformed-policy")


def test_a_proposal_ends(it: Served) -> None:
    """Withdrawn, or after a day; then nobody approves it."""
    what = {"kind": "annul", "source": "urn:feed", "id": "S-1", "reason": "a slip"}
    first = post(it, "/v1/proposals", what, "admin").json()
    withdrawn = post(it, "/v1/proposals/withdraw", {"id": first["id"]}, "officer").json()
    assert (withdrawn["state"], withdrawn["decided_by"]) == ("withdrawn", "officer")
    late = post(it, "/v1/proposals/approve", {"id": first["id"]}, "other")
    it.problem(late, 409, "undecidable")
    second = post(it, "/v1/proposals", what, "admin").json()
    register = Register(it.path.with_name("attempts.ledger.tokens"))
    made = register.rows("SELECT proposed_at FROM proposals WHERE id = ?", (second["id"],))[0][0]
    assert Proposals(register).get(second["id"], made + VALID - 1).state == "open"
    assert Proposals(register).get(second["id"], made + VALID).state == "expired"
    register.close()
    states = [each["state"] for each in it.get("/v1/proposals", by="auditor").json()]
    assert states.count("withdrawn") == 1
    it.problem(post(it, "/v1/proposals/approve", {"id": "nothing"}, "other"), 404, "unknown")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/authorizations", '{"candidate":"S-1","candidate":"S-2","exam":"AZ-104"}'),
        ("/v1/proposals", '{"kind":"forget","candidate":"S-1","reason":"x","reason":"y"}'),
        ("/v1/booking/confirmations", '{"confirmations":[{"id":"a","id":"b","status":"error"}]}'),
    ],
)
def test_a_body_that_could_be_read_in_two_ways_is_refused(it: Served, path: str, body: str) -> None:
    """At any depth: of a member that is there twice, readers disagree which counts."""
    by = "booking" if "booking" in path else "officer"
    headers = {"content-type": "application/json"}
    found = it.ask("POST", path, by=by, content=body, headers=headers)
    assert "more than once" in it.problem(found, 422, "malformed-body")["detail"]


def test_one_name_never_looks_like_another_or_like_two(it: Served) -> None:
    """`actor` names two people by a plus, and whoever reads it tells one name from another."""
    it.token("officer")
    for name, said in (
        ("ana + ben", "would be taken for two"),
        ("OFFICER", "there is a token 'officer'"),
        ("ｏfficer", "there is a token 'officer'"),
        ("OIDC:robin", "are those of an OIDC provider"),
        ("\u043efficer", "mixes letters of Latin and Cyrillic"),
    ):
        with pytest.raises(TokenProblem, match=said):
            Tokens(Register(it.path.with_name(f"{it.path.name}.tokens")), lambda: 0).create(
                name, ["officer"], None
            )
