"""Pieces of work for several processes, or for this one where there is too little to share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Result = TypeVar("Result")

WORTH_ROWS = 200_000
"""From so many rows on other processes are started, which takes them a third of a second."""


class Crew:
    """Who works: `processes` of them if there are enough rows, else this process alone."""

    def __init__(self, rows: int, processes: int) -> None:
        self._processes = processes if rows >= WORTH_ROWS else 1
        self._pool: ProcessPoolExecutor | None = None

    def map(self, work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
        """Return the result of each job, in order; raises what a job raises."""
        if self._processes <= 1:
            return (work(*job) for job in jobs)
        if self._pool is None:
            from concurrent.futures import ProcessPoolExecutor
            from multiprocessing import get_context

            # Not forked: a child must have neither our threads' locks nor SQLite's files.
            self._pool = ProcessPoolExecutor(self._processes, mp_context=get_context("spawn"))
        with no_interrupt():  # which starts the processes
            return self._pool.map(_call, ((work, job) for job in jobs))

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def no_interrupt() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: they are ended by the one that started them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _call(job: tuple[Callable[..., Result], tuple[Any, ...]]) -> Result:
    work, words = job
    return work(*words)
