"""Whatever is put back, nobody who was forgotten comes back with it."""

from __future__ import annotations

from ledger.ledger import Ledger
from ledger.privacy.erasure import forget

UNKNOWN_REASON = "forgotten before, as the key file says"
"""The reason given where the key file holds none."""


def forgotten_in(ledger: Ledger) -> frozenset[str]:
    """Return every candidate who was forgotten, as the ledger says. Looks at every event."""
    return frozenset(
        stream.partition("/")[2]
        for (stream,) in ledger.recorder.values(
            "SELECT DISTINCT stream FROM events "
            "WHERE topic >= 'CandidateForgotten:' AND topic < 'CandidateForgotten;'"
        )
    )


def destroy_again(ledger: Ledger) -> tuple[str, ...]:
    """Destroy every key of a candidate whom the ledger says was forgotten; return whose, sorted.

    For whoever puts a key file, or a ledger, back. Raises LedgerProblem.
    """
    with ledger.appending() as appending:
        return tuple(
            candidate
            for candidate in sorted(forgotten_in(ledger))
            if appending.keyring.destroy(candidate)
        )


def forgotten_elsewhere(ledger: Ledger) -> tuple[str, ...]:
    """Name the candidates whose key was destroyed, though this ledger does not say so; sorted.

    They were forgotten in a later copy of this ledger, or a `forget` was cut off between the key
    and its event. Raises KeyFileProblem.
    """
    with ledger.vault.reading() as keys:
        gone = [] if keys is None else [name for name, there in keys.candidates() if not there]
    return tuple(candidate for candidate in gone if not ledger.is_forgotten(candidate))


def forget_again(ledger: Ledger, *, actor: str | None, time: int) -> tuple[str, ...]:
    """Append the CandidateForgotten of all who were `forgotten_elsewhere`; return whom.

    The reason, and who gave it, stay those of the first time. Raises LedgerProblem.
    """
    again = forgotten_elsewhere(ledger)
    for candidate in again:
        forget(ledger, candidate, reason=UNKNOWN_REASON, actor=actor, time=time)
    return again
