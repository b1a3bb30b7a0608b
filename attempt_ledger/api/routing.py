"""What every route is made of: its parameters, its strictness, the service it asks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import Route

from attempt_ledger.api.edge import forbidden
from attempt_ledger.api.problems import BadQuestion, Problem, ProblemDetails, problem_of
from attempt_ledger.api.roles import is_allowed
from attempt_ledger.api.service import Service
from attempt_ledger.api.tail import Tail
from attempt_ledger.api.tokens import Identity
from attempt_ledger.moments import micros
from ledger.cloudevents import to_cloudevents, without_personal
from ledger.fields import parse_json
from ledger.ledger import Ledger
from ledger.problems import MalformedFact, RepeatedMember, shown
from replay.between import NotACursor, WasReset

T = TypeVar("T")

LONGEST_ID: Final = 2_000
JSON: Final = "application/json"

AsOf: TypeAlias = Annotated[
    str | None,
    Query(
        description="The instant whose truth is asked about: RFC 3339, or a date, which means "
        "00:00 UTC. Default: now.",
        examples=["2021-03-15T09:00:00Z"],
        max_length=64,
    ),
]
KnownAt: TypeAlias = Annotated[
    str | None,
    Query(
        description="Use only what was recorded by then: an instant, a date, or a position such "
        "as @42. Default: everything recorded.",
        examples=["@42"],
        max_length=64,
    ),
]
Candidate: TypeAlias = Annotated[
    str,
    Query(
        description="The candidate's id.",
        examples=["C-1001"],
        min_length=1,
        max_length=LONGEST_ID,
    ),
]
Exam: TypeAlias = Annotated[
    str | None,
    Query(description="The exam's code.", examples=["AZ-104"], min_length=1, max_length=LONGEST_ID),
]
Zone: TypeAlias = Annotated[
    str | None,
    Query(
        description="Read instants without an offset, and write those in sentences, on this "
        "zone's clock.",
        examples=["Europe/Berlin"],
        max_length=64,
    ),
]
After: TypeAlias = Annotated[
    int, Query(description="Only what comes after this position.", ge=0, lt=1 << 62, examples=[42])
]

Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
"""An id or a code in a body."""
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=16_384, pattern=r"\S")]
"""What a person writes in a body: not blank."""
OfCandidate: TypeAlias = Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID)]
OfExam: TypeAlias = Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID)]

PROBLEM: Final[Mapping[str, Any]] = {
    "model": ProblemDetails,
    "description": "What went wrong, in a sentence.",
}


def body_like(example: Mapping[str, Any]) -> ConfigDict:
    """Describe a body by an example; what it has not is refused."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [dict(example)]})


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route may answer with, besides those that every route may."""
    return {
        status: {
            "description": PROBLEM["description"],
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/ProblemDetails"}
                }
            },
        }
        for status in sorted({400, 401, 403, 404, 413, 415, 422, 429, 503, *statuses})
    }


def decisions(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a route that records a decision: 201, or 200 where it stood so already."""
    again = {"description": "It stood so already: nothing was recorded.", "model": model}
    return {
        "status_code": 201,
        "response_model": model,
        "responses": {200: again, **problems(404, 409, 422)},
    }


async def decided(
    request: Request, name: str, decide: Callable[[Ledger], tuple[BaseModel, Sequence[int]]]
) -> Response:
    """Have something decided; answer with it, under its name, and with what was recorded."""

    def work(ledger: Ledger) -> tuple[str, int]:
        found, positions = decide(ledger)
        rows = [row for at in positions if (row := ledger.event(at)) is not None]
        events = ",".join(to_cloudevents(map(without_personal, rows)))
        body = f'{{"{name}":{found.model_dump_json()},"events":[{events}]}}'
        return body, 201 if rows else 200

    body, status = await service_of(request).write(work)
    return Response(body, status, media_type="application/json")


def content(
    media: str, schema: Mapping[str, Any], example: Any = None, description: str = "The answer."
) -> dict[str, Any]:
    """Describe an answer that FastAPI does not make from a model."""
    described: dict[str, Any] = {"schema": schema}
    if example is not None:
        described["example"] = example
    return {"description": description, "content": {media: described}}


class StrictRoute(APIRoute):
    """A route that passes over nothing: a parameter that it has not, or what comes twice."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()
        params = self.dependant.query_params
        takes_json = self.body_field is not None
        known = {param.alias for param in params}
        several = {param.alias for param in params if "list" in str(param.field_info.annotation)}

        async def strict(request: Request) -> Response:
            names = [name for name, _ in request.query_params.multi_items()]
            if names:
                for name in names:
                    if name not in known:
                        raise BadQuestion(_unknown(name, known))
                if len(set(names)) < len(names):
                    for name in names:
                        if name not in several and names.count(name) > 1:
                            raise BadQuestion(f"{name} appears twice, and takes one value")
            if takes_json and (body := await request.body()):
                _check_json(request, body)
            return await answer(request)

        return strict


def _check_json(request: Request, body: bytes) -> None:
    """Raise Problem where a body is no JSON, or can be read in two ways."""
    media = media_of(request)
    if media != JSON and not (media.startswith("application/") and media.endswith("+json")):
        raise unsupported(media, JSON)
    text = text_of(body)
    try:
        parse_json(text)
    except RepeatedMember as problem:
        raise Problem("malformed-body", f"The body: {problem}.") from None
    except MalformedFact as problem:
        raise BadQuestion(f"The body: {problem}.") from None


def media_of(request: Request) -> str:
    """Return the type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(media: str, read: str) -> Problem:
    """Return that a body of a type is not read, and what is."""
    return Problem(
        "unsupported-type", f"A body of type {shown(media)} is not read here: send {read}."
    )


def text_of(body: bytes) -> str:
    """Return a body as text; raises Problem."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BadQuestion("The body is not UTF-8.") from None


def refusal_of(request: Request, error: Exception) -> Problem:
    """Return whatever a request ran into as a problem; of a wrong method, with all that are taken.

    Starlette names those of the first route alone that has the address.
    """
    problem = problem_of(error)
    if problem.status == 405:
        taken = {
            method
            for group in request.app.state.groups
            for route in group.routes
            if isinstance(route, Route) and route.path_regex.match(request.url.path)
            for method in route.methods or ()
        }
        taken |= {"HEAD"} if "GET" in taken else set()
        problem.headers = {"allow": ", ".join(sorted(taken))}
    return problem


def _unknown(name: str, known: set[str]) -> str:
    accepted = f"accepted are {', '.join(sorted(known))}" if known else "it takes none"
    return f"there is no parameter {name[:60]!r} here: {accepted}"


def router(tag: str) -> APIRouter:
    """Make the routes of a group; each has to be in the table of roles."""
    return APIRouter(route_class=StrictRoute, tags=[tag])


def service_of(request: Request) -> Service:
    """Return the service that a request is put to."""
    service: Service = request.app.state.service
    return service


def tail_of(request: Request) -> Tail:
    """Return the end of the ledger, for who follows it."""
    tail: Tail = request.app.state.tail
    return tail


def instant_of(name: str, text: str | None) -> int | None:
    """Read an instant as people type it, None for none; raises Problem."""
    try:
        return None if text is None else micros(text, name)
    except ValueError as error:
        raise BadQuestion(str(error)) from None


def reading(read: Callable[[], T], *, passing: type[Exception] | tuple[()] = ()) -> T:
    """Return what reading a cursor gives; raises Problem where it is none, or none any more."""
    try:
        return read()
    except passing:
        raise
    except NotACursor as problem:
        raise BadQuestion(str(problem)) from None
    except WasReset as problem:
        raise Problem("reset", str(problem)) from None


def identity_of(request: Request) -> Identity:
    """Return who sent a request."""
    identity: Identity = request.state.identity
    return identity


def require(request: Request, key: str) -> None:
    """Raise Problem unless who asks may do what is a part of a route."""
    if not is_allowed(identity_of(request), key):
        raise forbidden(identity_of(request), key)
