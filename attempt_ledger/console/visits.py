"""One request of a page: who asks, at which moment; and how the page, or a sentence, is written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import jinja2
import markupsafe
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from attempt_ledger.api.edge import roles_of
from attempt_ledger.api.problems import problem_of
from attempt_ledger.api.roles import NOBODY, is_allowed
from attempt_ledger.api.service import Service
from attempt_ledger.api.tokens import Identity
from attempt_ledger.console.address import KEPT, Address
from attempt_ledger.console.sessions import COOKIE, Session, Sessions, is_own_form
from attempt_ledger.console.view import Content, View
from ledger.instants import format_instant

ROOMS: Final = (
    ("/exams", "Exams"),
    ("/exceptions", "Exceptions"),
    ("/authorizations", "Authorizations"),
    ("/reports", "Reports"),
    ("/policies", "Policies"),
    ("/proposals", "Proposals"),
    ("/audit", "Audit"),
    ("/health", "Health"),
)

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The content-security policy: nothing but our own files, and nothing written into a page, runs."""
HEADERS: Final = {"content-security-policy": POLICY, "cache-control": "private, no-cache"}

STATIC: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_LARGEST_FORM: Final = 256 << 10
_MOST_FIELDS: Final = 64


class Refused(Exception):
    """A page that is not shown: a sentence, and the status."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class LogIn(Exception):
    """Whoever asks has to log in first."""


class Visit:
    """One request of a page: who asks, and the address."""

    def __init__(self, request: Request, room: str) -> None:
        self.request = request
        self.room = room
        self.service: Service = request.app.state.service
        self.sessions: Sessions = request.app.state.sessions
        self.session: Session | None = None
        self.identity: Identity = NOBODY
        self.address = Address(request.url.path, {})

    def admit(self, right: str | None) -> None:
        """Find who asks, and whether that identity may; raises LogIn, Refused, Problem.

        `right` None: whoever is logged in.
        """
        try:
            self.address = Address(self.request.url.path, self.request.query_params)
        except ValueError as error:
            raise Refused(f"zone: {error}", 400) from None
        if self.request.app.state.tokens.any:
            self.session = self.sessions.find(self.request.cookies.get(COOKIE))
            if self.session is None:
                raise LogIn
            self.identity = self.session.identity
        self.request.state.rates.take(self.identity.name)
        if right is not None and not is_allowed(self.identity, right):
            raise Refused(f"This page is not for {roles_of(self.identity)}.", 403)

    def may(self, right: str) -> bool:
        """Return whether who asks may do something else."""
        return is_allowed(self.identity, right)

    def view(self) -> View:
        """Bind the ledger at the moment of the address; raises Problem."""
        address = self.address
        zone = address.clock.zone
        snapshot = self.service.snapshot(address.get("as_of"), address.get("known_at"), zone)
        present = self.service.snapshot()
        latest = present.at(present.moment._replace(as_of=snapshot.as_of))
        service = self.service
        return View(address, snapshot, latest, service.now(), service.access, service.register)

    def answer(self, content: Content, view: View | None = None, **headers: str) -> Response:
        """Write a page."""
        text = (
            _templates()
            .get_template(content.template)
            .render(
                address=self.address,
                room=self.room,
                rooms=ROOMS,
                kept=[
                    (name, self.address.query[name]) for name in KEPT if name in self.address.query
                ],
                who=None if self.session is None else self.identity.name,
                csrf="" if self.session is None else self.session.csrf,
                may=self.may,
                looking_back=view is not None and view.looking_back,
                position=0 if view is None else view.snapshot.position,
                **content.values,
            )
        )
        return HTMLResponse(text, content.status, {**HEADERS, **headers})

    def refuse(self, sentence: str, status: int, headers: Mapping[str, str] = {}) -> Response:
        """Write a page that says why there is no other, with what was asked for, to be mended."""
        was_read = self.request.method == "GET" and status == 400
        typed = dict(self.request.query_params) if was_read else {}
        values = {"title": "This cannot be shown", "sentence": sentence, "typed": typed}
        return self.answer(Content("problem.html", values, status), None, **headers)

    async def form(self) -> dict[str, str]:
        """Read the form that was sent, by one of this session's own pages; raises Refused."""
        values = await form_of(self.request)
        if self.session is None:
            raise Refused("Without authentication nothing is changed.", 403)
        if not is_own_form(self.session, values.get("csrf", "")):
            raise Refused("This form is not of this session: load the page again.", 403)
        return values


async def form_of(request: Request) -> dict[str, str]:
    """Read a form, urlencoded alone: no files are sent to the console."""
    if request.headers.get("content-type", "").partition(";")[0] != (
        "application/x-www-form-urlencoded"
    ):
        raise Refused("A form is sent as application/x-www-form-urlencoded.", 415)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_FORM:
            raise Refused(f"The form has more than {_LARGEST_FORM:,} bytes.", 413)
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(
            text, keep_blank_values=False, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise Refused("The form cannot be read.", 400) from None
    return dict(pairs)


async def guarded(visit: Visit, right: str | None, answer: Callable[[], Any]) -> Response:
    """Answer a request of who may; whatever goes wrong is a page with a sentence."""
    try:
        visit.admit(right)
        response: Response = await answer()
        return response
    except LogIn:
        return await _log_in_first(visit)
    except Refused as refused:
        return visit.refuse(str(refused), refused.status)
    except Exception as error:
        problem = problem_of(error)
        return visit.refuse(str(problem), problem.status, problem.headers)


async def _log_in_first(visit: Visit) -> Response:
    """Send a browser to log in; what was typed into a form of ours is kept meanwhile."""
    request = visit.request
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method == "GET" or not is_same_origin(request):
        return RedirectResponse(f"/log-in?{urlencode({'next': back})}", 303)
    try:
        typed = await form_of(request)
    except Refused as refused:
        return visit.refuse(str(refused), refused.status)
    typed.pop("csrf", None)
    return log_in_page(visit, back, "Your session has ended. Nothing was sent yet.", 401, typed)


def is_same_origin(request: Request) -> bool:
    """Return whether a page of this service sent a request, as every browser tells.

    Another site's form must not be kept for whoever logs in next.
    """
    return request.headers.get("sec-fetch-site") == "same-origin"


def log_in_page(
    visit: Visit, back: str, wrong: str, status: int = 200, typed: Mapping[str, str] = {}
) -> Response:
    """Show how to log in, what went wrong, and what was typed before."""
    client = visit.request.app.state.client
    host = None if client is None else client.host
    values = {"next": back, "wrong": wrong, "provider": host, "typed": typed}
    return visit.answer(
        Content("log-in.html", values, status), None, **{"cache-control": "no-store"}
    )


@cache
def static(name: str) -> bytes:
    """Return one of the console's own files."""
    return files("attempt_ledger.console").joinpath("static", name).read_bytes()


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("attempt_ledger.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    stamp = hashlib.sha256(b"".join(map(static, STATIC))).hexdigest()[:12]
    environment.filters["commands"] = _commands
    environment.globals.update(stamp=stamp, instant=format_instant, micros=_micros)
    return environment


def _commands(sentence: str) -> markupsafe.Markup:
    """Write what a sentence has between backticks, as a terminal shows commands, as code."""
    return markupsafe.Markup(_COMMAND.sub(r"<code>\1</code>", str(markupsafe.escape(sentence))))


_COMMAND: Final = re.compile(r"`([^`]+)`")


def _micros(value: datetime) -> int:
    return int(value.timestamp() * 1_000_000)
