"""One candidate: the standing, many at once, the history, and who is meant."""

from __future__ import annotations

from json.encoder import encode_basestring as quoted
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from attempt_ledger.api.caching import Question, answer_of
from attempt_ledger.api.forms import BATCH, events_answer
from attempt_ledger.api.routing import (
    After,
    AsOf,
    Candidate,
    Exam,
    Id,
    KnownAt,
    Zone,
    problems,
    require,
    router,
    service_of,
)
from ledger.cloudevents import to_cloudevents
from ledger.instants import format_instant
from projections.answers import Standing
from replay.decisions import Decided, decisions_of

routes = router("one candidate")

MOST_PAIRS: Final = 1_000
MOST_FOUND: Final = 1_000
MOST_EVENTS: Final = 10_000
_JSON: Final = "application/json"


@routes.get(
    "/v1/standing",
    response_model=Standing | list[Standing],
    responses={
        304: {"description": "Equal to what you have, but for as_of, known_at and position."},
        **problems(),
    },
)
async def standing(
    request: Request,
    candidate: Candidate,
    exam: Exam = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    zone: Zone = None,
) -> Response:
    """Show if a candidate may sit an exam, why not, and from when.

    Without `exam` an array: every exam with a visible sitting, sorted by code. A candidate of whom
    nothing is recorded is answered like one who never sat (`known: false`); an exam that is not in
    the catalogue is answered `unknown-exam`.
    """
    # Most are answered before any route: see `attempt_ledger.api.caching.Standings`.
    question = Question(candidate, exam, as_of, known_at, zone)
    status, headers, body = answer_of(service_of(request), question)
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


class Pairs(BaseModel):
    """Questions about many candidates and exams, at one moment."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"pairs": [["C-1001", "AZ-104"]], "fields": "decision"}],
        },
    )

    pairs: Annotated[
        list[Annotated[list[Id], Field(min_length=2, max_length=2)]],
        Field(max_length=MOST_PAIRS, description="Each a candidate and an exam."),
    ]
    as_of: Annotated[str | None, Field(max_length=64)] = None
    known_at: Annotated[str | None, Field(max_length=64)] = None
    fields: Literal["all", "decision"] = "all"


class Decision(BaseModel):
    """What a booking system needs of a standing."""

    candidate: str
    exam: str
    known: bool
    status: str
    eligible: bool
    eligible_from: str | None
    next_change_at: str | None


class Standings(BaseModel):
    """Whole answers or decisions, in the order of the pairs."""

    as_of: str
    known_at: str | None
    position: int
    answers: list[Standing | Decision]


@routes.post("/v1/standings", response_model=Standings, responses=problems(422))
async def standings(request: Request, question: Pairs) -> Response:
    """Answer up to 1,000 pairs of candidate and exam at one moment, in order.

    With `fields` `decision` each answer is a decision alone, many times as fast.
    """
    service = service_of(request)
    if question.fields == "all":
        require(request, "POST /v1/standings fields=all")
    snapshot = service.snapshot(question.as_of, question.known_at)

    def answer() -> str:
        if question.fields == "decision":
            return ",".join(map(decision_json, decisions_of(snapshot, question.pairs)))
        every = (snapshot.standing(candidate, exam) for candidate, exam in question.pairs)
        return ",".join(each.model_dump_json() for each in every)

    answers = await service.many(answer)
    body = (
        f'{{"as_of":{_instant(snapshot.as_of)},"known_at":{_instant(snapshot.moment.known_at)},'
        f'"position":{snapshot.position},"answers":[{answers}]}}'
    )
    return Response(body, media_type=_JSON)


def decision_json(decision: Decided) -> str:
    """Write a decision as JSON, as `Decision` describes it."""
    candidate, exam, known, status, eligible_from, changes = decision
    return (
        f'{{"candidate":{quoted(candidate)},"exam":{quoted(exam)},"known":{_TRUTH[known]},'
        f'"status":"{status}","eligible":{_TRUTH[status == "eligible"]},'
        f'"eligible_from":{_instant(eligible_from)},"next_change_at":{_instant(changes)}}}'
    )


_TRUTH: Final = {True: "true", False: "false"}


def _instant(instant: int | None) -> str:
    return "null" if instant is None else f'"{format_instant(instant)}"'


class Found(BaseModel):
    """A candidate that was found, and by what."""

    candidate: str
    by: Literal["candidate", "registration_id", "request_id"]
    value: str


@routes.get("/v1/candidates", response_model=list[Found], responses=problems())
async def candidates(
    request: Request,
    starts_with: Annotated[
        str, Query(min_length=1, max_length=200, description="How the id begins.", examples=["C-"])
    ],
    limit: Annotated[int, Query(ge=1, le=MOST_FOUND)] = 20,
) -> list[dict[str, Any]]:
    """Find candidates by the beginning of their id, of a registration's or of a request's."""
    service = service_of(request)
    return [each._asdict() for each in service.ledger.search(starts_with, limit)]


@routes.get(
    "/v1/history",
    response_class=Response,
    responses={
        200: {
            "description": "CloudEvents, by position; as lines, or as a batch by Accept.",
            "content": {"application/x-ndjson": {}, BATCH: {}},
        },
        **problems(406),
    },
)
async def history(
    request: Request,
    candidate: Candidate,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 1_000,
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> Response:
    """Show everything recorded of a candidate, annulled events too, as CloudEvents.

    Personal fields go out as ciphertext. With `as_of`, what was true by then.
    """
    service = service_of(request)
    snapshot = service.snapshot(as_of, known_at)
    rows = [row for row in snapshot.events(candidate) if row.position > after]
    if as_of is not None:
        rows = [row for row in rows if row.occurred_at <= snapshot.as_of]
    return events_answer(request, to_cloudevents(rows[:limit]), snapshot.position)
