"""Traces by OpenTelemetry: a span for each request, sent where the standard variables say.

A span tells the route, the status, how long, and what kind of identity asked; nobody's name, no
candidate, no query. Where nothing is configured this module is not even imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attempt_ledger.api.roles import NOBODY
from attempt_ledger.api.tokens import OIDC

_CONTEXT: Final = TraceContextTextMapPropagator()
_CARRIED: Final = (b"traceparent", b"tracestate")


class Traced:
    """Puts a span around each request of an application."""

    def __init__(self, app: ASGIApp, environment: Mapping[str, str]) -> None:
        """Send to where OTEL_EXPORTER_OTLP_… says; the service's name is theirs too, if set."""
        self._app = app
        about = {SERVICE_VERSION: version("attempt-ledger")}
        named = f"{SERVICE_NAME}=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
        if not named and not environment.get("OTEL_SERVICE_NAME"):
            about[SERVICE_NAME] = "attempt-ledger"
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("attempt_ledger.api", version("attempt-ledger"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carried = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _CARRIED
        }
        status = 0

        async def sent(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        method = scope["method"]
        with self._tracer.start_as_current_span(
            method, _CONTEXT.extract(carried), SpanKind.SERVER, record_exception=False
        ) as span:
            try:
                await self._app(scope, receive, sent)
            finally:
                route = _route(scope)
                span.update_name(f"{method} {route}")
                span.set_attributes(
                    {
                        "http.request.method": method,
                        "http.route": route,
                        "http.response.status_code": status,
                        "attempt_ledger.identity": _kind(scope),
                    }
                )
                if status >= 500 or not status:
                    span.set_status(StatusCode.ERROR)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _route(scope: Scope) -> str:
    """Return the route as it is declared, never the address that was called."""
    key: str | None = scope["state"].get("route")
    if key is not None:
        return key.partition(" ")[2]
    return str(getattr(scope.get("route"), "path", "other"))


def _kind(scope: Scope) -> str:
    identity = scope["state"].get("identity")
    if identity is None:
        return "none"
    if identity is NOBODY:
        return "nobody"
    return "oidc" if identity.name.startswith(OIDC) else "token"
