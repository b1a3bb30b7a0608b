"""Sealing all the while: at a pace, whenever somebody has written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType

from ledger.problems import LedgerProblem
from ledger.storage import connect_reader, storage_problems
from ledger.transparency.crew import no_interrupt
from ledger.transparency.place import Place
from ledger.transparency.problems import Inconsistent, SigningKeyProblem
from ledger.transparency.sealing import seal

EVERY_SECONDS = 0.5
"""How long events may gather: with the sealing itself less than a second."""


def follow(
    place: Place,
    ledger_id: str,
    *,
    wait: Callable[[], bool],
    troubled: Callable[[LedgerProblem], object],
) -> None:
    """Seal what there is, then again after each `wait` during which something was written.

    `wait` says whether to end. What hinders a sealing is told to `troubled`, and tried again.
    Raises Inconsistent and SigningKeyProblem: no waiting mends those.
    """
    with storage_problems(place.ledger), closing(connect_reader(place.ledger)) as connection:
        seen = None
        while True:
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != seen:
                (head,) = connection.execute(
                    "SELECT coalesce(max(position), 0) FROM events"
                ).fetchone()
                try:
                    seal(place, ledger_id, head, processes=1)
                    seen = version
                except (Inconsistent, SigningKeyProblem):
                    raise
                except LedgerProblem as problem:
                    troubled(problem)
            if wait():
                return


class SealingBeside:
    """A process that seals while this one appends, so that little is left to seal at the end.

    What hinders it is not told: the last sealing, after it, meets the same and says so.
    """

    def __init__(self, place: Place, ledger_id: str) -> None:
        # Not forked: a child must have neither our threads' locks nor SQLite's files.
        context = get_context("spawn")
        receiving, self._sending = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_follow, args=(place, ledger_id, receiving), daemon=True
        )
        with no_interrupt():
            self._process.start()
        receiving.close()

    def __enter__(self) -> SealingBeside:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let it finish what it is at."""
        self._sending.close()
        self._process.join()
        self._process.close()


def _follow(place: Place, ledger_id: str, receiving: Connection) -> None:
    with suppress(LedgerProblem):
        # The other end is closed when it is done, or dead: then there is something to receive.
        follow(
            place,
            ledger_id,
            wait=lambda: receiving.poll(EVERY_SECONDS),
            troubled=lambda problem: None,
        )
