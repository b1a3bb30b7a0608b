"""Whatever a stranger sends that cannot be answered is refused with a problem of one sentence."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from serving import Served, example, served

from attempt_ledger.api.roles import RIGHTS

ROLES = "admin booking officer reader recorder support"


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history to whoever has a token; it must have said nothing in the end."""
    with served(example(tmp_path_factory.mktemp("refusals")), "--rate", "0") as it:
        it.token(*ROLES.split())
        yield it


def sent(it: Served, data: bytes) -> bytes:
    """Send bytes; return all that comes back until the connection is closed."""
    host, port = it.address.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=20)) as connection:
        connection.sendall(data)
        found = b""
        while piece := connection.recv(1 << 16):
            found += piece
    return found


def head(it: Served, method: str, path: str, *more: str) -> bytes:
    """Return the head of a request by somebody who may."""
    token = f"Authorization: Bearer {it.token(*ROLES.split())}"
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", token, *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


NOT_HTTP = {
    "no request at all": b"\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n",
    "no method": b"FOO /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method in small letters": b"get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an address without a slash": b"GET v1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an address that is not ASCII": b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an endless address": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "lines that end too early": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "a control character": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: \x00\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "a length beyond any": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9" + b"9" * 30
    + b"\r\n\r\n",
    "two lengths of one body": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_no_http_is_a_problem_too(it: Served, data: bytes) -> None:
    """Before any application has seen it; then the connection is closed."""
    began, _, body = sent(it, data).partition(b"\r\n\r\n")
    assert began.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-type: application/problem+json" in began
    assert b"x-content-type-options: nosniff" in began
    problem = json.loads(body)
    assert problem["type"] == "urn:attempt-ledger:problem:malformed-question"
    assert problem["detail"]


def test_a_head_that_is_too_large_is_a_problem_too(it: Served) -> None:
    """431, of which the rest is not waited for."""
    found = sent(it, head(it, "GET", "/healthz")[:-2] + b"X-A: b\r\n" * 8_300)
    assert found.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    problem = json.loads(found.partition(b"\r\n\r\n")[2])
    assert problem["type"] == "urn:attempt-ledger:problem:head-too-large"


def test_what_follows_a_request_and_is_none_stands_in_no_answer(it: Served) -> None:
    """Pipelined requests are answered in turn; where one is none the connection ends, no more."""
    ask = head(it, "GET", "/v1/everybody", "Accept: text/csv")
    both = sent(it, ask + head(it, "GET", "/healthz", "Connection: close"))
    assert both.count(b"HTTP/1.1 200 OK") == 2
    assert both.endswith(b'{"status":"ok"}')
    found = sent(it, ask + b"nonsense\r\n\r\n")
    assert b"problem" not in found.partition(b"HTTP/1.1 400")[0]
    assert found.count(b"HTTP/1.1") <= 2


def posted() -> list[str]:
    """Return the routes that take a body of JSON."""
    keys = (key for key in RIGHTS if re.fullmatch(r"POST \S+", key))
    return [key.split()[1] for key in keys if key != "POST /v1/events"]


MALFORMED: dict[str, tuple[bytes, str, int, str, str]] = {
    "no JSON": (b"{", "application/json", 400, "malformed-question", "this is not JSON"),
    "not UTF-8": (b'{"\xff":1}', "application/json", 400, "malformed-question", "not UTF-8"),
    "UTF-16": ("{}".encode("utf-16"), "application/json", 400, "malformed-question", "UTF-8"),
    "nested": (b"[" * 100_000, "application/json", 400, "malformed-question", "not JSON"),
    "no number": (b'{"a": NaN}', "application/json", 400, "malformed-question", "not JSON"),
    "a giant": (b'{"a":' + b"9" * 9_000 + b"}", "application/json", 400, "malformed-question",
                "not JSON"),
    "half a character": (b'{"a":"\\ud800"}', "application/json", 400, "malformed-question",
                         "not JSON"),
    "a list": (b"[]", "application/json", 422, "malformed-body", "should be an object"),
    "a member twice": (b'{"a":1,"a":2}', "application/json", 422, "malformed-body", "'a' is there"),
    "text": (b"{}", "text/plain", 415, "unsupported-type", "'text/plain' is not read here"),
    "a form": (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported-type",
               "send application/json"),
    "of no type": (b"{}", "", 415, "unsupported-type", "send application/json"),
    "too large": (b" " * 2_000_000, "application/json", 413, "too-large", "1,048,576 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED.values(), ids=MALFORMED)
def test_a_body_that_is_not_read_is_told_why_at_every_route(
    it: Served, case: tuple[bytes, str, int, str, str]
) -> None:
    """The same of all that take JSON, in the same words."""
    content, media, status, kind, said = case
    for path in posted():
        if kind == "too-large" and path == "/v1/receipts/check":
            continue
        headers = {"content-type": media} if media else {}
        answer = it.ask("POST", path, by=ROLES, headers=headers, content=content)
        assert said in it.problem(answer, status, kind)["detail"], path


def test_whoever_goes_before_a_body_is_there_is_no_fault_of_ours(it: Served) -> None:
    """Nothing is noted of it on standard error, nor counted as one."""
    for path, media in (("/v1/standings", "json"), ("/v1/events", "cloudevents+json")):
        more = (f"Content-Type: application/{media}", "Content-Length: 100")
        host, port = it.address.removeprefix("http://").split(":")
        with closing(socket.create_connection((host, int(port)))) as connection:
            connection.sendall(head(it, "POST", path, *more) + b"{")
            time.sleep(0.2)
    assert it.get("/healthz").status_code == 200
    assert 'status="5' not in it.get("/metrics", by=ROLES).text


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("/v1/events", "GET, HEAD, POST"), ("/v1/exceptions", "GET, HEAD, POST"),
        ("/v1/standing", "GET, HEAD"), ("/v1/standings", "POST"), ("/healthz", "GET, HEAD"),
        ("/v1/tables/standings", "GET, HEAD"), ("/exception", "GET, HEAD, POST"),
        ("/proposals", "GET, HEAD, POST"), ("/candidate", "GET, HEAD"), ("/log-out", "POST"),
    ],
)  # fmt: skip
def test_a_wrong_method_is_told_every_one_that_is_taken(it: Served, path: str, taken: str) -> None:
    """Whichever route of the address was looked at first; OPTIONS and TRACE are none of them."""
    for method in ("OPTIONS", "TRACE", "DELETE", "PUT"):
        answer = it.ask(method, path, by=ROLES)
        it.problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == taken


def test_any_tag_at_all_is_confirmed(it: Served) -> None:
    """`If-None-Match: *` means whatever there is; a tag among others is found; another is not."""
    path = "/v1/standing?candidate=C-1001&exam=AZ-104"
    tag = it.ask("GET", path, by=ROLES).headers["etag"]
    wanted: dict[str, Any] = {"*": 304, f'"x", {tag}, W/"y"': 304, 'W/"x"': 200, "nonsense": 200}
    for tags, status in wanted.items():
        answer = it.ask("GET", path, by=ROLES, headers={"if-none-match": tags})
        assert answer.status_code == status, tags
        assert answer.headers["etag"]
        assert bool(answer.content) is (status == 200)
