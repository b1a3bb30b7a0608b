"""Faults that HTTP libraries had in recent years, tried at every door that they could come by.

Those of tokens and of logging in are in test_api_oidc.py and test_console_log_in.py, forged headers
in test_api_roles.py.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
from serving import Served, example, served

ROLES = "admin booking officer reader recorder support"
SECONDS = 3.0
"""A hostile request may take no longer, on a machine that does much else."""


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history to whoever has a token."""
    with served(example(tmp_path_factory.mktemp("faults")), "--rate", "0") as it:
        it.token(*ROLES.split())
        yield it


RANGES = {
    "one": "bytes=0-0",
    "very many": "bytes=" + ",".join(f"{n}-{n}" for n in range(5_000)),
    "very many that overlap": "bytes=" + ",".join(["0-"] * 10_000),
    "very many that end nowhere": "bytes=" + "," * 40_000,
    "backwards": "bytes=9-1",
    "beyond any number": f"bytes={'9' * 5_000}-",
    "none": "bytes=-",
    "of another unit": "lines=1-2",
}


@pytest.mark.parametrize("wanted", RANGES)
@pytest.mark.parametrize(
    "path",
    ["/static/console.css", "/v1/log/checkpoint", "/v1/vkey", "/v1/everybody", "/v1/policies"],
)
def test_a_range_is_passed_over(it: Served, path: str, wanted: str) -> None:
    """The answer is the whole one, as soon as without: nothing is cut into thousands of parts."""
    whole = it.get(path, by=ROLES)
    began = time.perf_counter()
    headers = {"range": RANGES[wanted], "if-range": "*"}
    answer = it.ask("GET", path, by=ROLES, headers=headers)
    assert time.perf_counter() - began < SECONDS
    assert answer.status_code in (200, 400, 431)
    assert "content-range" not in answer.headers
    if answer.status_code == 200:
        assert answer.content == whole.content


def part(name: str, value: str = "x", more: str = "") -> str:
    """Return a part of a multipart body."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


BODIES = {
    "very many parts": "".join(part(str(n)) for n in range(14_000)) + "--b--\r\n",
    "very many files": "".join(part(str(n), more='; filename="f"') for n in range(9_000)),
    "no boundary at all": "x" * 200_000,
    "no end": part("token", "x" * 200_000)[:-2],
    "nothing but line ends": "--b" + "\r\n" * 200_000,
    "a header without an end": "--b\r\n" + "X-" * 200_000,
    "a header for each byte": "--b\r\n" + "a:b\r\n" * 50_000 + "\r\nx\r\n--b--",
    "a name in very many pieces": part("n", more="".join(f"; n*{i}=x" for i in range(20_000))),
    "nothing": "",
}
TYPES = ("multipart/form-data; boundary=b", "multipart/form-data", "multipart/mixed; boundary=b",
         f"multipart/form-data; boundary={'b' * 4_000}")  # fmt: skip
DOORS = ("/v1/standings", "/v1/events", "/v1/what-if", "/v1/exceptions", "/v1/receipts/check")
PAGES = ("/log-in", "/log-out", "/exception/new", "/exception", "/policy/what-if", "/proposals")


@pytest.mark.parametrize("body", BODIES)
def test_a_multipart_body_is_not_taken_apart(it: Served, body: str) -> None:
    """No door takes one: it is refused with a sentence, as soon as it is there."""
    began = time.perf_counter()
    for kind in TYPES:
        for path in DOORS:
            headers = {"content-type": kind}
            answer = it.ask("POST", path, by=ROLES, headers=headers, content=BODIES[body])
            assert answer.status_code in (400, 415, 422), (path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert len(answer.content) < 2_000
        for path in PAGES:
            same = {"content-type": kind, "sec-fetch-site": "same-origin"}
            answer = it.ask("POST", path, headers=same, content=BODIES[body])
            assert answer.status_code in (400, 413, 415), (path, answer.status_code)
    assert time.perf_counter() - began < len(TYPES) * SECONDS


FORMS = {
    "very many fields": ("&".join(f"f{n}=" for n in range(20_000)), 400),
    "nothing but signs": ("&" * 200_000 + "=" * 50_000, 400),
    "longer than any form": ("a=" + "b" * 300_000, 413),
    "no form": ("\xff%ff%", 400),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_bounded(it: Served, form: str) -> None:
    """In fields and bytes, before it is read."""
    text, status = FORMS[form]
    began = time.perf_counter()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = it.ask("POST", "/log-in", headers=headers, content=text.encode("latin-1"))
    assert answer.status_code == status, answer.text
    assert time.perf_counter() - began < SECONDS


HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("begin", "again"),
    [(HEAD, b"x: y\r\n" * 5_000), (HEAD + b"x: ", b"y" * 30_000), (HEAD, b"x" * 30_000),
     (b"GET /healthz?", b"a" * 30_000)],
    ids=["headers", "a header", "a name", "an address"],
)  # fmt: skip
def test_a_head_without_an_end_is_cut_off(it: Served, begin: bytes, again: bytes) -> None:
    """Before it takes room, or time to put it together; whoever asks meanwhile is answered."""
    host, port = it.address.removeprefix("http://").split(":")
    sent = 0
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(begin)
        with suppress(ConnectionError):
            while sent < 5_000_000:
                connection.sendall(again)
                sent += len(again)
    assert sent < 5_000_000
    assert it.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("x-a", "a" * 1_000_000)],
        [(f"x-{n}", "a") for n in range(1_000)],
        [("cookie", "; ".join(f"a{n}=b" for n in range(20_000)))],
        [("cookie", "__Host-attempt-ledger=" + "a" * 50_000)],
        [("if-none-match", ", ".join(['W/"a"'] * 10_000))],
        [("accept", ", ".join(f"a/{n};q=0.{n}" for n in range(10_000)))],
        [("accept", "*/*" * 20_000)],
    ],
    ids=["one", "many", "cookies", "a cookie", "tags", "kinds", "no kind"],
)  # fmt: skip
def test_giant_headers_cost_nothing(it: Served, headers: list[tuple[str, str]]) -> None:
    """At a page, a route that is cached, and one that chooses by Accept; and it goes on."""
    token = ("authorization", f"Bearer {it.token(*ROLES.split())}")
    for path in ("/", "/v1/standing?candidate=C-1001&exam=AZ-104", "/v1/everybody"):
        began = time.perf_counter()
        with suppress(httpx.RemoteProtocolError, httpx.ReadError):  # it may be cut off too
            answer = it.client.get(path, headers=[token, *headers])
            assert answer.status_code in (200, 303, 400, 406, 431), answer.text
        assert time.perf_counter() - began < SECONDS
    assert it.get("/healthz").status_code == 200
