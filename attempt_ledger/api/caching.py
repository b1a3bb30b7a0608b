"""The answer about one candidate: cached truthfully by its weak ETag, and a 304 without a fold.

An answer for now changes at its `next_change_at` without any event, and by an event at any moment.
So its tag says what it was folded from and how long it holds over that (`replay.validity`); a 304
says that it is equal but for as_of, known_at and position. With both moments fixed it is immutable.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

from pydantic import TypeAdapter
from pydantic_core import SchemaSerializer
from starlette.types import ASGIApp, Receive, Scope, Send

from attempt_ledger.api.routing import LONGEST_ID
from attempt_ledger.api.service import Service, zone_of
from ledger.instants import AHEAD
from ledger.store.interface import Head
from projections.answers import Standing
from projections.sentences import shown_in
from replay.snapshot import Snapshot
from replay.validity import Validity, answers_of, still_holds

FRESH: Final = "private, no-cache"
"""It may be kept, and must be validated again each time."""
FOR_EVER: Final = "private, max-age=31536000, immutable"

_REMEMBERED: Final = 1 << 14
"""So many questions and tags are not read anew: who asks again sends the same words."""
_LONGEST_READ: Final = 1_000
"""Longer words are left to the route, or are no tags of ours."""

_PART: Final = r"[0-9a-f]{12}"
_NUMBER: Final = r"(-?\d{1,19})"
_TAG: Final = re.compile(
    rf'(?:W/)?"({_PART})\.{_PART}\.{_NUMBER}-{_NUMBER}\.{_NUMBER}-{_NUMBER}\.{_NUMBER}\.{_NUMBER}"',
    re.ASCII,
)
_RELEASE: Final = version("attempt-ledger")
"""Another release may word the same answer otherwise."""


class Question(NamedTuple):
    """A question about one candidate, as people type it."""

    candidate: str
    exam: str | None = None
    as_of: str | None = None
    known_at: str | None = None
    zone: str | None = None


def tag_of(question: Question, validity: Validity, answers: Iterable[Standing]) -> str:
    """Write the ETag of answers: the question, the policy versions, what they were folded from.

    The moment of the question is no part of it: the same answer at another is the same answer.
    """
    policies = tuple(each.policy.sha256 if each.policy else "-" for each in answers)
    (who, who_at), (catalogue, catalogue_at), since, until = validity
    facts = f"{who}-{who_at}.{catalogue}-{catalogue_at}.{since}.{until}"
    return f'W/"{_digest_of(question)}.{_digest_of_all(policies)}.{facts}"'


@lru_cache(maxsize=_REMEMBERED)
def tags_in(header: str, question: Question) -> tuple[tuple[str, Validity], ...]:
    """Read an If-None-Match: the tags in it of a question, by this release, and what each says."""
    digest = _digest_of(question)
    found = []
    for match in _TAG.finditer(header):
        if match[1] == digest:
            who, who_at, catalogue, catalogue_at, *stretch = map(int, match.groups()[1:])
            facts = Head(who, who_at), Head(catalogue, catalogue_at)
            found.append((match[0], Validity(*facts, *stretch)))
    return tuple(found)


@lru_cache(maxsize=_REMEMBERED)
def _digest_of(question: Question) -> str:
    # Whatever was typed: no text in one of them is taken for a part of another.
    return _digest(repr((_RELEASE, question.candidate, question.exam, question.zone)))


@lru_cache(maxsize=_REMEMBERED)
def _digest_of_all(policies: tuple[str, ...]) -> str:
    return _digest(" ".join(policies))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


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


def _serializer(of: Any) -> SchemaSerializer:
    adapter = TypeAdapter(of)
    adapter.rebuild()  # or each call would look for what is built first
    return adapter.serializer


_ONE: Final = _serializer(Standing)
_ALL: Final = _serializer(tuple[Standing, ...])
"""Straight to bytes: half of what the model's own method takes."""

Headers: TypeAlias = list[tuple[bytes, bytes]]


def answer_of(service: Service, question: Question, tags: str = "") -> tuple[int, Headers, bytes]:
    """Answer a question: status, headers and body. Raises Problem, UnansweredMoment.

    `tags` is the If-None-Match that came with it: 304 where one of them still holds.
    """
    clock = zone_of(question.zone)
    snapshot = service.snapshot(question.as_of, question.known_at, clock)
    control = FRESH
    if question.as_of is not None and question.known_at is not None:
        control = cache_control(snapshot, question.as_of, question.known_at, service.now())
    headers: Headers = [
        (b"cache-control", control.encode()),
        (b"ledger-position", b"%d" % snapshot.position),
    ]
    for tag, validity in tags_in(tags, question) if 0 < len(tags) <= _LONGEST_READ else ():
        if still_holds(validity, snapshot, question.candidate):
            return 304, [*headers, (b"etag", tag.encode())], b""
    show = None if clock is None else shown_in(clock, str(question.zone))
    answers, validity = answers_of(snapshot, question.candidate, question.exam, show)
    headers.append((b"etag", tag_of(question, validity, answers).encode()))
    if tags.strip() == "*":  # whatever there is: it is kept (RFC 9110, section 13.1.2)
        return 304, headers, b""
    body = _ALL.to_json(answers) if question.exam is None else _ONE.to_json(answers[0])
    headers += [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    return 200, headers, body


class Standings:
    """Answer a well-formed `GET /v1/standing` before any route.

    It is called thousands of times a second, and what FastAPI does for a request, which is meant to
    tell what is wrong with it, takes longer than the fold. Whatever is not well-formed goes on to
    its route, which says why.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["state"].get("route") == "GET /v1/standing":
            query = scope["query_string"].decode("latin-1")
            question = _question_in(query) if len(query) <= _LONGEST_READ else None
            if question is not None:
                tags = ""
                for name, value in scope["headers"]:
                    if name == b"if-none-match":
                        tags += value.decode("latin-1")
                status, headers, body = answer_of(self._service, question, tags)
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await self._app(scope, receive, send)


@lru_cache(maxsize=_REMEMBERED)
def _question_in(query: str) -> Question | None:
    """Read a query string, None for one that the route has to look at."""
    pairs = parse_qsl(query, keep_blank_values=True)
    words = dict(pairs)
    if "candidate" not in words or len(words) < len(pairs) or words.keys() - _LONGEST.keys():
        return None
    if not all(0 < len(value) <= _LONGEST[name] for name, value in words.items()):
        return None
    return Question(**words)


_LONGEST: Final = dict.fromkeys(Question._fields, 64) | {
    "candidate": LONGEST_ID,
    "exam": LONGEST_ID,
}
"""As the route's parameters say."""
