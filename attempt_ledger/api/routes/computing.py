"""What is computed for who asks: what drafts would have done, and outputs checked by receipts."""

from __future__ import annotations

import base64
import binascii
import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Request
from pydantic import BaseModel, Field

from attempt_ledger.api.problems import Problem
from attempt_ledger.api.routes.tables import PROGRAM
from attempt_ledger.api.routing import body_like, instant_of, problems, router, service_of
from ledger.instants import format_instant
from replay.checking import check
from replay.formats.json import write_jsonl
from replay.outputs import receipt_inside
from replay.population import Scope
from replay.receipts import ReceiptProblem, read_receipt
from replay.snapshot import Snapshot
from retake_policies.schema import parse_policy

routes = router("everybody")

_SHOWN: Final = 1_000


class Drafts(BaseModel):
    """Draft policies to be tried."""

    model_config = body_like(
        {"policies": ['id = "general"\neffective_from = 2027-01-01\n…'], "since": "2026-01-01"}
    )

    policies: Annotated[list[str], Field(min_length=1, max_length=20, description="TOML texts.")]
    as_of: Annotated[str | None, Field(max_length=64)] = None
    known_at: Annotated[str | None, Field(max_length=64)] = None
    since: Annotated[str | None, Field(max_length=64)] = None
    exams: list[str] | None = None


class WhatIf(BaseModel):
    """What drafts would have done; of both tables the first 1,000 rows."""

    as_of: str
    position: int
    judged: int = Field(description="Sittings judged.")
    refused: int = Field(description="Sittings that would have been refused.")
    allowed: int = Field(description="Sittings that would have been newly allowed.")
    stood: int = Field(description="Standings at as_of.")
    changed: int = Field(description="Standings that would change.")
    idle: list[str] = Field(description="Drafts of policies that no exam follows.")
    sittings: list[dict[str, Any]]
    standings: list[dict[str, Any]]


@routes.post("/v1/what-if", response_model=WhatIf, responses=problems(422))
async def what_if(request: Request, question: Drafts) -> dict[str, Any]:
    """Show what draft policies would have done, to past sittings and to everybody at `as_of`."""
    service = service_of(request)
    snapshot = service.snapshot(question.as_of, question.known_at)
    since = instant_of("since", question.since)
    scope = Scope(frozenset(question.exams) if question.exams else None)

    def compared() -> dict[str, Any]:
        drafts = [
            (parse_policy(text, f"policies[{number}]").id, text)
            for number, text in enumerate(question.policies)
        ]
        found = snapshot.what_if(drafts, since=since, scope=scope)
        change = found.sittings["change"].to_pylist()
        return {
            "as_of": format_instant(snapshot.as_of),
            "position": snapshot.position,
            "judged": found.judged,
            "refused": change.count("refused"),
            "allowed": change.count("allowed"),
            "stood": found.stood,
            "changed": found.standings.num_rows,
            "idle": list(found.idle),
            "sittings": _rows(found.sittings),
            "standings": _rows(found.standings),
        }

    return await service.many(compared)


def _rows(table: Any) -> list[dict[str, Any]]:
    """Return the first rows of a table, as its JSON lines have them."""
    text = io.StringIO()
    write_jsonl(table.slice(0, _SHOWN), text)
    return [json.loads(line) for line in text.getvalue().splitlines()]


class Check(BaseModel):
    """An output to be checked: its file, and its receipt unless that is inside."""

    model_config = body_like({"receipt": {"format": "…"}, "text": "candidate,exam,…\n"})

    receipt: dict[str, Any] | None = None
    text: str | None = Field(None, description="The file's content, where it is text.")
    base64: str | None = Field(None, description="The file's content otherwise.")


class Checked(BaseModel):
    """What a check found."""

    same: bool
    differs: list[str]
    notes: list[str]
    events: list[str] = Field(description="The ledger's events of rows that differ.")


@routes.post("/v1/receipts/check", response_model=Checked, responses=problems(413, 422))
async def check_receipt(request: Request, question: Check) -> dict[str, Any]:
    """Compute an output again, from the ledger itself, and compare it with the file."""
    if (question.text is None) == (question.base64 is None):
        raise Problem("malformed-body", "Give text or base64: the content of the file.")
    try:
        content = (
            question.text.encode()
            if question.text is not None
            else base64.b64decode(question.base64 or "", validate=True)
        )
    except (binascii.Error, UnicodeEncodeError):
        raise Problem("malformed-body", "/base64 is none, or /text is no text.") from None
    service = service_of(request)
    now = service.snapshot()
    # What was made to be quick proves nothing: the ledger itself is read.
    snapshot = Snapshot(now.ledger, now.moment, replace(now.engine, keep_columns=False))

    def checked() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "output"
            path.write_bytes(content)
            try:
                receipt = (
                    receipt_inside(path)
                    if question.receipt is None
                    else read_receipt(json.dumps(question.receipt), "receipt")
                )
                if receipt is None:
                    detail = "No receipt is inside the file: give the one beside it as /receipt."
                    raise Problem("malformed-body", detail)
                found = check(snapshot, path, receipt, PROGRAM)
            except ReceiptProblem as problem:  # where the file lay meanwhile is nobody's business
                raise ReceiptProblem(str(problem).replace(f"{folder}/", "")) from None
        return {
            "same": not found.differs,
            "differs": [each.replace(f"{folder}/", "") for each in found.differs],
            "notes": list(found.notes),
            "events": list(found.events),
        }

    return await service.many(checked)
