"""Everybody: the population, tables, reports, audits, differences, each in the form of Accept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, BinaryIO, Final

from fastapi import Query, Request, Response

from attempt_ledger.api.forms import (
    ARROW,
    CSV,
    LINES,
    PARQUET,
    TABLES,
    accepted,
    write_table,
    written,
)
from attempt_ledger.api.problems import BadQuestion
from attempt_ledger.api.routing import AsOf, KnownAt, problems, router, service_of
from projections.fold.rules import STATUSES
from replay.population import Scope, with_status

routes = router("everybody")

AS_TABLE: Final[dict[str, Any]] = {
    "description": "A table, by Accept.",
    "content": {
        CSV: {"schema": {"type": "string"}},
        LINES: {"schema": {"type": "string"}},
        PARQUET: {"schema": {"type": "string", "format": "binary"}},
        ARROW: {"schema": {"type": "string", "format": "binary"}},
    },
}

Exams = Annotated[
    list[str] | None,
    Query(alias="exam", description="Of this exam alone; repeats.", examples=[["AZ-104"]]),
]


@routes.get("/v1/everybody", response_class=Response, responses={200: AS_TABLE, **problems(406)})
async def everybody(
    request: Request,
    exam: Exams = None,
    status: Annotated[
        list[str] | None, Query(description="Rows of this status alone; repeats.")
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> Response:
    """Return one row for each candidate and exam with a visible sitting, sorted by both."""
    media = accepted(request, TABLES)
    for each in status or ():
        if each not in STATUSES:
            raise BadQuestion(f"status {each[:60]!r}: accepted are {', '.join(STATUSES)}")
    snapshot = service_of(request).snapshot(as_of, known_at)

    def write(file: BinaryIO) -> Mapping[str, str]:
        table = snapshot.everybody(Scope(frozenset(exam) if exam else None))
        write_table(with_status(table, status) if status else table, media, file)
        return {"ledger-position": str(snapshot.position)}

    return await written(service_of(request), write, media)
