"""Who follows standings: changes and bookings over HTTP, and what the service counts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import Served, event, example, served

EVENTS = {"content-type": "application/cloudevents+json"}


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history to who has a token."""
    with served(example(tmp_path_factory.mktemp("api"))) as it:
        it.token("recorder")
        yield it


def test_a_booking_system_is_told_what_differs_until_it_confirms(
    it: Served, tmp_path: Path
) -> None:
    """Everything at first; then the difference; what was no success comes again."""
    first = it.get("/v1/booking", by="booking").json()
    assert {row["transaction"] for row in first["rows"]} == {"add"}
    ids = [row["id"] for row in first["rows"]]
    assert len(set(ids)) == len(ids) > 10
    confirmed = [{"id": id, "status": "accepted"} for id in ids[:-1]]
    confirmed.append({"id": ids[-1], "status": "error", "message": "no such exam"})
    done = it.ask(
        "POST", "/v1/booking/confirmations", by="booking", json={"confirmations": confirmed}
    )
    assert done.json() == {"accepted": len(ids) - 1, "errors": 1, "unknown": []}
    it.ask("POST", "/v1/events", by="recorder", json=event(1), headers=EVENTS)
    later = it.get("/v1/booking", by="booking", since=first["cursor"]).json()
    assert {(row["candidate"], row["transaction"]) for row in later["rows"]} == {
        ("S-1", "add"), (first["rows"][-1]["candidate"], "add"),
    }  # fmt: skip
    file = it.ask("GET", "/v1/booking", by="booking", params={"since": later["cursor"]},
                  headers={"accept": "text/tab-separated-values"})  # fmt: skip
    lines = file.text.splitlines()
    assert lines[0].split("\t")[:3] == [
        "AuthorizationTransactionType", "ClientAuthorizationID", "ClientCandidateID",
    ]  # fmt: skip
    assert len(lines) == 1 + len(later["rows"])
    assert file.headers["booking-cursor"]
    sent = tmp_path / "confirmations.tsv"
    sent.write_text("ClientAuthorizationID\tstatus\n"
                    + "".join(f"{row['id']}\taccepted\n" for row in later["rows"]))  # fmt: skip
    said = it.call("booking", "--confirmations", str(sent))
    assert said.startswith(f"{len(later['rows'])} accepted")
    rest = json.loads(it.call("booking", "--since", later["cursor"]))
    assert rest["rows"] == []
    it.problem(it.get("/v1/booking", by="booking", since="x"), 400, "malformed-question")


def test_changes_of_standings_are_told_with_their_cause(it: Served) -> None:
    """From the beginning in steps, then what is new; a stream of the same."""
    every = it.get("/v1/changes", by="booking").json()
    assert every["more"] is False
    assert all(each["before"] is None for each in every["changes"])
    cursor = every["cursor"]
    assert it.get("/v1/changes", by="booking", after=cursor).json()["changes"] == []
    found: list[dict[str, object]] = []

    def follow() -> None:
        headers = {"authorization": f"Bearer {it.token('booking')}"}
        url = f"{it.address}/v1/changes/stream"
        with httpx.stream("GET", url, params={"after": cursor}, headers=headers, timeout=30) as got:
            for line in got.iter_lines():
                if line.startswith("data: "):
                    found.append(json.loads(line.removeprefix("data: ")))
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    it.ask("POST", "/v1/events", by="recorder", json=event(2), headers=EVENTS)
    (change,) = it.get("/v1/changes", by="booking", after=cursor).json()["changes"]
    assert (change["candidate"], change["before"], change["cause"]) == ("S-2", None, "events")
    assert change["because"] == [{"source": "urn:feed", "id": "S-2"}]
    assert change["after"]["last_outcome"] == "failed"
    thread.join(20)
    assert found
    assert {**found[0], "cursor": ""} == {**change, "cursor": ""}
    wrong = it.get("/v1/changes/stream", by="booking", after="x")
    it.problem(wrong, 400, "malformed-question")


def test_requests_are_counted_by_route_and_status(it: Served) -> None:
    """Nothing in it is about a person."""
    it.get("/v1/standing", by="reader", candidate="C-1001", exam="AZ-104")
    text = it.get("/metrics", by="reader").text
    assert 'attempt_ledger_requests_total{route="GET /v1/standing",status="200"}' in text
    assert "attempt_ledger_position" in text
    assert "C-1001" not in text
    it.problem(it.get("/metrics"), 401, "unauthenticated")
