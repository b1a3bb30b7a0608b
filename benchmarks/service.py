"""The service: answers, decisions, 304s and followers, load and server on one machine."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from benchmarks.data import copied, fresh, ledger_of
from benchmarks.measure import Figure, Options, alternately, middle, processor

_MOST = 2_000_000
_FIXED = "/healthz"
_REQUESTS = 4_000
_CONNECTIONS = 8
_BATCH = 1_000
_FOLLOWERS = 200
_RATE = 200
_APPENDERS = 10
_PAGES = 50
_MOVED = 20
_MOVE = """(key) => new Promise((done) => {
  const slider = document.getElementById("as_of-slider"), began = performance.now();
  const end = () => requestAnimationFrame(() => done(performance.now() - began));
  document.addEventListener("shown", end, {once: true});
  slider.value = Number(slider.value) + (key === "ArrowLeft" ? -1 : 1);
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  slider.dispatchEvent(new Event("change", {bubbles: true}));
})"""
"""Move the slider by a step; the milliseconds until the page has shown what is true there."""
_SENT = re.compile(rb'"id":"bench/([0-9]+)"')
_FOLLOWED = 1_000
_PROGRAM = str(Path(sys.executable).with_name("attempt-ledger"))


def figures(options: Options) -> Iterator[Figure]:
    """Serve a ledger of at most 2,000,000 events, and ask it."""
    ledger = ledger_of(min(options.events, _MOST))
    folder = fresh(options.scratch / "service")
    copy = copied(ledger, folder)
    with _served(copy) as served:
        found = _call(served, "/v1/everybody", accept="text/csv")[1].decode()
        rows = [line.split(",")[:2] for line in found.splitlines()[1:]]
        pairs = rows[:: max(1, len(rows) // 5_000)]
        yield from _answers(served, pairs, options)
        yield _decisions(served, pairs, options)
        people = [candidate for candidate, _ in pairs[: options.share(_PAGES, 2)]]
        yield from _pages(served, people, options.share(_MOVED))
        followers = options.share(_FOLLOWERS, 2)
        yield asyncio.run(_followers(served, followers, options.share(_FOLLOWED)))
    shutil.rmtree(folder)


def _answers(
    served: _Service, pairs: Sequence[Sequence[str]], options: Options
) -> Iterator[Figure]:
    """Time whole standings, a fixed JSON route, and answers that are still the same.

    By the server's own processor time: what else runs on the machine is not measured.
    """
    paths = [f"/v1/standing?{urlencode({'candidate': c, 'exam': e})}" for c, e in pairs]
    with _Client(served) as client:
        tags = {path: client.get(path)[0]["etag"] for path in paths[: options.share(500)]}
    ask = [client.request("GET", path) for path in paths]
    ask_fixed = [client.request("GET", _FIXED)]
    ask_again = [
        client.request("GET", path, headers={"if-none-match": tag}) for path, tag in tags.items()
    ]
    requests = options.share(_REQUESTS, 400)
    with _Crowd(served, requests) as crowd:
        whole, fixed, unchanged = alternately(
            options.runs,
            lambda: crowd.rate(ask, 200),
            lambda: crowd.rate(ask_fixed, 200),
            lambda: crowd.rate(ask_again, 304),
        )
    yield Figure(
        "service", "whole standings, one by one", "/s", middle(whole), middle(fixed),
        "a fixed JSON route", at_least=0.5, all={"ours": whole, "peer": fixed},
        note="by the server's processor time",
    )  # fmt: skip
    yield Figure(
        "service", "answers that are still the same (304)", "/s", middle(unchanged),
        middle(whole), "whole answers", at_least=3, all={"ours": unchanged, "peer": whole},
    )  # fmt: skip
    times: list[float] = []
    pause = 1 / middle(whole)  # half of full load: as long a pause as an answer takes
    with _Client(served) as client:
        for _, path in zip(range(requests // 2), cycle(paths), strict=False):
            at = time.perf_counter()
            client.get(path)
            times.append(time.perf_counter() - at)
            time.sleep(pause)
    tail = quantiles(times, n=100)[98]
    yield Figure(
        "service", "99th percentile at half of full load", "s", tail, middle(times),
        "its median", at_most=8, all={"ours": [tail], "peer": [middle(times)]},
    )  # fmt: skip


def _decisions(served: _Service, pairs: Sequence[Sequence[str]], options: Options) -> Figure:
    """Time decisions in batches of 1,000."""
    some = [list(pair) for _, pair in zip(range(_BATCH), cycle(pairs), strict=False)]
    body = json.dumps({"pairs": some, "fields": "decision"}).encode()
    times = options.share(10)
    with _Client(served) as client:

        def rate() -> float:
            began = time.perf_counter()
            for _ in range(times):
                client.send("POST", "/v1/standings", body=body)
            return times * len(some) / (time.perf_counter() - began)

        (found,) = alternately(options.runs, rate)
    what = f"decisions in batches of {len(some):,}"
    return Figure("service", what, "/s", middle(found), at_least=50_000, all={"ours": found})


def _pages(served: _Service, candidates: Sequence[str], moved_on: int) -> Iterator[Figure]:
    """Ask for candidates' pages; then move a slider in a browser until each answer is shown."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{served.port}/")
        page.fill("#token", served.token)
        with page.expect_navigation():
            page.click("main button.main")
        took, sizes = [], []
        for candidate in candidates:
            began = time.perf_counter()
            answer = page.request.get(f"http://127.0.0.1:{served.port}/candidate?id={candidate}")
            took.append(time.perf_counter() - began)
            sizes.append(len(answer.body()) / 1_000_000)
        yield Figure(
            "service", "a candidate's page at the server", "s", middle(took), at_most=0.1,
            all={"ours": took},
        )  # fmt: skip
        yield Figure(
            "service", "a candidate's page in all", "MB", max(sizes), at_most=0.15,
            all={"ours": sizes},
        )  # fmt: skip
        moved = []
        for candidate in candidates[:moved_on]:
            page.goto(f"http://127.0.0.1:{served.port}/candidate?id={candidate}")
            for key in ("ArrowLeft", "ArrowLeft", "ArrowRight"):
                moved.append(float(page.evaluate(_MOVE, key)) / 1000)
        browser.close()
    yield Figure(
        "service", "slider moved until the page shows the answer, 95th percentile", "s",
        quantiles(moved, n=20)[18], at_most=0.12, all={"ours": moved},
    )  # fmt: skip


async def _followers(served: _Service, followers: int, events: int) -> Figure:
    """Follow by streams while 200 events a second are appended; every one gets every one."""
    loop = asyncio.get_running_loop()
    sent: dict[int, float] = {}
    lags: list[float] = []
    counts = [0] * followers
    head = int(json.loads(_call(served, "/readyz")[1])["position"])

    async def follow(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            f"GET /v1/events/stream?after={head} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {served.token}\r\n\r\n".encode()
        )
        rest = b""
        while counts[number] < events:
            piece = rest + await asyncio.wait_for(reader.read(1 << 16), 60)
            whole, _, rest = piece.rpartition(b"\n")
            now = loop.time()
            found = [int(each) for each in _SENT.findall(whole)]
            lags.extend(now - sent[each] for each in found)
            counts[number] += len(found)
        writer.close()

    async def append(first: int) -> None:
        with _Client(served) as client:
            for n in range(first, events, _APPENDERS):
                await asyncio.sleep(max(0.0, began + n / _RATE - loop.time()))
                event = {
                    "specversion": "1.0", "type": "ExamFailed", "source": "urn:bench",
                    "id": f"bench/{n}", "subject": f"B-{n}", "time": "2024-01-01T00:00:00Z",
                    "data": {"exam": "AZ-104", "registration_id": f"B-{n}"},
                }  # fmt: skip
                body = json.dumps(event).encode()
                sent[n] = loop.time()
                await asyncio.to_thread(
                    client.send, "POST", "/v1/events", body, "application/cloudevents+json"
                )

    following = [asyncio.create_task(follow(number)) for number in range(followers)]
    await asyncio.sleep(1)
    began = loop.time()
    await asyncio.gather(*(append(first) for first in range(_APPENDERS)))
    took = loop.time() - began
    await asyncio.wait_for(asyncio.gather(*following, return_exceptions=True), 60)
    missed = sum(events - count for count in counts)
    lag = quantiles(lags, n=20)[18]
    rate = events / took
    return Figure(
        "service", f"lag of {followers} followers, 95th percentile", "s", lag, at_most=0.3,
        all={"ours": [lag]}, note=f"{missed} missed, at {rate:.0f} appends a second",
    )  # fmt: skip


class _Client:
    """One connection, which is kept open."""

    def __init__(self, served: _Service) -> None:
        self._socket = socket.create_connection(("127.0.0.1", served.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._token = served.token

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[dict[str, str], bytes]:
        """Ask, and return headers and body."""
        return self.send("GET", path, headers=headers)

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        media: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> tuple[dict[str, str], bytes]:
        """Send a request, and return the headers and the body of the answer."""
        self._socket.sendall(self.request(method, path, body, media, headers))
        status = int(self._file.readline().split()[1])
        found: dict[str, str] = {}
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            found[name.lower()] = value.strip()
        content = self._file.read(int(found.get("content-length", 0)))
        if status >= 400:
            raise RuntimeError(content.decode())
        return found, content

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        media: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """Write a request."""
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {self._token}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        if body:
            lines += [f"Content-Type: {media}", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


class _Crowd:
    """Several connections that ask at once, so that the server is what is waited for."""

    def __init__(self, served: _Service, requests: int) -> None:
        self._served = served
        self._requests = requests
        here = ("127.0.0.1", served.port)
        self._sockets = [socket.create_connection(here) for _ in range(_CONNECTIONS)]

    def __enter__(self) -> _Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()

    def rate(self, requests: Sequence[bytes], status: int) -> float:
        """Send requests, each by itself; return how many a second of the server's processor."""
        following = cycle(requests)
        began = self._served.seconds()
        for each in self._sockets:
            each.sendall(next(following))
        for _ in range(self._requests // _CONNECTIONS):
            for each in self._sockets:
                _read(each, status)
                each.sendall(next(following))
        for each in self._sockets:
            _read(each, status)
        return (self._requests + _CONNECTIONS) / (self._served.seconds() - began)


def _read(connection: socket.socket, status: int) -> None:
    """Read an answer to its end."""
    found = connection.recv(1 << 16)
    assert found.startswith(b"HTTP/1.1 %d" % status), found
    while (end := found.find(b"\r\n\r\n")) < 0:
        found += connection.recv(1 << 16)
    _, named, length = found[:end].partition(b"content-length: ")
    whole = end + 4 + (int(length.partition(b"\r")[0]) if named else 0)
    while len(found) < whole:
        found += connection.recv(1 << 16)


def _call(served: _Service, path: str, accept: str = "*/*") -> tuple[dict[str, str], bytes]:
    with _Client(served) as client:
        return client.send("GET", path, headers={"Accept": accept})


class _Service(NamedTuple):
    """A server, to one who may all that is asked."""

    port: int
    token: str
    process: int

    def seconds(self) -> float:
        """Return the processor time that it has taken."""
        return processor(self.process)


@contextmanager
def _served(ledger: Path) -> Iterator[_Service]:
    """Serve a ledger on a port that is free."""
    named = ["--ledger", str(ledger)]
    roles = ["--role", "reader", "--role", "recorder", "--role", "support"]
    made = [str(_PROGRAM), *named, "token", "create", "bench", *roles]
    token = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
    words = [str(_PROGRAM), *named, "serve", "--port", "0", "--rate", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = ""
        while " is at " not in line:
            line = process.stderr.readline()
        try:
            yield _Service(int(line.partition("127.0.0.1:")[2].split()[0]), token, process.pid)
        finally:
            process.terminate()
            process.wait(30)
