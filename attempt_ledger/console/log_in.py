"""Logging in to the console, with a token or at an OIDC provider, and logging out."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from joserfc.errors import JoseError
from starlette.concurrency import run_in_threadpool

from attempt_ledger.api.oidc import Issuer, NotValid
from attempt_ledger.api.problems import Problem
from attempt_ledger.api.tokens import OIDC, Identity
from attempt_ledger.console.sessions import COOKIE, LONGEST, PENDING, PENDING_COOKIE
from attempt_ledger.console.view import Content
from attempt_ledger.console.visits import (
    Refused,
    Visit,
    form_of,
    guarded,
    is_same_origin,
    log_in_page,
)

routes = APIRouter(include_in_schema=False)

LOG_IN: Final = "/log-in"
CALLBACK: Final = "/log-in/callback"
"""Where the provider sends a browser back to: these addresses are registered there."""
AGAIN: Final = "again."
"""How the names of fields begin that were typed before somebody had to log in."""
_SECONDS: Final = 5.0
_FAULTS: Final = (
    httpx2.HTTPError, OAuthError, JoseError, NotValid, Problem, RuntimeError, ValueError, KeyError,
    TypeError,
)  # fmt: skip
"""What a provider's answers raise; only the kind is shown, since a sentence may hold a code."""


class Client:
    """What this service is to an OIDC provider: the client by which people log in.

    Authorization code with PKCE. State, nonce and verifier are kept on the server's side, bound to
    the browser by a cookie of its own. What comes back is checked as every bearer token is.
    """

    def __init__(self, issuer: Issuer, id: str, secret: str | None = None) -> None:
        """Without a `secret` the client is a public one: PKCE alone protects it."""
        self._issuer = issuer
        self._id = id
        self.host = urlsplit(issuer.url).netloc
        """Names the provider on the page."""
        self._app = OAuth().register(
            "provider",
            client_id=id,
            client_secret=secret,
            server_metadata_url=f"{issuer.url.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid",
                "code_challenge_method": "S256",
                "timeout": _SECONDS,
                **({} if secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    async def begin(self, request: Request) -> tuple[Response, str]:
        """Send a browser to the provider; return what has to be kept for its return."""
        state = request.scope["session"] = dict[str, object]()
        back = f"{str(request.base_url).rstrip('/')}{CALLBACK}"
        response: Response = await self._app.authorize_redirect(request, back)
        return response, json.dumps(state)

    async def identity(self, request: Request, kept: str) -> Identity:
        """Return who came back; raises NotValid, and what the provider's answers raise."""
        request.scope["session"] = json.loads(kept)
        answer = await self._app.authorize_access_token(request)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise NotValid("the provider sent no ID token")
        return await self._issuer.identity(token, audience=self._id)

    async def end(self, request: Request) -> str | None:
        """Return where a browser ends its session at the provider; None where it cannot.

        The provider sends it back to the page to log in. It learns whom it is about from its own
        cookie: an ID token as a hint would have to be kept here.
        """
        back = f"{str(request.base_url).rstrip('/')}{LOG_IN}"
        try:
            found = await self._app.create_logout_url(back, client_id=self._id)
        except _FAULTS:  # it has no such address, or is away
            return None
        url = str(found["url"])
        return url if urlsplit(url).scheme in ("http", "https") else None


def _client(visit: Visit) -> Client | None:
    client: Client | None = visit.request.app.state.client
    return client


@routes.get(LOG_IN, name="page log in")
async def log_in_first(request: Request) -> Response:
    """Show how to log in."""
    return log_in_page(Visit(request, ""), request.query_params.get("next", "/"), "")


@routes.post(LOG_IN, name="page logged in")
async def log_in(request: Request) -> Response:
    """Begin a session by a token; or go on with what was typed, where one was begun meanwhile.

    What was typed stays in the browser: it may be personal, and is nothing to be kept here.
    """
    visit = Visit(request, "")
    try:
        values = await form_of(request)
    except Refused as refused:
        return visit.refuse(str(refused), refused.status)
    back = values.get("next", "/")
    typed = {
        name.removeprefix(AGAIN): text for name, text in values.items() if name.startswith(AGAIN)
    }
    if not is_same_origin(request):
        typed = {}
    if values.get("already"):
        cookie, wrong = request.cookies.get(COOKIE), "You are not logged in yet."
    else:
        cookie = await run_in_threadpool(visit.sessions.open, values.get("token", ""))
        wrong = "The token is not valid, or not any more."
    visit.session = await run_in_threadpool(visit.sessions.find, cookie)
    if cookie is None or visit.session is None:
        return log_in_page(visit, back, wrong, 401, typed)
    if not typed:
        return _begun(back, cookie)
    visit.identity = visit.session.identity
    page = Content("again.html", {"action": _own(back), "typed": typed})
    response = visit.answer(page, None, **{"cache-control": "no-store"})
    _set(response, COOKIE, cookie, LONGEST)
    return response


@routes.get("/log-in/provider", name="page log in elsewhere")
async def log_in_elsewhere(request: Request) -> Response:
    """Send a browser to the provider, to log in there."""
    visit = Visit(request, "")
    client, back = _client(visit), request.query_params.get("next", "/")
    if client is None:
        return visit.refuse("There is no provider to log in at: log in with a token.", 404)
    try:
        response, state = await client.begin(request)
    except _FAULTS:
        return log_in_page(visit, back, f"{client.host} does not answer: try again.", 503)
    kept = json.dumps({"state": state, "next": back[:2_000]})
    cookie = await run_in_threadpool(visit.sessions.keep, kept)
    _set(response, PENDING_COOKIE, cookie, PENDING)
    return response


@routes.get(CALLBACK, name="page came back")
async def came_back(request: Request) -> Response:
    """Begin a session of whom the provider has sent back."""
    visit = Visit(request, "")
    client = _client(visit)
    kept = await run_in_threadpool(visit.sessions.taken, request.cookies.get(PENDING_COOKIE))
    if client is None or kept is None:
        return log_in_page(
            visit, "/", "This was not begun here, or too long ago: log in again.", 400
        )
    begun = json.loads(kept)
    try:
        identity = await client.identity(request, begun["state"])
    except _FAULTS as error:
        why = str(error) if isinstance(error, NotValid) else type(error).__name__
        wrong = f"{client.host} did not log you in ({why}): try again."
        return log_in_page(visit, begun["next"], wrong, 401)
    if not identity.roles:
        wrong = f"{identity.name} has no role here: whoever manages {client.host} can add one."
        return log_in_page(visit, begun["next"], wrong, 403)
    cookie = await run_in_threadpool(visit.sessions.begin, identity, "{}")
    response = _begun(begun["next"], cookie)
    response.delete_cookie(PENDING_COOKIE, path="/", secure=True, httponly=True)
    return response


@routes.post("/log-out", name="page log out")
async def log_out(request: Request) -> Response:
    """End the session, or every session of its identity."""
    visit = Visit(request, "")

    async def made() -> Response:
        values = await visit.form()
        assert visit.session is not None
        if values.get("everywhere"):
            visit.sessions.close_all(visit.identity.name)
        else:
            visit.sessions.close(visit.session.sha256)
        client, elsewhere = _client(visit), None
        if client is not None and visit.identity.name.startswith(OIDC):
            elsewhere = await client.end(request)
        response: Response = RedirectResponse(LOG_IN, 303)
        if client is not None and elsewhere is not None:
            # A page that leads there, since a form of ours may not: see the policy of content.
            visit.session = None
            page = Content("logged-out.html", {"elsewhere": elsewhere, "provider": client.host})
            response = visit.answer(page, None, **{"cache-control": "no-store"})
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True)
        return response

    return await guarded(visit, None, made)


def _begun(back: str, cookie: str) -> Response:
    """Send a browser to where it wanted to go, with its session."""
    response = RedirectResponse(_own(back), 303)
    _set(response, COOKIE, cookie, LONGEST)
    return response


def _own(back: str) -> str:
    """Return a path of our own: what begins with // names another host, or with a backslash."""
    return back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"


def _set(response: Response, name: str, cookie: str, longest: int) -> None:
    response.set_cookie(
        name, cookie, max_age=longest // 1_000_000, path="/", secure=True, httponly=True,
        samesite="lax",
    )  # fmt: skip
