"""The API's answers: what the command line and Python say, over HTTP, and truthfully cached."""

from __future__ import annotations

import csv
import io
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from example_ledger import facts, ledger_of
from serving import COMMAND, Served, lines_of, served

from ledger.instants import format_instant
from ledger.ledger import Ledger
from projections.standing import Moment
from replay.snapshot import Snapshot

AS_OF = "2023-03-01T00:00:00Z"


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history, without tokens: then it only reads."""
    path = tmp_path_factory.mktemp("api") / "attempts.ledger"
    ledger_of(path, facts()).close()
    with served(path) as it:
        yield it


def test_a_standing_is_that_of_the_command_line_to_the_byte(it: Served) -> None:
    """The object of the contract; without an exam the array."""
    for exam in ("AZ-104", None):
        words = ["C-1001", *([exam] if exam else []), "--as-of", AS_OF, "--known-at", "@700"]
        answer = it.get("/v1/standing", candidate="C-1001", exam=exam, as_of=AS_OF, known_at="@700")
        assert answer.text + "\n" == it.call("standing", *words, "--format", "json")
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["ledger-position"] == "700"


def test_moments_are_taken_as_people_type_them(it: Served) -> None:
    """A date, a blank for the T, a zone; and what is none is refused in the same sentence."""
    ask = {"candidate": "C-1001", "exam": "AZ-104"}
    assert it.get("/v1/standing", **ask, as_of="2023-03-01").json()["as_of"] == AS_OF
    berlin = it.get("/v1/standing", **ask, as_of="2023-03-01 01:00", zone="Europe/Berlin")
    assert berlin.json()["as_of"] == AS_OF
    wrong: list[tuple[dict[str, str], str]] = [
        ({"as_of": "2023-03-01T01:00"}, "does not say its zone"),
        ({"as_of": "@3"}, "is no instant and no date"),
        ({"known_at": "@3x"}, "is no position"),
        ({"zone": "Europe/Berln"}, "Europe/Berlin"),
        ({"candidates": "C-1"}, "there is no parameter 'candidates' here: accepted are as_of"),
    ]
    for more, words in wrong:
        answer = it.get("/v1/standing", **ask, **more)
        assert words in it.problem(answer, 400, "malformed-question")["detail"]
    twice = it.client.get("/v1/standing?candidate=C-1&candidate=C-2")
    assert "appears twice" in it.problem(twice, 400, "malformed-question")["detail"]
    missing = it.get("/v1/standing")
    assert it.problem(missing, 400, "malformed-question")["detail"] == "candidate: is missing"
    for known_at in ("@721", "2999-01-01"):
        answer = it.get("/v1/standing", **ask, known_at=known_at)
        it.problem(answer, 400, "unanswered-moment")


def test_nobody_and_nothing_are_answers(it: Served) -> None:
    """A candidate of whom nothing is recorded, an exam that nobody announced."""
    stranger = it.get("/v1/standing", candidate="nobody", exam="AZ-104").json()
    assert (stranger["known"], stranger["eligible"]) == (False, True)
    unknown = it.get("/v1/standing", candidate="C-1001", exam="AZ-1O4")
    assert (unknown.status_code, unknown.json()["status"]) == (200, "unknown-exam")
    assert it.get("/v1/standing", candidate="nobody").json() == []


def test_a_conditional_request_is_answered_as_the_law_of_validity_says(it: Served) -> None:
    """304 while the answer is the same but for its moment; immutable once both are fixed."""
    ask = {"candidate": "C-1001", "exam": "AZ-104"}
    whole = it.get("/v1/standing", **ask)
    tag = whole.headers["etag"]
    assert tag.startswith('W/"')
    assert whole.headers["cache-control"] == "private, no-cache"
    again = it.ask("GET", "/v1/standing", params=ask, headers={"if-none-match": tag})
    assert (again.status_code, again.text, again.headers["etag"]) == (304, "", tag)
    assert set(again.headers) == {"date", "cache-control", "ledger-position", "etag"}
    others = {"if-none-match": f'"x", W/"abc", {tag}'}
    assert it.ask("GET", "/v1/standing", params=ask, headers=others).status_code == 304
    others_asked = (
        {"known_at": "@30"}, {"as_of": "2021-03-01"}, {"candidate": "C-1002"}, {"exam": "AZ-204"},
        {"zone": "Europe/Berlin"},
    )  # fmt: skip
    for other in others_asked:
        answer = it.ask(
            "GET", "/v1/standing", params={**ask, **other}, headers={"if-none-match": tag}
        )
        assert answer.status_code == 200, other
    for known_at in ("@30", "2022-01-01"):
        fixed = it.get("/v1/standing", **ask, as_of=AS_OF, known_at=known_at)
        assert "immutable" in fixed.headers["cache-control"]
    wrong = {"candidate": "C-1001", "as_of": "soon"}
    answer = it.ask("GET", "/v1/standing", params=wrong, headers={"if-none-match": tag})
    it.problem(answer, 400, "malformed-question")


def test_many_are_answered_at_once_in_order(it: Served) -> None:
    """Whole answers, or decisions, which say the same of each."""
    with Ledger.open(it.path, clock=lambda: 0, read_only=True) as ledger:
        everyone = list(ledger.candidates())[:60]
    pairs = [[who, exam] for who in [*everyone, "nobody"] for exam in ("AZ-104", "AZ-204", "?")]
    question = {"pairs": pairs, "as_of": AS_OF, "known_at": "@700"}
    every = it.ask("POST", "/v1/standings", json=question).json()
    assert (every["as_of"], every["position"]) == (AS_OF, 700)
    decisions = it.ask("POST", "/v1/standings", json={**question, "fields": "decision"}).json()
    fields = ("candidate", "exam", "known", "status", "eligible", "eligible_from", "next_change_at")
    assert decisions["answers"] == [
        {name: answer[name] for name in fields} for answer in every["answers"]
    ]
    one = it.get("/v1/standing", candidate=pairs[4][0], exam=pairs[4][1], as_of=AS_OF,
                 known_at="@700")  # fmt: skip
    assert every["answers"][4] == one.json()
    assert [[each["candidate"], each["exam"]] for each in every["answers"]] == pairs


def test_what_is_wrong_with_a_body_is_pointed_at(it: Served) -> None:
    """A JSON pointer for each fault; too many pairs; no JSON at all; no value is repeated."""
    body = {"pairs": [["C-1", "AZ-104"], ["secret"], ["C-1", 3]], "as_off": "x"}
    answer = it.ask("POST", "/v1/standings", json=body)
    found = it.problem(answer, 422, "malformed-body")
    assert [each["pointer"] for each in found["errors"]] == ["/pairs/1", "/pairs/2/1", "/as_off"]
    assert [each["detail"] for each in found["errors"]] == [
        "should have 2 items or more", "should be text", "is unknown"
    ]  # fmt: skip
    assert "secret" not in answer.text
    many = it.ask("POST", "/v1/standings", json={"pairs": [["C-1", "AZ-104"]] * 1_001})
    assert it.problem(many, 422, "malformed-body")["errors"][0]["pointer"] == "/pairs"
    long = it.ask("POST", "/v1/standings", json={"pairs": [["C-1", "X" * 2_001]]})
    assert it.problem(long, 422, "malformed-body")["errors"][0]["pointer"] == "/pairs/0/1"
    it.problem(it.get("/v1/standing", candidate="C-1", exam="X" * 2_001), 400, "malformed-question")
    none = it.ask(
        "POST", "/v1/standings", content=b"{", headers={"content-type": "application/json"}
    )
    it.problem(none, 400, "malformed-question")


def test_candidates_are_found_by_how_an_id_begins(it: Served) -> None:
    """Candidates, registrations and requests, as `search` finds them."""
    found = it.get("/v1/candidates", starts_with="C-10", limit=3)
    assert found.json() == json.loads(it.call("search", "C-10", "--limit", "3", "--format", "json"))


def test_a_history_is_what_is_recorded_of_a_candidate(it: Served) -> None:
    """CloudEvents by position, from a position on; as lines or as a batch."""
    whole = json.loads(it.call("history", "C-1001", "--format", "json"))
    assert lines_of(it.get("/v1/history", candidate="C-1001")) == whole
    batch = it.ask("GET", "/v1/history", params={"candidate": "C-1001"},
                   headers={"accept": "application/cloudevents-batch+json"})  # fmt: skip
    assert batch.json() == whole
    assert batch.headers["content-type"] == "application/cloudevents-batch+json"
    after = int(whole[1]["sequence"])
    part = lines_of(it.get("/v1/history", candidate="C-1001", after=after, limit=1))
    assert part == whole[2:3]
    known = lines_of(it.get("/v1/history", candidate="C-1001", known_at=f"@{after}"))
    assert known == whole[:2]


def test_everybody_comes_in_the_form_that_accept_names(it: Served) -> None:
    """CSV and lines are the command line's bytes; Parquet and Arrow are the same table."""
    words = ["replay", "--as-of", AS_OF, "--exam", "AZ-104", "--exam", "AZ-204"]
    ask = [("as_of", AS_OF), ("exam", "AZ-104"), ("exam", "AZ-204")]

    def get(accept: str) -> Any:
        answer = it.ask("GET", "/v1/everybody", params=ask, headers={"accept": accept})  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith(answer.headers["content-type"])
        return answer

    text = it.call(*words, "--format", "csv")
    assert get("*/*").text == get("text/*;q=0.5").text == text
    assert get("application/x-ndjson").text == it.call(*words, "--format", "jsonl")
    arrow = pa.ipc.open_stream(get("application/vnd.apache.arrow.stream").content).read_all()
    parquet = pq.read_table(io.BytesIO(get("application/vnd.apache.parquet").content))
    assert arrow.equals(parquet)
    assert arrow["candidate"].to_pylist() == [
        row["candidate"] for row in csv.DictReader(io.StringIO(text))
    ]
    answer = it.ask("GET", "/v1/everybody", headers={"accept": "image/png, text/csv;q=0"})
    it.problem(answer, 406, "not-acceptable")
    waiting = it.get("/v1/everybody", as_of=AS_OF, status="waiting").text.splitlines()
    assert len(waiting) == 1 + it.get("/v1/everybody", as_of=AS_OF).text.count(",waiting,")
    wrong = it.get("/v1/everybody", status="sleeping")
    assert "accepted are eligible" in it.problem(wrong, 400, "malformed-question")["detail"]


def test_policies_health_and_readiness(it: Served) -> None:
    """Every published version with its text; and where the ledger is."""
    listed = it.get("/v1/policies", known_at="@100").json()
    same = json.loads(it.call("policy", "list", "--known-at", "@100", "--format", "json"))
    assert [{k: v for k, v in each.items() if k != "toml"} for each in listed] == same
    assert 'id = "general"' in listed[0]["toml"]
    assert it.get("/healthz").json() == {"status": "ok"}
    assert it.get("/readyz").json() == {"status": "ok", "position": 720}


def test_without_a_token_it_only_reads_and_only_here(it: Served, tmp_path: Path) -> None:
    """What would change anything is refused; beyond this machine it does not start."""
    answer = it.ask("POST", "/v1/events", json={})
    assert "token create" in it.problem(answer, 403, "forbidden")["detail"]
    done = subprocess.run(
        [COMMAND, "--ledger", str(it.path), "serve", "--host", "0.0.0.0", "--port", "0"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nobody has a token" in done.stderr


def test_only_names_that_are_served_are_answered(it: Served) -> None:
    """DNS rebinding, two hosts, a name with a port that is none."""
    port = it.address.rpartition(":")[2]
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.", "", "localhost:x"):
        answer = it.ask("GET", "/v1/policies", headers={"host": host})
        it.problem(answer, 421, "wrong-host")
    for host in ("localhost", f"127.0.0.1:{port}", "LOCALHOST:80"):
        assert it.ask("GET", "/healthz", headers={"host": host}).status_code == 200
    with socket.create_connection(("127.0.0.1", int(port))) as raw:
        raw.sendall(b"GET /v1/policies HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert raw.recv(64).startswith(b"HTTP/1.1 421")


def test_what_is_not_there_is_a_problem_too(it: Served) -> None:
    """An address, a method; a body that is too long, or compressed."""
    it.problem(it.get("/v1/nothing"), 404, "unknown")
    it.problem(it.get("/v1/policies/"), 404, "unknown")
    it.problem(it.ask("DELETE", "/v1/standing"), 405, "method-not-allowed")
    long = it.ask("POST", "/v1/standings", content=b" " * ((1 << 20) + 1))
    it.problem(long, 413, "too-large")

    def pieces() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * (1 << 16)

    it.problem(it.ask("POST", "/v1/standings", content=pieces()), 413, "too-large")
    packed = it.ask("POST", "/v1/standings", content=b"x", headers={"content-encoding": "gzip"})
    it.problem(packed, 415, "unsupported-type")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/standing?candidate=C-1001&exam=AZ-104&as_of=2021-04-12&known_at=@720",
        "/v1/standing?candidate=C-1001&as_of=",
        "/v1/everybody",
        "/v1/events",
        "/v1/events/stream",
        "/v1/changes/stream",
        "/v1/nothing",
        "/healthz",
        "/candidate?id=C-1001",
    ],
)
def test_head_is_answered_as_get_is_without_a_body(it: Served, path: str) -> None:
    """Of a stream too, which ends there; the connection goes on."""
    told = it.ask("HEAD", path)
    with it.client.stream("GET", path) as answer:
        assert told.status_code == answer.status_code
        for name in ("content-type", "content-length", "cache-control", "etag"):
            assert told.headers.get(name) == answer.headers.get(name)
    assert told.content == b""
    assert it.get("/healthz").status_code == 200


def test_an_address_is_utf_8(it: Served) -> None:
    """What is not would be the question about somebody else."""
    spelled = it.client.get("/v1/standing?candidate=Zo%C3%AB&exam=AZ-104").json()
    assert spelled["candidate"] == "Zoë"
    for wrong in ("Zo%EB", "%ff", "%C3"):
        answered = it.client.get(f"/v1/standing?candidate={wrong}&exam=AZ-104")
        assert "UTF-8" in it.problem(answered, 400, "malformed-question")["detail"]


def test_every_answer_has_the_headers_of_security(it: Served) -> None:
    """Problems too; and it is not said what serves."""
    for path in ("/healthz", "/v1/standing", "/v1/nothing", "/v1/policies"):
        headers = it.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_a_standing_is_right_at_any_moment(it: Served) -> None:
    """The same as Python says, after each of a candidate's events."""
    with Ledger.open(it.path, clock=lambda: 0, read_only=True) as ledger:
        for row in ledger.stream("candidate/C-1003"):
            moment = Moment(row.occurred_at, row.recorded_at, row.position)
            found = Snapshot(ledger, moment).standings("C-1003")
            at = {"as_of": format_instant(row.occurred_at), "known_at": f"@{row.position}"}
            answer = it.get("/v1/standing", candidate="C-1003", **at)
            assert answer.json() == [each.model_dump(mode="json") for each in found]
