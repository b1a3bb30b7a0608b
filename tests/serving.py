"""A real server on a real ledger, asked over HTTP: for the tests of the API and its benchmark."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from example_ledger import HISTORY

COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))
ENVIRONMENT = {"XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"], "PATH": "/usr/bin:/bin"}


class Served:
    """A server, and a client of it."""

    def __init__(self, path: Path, address: str, process: subprocess.Popen[str]) -> None:
        self.path = path
        self.address = address
        self.process = process
        self.client = httpx.Client(base_url=address, timeout=30)
        self.tokens: dict[str, str] = {}

    def call(self, *words: str, input: str | None = None) -> str:
        """Make a call of the command line on the same ledger; return its standard output."""
        done = subprocess.run(
            [COMMAND, "--ledger", str(self.path), *words],
            input=input, capture_output=True, text=True, check=False, env=ENVIRONMENT,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    def token(self, *roles: str) -> str:
        """Return the token of an identity with some roles, named after them."""
        name = "-".join(roles)
        if name not in self.tokens:
            words = [word for role in roles for word in ("--role", role)]
            self.tokens[name] = self.call("token", "create", name, *words).strip()
        return self.tokens[name]

    def ask(
        self, method: str, path: str, *, by: str | None = None, headers: Mapping[str, str] = {},
        **more: Any,
    ) -> httpx.Response:  # fmt: skip
        """Send a request by an identity with some roles, parted by blanks, or without a token."""
        sent = dict(headers)
        if by is not None:
            sent["authorization"] = f"Bearer {self.token(*by.split())}"
        answer = self.client.request(method, path, headers=sent, **more)
        assert answer.status_code != 500, answer.text
        return answer

    def get(self, path: str, by: str | None = None, **params: Any) -> httpx.Response:
        """Ask with GET."""
        named = {name: value for name, value in params.items() if value is not None}
        return self.ask("GET", path, by=by, params=named)

    def problem(self, answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
        """Read a problem, which has to be of a status and kind."""
        found: dict[str, Any] = answer.json()
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        assert (answer.status_code, found["status"]) == (status, status), answer.text
        assert found["type"] == f"urn:attempt-ledger:problem:{kind}"
        assert found["detail"]
        assert found["title"]
        return found


@contextmanager
def served(
    path: Path, *words: str, noise: str = "", environment: Mapping[str, str] = {}
) -> Iterator[Served]:
    """Serve a ledger on a port that is free; stop it as systemd does, and see that it ends well.

    `noise` is what it may say meanwhile; anything else is a failure.
    """
    process = subprocess.Popen(
        [COMMAND, "--ledger", str(path), "serve", "--port", "0", *words],
        stderr=subprocess.PIPE, text=True,
        env={**ENVIRONMENT, **environment},
    )  # fmt: skip
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        found = re.search(r" is at (http://\S+) until Ctrl-C", said)
        if found is None:
            process.kill()
        assert found, said + process.stderr.read()
        with (it := Served(path, found[1], process)).client:
            yield it
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        rest = process.stderr.read()
        assert "Traceback" not in rest, rest
        assert all(noise and noise in line for line in rest.splitlines()), rest
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def example(folder: Path) -> Path:
    """Make a ledger of the example's history, with the keys that a ledger has."""
    path = folder / "attempts.ledger"
    for words in (["init", "--bare"], ["import", str(HISTORY), "--keep-recorded-at"]):
        subprocess.run(
            [COMMAND, "--ledger", str(path), *words],
            check=True, capture_output=True, env=ENVIRONMENT,
        )  # fmt: skip
    return path


def event(n: int, type: str = "ExamFailed", **changes: Any) -> dict[str, Any]:
    """Return a CloudEvent of a feed."""
    data = {"exam": "AZ-104", "registration_id": f"S-{n}"}
    return {
        "specversion": "1.0", "type": type, "source": "urn:feed", "id": f"S-{n}",
        "subject": f"S-{n}", "time": "2024-03-01T09:00:00Z", "data": data, **changes,
    }  # fmt: skip


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """Read JSON lines."""
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]
