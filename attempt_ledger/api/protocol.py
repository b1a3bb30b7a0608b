"""A connection that is bounded: in time, for whoever sends or takes nothing; and in its headers."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from attempt_ledger.api.edge import HEADERS
from attempt_ledger.api.problems import Problem

REQUEST_SECONDS: Final = 60.0
"""So long a request may take to arrive, its head and its body."""
STALLED_SECONDS: Final = 30.0
"""So long a reader may take nothing of what waits for it."""
LONGEST_HEAD: Final = 64 << 10
"""So many bytes the head of a request may have, and one more piece as the network brings it.

Uvicorn bounds neither their number nor their length, and the parser puts a header that comes in
pieces together by copying it anew with each.
"""


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's own protocol, with a clock on what a client is to do."""

    _head = 0
    """How much of a head has arrived that is not complete."""
    _is_complete = False
    _arriving: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Take what arrived; cut off whoever sends a head without an end."""
        super().data_received(data)
        if not self._is_complete:
            self._head += len(data)
            if self._head > LONGEST_HEAD and not self.transport.is_closing():
                self._refuse("head-too-large", f"It has more than {LONGEST_HEAD:,} bytes.")

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, before any application, in the form of all problems."""
        self._refuse("malformed-question", "What was sent is no request of HTTP/1.1.")

    def _refuse(self, kind: str, sentence: str) -> None:
        answer = Problem(kind, sentence, headers={"connection": "close"}).response()
        lines = [f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}".encode()]
        headers = dict(HEADERS) | dict(answer.raw_headers)
        lines += [name + b": " + value for name, value in headers.items()]
        if self.cycle is None or self.cycle.response_complete:  # or it would stand in an answer
            self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()

    def on_headers_complete(self) -> None:
        """Go on with a request whose head is here."""
        self._is_complete = True
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a request."""
        self._head, self._is_complete = 0, False
        super().on_message_begin()
        self._await_request()

    def on_message_complete(self) -> None:
        """Note that a request is here."""
        super().on_message_complete()
        _stop(self._arriving)

    def pause_writing(self) -> None:
        """Begin to wait for a reader who has enough."""
        self.flow.pause_writing()
        _stop(self._stalled)
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the reader goes on."""
        self.flow.resume_writing()
        _stop(self._stalled)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the clocks go."""
        _stop(self._arriving)
        _stop(self._stalled)
        super().connection_lost(exc)

    def _await_request(self) -> None:
        _stop(self._arriving)
        self._arriving = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)


def _stop(clock: asyncio.TimerHandle | None) -> None:
    if clock is not None:
        clock.cancel()
