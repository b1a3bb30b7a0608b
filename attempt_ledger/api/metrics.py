"""What the service counts and times, as Prometheus reads it."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The numbers of one service. No value is about a person: routes and statuses alone."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "attempt_ledger_requests", "Requests answered.", ["route", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "attempt_ledger_request_seconds", "How long an answer took to begin.", ["route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self._registry,
        )  # fmt: skip
        self._position = Gauge(
            "attempt_ledger_position", "The ledger's last position.", registry=self._registry
        )
        self._followers = Gauge(
            "attempt_ledger_followers", "Streams that are open.", registry=self._registry
        )
        # Looked up once: making the child of a label takes longer than counting.
        self._counters: dict[tuple[str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def note(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        counter = self._counters.get((route, status))
        if counter is None:
            counter = self._requests.labels(route, str(status))
            self._counters[route, status] = counter
            self._timers[route] = self._seconds.labels(route)
        counter.inc()
        self._timers[route].observe(seconds)

    def text(self, position: int, followers: int) -> bytes:
        """Write everything."""
        self._position.set(position)
        self._followers.set(followers)
        return generate_latest(self._registry)
