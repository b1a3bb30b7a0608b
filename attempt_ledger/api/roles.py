"""Who may what: one table with every route in it, and what some routes need besides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from attempt_ledger.api.tokens import ROLES, Identity


class Right(NamedTuple):
    """Which roles may do something, and whether it changes anything."""

    roles: frozenset[str]
    writes: bool = False


def _right(words: str, *, writes: bool = False) -> Right:
    return Right(frozenset(words.split()), writes)


_READERS: Final = _right("reader support officer auditor admin")
_BOOKERS: Final = _right("reader booking support officer auditor admin")
_AUDITORS: Final = _right("auditor admin")
_DESK: Final = _right("support officer auditor admin")
_DECIDES: Final = _right("officer", writes=True)
_PROPOSES: Final = _right("officer admin", writes=True)
_APPROVES: Final = _right("admin", writes=True)
_ANYBODY: Final = _right(" ".join(ROLES))

RIGHTS: Final[Mapping[str, Right]] = {
    # -- one candidate
    "GET /v1/standing": _READERS,
    "POST /v1/standings": _BOOKERS,
    "POST /v1/standings fields=all": _READERS,  # reasons are free text
    "GET /v1/candidates": _READERS,
    "GET /v1/history": _READERS,
    # -- everybody
    "GET /v1/everybody": _READERS,
    "GET /v1/tables/{name}": _READERS,
    "GET /v1/reports/{name}": _READERS,
    "GET /v1/violations": _READERS,
    "GET /v1/diff": _READERS,
    "GET /v1/audits/{name}": _AUDITORS,
    "POST /v1/what-if": _READERS,
    "POST /v1/receipts/check": _READERS,
    # -- events
    "POST /v1/events": _right("recorder", writes=True),
    "GET /v1/events": _READERS,
    "GET /v1/events/stream": _READERS,
    "GET /v1/changes": _BOOKERS,
    "GET /v1/changes/stream": _BOOKERS,
    # -- exceptions and authorizations
    "GET /v1/exceptions": _DESK,
    "GET /v1/exceptions clear": _right("officer"),
    "POST /v1/exceptions": _DECIDES,
    "POST /v1/exceptions/grant": _DECIDES,
    "POST /v1/exceptions/reject": _DECIDES,
    "POST /v1/exceptions/revoke": _DECIDES,
    "GET /v1/authorizations": _READERS,  # reasons are free text
    "POST /v1/authorizations": _DECIDES,
    "POST /v1/authorizations/revoke": _DECIDES,
    # -- booking
    "GET /v1/booking": _right("booking officer auditor admin"),
    "POST /v1/booking/confirmations": _right("booking", writes=True),
    # -- what needs two people
    "GET /v1/proposals": _right("officer auditor admin"),
    "POST /v1/proposals": _PROPOSES,
    "POST /v1/proposals/approve": _APPROVES,
    "POST /v1/proposals/withdraw": _PROPOSES,
    # -- proofs and operations
    "GET /v1/proof": _READERS,
    "GET /v1/checkpoint": _READERS,
    "GET /v1/vkey": _READERS,
    "GET /v1/log/{path}": _READERS,
    "GET /v1/policies": _ANYBODY,
    "GET /openapi.json": _ANYBODY,
    "GET /metrics": _right("reader auditor admin"),
}
"""What each route, or a part of it, needs. A route that is not here cannot be called at all."""

OPEN: Final = frozenset(("GET /healthz", "GET /readyz"))
"""What is answered to anybody."""

NOBODY: Final = Identity("nobody", frozenset(("reader", "booking", "support", "auditor")))
"""Who asks while there is no token and no OIDC issuer: from this machine, and only reading."""

_PATTERNS: Final = tuple(
    (method, re.compile(re.sub(r"\{path\}", ".+", path.replace("{name}", "[^/]+"))), f"{key}")
    for key in RIGHTS
    if "{" in key
    for method, path in (key.split(" ", 1),)
)


def route_of(method: str, path: str) -> str | None:
    """Return the key in RIGHTS of a request, None if no route of the API is meant."""
    key = f"{method} {path}"
    if key in RIGHTS or key in OPEN:
        return key
    for wanted, pattern, found in _PATTERNS:
        if wanted == method and pattern.fullmatch(path):
            return found
    return None


def is_allowed(identity: Identity, key: str) -> bool:
    """Return whether an identity may do something; NOBODY never writes."""
    right = RIGHTS[key]
    return bool(identity.roles & right.roles) and not (right.writes and identity is NOBODY)
