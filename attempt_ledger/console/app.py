"""The console's routes: one list of pages, each made at the moment that its address names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from attempt_ledger.api.problems import Problem
from attempt_ledger.api.register import Access
from attempt_ledger.api.routes.proofs import proof_of
from attempt_ledger.api.routing import refusal_of
from attempt_ledger.api.tokens import Tokens
from attempt_ledger.console import desk, listings, log_in, pages, proposing
from attempt_ledger.console.address import Address
from attempt_ledger.console.log_in import Client
from attempt_ledger.console.sessions import Sessions
from attempt_ledger.console.view import Content, View
from attempt_ledger.console.visits import STATIC, Refused, Visit, form_of, guarded, static
from ledger.intake.catalogue import CatalogueProblem
from ledger.problems import LedgerProblem
from projections.exception_rules import DeskProblem
from projections.exceptions import Request as ExceptionRequest
from replay.desk import readable
from retake_policies.schema import PolicyError

routes = APIRouter(include_in_schema=False)


class Page(NamedTuple):
    """A page: its path, the room whose link is marked, what makes it, and whose it is."""

    path: str
    room: str
    make: Callable[[View], Content]
    right: str
    """The route of the API whose roles may see it: who may do what is said there, once."""
    is_heavy: bool = False
    """Whether it looks at everybody: then few are made at once."""


_ONE: Final = "GET /v1/standing"
_MANY: Final = "GET /v1/everybody"

PAGES: Final = (
    Page("/", "", pages.home, _ONE),
    Page("/search", "", pages.search, "GET /v1/candidates"),
    Page("/candidate", "", pages.candidate, "GET /v1/history"),
    Page("/event", "", pages.event, "GET /v1/history"),
    Page("/exams", "/exams", pages.exams, _MANY, is_heavy=True),
    Page("/exam", "/exams", pages.exam, _MANY, is_heavy=True),
    Page("/exceptions", "/exceptions", desk.requests, "GET /v1/exceptions", is_heavy=True),
    Page("/exception", "/exceptions", desk.request, "GET /v1/exceptions"),
    Page("/exception/new", "/exceptions", desk.new, "GET /v1/exceptions"),
    Page(
        "/authorizations",
        "/authorizations",
        listings.authorizations,
        "GET /v1/authorizations",
        is_heavy=True,
    ),
    Page("/proposals", "/proposals", proposing.proposals, "GET /v1/proposals"),
    Page("/reports", "/reports", listings.reports, _MANY),
    Page("/report", "/reports", listings.report, "GET /v1/reports/{name}", is_heavy=True),
    Page("/violations", "/reports", pages.violations, "GET /v1/violations", is_heavy=True),
    Page("/problems", "/reports", pages.problems, "GET /v1/tables/{name}", is_heavy=True),
    Page("/policies", "/policies", pages.policies, _ONE),
    Page("/policy", "/policies", pages.policy, _ONE),
    Page("/audit", "/audit", listings.audits, "GET /v1/audits/{name}"),
    Page("/audit/query", "/audit", listings.audit, "GET /v1/audits/{name}", is_heavy=True),
    Page("/accesses", "/audit", listings.accesses, "GET /v1/audits/{name}"),
    Page("/diff", "/exams", pages.diff, "GET /v1/diff", is_heavy=True),
    Page("/health", "/health", pages.health, _ONE, is_heavy=True),
)
"""Every page. To add one: a function of a View, a template, and a line here."""


def add_console(
    app: FastAPI, tokens: Tokens, sessions: Sessions, client: Client | None = None
) -> None:
    """Add the console to the application of a service; `client` is one of an OIDC provider."""
    app.state.tokens = tokens
    app.state.sessions = sessions
    app.state.client = client
    for group in (routes, log_in.routes):
        app.include_router(group)
        app.state.groups.append(group)
    app.add_exception_handler(HTTPException, nothing)


async def nothing(request: Request, error: Exception) -> Response:
    """Answer that there is no such page, to whoever looks with a browser; else with a problem."""
    problem = refusal_of(request, error)
    below = request.url.path.startswith("/v1/")
    if problem.status != 404 or below or "text/html" not in request.headers.get("accept", ""):
        return problem.response()
    return Visit(request, "").refuse("There is no page at this address: see those above.", 404)


def _page(page: Page) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        visit = Visit(request, page.room)

        def make() -> Response:
            view = visit.view()
            return visit.answer(page.make(view), view)

        async def made() -> Response:
            if page.is_heavy:
                return await visit.service.many(make)
            return await run_in_threadpool(make)

        return await guarded(visit, page.right, made)

    return answer


for _each in PAGES:
    routes.add_api_route(_each.path, _page(_each), methods=["GET"], name=f"page {_each.path}")


# -- what changes something: forms

_DECISIONS: Final = {
    "grant": "POST /v1/exceptions/grant",
    "reject": "POST /v1/exceptions/reject",
    "revoke": "POST /v1/exceptions/revoke",
    "clear": "GET /v1/exceptions clear",
}


@routes.post("/exception", name="page decide")
async def decide(request: Request) -> Response:
    """Decide a request, or show its personal fields; then the request as it stands."""
    visit = Visit(request, "/exceptions")

    async def made() -> Response:
        values = await visit.form()
        right = _DECISIONS.get(values.get("decision", ""))
        if right is None or not visit.may(right):
            raise Refused("This decision is not yours to make.", 403)
        values |= {
            name: text
            for name in ("candidate", "exam", "request_id")
            if (text := visit.address.get(name)) is not None
        }
        if values["decision"] == "clear":
            return await run_in_threadpool(lambda: _in_clear(visit))
        zone = visit.address.clock.zone
        try:
            await visit.service.write(
                lambda ledger: desk.decide(
                    ledger, values, visit.service.now(), visit.identity.name, zone
                )
            )
        except (DeskProblem, LedgerProblem, ValueError) as error:
            wrong = error if isinstance(error, DeskProblem) else DeskProblem(str(error))
            return await run_in_threadpool(lambda: _again(visit, wrong, values))
        return RedirectResponse(visit.address.here(), 303)

    return await guarded(visit, "GET /v1/exceptions", made)


def _again(visit: Visit, wrong: DeskProblem, typed: Mapping[str, str]) -> Response:
    view = visit.view()
    return visit.answer(desk.request(view, wrong, typed=typed), view)


def _in_clear(visit: Visit) -> Response:
    """Show a request's personal fields, for this page alone; the access is recorded first."""
    view = visit.view()
    content = desk.request(view)
    if content.status != 200:
        return visit.answer(content, view)
    found: ExceptionRequest = content.values["request"]
    service, page = visit.service, f"console: request {found.request_id}"
    clear = desk.clear(service.ledger, found)
    if fields := readable(clear):
        service.register.note_accesses(
            [Access(service.now(), visit.identity.name, found.candidate, fields, page)]
        )
    headers = {"cache-control": "no-store"}
    return visit.answer(desk.request(view, clear=clear), view, **headers)


@routes.post("/exception/new", name="page request")
async def request_exception(request: Request) -> Response:
    """Record a request; what is wrong comes back beside each field, with what was typed."""
    visit = Visit(request, "/exceptions")

    async def made() -> Response:
        values = await visit.form()
        form = await run_in_threadpool(lambda: desk.new(visit.view(), values))
        if form.status != 200:
            return visit.answer(form)
        try:
            found = await visit.service.write(
                lambda ledger: desk.record_request(
                    ledger, values, visit.service.now(), visit.identity.name
                )
            )
        except (DeskProblem, LedgerProblem, ValueError) as error:
            problem = str(error)
            form = await run_in_threadpool(lambda: desk.new(visit.view(), values, problem))
            return visit.answer(form)
        named = {"exam": found.exam, "request_id": found.request_id}
        return RedirectResponse(
            visit.address.to("/exception", candidate=found.candidate, **named), 303
        )

    return await guarded(visit, "POST /v1/exceptions", made)


@routes.get("/policy/what-if", name="page what-if elsewhere")
async def what_if_elsewhere(request: Request) -> Response:
    """Lead back to the policy, at the moment or on the clock that was chosen beside a draft."""
    return RedirectResponse(f"/policy?{request.url.query}", 303)


@routes.post("/policy/what-if", name="page what-if")
async def what_if(request: Request) -> Response:
    """Try a draft of a policy: nothing is recorded."""
    visit = Visit(request, "/policies")

    async def made() -> Response:
        values = await (visit.form() if visit.session is not None else form_of(request))

        def make() -> Response:
            view = visit.view()
            return visit.answer(pages.what_if(view, values.get("toml", "")), view)

        return await visit.service.many(make)

    return await guarded(visit, "POST /v1/what-if", made)


_PROPOSALS: Final = {
    "propose": "POST /v1/proposals",
    "approve": "POST /v1/proposals/approve",
    "withdraw": "POST /v1/proposals/withdraw",
}


@routes.post("/proposals", name="page propose")
async def propose(request: Request) -> Response:
    """Make a proposal, or decide one; what is wrong comes back with what was typed."""
    visit = Visit(request, "/proposals")

    def again(
        values: Mapping[str, str], problem: str = "", effects: Sequence[str] = ()
    ) -> Response:
        view = visit.view()
        return visit.answer(proposing.proposals(view, values, problem, effects), view)

    async def made() -> Response:
        values = await visit.form()
        right = _PROPOSALS.get(values.get("decision", ""))
        if right is None or not visit.may(right):
            raise Refused("This is not yours to decide.", 403)
        service, who = visit.service, visit.identity.name
        try:
            if values["decision"] == "propose":
                effects = await service.many(lambda: proposing.make(visit.view(), values, who))
                if effects:
                    return await run_in_threadpool(again, {}, "", effects)
            else:
                await service.write(
                    lambda ledger: proposing.decide(
                        service.register, ledger, values, who, service.now(), service.views
                    )
                )
        except (Problem, LedgerProblem, PolicyError, CatalogueProblem, ValueError) as error:
            problem = " ".join(str(error).split())
            return await run_in_threadpool(again, values, problem)
        state = "open" if values["decision"] == "propose" else "all"
        return RedirectResponse(visit.address.to("/proposals", state=state), 303)

    return await guarded(visit, "GET /v1/proposals", made)


# -- files


@routes.get("/proof", name="page proof")
async def proof(request: Request) -> Response:
    """Answer with the proof of an event: who looks with a browser has a session, and no token."""
    visit = Visit(request, "")

    async def made() -> Response:
        source, id = visit.address.get("source") or "", visit.address.get("id") or ""
        return Response(await proof_of(visit.service, source, id), media_type="text/plain")

    return await guarded(visit, "GET /v1/proof", made)


@routes.get("/static/{name}", name="page static")
async def own_file(name: str) -> Response:
    """Answer with one of the console's own files; its address changes with what it holds."""
    if name not in STATIC:
        return Response(status_code=404)
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(static(name), media_type=STATIC[name], headers=headers)


@routes.get("/report.svg", name="page chart")
async def report_chart(request: Request) -> Response:
    """Draw a report's picture, by the same choice as the page."""
    visit = Visit(request, "/reports")

    async def made() -> Response:
        visit.address = Address("/report", request.query_params)
        svg = await visit.service.many(lambda: listings.chart(visit.view()))
        if svg is None:
            raise Refused("There is no such report.", 404)
        headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(svg, media_type="image/svg+xml", headers=headers)

    return await guarded(visit, "GET /v1/reports/{name}", made)
