"""Who may: tokens, what is kept of them, and the table of roles with every route in it."""

from __future__ import annotations

import json
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from serving import Served, event, example, served

from attempt_ledger.api.app import ROUTES
from attempt_ledger.api.edge import Rates
from attempt_ledger.api.problems import Problem
from attempt_ledger.api.roles import NOBODY, OPEN, RIGHTS, is_allowed, route_of
from attempt_ledger.api.tokens import PREFIX, ROLES, Identity, checksum, is_whole, made

PAGES = {key for key in RIGHTS if not re.match(r"\w+ /(v1/|openapi|metrics)", key)}
"""Rights of the console's pages."""


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history to who has a token."""
    path = example(tmp_path_factory.mktemp("api"))
    with served(path) as it:
        for role in ROLES:
            it.token(role)
        yield it


def routes() -> set[str]:
    """Return every route of the API as the table of roles names it."""
    return {
        f"{method} {route.path}".replace("{path:path}", "{path}")  # type: ignore[attr-defined]
        for each in ROUTES
        for route in each.routes
        for method in route.methods  # type: ignore[attr-defined]
    }


def test_every_route_is_in_the_table_and_nothing_else() -> None:
    """A part of a route stands behind its key, after a blank."""
    named = {" ".join(key.split(" ")[:2]) for key in {*RIGHTS} - PAGES}
    assert routes() <= named | OPEN
    for key in routes():
        assert route_of(*key.replace("{name}", "x").replace("{path}", "a/b").split(" ")) == key


def test_every_role_is_let_through_where_the_table_says_so_and_nowhere_else(it: Served) -> None:
    """Each route by each role, and without a token: 403 or 401, before a body is looked at."""
    for key in {*RIGHTS} - PAGES:
        method, path, *part = key.split(" ")
        if part:
            continue
        path = path.replace("{name}", "nothing").replace("{path}", "checkpoint")
        if path.endswith("/stream"):
            continue  # which goes on for ever: its role is that of its page
        without = it.ask(method, path)
        it.problem(without, 401, "unauthenticated")
        assert without.headers["www-authenticate"].startswith("Bearer")
        for role in ROLES:
            answer = it.ask(method, path, by=role)
            if role in RIGHTS[key].roles:
                assert answer.status_code not in (401, 403), (key, role, answer.text)
            else:
                it.problem(answer, 403, "forbidden")
    for key in OPEN:
        assert it.ask(*key.split(" ")).status_code == 200


def test_a_booking_system_gets_decisions_and_no_free_text(it: Served) -> None:
    """Of many standings the decisions alone."""
    question = {"pairs": [["C-1001", "AZ-104"]]}
    whole = it.ask("POST", "/v1/standings", by="booking", json=question)
    it.problem(whole, 403, "forbidden")
    few = it.ask("POST", "/v1/standings", by="booking", json={**question, "fields": "decision"})
    assert few.status_code == 200


def test_nobody_reads_and_never_writes() -> None:
    """While there is no token."""
    assert not any(is_allowed(NOBODY, key) for key, right in RIGHTS.items() if right.writes)
    assert not is_allowed(NOBODY, "GET /v1/exceptions clear")
    assert is_allowed(NOBODY, "GET /v1/standing")


UNKNOWN = PREFIX + "0" * 32
UNKNOWN += checksum(UNKNOWN)
"""A token to the last letter, which nobody has."""


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Basic abc", "Bearer atl_x", f"Bearer {UNKNOWN}", "bearer null",
     f"Bearer {'x' * 9_000}", "Token x"],
)  # fmt: skip
def test_what_is_no_token_is_401(it: Served, header: str) -> None:
    """Whatever it looks like; a header of a proxy makes nobody anybody."""
    for more in ({}, {"x-forwarded-user": "admin", "x-remote-user": "admin", "x-role": "admin"}):
        answer = it.ask("GET", "/v1/policies", headers={"authorization": header, **more})
        it.problem(answer, 401, "unauthenticated")
    forged = it.ask("GET", "/v1/policies", headers={"x-forwarded-user": "admin"})
    it.problem(forged, 401, "unauthenticated")


def test_a_token_that_expired_or_was_revoked_is_refused_at_once(it: Served) -> None:
    """The next request of a running service; and its last use is listed."""
    token = it.call("token", "create", "short", "--role", "reader", "--expires", "PT4S").strip()
    bearer = {"authorization": f"Bearer {token}"}
    assert it.ask("GET", "/v1/policies", headers=bearer).status_code == 200
    other = it.call("token", "create", "gone", "--role", "reader").strip()
    assert it.ask("GET", "/v1/policies", headers={"authorization": f"Bearer {other}"}).is_success
    it.call("token", "revoke", "gone")
    answer = it.ask("GET", "/v1/policies", headers={"authorization": f"Bearer {other}"})
    it.problem(answer, 401, "unauthenticated")
    time.sleep(4.1)
    it.problem(it.ask("GET", "/v1/policies", headers=bearer), 401, "unauthenticated")
    listed = {
        each["name"]: each for each in json.loads(it.call("token", "list", "--format", "json"))
    }
    assert listed["gone"]["revoked_at"]
    assert listed["short"]["expires_at"]
    assert listed["reader"]["roles"] == ["reader"]


def test_what_is_recorded_bears_the_name_of_the_token(it: Served) -> None:
    """And no secret is in any file beside the ledger, nor in what the service says."""
    headers = {"content-type": "application/cloudevents+json"}
    answer = it.ask("POST", "/v1/events", by="recorder", json=event(1), headers=headers)
    position = answer.json()["position"]
    line = it.get("/v1/events", by="auditor", after=position - 1).json()
    assert line["actor"] == "recorder"
    secrets = [token.encode() for token in it.tokens.values()]
    for path in it.path.parent.iterdir():
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path


def test_tokens_are_made_once_and_kept_as_a_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown alone on standard output; a name is never given twice; the file is its owner's."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    token = door.done("token", "create", "robin", "--role", "support", "--role", "officer")
    assert re.fullmatch(r"atl_[0-9A-Za-z]{38}\n", token)
    assert is_whole(token.strip())
    kept = tmp_path / "attempts.ledger.tokens"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert token.strip().encode() not in kept.read_bytes()
    assert "give the new one another" in door.wrong("token", "create", "robin", "--role", "reader")
    assert door.done("token", "revoke", "robin") == ""
    assert door.done("token", "revoke", "robin") == ""  # it stood so already
    assert "there is no token" in door.wrong("token", "revoke", "sam")
    assert "give the new one another" in door.wrong("token", "create", "robin", "--role", "reader")
    assert "blanks" in door.wrong("token", "create", " sam", "--role", "reader")
    assert "days or time" in door.wrong(
        "token", "create", "x", "--role", "reader", "--expires", "P1M"
    )
    for none in ("P0D", "PT0S"):
        assert f"--expires {none} ends at once" in door.wrong(
            "token", "create", "x", "--role", "reader", "--expires", none
        )
    missing = door.call("token", "create", "x").err.splitlines()
    assert missing[0].endswith(f"missing option '--role': accepted are {', '.join(ROLES)}")
    listed = json.loads(door.done("token", "list", "--format", "json"))
    assert [each["name"] for each in listed] == ["robin"]
    kept.chmod(0o644)
    assert "chmod 600" in door.wrong("token", "list")


def test_a_slip_of_the_pen_in_a_token_is_found_by_its_checksum() -> None:
    """Any letter changed, one left out, two swapped."""
    token = made()
    assert is_whole(token)
    for at in range(4, len(token)):
        other = "a" if token[at] != "a" else "b"
        assert not is_whole(token[:at] + other + token[at + 1 :])
        assert not is_whole(token[:at] + token[at + 1 :])
    assert checksum(token[:-6]) == token[-6:]


def test_an_identity_has_so_many_requests_a_second() -> None:
    """Twice as many at once, and again as time goes on; others are not hindered."""
    now = [0]
    rates = Rates(10, lambda: now[0])
    for _ in range(20):
        rates.take("a")
    with pytest.raises(Problem, match="more than 10 times a second"):
        rates.take("a")
    rates.take("b")
    now[0] += 100_000
    rates.take("a")
    with pytest.raises(Problem):
        rates.take("a")
    Rates(0, lambda: 0).take(Identity("a", frozenset()).name)
