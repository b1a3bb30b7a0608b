"""Who follows standings: changes and bookings over HTTP, and what the service counts."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
from serving import COMMAND, ENVIRONMENT, Served, event, example, served

from attempt_ledger.api.edge import Edge, Rates
from attempt_ledger.api.metrics import Metrics
from attempt_ledger.api.problems import Problem
from attempt_ledger.api.roles import NOBODY
from attempt_ledger.api.routes import events
from attempt_ledger.api.tail import READS, News
from attempt_ledger.api.tokens import Identity

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


@pytest.mark.parametrize("path", ["/v1/changes", "/v1/changes/stream", "/v1/booking"])
def test_a_cursor_that_was_not_given_here_is_refused(it: Served, path: str) -> None:
    """Whatever stands in the places of its instant and its position."""
    cursor = it.get("/v1/changes", by="booking").json()["cursor"]
    said = base64.urlsafe_b64decode(f"{cursor}==").decode()
    at, position, mark = said.split(".")
    for parts in (
        (f"-{10**30}", position, mark), (str(10**18), position, mark), ("", position, mark),
        (at, str(10**30), mark), (at, "-1", mark), (at, "1_0", mark), (at, "\u0661", mark),
        (at, position, mark.upper() + "x"), (at, position), (at, position, mark, ""),
    ):  # fmt: skip
        forged = base64.urlsafe_b64encode(".".join(parts).encode()).decode().rstrip("=")
        name = "since" if path == "/v1/booking" else "after"
        it.problem(it.get(path, by="booking", **{name: forged}), 400, "malformed-question")


def test_requests_are_counted_by_route_and_status(it: Served) -> None:
    """Nothing in it is about a person."""
    it.get("/v1/standing", by="reader", candidate="C-1001", exam="AZ-104")
    text = it.get("/metrics", by="reader").text
    assert 'attempt_ledger_requests_total{route="GET /v1/standing",status="200"}' in text
    assert "attempt_ledger_position" in text
    assert "C-1001" not in text
    it.problem(it.get("/metrics"), 401, "unauthenticated")


def test_many_who_are_far_behind_leave_the_others_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their events are read and written out in a few threads at a time, not in one for each."""
    running: list[int] = [0, 0]
    lock = threading.Lock()

    def read(*words: object) -> News:
        with lock:
            running[0] += 1
            running[1] = max(running)
        time.sleep(0.005)
        with lock:
            running[0] -= 1
        return News(b"data: x\n\n", None, 1)

    monkeypatch.setattr(events, "_read", read)
    monkeypatch.setattr(events, "reset_of", lambda *words: None)

    async def follow() -> None:
        tail: Any = SimpleNamespace(
            ended=False, ledger=None, position=9, after=lambda *words: None,
            reads=anyio.CapacityLimiter(READS),
        )  # fmt: skip

        async def one() -> None:
            frames = events._followed(tail, 0, frozenset(), None, None)
            for _ in range(3):
                await anext(frames)

        await asyncio.gather(*(one() for _ in range(30)))

    asyncio.run(follow())
    assert 0 < running[1] <= READS


def test_a_stream_ends_with_the_token_that_it_was_asked_for_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the next frame is sent; nobody is counted any more."""
    monkeypatch.setattr(events, "ADMITTED_SECONDS", 0)
    valid = ["Bearer x"]

    class Gate:
        async def identity(self, authorization: str | None) -> Identity:
            if authorization not in valid:
                raise Problem("unauthenticated", "It was revoked.")
            return NOBODY

    async def frames() -> AsyncIterator[bytes]:
        for n in range(5):
            if n == 2:
                valid.clear()
            yield b"data: %d\n\n" % n

    async def follow() -> list[Any]:
        state = SimpleNamespace(followers=0, gate=Gate())
        request: Any = SimpleNamespace(
            app=SimpleNamespace(state=state), headers={"authorization": "Bearer x"}
        )
        found = [each async for each in events.streamed(request, frames()).body_iterator]
        assert state.followers == 0
        return found

    assert asyncio.run(follow()) == [b"data: 0\n\n", b"data: 1\n\n"]


def test_a_request_that_hangs_when_the_service_stops_is_answered() -> None:
    """One whose body does not come, say: with a problem, and without a traceback."""
    sent: list[Any] = []

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def stop() -> None:
        edge = Edge(hangs, Anybody(), ["localhost"], Rates(0, lambda: 0), Metrics())
        scope = {
            "type": "http", "method": "GET", "path": "/healthz", "state": {},
            "headers": [(b"host", b"localhost")], "query_string": b"",
        }  # fmt: skip

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        task = asyncio.create_task(edge(scope, receive, send))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    asyncio.run(stop())
    assert sent[0]["status"] == 503
    assert b"The service stops" in sent[1]["body"]


def test_a_service_that_says_where_it_is_can_be_stopped(tmp_path: Path) -> None:
    """At once: it ends as it does later, with code 0."""
    words = [COMMAND, "--ledger", str(example(tmp_path)), "serve", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        assert "until Ctrl-C" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert (process.wait(30), process.stderr.read()) == (0, "")


class Anybody:
    """Takes everybody for nobody."""

    async def identity(self, authorization: str | None) -> Identity:
        return NOBODY

    def note_uses(self) -> None:
        """Nothing to note."""
