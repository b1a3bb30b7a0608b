"""Traces: a span a request where the standard variables say so, and never anything personal."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from serving import example, served

from attempt_ledger.cli.serve import is_traced

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@contextmanager
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """Run a real receiver of OTLP over HTTP; yield its address, and what it is sent."""
    found: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            found.append(body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", found
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_span_tells_route_status_and_kind_of_identity_alone(tmp_path: Path) -> None:
    """Joined to the caller's trace; no candidate, token, name or query."""
    path = example(tmp_path)
    trace = "0af7651916cd43dd8448eb211c80319c"
    with receiver() as (address, found):
        with served(path, environment={ENDPOINT: address}) as it:
            token = it.token("reader")
            parent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            ask = {"candidate": "C-1001", "exam": "AZ-104"}
            assert it.ask("GET", "/v1/standing", by="reader", params=ask, headers=parent).is_success
            it.get("/v1/everybody", by="reader", exam="AZ-104")
            it.get("/v1/C-1001", by="reader")
            it.get("/v1/standing", candidate="C-1001")
            it.client.get("/candidate?id=C-1001")
            it.get("/healthz")
        spans = list(spans_in(found))
    seen = [(span.name, *map(attributes(span).get, ATTRIBUTES)) for span in spans]
    assert seen == [
        ("GET /v1/standing", "/v1/standing", 200, "token"),
        ("GET /v1/everybody", "/v1/everybody", 200, "token"),
        ("GET other", "other", 404, "token"),
        ("GET /v1/standing", "/v1/standing", 401, "none"),
        ("GET /candidate", "/candidate", 303, "none"),
        ("GET /healthz", "/healthz", 200, "none"),
    ]
    assert spans[0].trace_id.hex() == trace
    assert all(span.kind == Span.SPAN_KIND_SERVER for span in spans)
    sent = b"".join(found)
    assert b"attempt-ledger" in sent
    for secret in (b"C-1001", b"AZ-104", token.encode(), b"candidate="):
        assert secret not in sent


ATTRIBUTES = ("http.route", "http.response.status_code", "attempt_ledger.identity")


def spans_in(bodies: list[bytes]) -> Iterator[Span]:
    """Yield spans, by when they began."""
    requests = (ExportTraceServiceRequest.FromString(body) for body in bodies)
    scopes = (s for each in requests for r in each.resource_spans for s in r.scope_spans)
    yield from sorted(
        (span for scope in scopes for span in scope.spans), key=lambda s: s.start_time_unix_nano
    )


def attributes(span: Span) -> dict[str, object]:
    """Return what a span says."""
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({ENDPOINT: "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({ENDPOINT: "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINT: "http://x", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_nothing_is_sent_but_where_it_is_configured(environment: dict[str, str], on: bool) -> None:
    """As OpenTelemetry's variables say."""
    assert is_traced(environment) is on
