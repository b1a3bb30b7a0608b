"""Every command that writes seals before it ends; what goes wrong with that is said, no more."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attempt_ledger.cli.output import say

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.tlog.checkpoint import LogPaths
    from ledger.tlog.sealer import Sealed


def seal_after(ledger: Ledger, signing_key: Path | None) -> None:
    """Seal what was appended, if anything was; never fails.

    The events stand whether they are sealed or not: whatever hinders is one sentence, and the next
    sealing makes up for it.
    """
    from ledger.problems import LedgerProblem
    from ledger.tlog.checkpoint import log_paths, sealed_size

    try:
        place = log_paths(ledger.path, signing_key)
        head = ledger.head().position
        if head != sealed_size(place) or not place.checkpoint.exists():
            seal_now(ledger, place, head)
    except LedgerProblem as problem:
        say(f"what is recorded stands, but is not sealed: {problem}")


def seal_now(ledger: Ledger, place: LogPaths, head: int) -> Sealed:
    """Seal up to a position, with a bar on a terminal; raises LedgerProblem."""
    from attempt_ledger.cli.progress import counting
    from ledger.tlog.checkpoint import sealed_size
    from ledger.tlog.sealer import seal

    with counting("sealing", max(0, head - sealed_size(place))) as told:
        return seal(
            place,
            str(ledger.about("ledger")),
            head,
            processes=processes(),
            progress=told,
            waiting=ledger.recorder.waiting,
        )


@contextmanager
def sealing_beside(
    ledger: Ledger, signing_key: Path | None, files: Iterable[str]
) -> Iterator[None]:
    """Seal in another process while the body imports, if the files are large enough to be worth it.

    Otherwise, and for what is left, `seal_after` does.
    """
    from ledger.intake.results import WORTH_BYTES
    from ledger.tlog.checkpoint import log_paths
    from ledger.tlog.follower import SealingBeside

    place = log_paths(ledger.path, signing_key)
    size = sum(os.path.getsize(file) for file in files if os.path.isfile(file))
    if size < WORTH_BYTES or processes() < 2 or not place.key.exists():
        yield
        return
    with SealingBeside(place, str(ledger.about("ledger"))):
        yield


def processes() -> int:
    """Return how many processes hash: as many as there are cores for us, at most two."""
    return min(2, len(os.sched_getaffinity(0)))


def check_unused(ledger: Path, signing_key: Path | None) -> None:
    """Raise LogProblem where a new ledger would lie beside the log or key of another."""
    from ledger.tlog.checkpoint import log_paths
    from ledger.tlog.sealer import check_unused

    if not os.path.lexists(ledger):
        check_unused(log_paths(ledger, signing_key))


def make_key_for(ledger: Ledger, signing_key: Path | None) -> None:
    """Make the signing key of a new ledger; never fails."""
    from ledger.problems import LedgerProblem
    from ledger.tlog.checkpoint import log_paths
    from ledger.tlog.sealer import make_key

    try:
        make_key(log_paths(ledger.path, signing_key), str(ledger.about("ledger")))
    except LedgerProblem as problem:
        say(f"the ledger is made, but cannot be sealed: {problem}")
