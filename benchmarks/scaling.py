"""The same at a tenth, three tenths and all of the events: time may grow no faster than they."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cold import replay_cold
from benchmarks.data import ledger_of
from benchmarks.everyone import population
from benchmarks.measure import Figure, Options, alternately, middle, seconds

_TENTHS = (1, 3, 10)
_NOISE = 0.9


def figures(options: Options) -> Iterator[Figure]:
    """Replay each size, cold and warm; every rate is compared with that of the smallest."""
    sizes = [options.events * tenths // 10 for tenths in _TENTHS]
    paths = [ledger_of(size) for size in sizes]
    population(paths[0])
    for how, replay, runs in (
        ("cold", replay_cold, min(options.runs, 3)),
        ("warm", population, options.runs),
    ):
        sides = [
            lambda path=path, size=size, replay=replay: size / seconds(lambda: replay(path))
            for path, size in zip(paths, sizes, strict=True)
        ]
        measured = alternately(runs, *sides, warm_up=0)
        smallest = middle(measured[0])
        for size, rates in zip(sizes, measured, strict=True):
            first = size == sizes[0]
            yield Figure(
                "scaling", f"{how} replay of {size:,} events", "/s", middle(rates),
                None if first else smallest, "" if first else f"{sizes[0]:,} events",
                at_least=None if first else _NOISE,
                note="" if first else "1 is a time that grows as the events do, 0.1 is for noise",
                all={"ours": rates},
            )  # fmt: skip
