"""Booking systems: who may sit what, from when until when, as differences between two moments."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from attempt_ledger.api.forms import accepted, written
from attempt_ledger.api.roles import NOBODY
from attempt_ledger.api.routing import (
    JSON,
    Zone,
    content,
    identity_of,
    problems,
    reading,
    router,
    service_of,
)
from attempt_ledger.api.service import zone_of
from attempt_ledger.outbox import confirm, undelivered
from replay.formats.pearson import write_pearson

routes = router("booking")

TSV = "text/tab-separated-values"


class BookingRow(BaseModel):
    """What to do with the booking of a candidate and an exam."""

    id: str = Field(description="For ever.", examples=["9fdbd1a70ea2e6b4e5aa"])
    transaction: Literal["add", "update", "delete"]
    candidate: str
    exam: str
    eligible_from: str
    eligible_until: str | None = Field(description="Exclusive; null where it never ends.")
    last_update: str


class BookingAnswer(BaseModel):
    """What differs since a cursor, and the cursor for the next time."""

    as_of: str
    position: int
    cursor: str
    rows: list[BookingRow]


@routes.get(
    "/v1/booking",
    response_model=BookingAnswer,
    responses={
        200: content(
            TSV, {"type": "string"}, description="As JSON; or as Pearson's file, by Accept, then "
            "with the cursor in the header Booking-Cursor.",
        ),
        **problems(406, 409),
    },
)  # fmt: skip
async def booking(
    request: Request,
    since: Annotated[
        str | None, Query(max_length=200, description="The cursor of the last answer.")
    ] = None,
    zone: Zone = None,
) -> Response:
    """List what differs for a booking system since its last cursor.

    One row for each candidate and exam with a sitting, a grant or an authorization whose dates
    differ, with an id that stays. Without `since`, all of them. What was sent and not confirmed
    comes again. Dates of the tab-separated form are those of `zone`.
    """
    service, media = service_of(request), accepted(request, (JSON, TSV))
    clock = zone_of(zone) or UTC
    snapshot = service.snapshot()
    register = None if identity_of(request) is NOBODY else service.register

    def write(file: BinaryIO) -> Mapping[str, str]:
        found = reading(lambda: undelivered(snapshot, since, register))
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        if media == TSV:
            write_pearson(found.rows, text, found.at, clock)
        else:
            found.write_json(text)
        text.flush()
        text.detach()
        return {"booking-cursor": found.cursor, "ledger-position": str(snapshot.position)}

    return await written(service, write, media)


class Confirmation(BaseModel):
    """What became of a row."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=64)]
    status: Literal["accepted", "error"]
    message: Annotated[str | None, Field(max_length=2_000)] = None


class Confirmations(BaseModel):
    """What became of rows that were sent."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"confirmations": [{"id": "9fdbd1a70ea2e6b4e5aa", "status": "accepted"}]}]
        },
    )

    confirmations: Annotated[list[Confirmation], Field(max_length=10_000)]


class ConfirmedRows(BaseModel):
    """What confirmations came to; what was an error is sent again."""

    accepted: int
    errors: int
    unknown: list[str] = Field(description="Ids that were not sent, or were confirmed before.")


@routes.post("/v1/booking/confirmations", response_model=ConfirmedRows, responses=problems(422))
async def confirm_bookings(request: Request, body: Confirmations) -> dict[str, Any]:
    """Take back what became of rows: accepted, or an error, for each id."""
    service = service_of(request)
    pairs = [(each.id, each.status) for each in body.confirmations]
    done = await service.many(confirm, service.register, pairs)
    return {"accepted": done.accepted, "errors": done.errors, "unknown": list(done.unknown)}
