"""What the service counts and times, as Prometheus reads it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_NAMES: Final = (*map(str, _BOUNDS), "+Inf")


class Metrics(Collector):
    """The numbers of one service. No value is about a person: routes and statuses alone.

    Counted here, in the event loop, and laid out when they are asked for: the library's own
    counters, made for threads, take longer than all else that is done for a 304.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._answers: Counter[tuple[str, int]] = Counter()
        self._times: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._position = self._followers = 0

    def note(self, route: str, status: int, seconds: float) -> None:
        """Count an answer, which took so long to begin."""
        self._answers[route, status] += 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = [0] * len(_NAMES)
            self._seconds[route] = 0.0
        times[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[route] += seconds

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """Yield everything, as the library asks for it."""
        answers = CounterMetricFamily(
            "attempt_ledger_requests", "Requests answered.", labels=["route", "status"]
        )
        for (route, status), count in self._answers.items():
            answers.add_metric([route, str(status)], count)
        yield answers
        seconds = HistogramMetricFamily(
            "attempt_ledger_request_seconds", "How long an answer took to begin.", labels=["route"]
        )
        for route, times in self._times.items():
            buckets = list(zip(_NAMES, accumulate(times), strict=True))
            seconds.add_metric([route], buckets, sum_value=self._seconds[route])
        yield seconds
        yield GaugeMetricFamily(
            "attempt_ledger_position", "The ledger's last position.", value=self._position
        )
        yield GaugeMetricFamily(
            "attempt_ledger_followers", "Streams that are open.", value=self._followers
        )

    def text(self, position: int, followers: int) -> bytes:
        """Write everything."""
        self._position, self._followers = position, followers
        return generate_latest(self._registry)
