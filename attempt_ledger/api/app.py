"""The application: the routes in one list, what stands before them, and how it is served."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from importlib.metadata import version
from typing import Any, Final

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from attempt_ledger.api.caching import Standings
from attempt_ledger.api.edge import Edge, Gate, Rates
from attempt_ledger.api.metrics import Metrics
from attempt_ledger.api.protocol import BoundedProtocol
from attempt_ledger.api.roles import OPEN
from attempt_ledger.api.routes import (
    appending,
    authorizations,
    booking,
    changes,
    computing,
    events,
    exceptions,
    operations,
    proofs,
    proposals,
    standing,
    tables,
)
from attempt_ledger.api.routing import refusal_of
from attempt_ledger.api.service import Service
from attempt_ledger.api.tail import Tail

ROUTES: Final[Sequence[APIRouter]] = (
    standing.routes,
    tables.routes,
    computing.routes,
    appending.routes,
    events.routes,
    changes.routes,
    exceptions.routes,
    authorizations.routes,
    booking.routes,
    proposals.routes,
    proofs.routes,
    operations.routes,
)
"""The groups of routes, in the order of the contract. What each needs: `attempt_ledger.api.roles`.

To add one, write such a module (`routes/operations.py` is a short one), name it here, and put each
of its routes into the table of roles.
"""

UNTRACED: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
"""FastAPI's own spans hold the query, and so candidates: ours (`traces.py`) do not."""
NOTED_SECONDS: Final = 60.0
"""The last use of tokens is written down so often."""
SWITCH_SECONDS: Final = 0.0005
"""How long a thread waits for the interpreter before the one that runs has to let it go."""
MADE: Final = 10_000
"""So many objects are made, more than went, before the garbage collector looks at them."""
DRAIN_SECONDS: Final = 10
"""So long requests that are under way may take to end, when the service is to stop."""


def application(service: Service, gate: Gate) -> FastAPI:
    """Make the application of a service, without what stands before it."""

    @contextlib.asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        app.state.tail = Tail(service)
        tasks = [asyncio.create_task(each) for each in (service.keep_sealed(), noted(gate))]
        try:
            yield
        finally:
            await app.state.tail.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    app = FastAPI(
        title="Attempt ledger",
        version=version("attempt-ledger"),
        description="May this candidate sit this exam, why not and from when, as of any date.",
        lifespan=running,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # an address is what it is, to the letter
        separate_input_output_schemas=False,
        telemetry=UNTRACED,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    app.state.gate = gate
    app.state.followers = 0
    app.state.metrics = Metrics()
    app.state.groups = list(ROUTES)
    for kind in (Exception, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer)
    for each in ROUTES:
        app.include_router(each)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    names = [getattr(route, "name", "") for each in ROUTES for route in each.routes]
    assert len(names) == len(set(names)), "two routes have one name, and so one operation id"
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI, with what is in it besides the routes."""
    schema = FastAPI.openapi(app)
    parts = schema.setdefault("components", {})
    parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    parts["schemas"].update(CloudEvent=appending.CLOUD_EVENT, EventData=appending.EVENT_DATA)
    schema["security"] = [{"bearer": []}]
    for key in OPEN:
        schema["paths"][key.partition(" ")[2]]["get"]["security"] = []
    return schema


async def noted(gate: Gate) -> None:
    """Write down every now and then who asked last, until cancelled, and once more then."""
    try:
        while True:
            await asyncio.sleep(NOTED_SECONDS)
            await asyncio.to_thread(gate.note_uses)
    finally:
        gate.note_uses()


async def _answer(request: Request, error: Exception) -> Response:
    """Turn whatever a route raises into a problem."""
    return refusal_of(request, error).response()


def edge_of(app: FastAPI, names: Collection[str], rates: Rates) -> ASGIApp:
    """Put before an application what every request passes."""
    return Edge(Standings(app, app.state.service), app.state.gate, names, rates, app.state.metrics)


class _Server(uvicorn.Server):
    """Uvicorn, stopped by whoever serves: who waits for news is told before it waits for him."""

    def __init__(
        self, config: uvicorn.Config, service: Service, ready: Callable[[], object]
    ) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop."""
        self._service.stopping.set()
        super().handle_exit(sig, frame)


def serve(
    app: ASGIApp,
    service: Service,
    listening: socket.socket,
    proxies: Sequence[str],
    ready: Callable[[], object],
) -> None:
    """Answer on a socket until the process is stopped; then close the service.

    What is under way is ended within DRAIN_SECONDS. `proxies` are the addresses whose forwarded
    headers are believed. `ready` is called once requests are answered, and a signal stops it well.
    """
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_level="error",  # or whoever sends what is no HTTP would fill the log
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=1024,
    )
    # A thread that appends hands the interpreter over at every statement of SQLite, and by default
    # waits 5 ms each time to have it back while the loop is busy.
    sys.setswitchinterval(SWITCH_SECONDS)
    # What was loaded by now stays until the end: looking through it for garbage, after every few
    # hundred objects, was a sixth of a whole answer's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(MADE)
    # Uvicorn raises the signal again once it has stopped: by default that would end the process
    # before the ledger is sealed and closed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _Server(config, service, ready).run(sockets=[listening])
    finally:
        service.close()
