"""Whatever goes wrong with a request, in one place: a problem of RFC 9457 with our sentence."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ledger.faults import fault_words
from ledger.intake.catalogue import CatalogueProblem
from ledger.privacy.erasure import NothingRecorded
from ledger.problems import (
    KeyFileProblem,
    LedgerProblem,
    Locked,
    MalformedFact,
    NoLedger,
    NotSealed,
    ReadOnly,
    StoreFull,
)
from projections.exception_rules import DeskProblem
from projections.table import CannotAsk
from replay.desk import WrongCall
from replay.outputs import Unknown
from replay.receipts import ReceiptProblem
from replay.snapshot import UnansweredMoment
from retake_policies.schema import PolicyError

NAMES: Final = "urn:attempt-ledger:problem:"
"""How every `type` begins."""

KINDS: Final[Mapping[str, tuple[int, str]]] = {
    "malformed-question": (400, "The question is malformed"),
    "unanswered-moment": (400, "The moment cannot be asked about"),
    "unauthenticated": (401, "Authentication is needed"),
    "forbidden": (403, "Your roles do not allow it"),
    "unknown": (404, "There is no such thing"),
    "not-sealed": (404, "It is not in the signed log yet"),
    "method-not-allowed": (405, "It cannot be called that way"),
    "not-acceptable": (406, "It is not written in any form that you accept"),
    "conflict": (409, "It contradicts what is recorded"),
    "reset": (409, "Another event stands at that position now"),
    "undecidable": (409, "It cannot be decided so"),
    "too-large": (413, "The body is too large"),
    "unsupported-type": (415, "A body of that type is not read"),
    "wrong-host": (421, "The host is not served here"),
    "malformed-body": (422, "The body is malformed"),
    "refused": (422, "The fact is refused"),
    "malformed-policy": (422, "The policy is malformed"),
    "too-many-requests": (429, "Too many requests"),
    "head-too-large": (431, "The head of the request is too large"),
    "unexpected": (500, "This should not have happened"),
    "unavailable": (503, "The ledger cannot be used at the moment"),
}
"""By the end of its `type`, the status and the title of every problem there is."""

_RETRY_SECONDS: Final = 2


class Fault(BaseModel):
    """One fault of several, and where it is."""

    pointer: str = Field(description="A JSON pointer into the body; empty for the whole.")
    detail: str


class ProblemDetails(BaseModel):
    """What went wrong: RFC 9457, as `application/problem+json`."""

    type: str = Field(examples=[f"{NAMES}conflict"])
    title: str
    status: int
    detail: str = Field(description="One sentence: what, where, and what would be accepted.")
    errors: list[Fault] | None = Field(None, description="Each fault of a body.")


class Problem(Exception):
    """A request that cannot be answered; str() is one sentence."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.headers = dict(headers or {})
        self.more = more
        if errors:
            self.more["errors"] = [each.model_dump() for each in errors]

    @property
    def status(self) -> int:
        """The status of the answer."""
        return KINDS[self.kind][0]

    def as_dict(self) -> dict[str, Any]:
        """Return it as the members of its JSON object."""
        status, title = KINDS[self.kind]
        named = {"type": NAMES + self.kind, "title": title, "status": status}
        return {**named, "detail": str(self), **self.more}

    def response(self) -> JSONResponse:
        """Return it as an answer."""
        headers = {"cache-control": "no-store", **self.headers}
        if self.status == 503:
            headers.setdefault("retry-after", str(_RETRY_SECONDS))
        media = "application/problem+json"
        return JSONResponse(self.as_dict(), self.status, headers, media)


class BadQuestion(Problem):
    """What was asked cannot be meant."""

    def __init__(self, detail: str) -> None:
        super().__init__("malformed-question", detail)


_OURS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (UnansweredMoment, "unanswered-moment"),
    (WrongCall, "unknown"),
    (DeskProblem, "undecidable"),
    (NothingRecorded, "unknown"),
    (CatalogueProblem, "malformed-policy"),
    (PolicyError, "malformed-policy"),
    (Unknown, "unknown"),
    (CannotAsk, "malformed-question"),
    (ReceiptProblem, "malformed-body"),
    (MalformedFact, "refused"),
    (NotSealed, "not-sealed"),
    (NoLedger, "unavailable"),
    (Locked, "unavailable"),
    (StoreFull, "unavailable"),
    (ReadOnly, "unavailable"),
    (KeyFileProblem, "unavailable"),
    (LedgerProblem, "unavailable"),
)
"""What kind each exception of ours is; the first that fits."""

_BY_STATUS: Final = {404: "unknown", 405: "method-not-allowed", 413: "too-large"}


def problem_of(error: Exception) -> Problem:
    """Return what went wrong as a problem, for every kind of error there is."""
    if isinstance(error, Problem):
        return error
    for kind, name in _OURS:
        if isinstance(error, kind):
            return Problem(name, " ".join(str(error).splitlines()))
    if isinstance(error, ClientDisconnect):
        return Problem("malformed-body", "The body ended before its end.")  # nobody reads it
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, Problem | ClientDisconnect):
            return problem_of(error.__cause__)  # raised while FastAPI read the body
        name = _BY_STATUS.get(error.status_code, "malformed-question")
        return Problem(name, _sentence(error), headers=error.headers)
    return unexpected(error)


def unexpected(error: Exception) -> Problem:
    """Return a fault of ours as a problem; where it came from goes to standard error alone.

    Without the values of variables, which may be secrets or personal.
    """
    frames = "".join(traceback.format_tb(error.__traceback__))
    print(f"attempt-ledger: {type(error).__name__}\n{frames}", end="", file=sys.stderr, flush=True)
    return Problem("unexpected", "This is a fault of the service, which has noted it.")


def _sentence(error: HTTPException) -> str:
    if error.status_code == 404:
        return "There is nothing at this address: /openapi.json lists what there is."
    if error.status_code == 405:
        return "This address is not to be called by this method: /openapi.json lists what is."
    return str(error.detail)


def _invalid(error: RequestValidationError) -> Problem:
    """Return what FastAPI found wrong with parameters, else with the body."""
    faults = error.errors()
    of_body = [each for each in faults if each["loc"][0] == "body"]
    if of_body and len(of_body) == len(faults):
        body = error.body
        errors = [
            Fault(pointer=_pointer(each["loc"][1:], body), detail=fault_words(each))
            for each in of_body
        ]
        detail = "; ".join(f"{each.pointer or 'the body'}: {each.detail}" for each in errors[:5])
        return Problem("malformed-body", detail, errors=errors[:100])
    others = (each for each in faults if each["loc"][0] != "body")
    return BadQuestion("; ".join(f"{_name(each['loc'])}: {fault_words(each)}" for each in others))


def _pointer(loc: Sequence[Any], body: Any) -> str:
    """Return where in the body a fault is.

    Which of several kinds of body was meant stands in `loc` too, and in no place of the body.
    """
    if loc and isinstance(body, Mapping) and loc[0] == body.get("kind"):
        loc = loc[1:]
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in loc)


def _name(loc: Sequence[Any]) -> str:
    return ".".join(map(str, loc[1:]))
