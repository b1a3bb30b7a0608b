"""Every door that writes seals before it ends; what goes wrong with that is said, no more."""

from __future__ import annotations

import os
import re
from typing import Final

from attempt_ledger.access import Access
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.tlog import sealer
from ledger.tlog.checkpoint import log_paths, sealed_elsewhere, sealed_size


def seal_after(access: Access, ledger: Ledger) -> None:
    """Seal what was appended, if anything was; never fails.

    The events stand whether they are sealed or not: whatever hinders is one sentence, and the next
    sealing makes up for it.
    """
    try:
        log = log_paths(ledger.path, access.signing_key)
        if access.signing_key is None and sealed_elsewhere(log) is not None:
            return  # by the machines that have the key
        head = ledger.head().position
        if head != sealed_size(log) or not log.checkpoint.exists():
            seal_now(access, ledger, head)
    except LedgerProblem as problem:
        reason = _UNWRITTEN.sub("", str(problem))
        access.say(f"what is recorded stands, but is not sealed: {reason}")


_UNWRITTEN: Final = re.compile("[:,;] nothing was (written|signed)")
"""What a sentence says of the seal, and would seem to say of what is recorded."""


def seal_now(access: Access, ledger: Ledger, head: int) -> sealer.Sealed:
    """Seal up to a position; raises LedgerProblem."""
    log = log_paths(ledger.path, access.signing_key)
    with access.counting("sealing", max(0, head - sealed_size(log))) as progress:
        return sealer.seal(
            log,
            str(ledger.about("ledger")),
            head,
            processes=processes(),
            progress=progress,
            waiting=ledger.store.waiting,
        )


def processes() -> int:
    """Return how many processes hash: as many as there are cores for us, at most two."""
    return min(2, len(os.sched_getaffinity(0)))


def check_unused(access: Access) -> None:
    """Raise LogProblem where a new ledger would lie beside the log or key of another."""
    if not access.is_there():
        sealer.check_unused(log_paths(access.path, access.signing_key))


def make_key_for(access: Access, ledger: Ledger) -> None:
    """Make the signing key of a new ledger; never fails."""
    try:
        sealer.make_key(log_paths(ledger.path, access.signing_key), str(ledger.about("ledger")))
    except LedgerProblem as problem:
        access.say(f"the ledger is made, but cannot be sealed: {problem}")
