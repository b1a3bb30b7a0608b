"""Truthful caching of an answer about one candidate: its weak ETag, and a 304 without a fold.

An answer for now changes at its `next_change_at` without any event, and by an event at any moment.
So its tag says what it was folded from and how long it holds over that (`replay.validity`); a 304
says that it is equal but for as_of, known_at and position. With both moments fixed it is immutable.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from attempt_ledger.api.problems import Problem
from attempt_ledger.api.service import Service, zone_of
from ledger.appending import AHEAD
from projections.answers import Standing
from replay.snapshot import Snapshot, UnansweredMoment
from replay.validity import Validity, still_holds

FRESH: Final = "private, no-cache"
"""It may be kept, and must be validated again each time."""
FOR_EVER: Final = "private, max-age=31536000, immutable"

_TAG: Final = re.compile(r'(?:W/)?"([0-9a-f]{12})\.(\d+)\.(\d+)\.(-?\d+)\.(\d+)"', re.ASCII)
_RELEASE: Final = version("attempt-ledger")
"""Another release may word the same answer otherwise."""


def tag_of(validity: Validity, answers: Iterable[Standing]) -> str:
    """Write the ETag of answers: the policy versions, then what they were folded from."""
    policies = " ".join(each.policy.sha256 if each.policy else "-" for each in answers)
    return f'W/"{_digest(policies)}.{".".join(map(str, validity))}"'


def _digest(policies: str) -> str:
    return hashlib.sha256(f"{_RELEASE} {policies}".encode()).hexdigest()[:12]


def tags_in(header: str) -> list[tuple[str, Validity]]:
    """Read an If-None-Match: the tags of ours that are in it, and what each says."""
    return [(match[0], Validity(*map(int, match.groups()[1:]))) for match in _TAG.finditer(header)]


def cache_control(snapshot: Snapshot, as_of: str | None, known_at: str | None, now: int) -> str:
    """Return what a cache may do with an answer at a moment that was written so.

    It is for ever once nothing that is still to be recorded can be known at that moment: what is
    recorded later is recorded after the last event, and after now but for a clock that was put
    back, for which five minutes are allowed.
    """
    if as_of is None or known_at is None:
        return FRESH
    known = snapshot.moment.known_at
    settled = (
        known_at.startswith("@")
        or known is None
        or known <= snapshot.ledger.head().recorded_at
        or known < now - AHEAD
    )
    return FOR_EVER if settled else FRESH


_KNOWN: Final = frozenset(("candidate", "exam", "as_of", "known_at", "zone"))


class Unchanged:
    """Answer a conditional `GET /v1/standing` with 304 where the answer still holds.

    Before any route, and without a fold: that is what makes it worth asking so.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["state"].get("route") == "GET /v1/standing":
            for name, value in scope["headers"]:
                if name == b"if-none-match":
                    headers = self._unchanged(scope, tags_in(value.decode("latin-1")))
                    if headers is not None:
                        start = {"type": "http.response.start", "status": 304, "headers": headers}
                        await send(start)
                        await send({"type": "http.response.body", "body": b""})
                        return
        await self._app(scope, receive, send)

    def _unchanged(
        self, scope: Scope, tags: Sequence[tuple[str, Validity]]
    ) -> list[tuple[bytes, bytes]] | None:
        """Return the headers of a 304, None where a whole answer is due."""
        words: list[tuple[str, str]] = parse_qsl(
            scope["query_string"].decode("latin-1"), keep_blank_values=True
        )
        question: dict[str, Any] = dict(words)
        if (
            not tags
            or len(question) < len(words)
            or question.keys() - _KNOWN
            or not all(question.values())
        ):
            return None
        as_of, known_at = question.get("as_of"), question.get("known_at")
        try:
            snapshot = self._service.snapshot(as_of, known_at, zone_of(question.get("zone")))
        except (Problem, UnansweredMoment):
            return None  # its route says what is wrong
        for tag, validity in tags:
            if still_holds(validity, snapshot, question.get("candidate", "")):
                control = cache_control(snapshot, as_of, known_at, self._service.now())
                return [
                    (b"etag", tag.encode()),
                    (b"cache-control", control.encode()),
                    (b"ledger-position", str(snapshot.position).encode()),
                ]
        return None
