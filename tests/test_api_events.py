"""Events over HTTP: appended once and for ever, paged, awaited, followed, and after a restore."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served, event, example, lines_of, served

from ledger.ledger import Ledger

ONE = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history to who has a token."""
    path = example(tmp_path_factory.mktemp("api"))
    with served(path) as it:
        it.token("recorder")
        yield it


def post(it: Served, body: Any, headers: dict[str, str] = ONE) -> httpx.Response:
    return it.ask("POST", "/v1/events", by="recorder", json=body, headers=headers)


def test_an_event_is_recorded_once_and_answered_for_ever(it: Served) -> None:
    """201 and its position; again 200 and the same; with other content 409 and what differs."""
    first = post(it, event(1))
    assert first.status_code == 201
    position = first.json()["position"]
    again = post(it, {**event(1), "traceparent": "00-1"})
    assert (again.status_code, again.json()) == (200, {"position": position})
    other = event(1, time="2024-03-01T09:00:01Z")
    other["data"]["score"] = 700
    found = it.problem(post(it, other), 409, "conflict")
    assert found["position"] == position
    assert [each.partition(" ")[0] for each in found["differs"]] == ["time", "data.score"]
    assert "2024-03-01T09:00:01Z" in found["detail"]
    with Ledger.open(it.path, clock=lambda: 0, read_only=True) as ledger:
        row = ledger.event(position)
        assert row is not None
        assert (row.actor, row.id, row.extensions) == ("recorder", "S-1", None)


def test_the_actor_is_who_asks(it: Served) -> None:
    """Another one that the event names is kept beside it; the program's own sources are refused."""
    position = post(it, event(2, actor="somebody")).json()["position"]
    (line,) = lines_of(it.get("/v1/events", by="auditor", after=position - 1, limit=1))
    assert (line["actor"], line["originalactor"]) == ("recorder", "somebody")
    own = post(it, event(3, source="urn:attempt-ledger:desk"))
    assert "this program's own" in it.problem(own, 422, "refused")["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            event(4, "ExamAnnounced", data={"title": "T", "policy": "general"}),
            "accepted are ExamAttempted",
        ),
        (
            event(4, "EventAnnulled", data={"annuls": {"source": "a", "id": "b"}, "reason": "c"}),
            "accepted are ExamAttempted",
        ),
        ({**event(4), "type": "Nothing"}, "Nothing"),
        ({**event(4), "time": "2999-01-01T00:00:00Z"}, "more than 5 minutes after"),
        ({**event(4), "data": {"exam": "AZ-104"}}, "registration_id"),
        ({**event(4), "subject": " C-1"}, "blanks"),
        ({**event(4), "source": "our feed"}, "no URI reference"),
        ([], "object"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_a_sentence(it: Served, body: Any, words: str) -> None:
    """422, and nothing is recorded."""
    head = it.get("/readyz").json()["position"]
    assert words in it.problem(post(it, body), 422, "refused")["detail"]
    assert it.get("/readyz").json()["position"] == head


def test_appends_that_come_together_share_a_transaction_and_are_answered_each_for_itself(
    it: Served,
) -> None:
    """New, again, in conflict, refused, malformed: none harms another; positions have no gap.

    One transaction has one recordedtime: there are fewer of them than appends.
    """
    post(it, event(5_000))
    head = int(it.get("/v1/events", by="reader").headers["ledger-position"])
    conflicting = event(5_000, time="2024-03-01T09:00:09Z")
    bodies = [
        (event(5_000 + n), 201) if n % 5 else (each, status)
        for n in range(1, 101)
        for each, status in (
            ((event(5_000), 200), (conflicting, 409), (event(6_000, type="Nonsense"), 422))[n % 3],
        )
    ]
    headers = {**ONE, "authorization": f"Bearer {it.token('recorder')}"}
    with ThreadPoolExecutor(20) as pool:

        def send(body: Any) -> httpx.Response:
            return it.client.post("/v1/events", json=body, headers=headers)

        answers = list(pool.map(send, [body for body, _ in bodies]))
    assert [each.status_code for each in answers] == [status for _, status in bodies]
    new = [each.json()["position"] for each in answers if each.status_code == 201]
    assert sorted(new) == list(range(head + 1, head + 81))
    lines = lines_of(it.get("/v1/events", by="reader", after=head))
    found = {int(line["sequence"]): line["id"] for line in lines}
    for (body, status), answer in zip(bodies, answers, strict=True):
        if status == 201:
            assert found[answer.json()["position"]] == body["id"]
    assert len({line["recordedtime"] for line in lines}) < len(lines) == 80


def test_a_member_that_is_there_twice_is_refused(it: Served) -> None:
    """In whatever form it comes."""
    text = json.dumps(event(5))[:-1] + ',"id":"S-6"}'
    for body, headers in ((text, ONE), (f"[{text}]", BATCH)):
        answer = it.ask("POST", "/v1/events", by="recorder", content=body, headers=headers)
        said = answer.text
        assert "twice" in said or "more than once" in said or "repeated" in said, said


def test_binary_mode_is_the_same_event(it: Served) -> None:
    """Attributes as headers, percent-encoded; the body is the data, and nothing else."""
    structured = event(7, subject="Zoë")
    assert post(it, structured).status_code == 201
    attributes = {
        f"ce-{name}": value.replace("ë", "%C3%AB")
        for name, value in structured.items()
        if name != "data"
    }
    headers = {**attributes, "content-type": "application/json"}
    answer = post(it, structured["data"], headers)
    assert answer.status_code == 200, answer.text
    injected = json.dumps(structured["data"]) + ',"subject":"C-1"'
    answer = it.ask("POST", "/v1/events", by="recorder", content=injected, headers=headers)
    it.problem(answer, 422, "refused")
    plain = {"content-type": "text/plain"}
    it.problem(post(it, structured, plain), 415, "unsupported-type")


def test_a_batch_is_answered_item_by_item_in_order(it: Served) -> None:
    """As each would have been alone, the fault of an item with a pointer to it."""
    again, changed = event(8), event(8, time="2024-03-02T09:00:00Z")
    batch = [event(8), again, changed, {"type": "ExamFailed"}, 7, event(9)]
    answer = post(it, batch, BATCH)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [each["status"] for each in results] == [201, 200, 409, 422, 422, 201]
    assert results[0]["position"] == results[1]["position"] == results[5]["position"] - 1
    assert [each["problem"]["pointer"] for each in results[2:5]] == ["/2", "/3", "/4"]
    assert results[2]["problem"]["differs"] == [
        "time (old 2024-03-01T09:00:00Z, new 2024-03-02T09:00:00Z)"
    ]
    assert post(it, [], BATCH).json() == {"results": []}
    no_array = it.ask("POST", "/v1/events", by="recorder", content="{}", headers=BATCH)
    it.problem(no_array, 400, "malformed-question")


def test_each_fault_of_an_item_is_pointed_at(it: Served) -> None:
    """In a batch and alone, with what is wrong there."""
    wrong = event(10, data={"exam": "AZ-104", "score": "high", "grade": 1})
    (result,) = post(it, [wrong], BATCH).json()["results"]
    assert [each["pointer"] for each in result["problem"]["errors"]] == [
        "/0/data/registration_id", "/0/data/score", "/0/data/grade",
    ]  # fmt: skip
    assert "should be a number" in result["problem"]["errors"][1]["detail"]
    alone = it.problem(post(it, wrong), 422, "refused")
    assert alone["errors"][0]["pointer"] == "/data/registration_id"
    assert "errors" not in it.problem(post(it, {"type": "ExamFailed"}), 422, "refused")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"id": "x" * 2_001}, "id"),
        ({"subject": "x" * 2_001}, "subject"),
        ({"source": "urn:" + "x" * 2_001}, "source"),
        ({"data": {"exam": "x" * 2_001, "registration_id": "S-11"}}, "data.exam"),
        ({"data": {"exam": "AZ-104", "registration_id": "x" * 2_001}}, "data.registration_id"),
    ],
)
def test_what_nobody_could_ask_about_is_not_recorded(
    it: Served, changes: dict[str, Any], name: str
) -> None:
    """Ids are bounded as they are in an address."""
    found = it.problem(post(it, event(11, **changes)), 422, "refused")
    assert found["detail"] == f"{name} has more than 2,000 characters"


def test_an_attribute_that_is_not_utf_8_is_refused(it: Served) -> None:
    """Two ids would become one."""
    headers = {
        "content-type": "application/json", "ce-specversion": "1.0", "ce-type": "ExamFailed",
        "ce-source": "urn:feed", "ce-subject": "S-12", "ce-time": "2024-03-01T09:00:00Z",
    }  # fmt: skip
    data = {"exam": "AZ-104", "registration_id": "S-12"}
    for id in ("S-%FF", "S-%FE", b"S-\xff"):
        found = it.problem(post(it, data, {**headers, "ce-id": id}), 422, "refused")
        assert found["detail"] == "ce-id is not UTF-8, percent-encoded."


def test_events_are_paged_by_position(it: Served) -> None:
    """The lines of `export`; of some types; and who asks for too much is refused."""
    whole = [json.loads(line) for line in it.call("export").splitlines()]
    page = it.get("/v1/events", by="auditor", after=3, limit=4)
    assert lines_of(page) == whole[3:7]
    assert int(page.headers["ledger-position"]) == len(whole)
    some = it.ask("GET", "/v1/events", by="auditor",
                  params={"type": ["ExamPassed", "ExamFailed"], "limit": 1000})  # fmt: skip
    assert lines_of(some) == [
        each for each in whole if each["type"] in ("ExamPassed", "ExamFailed")
    ]
    batch = it.ask("GET", "/v1/events", by="auditor", params={"limit": 2},
                   headers={"accept": "application/cloudevents-batch+json"})  # fmt: skip
    assert batch.json() == whole[:2]
    for more in ({"limit": 1001}, {"wait": 31}, {"after": -1}, {"type": "Nothing"},
                 {"last_id": "x"}):  # fmt: skip
        it.problem(it.get("/v1/events", by="auditor", **more), 400, "malformed-question")


def test_who_waits_gets_the_next_event_at_once(it: Served) -> None:
    """Long poll: at most so long; nothing is an empty answer."""
    head = it.get("/readyz").json()["position"]
    began = time.monotonic()
    assert lines_of(it.get("/v1/events", by="auditor", after=head, wait=0.2)) == []
    assert time.monotonic() - began < 5
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(it.get, "/v1/events", by="auditor", after=head, wait=30)
        time.sleep(0.3)
        post(it, event(10))
        (line,) = lines_of(waiting.result(10))
    assert line["id"] == "S-10"


def followed(
    it: Served, count: int, found: list[tuple[int, str]], **params: Any
) -> threading.Thread:
    """Follow the stream in a thread until so many events came."""

    def follow() -> None:
        headers = {"authorization": f"Bearer {it.token('auditor')}"}
        if "last_event_id" in params:
            headers["last-event-id"] = str(params.pop("last_event_id"))
        with httpx.stream("GET", f"{it.address}/v1/events/stream", params=params, headers=headers,
                          timeout=30) as answer:  # fmt: skip
            assert answer.headers["content-type"].startswith("text/event-stream")
            position, name = 0, "message"
            for line in answer.iter_lines():
                key, _, value = line.partition(": ")
                if key == "id":
                    position = int(value)
                elif key == "event":
                    name = value
                elif key == "data":
                    found.append((position, json.loads(value).get("id", name)))
                    if len(found) == count:
                        return

    thread = threading.Thread(target=follow)
    thread.start()
    return thread


def test_followers_get_every_event_once_and_in_order(it: Served) -> None:
    """From a position on, and as they come; of a type alone; resumed by Last-Event-ID."""
    it.token("auditor")
    head = it.get("/readyz").json()["position"]
    found: list[list[tuple[int, str]]] = [[], [], []]
    threads = [
        followed(it, 25, found[0], after=head - 5),
        followed(it, 20, found[1], after=1, last_event_id=head),
        followed(it, 10, found[2], after=head, type="ExamPassed"),
    ]
    time.sleep(0.3)
    for n in range(20):
        post(it, event(100 + n, "ExamPassed" if n % 2 else "ExamFailed"))
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert [position for position, _ in found[0]] == list(range(head - 4, head + 21))
    assert found[1] == found[0][5:]
    assert found[2] == found[1][1::2]


def test_a_restore_is_told_to_who_resumes(tmp_path: Path) -> None:
    """409 where another event stands at the position, or none; a `reset` in the stream."""
    path = example(tmp_path)
    shutil.copy(path, tmp_path / "earlier")
    # What was signed since is not taken back by this copy: that is said, and no matter here.
    with served(path, noise="is not sealed") as it:
        it.token("recorder")
        for n in range(3):
            post(it, event(n))
        (last,) = lines_of(it.get("/v1/events", by="auditor", after=722))
        named = {"last_source": last["source"], "last_id": last["id"]}
        assert it.get("/v1/events", by="auditor", after=723, **named).status_code == 200
        other = it.get("/v1/events", by="auditor", after=722, **named)
        assert it.problem(other, 409, "reset")["position"] == 723
        it.problem(it.get("/v1/events", by="auditor", after=724), 409, "reset")
        found: list[tuple[int, str]] = []
        followed(it, 1, found, after=724).join(20)
        assert found == [(0, "reset")]

        live: list[tuple[int, str]] = []
        following = followed(it, 1, live, after=723)
        time.sleep(0.3)
        (tmp_path / "earlier").replace(path)
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        following.join(20)
        assert live == [(0, "reset")]
        assert it.get("/readyz").json()["position"] == 720
        assert post(it, event(1)).json() == {"position": 721}
        it.problem(it.get("/v1/events", by="auditor", after=723), 409, "reset")
