"""What every request passes before a route: host, size, identity, role, rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, Protocol
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attempt_ledger.api.metrics import Metrics
from attempt_ledger.api.problems import Problem, problem_of, unexpected
from attempt_ledger.api.roles import NOBODY, OPEN, is_allowed, route_of
from attempt_ledger.api.tokens import Identity
from attempt_ledger.listening import NOT_OURS, is_own

LARGEST_BODY: Final = 1 << 20
LARGER: Final[Mapping[str, int]] = {
    "POST /v1/events": 16 << 20,
    "POST /v1/receipts/check": 64 << 20,
}
"""Bodies that may have more than LARGEST_BODY bytes."""

HEADERS: Final = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"cache-control": b"no-store",
}
"""What every answer carries, unless its route says something else under that name.

A 304 leaves them to the answer that it confirms (RFC 9110, section 15.4.5).
"""


STOPS: Final = "The service stops: send it again to the one that comes after."


class Gate(Protocol):
    """Tells who asks."""

    async def identity(self, authorization: str | None) -> Identity:
        """Return who sent an Authorization header; raises Problem."""

    def note_uses(self) -> None:
        """Write down the latest callers."""


class Rates:
    """So many requests a second for each identity, and twice as many at once."""

    def __init__(self, rate: float, clock: Callable[[], int]) -> None:
        """`rate` is in requests a second, 0 for no bound; `clock` in microseconds."""
        self._rate = rate
        self._clock = clock
        self._left: dict[str, tuple[float, int]] = {}

    def take(self, name: str) -> None:
        """Take one request of an identity; raises Problem when it had too many."""
        if not self._rate:
            return
        now = self._clock()
        left, at = self._left.get(name, (2 * self._rate, now))
        left = min(2 * self._rate, left + max(0, now - at) / 1_000_000 * self._rate)
        if left < 1:
            raise Problem(
                "too-many-requests",
                f"{name} sends more than {self._rate:g} times a second: try again later",
                headers={"retry-after": "1"},
            )
        if len(self._left) > _REMEMBERED:
            self._left.clear()
        self._left[name] = (left - 1, now)


_REMEMBERED: Final = 10_000


class Edge:
    """The outermost application: it lets through what may be, and answers all else with a problem.

    Whatever a route raises is answered too, so that no traceback ever leaves.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        names: Collection[str],
        rates: Rates,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._gate = gate
        self._names = frozenset(name.lower() for name in names)
        self._rates = rates
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a web socket: closed without an answer, there is none here
        answer = _Answer(send, time.perf_counter())
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
            answer = head = _Head(send, time.perf_counter())
            receive = _until(head.sent)
        try:
            body = await self._admitted(scope)
            await self._app(scope, _bounded(receive, body), answer.send)
        except asyncio.CancelledError:
            # The service stops, and this took longer than it may: a body that does not come, say.
            if not answer.started:
                await Problem("unavailable", STOPS).response()(scope, receive, answer.send)
        except Exception as error:
            if not answer.started:
                await problem_of(error).response()(scope, receive, answer.send)
            elif not answer.ended:
                unexpected(error)  # uvicorn cuts the connection: half an answer is no answer
        finally:
            if answer.status:
                route = scope["state"].get("route") or "other"
                self._metrics.note(route, answer.status, answer.seconds)

    async def _admitted(self, scope: Scope) -> int:
        """Check who asks for what; return how long its body may be. Raises Problem."""
        if not is_own(scope, self._names):
            raise Problem("wrong-host", NOT_OURS)
        headers = scope["headers"]
        _check_address(scope["query_string"])
        key = route_of(scope["method"], scope["path"])
        scope["state"]["route"] = key
        longest = LARGER.get(key or "", LARGEST_BODY)
        for name, value in headers:
            if name == b"content-length" and int(value) > longest:
                raise _too_large(longest)
            if name == b"content-encoding" and value.lower() != b"identity":
                raise Problem("unsupported-type", "A compressed body is not read: send it plain.")
        if key in OPEN or (key is None and not scope["path"].startswith("/v1/")):
            scope["state"]["rates"] = self._rates
            return longest  # pages have sessions of their own, and then take of the same rate
        credentials = [value for name, value in headers if name == b"authorization"]
        if len(credentials) > 1:
            raise Problem("unauthenticated", "There are two Authorization headers.")
        identity = await self._gate.identity(
            credentials[0].decode("latin-1") if credentials else None
        )
        self._rates.take(identity.name)
        scope["state"]["identity"] = identity
        if key is not None and not is_allowed(identity, key):
            raise forbidden(identity, key)
        return longest


def forbidden(identity: Identity, key: str) -> Problem:
    """Return that an identity may not do something, and which roles may."""
    from_here = "Without authentication the service only reads: `token create` makes a token."
    if identity is NOBODY:
        return Problem("forbidden", from_here)
    return Problem("forbidden", f"{key} is not for {roles_of(identity)}.")


def roles_of(identity: Identity) -> str:
    """Name the roles of an identity: an OIDC provider may name none that is known here."""
    return ", ".join(sorted(identity.roles)) or "an identity without a role"


def _check_address(query: bytes) -> None:
    """Check that what is escaped in a query is UTF-8; raises Problem.

    Anything else would be read as one and the same replacement character, and be the question about
    somebody else. Bytes that are not escaped the parser refuses.
    """
    try:
        if b"%" in query:
            unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        raise Problem(
            "malformed-question", "The address is not UTF-8: write é, say, as %C3%A9."
        ) from None


def _too_large(longest: int) -> Problem:
    return Problem("too-large", f"The body has more than {longest:,} bytes.")


def _bounded(receive: Receive, longest: int) -> Receive:
    """Raise Problem where a body is longer than it may be, whatever its header says."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > longest:
                raise _too_large(longest)
        return message

    return bounded


def _until(sent: asyncio.Event) -> Receive:
    """Receive a request without a body, whose reader goes when he has the head.

    So a stream ends there, and whatever follows the ledger for it.
    """
    messages: Iterator[Message] = iter(({"type": "http.request", "body": b""},))

    async def received() -> Message:
        for message in messages:
            return message
        await sent.wait()
        return {"type": "http.disconnect"}

    return received


class _Answer:
    """An answer on its way out, with the headers that every answer carries."""

    def __init__(self, send: Send, began: float) -> None:
        self._send = send
        self._began = began
        self.status = 0
        self.seconds = 0.0
        """How long it took to begin."""
        self.started = False
        self.ended = False

    async def send(self, message: Message) -> None:
        """Send a part of it."""
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            self.seconds = time.perf_counter() - self._began
            if self.status != 304:  # whose reader keeps what the whole answer carried
                headers = list(message.get("headers", ()))
                there = {name for name, _ in headers}
                headers += [pair for pair in HEADERS.items() if pair[0] not in there]
                message = {**message, "headers": headers}
        elif not message.get("more_body", False):
            self.ended = True
        await self._send(message)


class _Head(_Answer):
    """An answer as GET has it, of whose body nothing is sent."""

    def __init__(self, send: Send, began: float) -> None:
        super().__init__(send, began)
        self.sent = asyncio.Event()
        """Set once all that was asked for is sent."""

    async def send(self, message: Message) -> None:
        """Send the head, and then that there is no more."""
        if message["type"] == "http.response.start":
            await super().send(message)
        elif not self.ended:
            await super().send({"type": "http.response.body"})
            self.sent.set()
