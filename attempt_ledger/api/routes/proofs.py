"""What outsiders check: proofs, the checkpoint, the verifier key, the log's tiles."""

from __future__ import annotations

import re
from typing import Annotated, Final

import anyio.to_thread
from fastapi import Path, Query, Request, Response

from attempt_ledger.api.caching import FOR_EVER, FRESH
from attempt_ledger.api.problems import Problem
from attempt_ledger.api.routing import LONGEST_ID, content, problems, router, service_of
from attempt_ledger.api.service import Service
from ledger.problems import shown
from ledger.tlog.checkpoint import LogPaths, log_paths, need_verifier_key, sealed_size
from ledger.tlog.proof import prove_event, signed_head

routes = router("proofs")

_TEXT: Final = "text/plain"
_BYTES: Final = "application/octet-stream"
_TILE: Final = re.compile(r"tile/[0-7]/(x[0-9]{3}/){0,5}[0-9]{3}(\.p/[0-9]{1,3})?", re.ASCII)


def _paths(service: Service) -> LogPaths:
    return log_paths(service.ledger.path, service.access.signing_key)


@routes.get(
    "/v1/proof",
    response_class=Response,
    responses={
        200: content(_TEXT, {"type": "string"}, description="A proof file, which stands alone."),
        **problems(404),
    },
)
async def proof(
    request: Request,
    source: Annotated[
        str,
        Query(min_length=1, max_length=LONGEST_ID, description="The event's source.",
              examples=["urn:vue"]),
    ],
    id: Annotated[
        str,
        Query(min_length=1, max_length=LONGEST_ID, description="The event's id.",
              examples=["R-77/result"]),
    ],
) -> Response:  # fmt: skip
    """Prove that an event is in the signed log; `verify-proof` checks it, without the ledger."""
    made = await proof_of(service_of(request), source, id)
    return Response(made, media_type=_TEXT, headers={"cache-control": FRESH})


async def proof_of(service: Service, source: str, id: str) -> bytes:
    """Make the proof of an event, which is sealed first if it is not yet; raises Problem."""
    event = service.ledger.find(source, id)
    if event is None:
        raise Problem("unknown", f"There is no event {shown(id)} of {shown(source)}.")

    def prove() -> bytes:
        paths = _paths(service)
        if event.position > sealed_size(paths):
            service.seal()
        return prove_event(paths, need_verifier_key(paths), event)

    return await anyio.to_thread.run_sync(prove, limiter=service.writers)


@routes.get(
    "/v1/checkpoint",
    response_class=Response,
    responses={
        200: content(
            _TEXT,
            {"type": "string"},
            "attempt-ledger/…\n720\n…\n\n— …\n",
            "A signed note, c2sp.org/tlog-checkpoint.",
        ),
        **problems(404),
    },
)
async def checkpoint(request: Request) -> Response:
    """Return the last signed checkpoint, for others to keep."""
    paths = _paths(service_of(request))
    note = signed_head(paths, need_verifier_key(paths)).note
    return Response(note, media_type=_TEXT, headers={"cache-control": FRESH})


@routes.get(
    "/v1/vkey",
    response_class=Response,
    responses={
        200: content(_TEXT, {"type": "string"}, "attempt-ledger/…+1a2b3c4d+…\n"),
        **problems(404),
    },
)
async def vkey(request: Request) -> Response:
    """Return the key by which checkpoints and proofs are checked."""
    key = need_verifier_key(_paths(service_of(request)))
    return Response(f"{key}\n", media_type=_TEXT, headers={"cache-control": FRESH})


@routes.get(
    "/v1/log/{path:path}",
    response_class=Response,
    responses={
        200: content(
            _BYTES, {"type": "string", "format": "binary"}, description="A file of the log."
        ),
        **problems(404),
    },
)
async def log(
    request: Request, path: Annotated[str, Path(examples=["tile/0/000.p/72"])]
) -> Response:
    """Return a file of the log as c2sp.org/tlog-tiles lays it out: `checkpoint`, or `tile/…`."""
    is_tile = _TILE.fullmatch(path) is not None
    if not is_tile and path != "checkpoint":
        raise Problem(
            "unknown", f"The log has no file {shown(path)}: accepted are checkpoint and tile/…."
        )
    file = _paths(service_of(request)).folder / path
    try:
        found = await anyio.to_thread.run_sync(file.read_bytes)
    except OSError:
        raise Problem("unknown", f"The log has no file {shown(path)} yet.") from None
    kept = FOR_EVER if is_tile else FRESH
    return Response(found, media_type=_BYTES if is_tile else _TEXT, headers={"cache-control": kept})
