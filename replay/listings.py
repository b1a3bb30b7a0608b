"""Lists as tables: `history`, `exception list`, `authorization list`, and what a command lists
that no table of `projections.tables` has.

Imported where a table is wanted: their pages of text need no Arrow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from ledger.events import Recorded
from ledger.models import ExceptionRequested
from projections.authorizations import Authorization
from projections.exceptions import Request
from projections.table import INSTANT, TEXT, WHOLE, Column, schema_of
from projections.tables import FACTS
from replay.audit.query import public_data

_LIST: Final = pa.list_(TEXT)

HISTORY: Final = (
    *FACTS.columns,
    Column("annulled_by", WHOLE, "the position of its annulment", "it stands"),
    Column("data", TEXT, "what it says, as JSON; personal fields sealed, or in clear if asked for"),
)
"""The columns of a candidate's history."""

REQUESTS: Final = (
    Column("candidate", TEXT, "whose request it is"),
    Column("exam", TEXT, "the exam's code"),
    Column("request_id", TEXT, "the request; with the two before, what tells it from others"),
    Column("state", TEXT, "open, rejected, granted, used, expired or revoked"),
    Column("registration_id", TEXT, "the sitting it was requested for", "not requested"),
    Column("reason", TEXT, "the reason it names", "not requested"),
    Column("requested_at", INSTANT, "when it was requested", "not requested"),
    Column("requested_by", TEXT, "who recorded the request", "not requested, or not said"),
    Column("changed_at", INSTANT, "when its state last changed"),
    Column("missing", _LIST, "what was missing, of a rejected one"),
    Column("why", TEXT, "why it was rejected or revoked", "neither"),
    Column("waives", _LIST, "what the grant waives: wait, cap, passed"),
    Column("valid_until", INSTANT, "until when the grant may be used", "for ever, or no grant"),
    Column("used_by", TEXT, "the registration of the sitting that used it", "not used"),
    Column("decided_by", TEXT, "who granted, rejected or revoked it last", "open, or not said"),
    Column("events", pa.list_(pa.struct([("source", TEXT), ("id", TEXT)])), "its events"),
)
"""The columns of a list of requests for exceptions."""
AUTHORIZATIONS: Final = (
    Column("candidate", TEXT, "who may sit"),
    Column("exam", TEXT, "the exam's code"),
    Column("authorization_id", TEXT, "the authorization; with the two before, what identifies it"),
    Column("state", TEXT, "running, used, ended or revoked"),
    Column("granted_at", INSTANT, "when it was granted last", "only its withdrawal is recorded"),
    Column("valid_until", INSTANT, "when it ends", "it has no end"),
    Column("sittings", WHOLE, "how many sittings it may serve", "any number"),
    Column("served", WHOLE, "how many it has served"),
    Column("reason", TEXT, "why it was granted or, revoked, why it was withdrawn", "not said"),
    Column("changed_at", INSTANT, "when it was granted or withdrawn last"),
    Column("events", pa.list_(pa.struct([("source", TEXT), ("id", TEXT)])), "its events"),
)
"""The columns of a list of authorizations."""
LISTS: Final[Mapping[str, tuple[Column, ...]]] = {
    "search": (
        Column("candidate", TEXT, "whose id it is"),
        Column("by", TEXT, "candidate, registration_id or request_id: what begins so"),
        Column("value", TEXT, "the id that begins so"),
    ),
    "policy list": (
        Column("id", TEXT, "the policy"),
        Column("effective_from", INSTANT, "from when this version is in force"),
        Column("title", TEXT, "its title"),
        Column("source", TEXT, "the text it comes from", "not said"),
        Column("sha256", TEXT, "the digest of its file"),
        Column("position", WHOLE, "where it was published"),
        Column("recorded_at", INSTANT, "when it was published"),
    ),
    "audit access": (
        Column("at", INSTANT, "when"),
        Column("identity", TEXT, "who read"),
        Column("candidate", TEXT, "whose personal data"),
        Column("fields", _LIST, "the personal fields that were shown"),
        Column("page", TEXT, "where: a route, a page of the console, or a command"),
    ),
    "token list": (
        Column("name", TEXT, "whose token it is"),
        Column("roles", _LIST, "what it is for"),
        Column("created_at", INSTANT, "when it was made"),
        Column("expires_at", INSTANT, "when it ends", "never"),
        Column("revoked_at", INSTANT, "when it was revoked", "it was not"),
        Column("used_at", INSTANT, "when it was used last", "never"),
    ),
}
"""By command: the columns of what it lists."""
CLEAR: Final = tuple(
    Column(name, TEXT, "in clear text; erased, if the candidate was forgotten", "left out")
    for name in ExceptionRequested.model_fields
    if name in ExceptionRequested.personal
)
"""What follows them where personal fields are wanted."""


def history_rows(
    events: Sequence[Recorded],
    annulled: Mapping[int, int],
    revealed: Mapping[int, Mapping[str, Any]],
    *,
    forgotten: bool,
) -> pa.Table:
    """Return a candidate's events, by position.

    `annulled` maps positions to those of their annulments; `revealed` has by position the data
    with personal fields in clear text, where they are wanted.
    """
    rows = [
        {
            "position": row.position,
            "recorded_at": row.recorded_at,
            "occurred_at": row.occurred_at,
            "type": row.type,
            "subject": row.subject,
            "source": row.source,
            "id": row.id,
            "actor": row.actor,
            "exam": row.exam,
            "key": row.key,
            "annuls": row.annuls,
            "reason": None if row.annuls is None else row.payload().get("reason"),
            "annulled_by": annulled.get(row.position),
            "data": json.dumps(revealed[row.position], ensure_ascii=False, separators=(",", ":"))
            if row.position in revealed
            else public_data(row, erased=forgotten),
        }
        for row in events
    ]
    return pa.Table.from_pylist(rows, schema=schema_of(HISTORY))


def request_rows(requests: Iterable[tuple[Request, Mapping[str, Any]]], *, clear: bool) -> pa.Table:
    """Return requests, each with its personal fields, which are columns if `clear`."""
    columns = (*REQUESTS, *(CLEAR if clear else ()))
    rows = [
        {name: getattr(request, name) for name in (each.name for each in REQUESTS)}
        | {"events": [{"source": each.source, "id": each.id} for each in request.events]}
        | {name: _clear(value) for name, value in some.items()}
        for request, some in requests
    ]
    return pa.Table.from_pylist(rows, schema=schema_of(columns))


def authorization_rows(authorizations: Iterable[Authorization]) -> pa.Table:
    """Return authorizations, each with its events."""
    rows = [
        {column.name: getattr(each, column.name) for column in AUTHORIZATIONS}
        | {"events": [{"source": cause.source, "id": cause.id} for cause in each.events]}
        for each in authorizations
    ]
    return pa.Table.from_pylist(rows, schema=schema_of(AUTHORIZATIONS))


def _clear(value: str | Mapping[str, bool]) -> str:
    """Return a personal field, or what stands for one that cannot be shown: `erased`."""
    return value if isinstance(value, str) else ", ".join(n for n, true in value.items() if true)


def listed_rows(command: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return what a command of LISTS lists; of a row members that are no columns are left out."""
    return pa.Table.from_pylist(list(rows), schema=schema_of(LISTS[command]))


def text_rows(names: Sequence[str], rows: Sequence[Sequence[str]]) -> pa.Table:
    """Return rows of texts as a table."""
    schema = pa.schema([(name, TEXT) for name in names])
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema)
