"""The certificate of an erasure: what was erased, why, and where the ledger says so; signed."""

from __future__ import annotations

from typing import Any

from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.privacy.erasure import ErasedEvent, NothingRecorded, erased_of, forgotten_at
from ledger.privacy.key_file import Erasure, KeyBackup
from ledger.tlog.note import read_key
from ledger.tlog.paths import Place
from ledger.tlog.proof import certify_erasure


def certificate(ledger: Ledger, place: Place, candidate: str) -> bytes:
    """Return the certificate of a forgotten candidate, as a file that `verify-proof` checks.

    The CandidateForgotten must be sealed. Nothing personal is in it but the names of the fields.
    Raises NothingRecorded if the candidate was not forgotten, LogProblem when it cannot be signed.
    """
    rows = ledger.stream(f"candidate/{candidate}")
    event = forgotten_at(rows)
    if event is None:
        raise NothingRecorded(f"{candidate!r} was not forgotten: there is nothing to certify")
    signing = read_key(place.key)
    why, backups = reason_of(ledger, event)
    erased = erased_of([row for row in rows if row.position < event.position])
    said = _said(signing.verifier.name, event, why, erased, backups if erased else [])
    return certify_erasure(place, signing, said, event)


def reason_of(ledger: Ledger, event: Recorded) -> tuple[Erasure, list[KeyBackup]]:
    """Return what the key file says of an erasure, and the backups of keys that may hold its key.

    Those that might still be used when it was destroyed, that is. Raises KeyFileProblem.
    """
    candidate = event.subject
    # Forgotten elsewhere, and brought here by an import, there is no reason.
    why = Erasure(candidate, event.position, "", event.actor, event.recorded_at)
    with ledger.vault.reading() as keys:
        if keys is None:
            return why, []
        why = next(iter(keys.erasures(candidate)), why)
        return why, [each for each in keys.backups() if each.at <= why.at < each.until]


def _said(
    log: str,
    event: Recorded,
    why: Erasure,
    erased: tuple[ErasedEvent, ...],
    backups: list[KeyBackup],
) -> dict[str, Any]:
    return {
        "log": log,
        "candidate": why.candidate,
        "position": event.position,
        "reason": why.reason or None,
        "actor": why.actor,
        "at": format_instant(why.at),
        "erased": [each._asdict() for each in erased],
        "key_backups": [
            {"at": format_instant(each.at), "until": format_instant(each.until)} for each in backups
        ],
    }
