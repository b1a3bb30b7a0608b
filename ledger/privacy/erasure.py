"""Forget a candidate for good: the key is destroyed, the ledger says so, a certificate shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import Any, Final, NamedTuple

from ledger.appending import Appending
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.models import CandidateForgotten
from ledger.outcomes import Appended, Refused
from ledger.privacy.cipher import encrypted_fields
from ledger.privacy.key_file import Erasure, KeyBackup
from ledger.problems import LedgerProblem
from ledger.tlog.checkpoint import LogPaths
from ledger.tlog.note import read_signing_key
from ledger.tlog.proof import certify_erasure

SOURCE: Final = "urn:attempt-ledger:erasure"
"""The source of every CandidateForgotten that is recorded here; its id is the candidate's."""
UNKNOWN_REASON = "forgotten before, as the key file says"
"""The reason where the key file has none."""


class NothingRecorded(LedgerProblem):
    """Nothing is recorded of a candidate who was to be forgotten."""


class ErasedEvent(NamedTuple):
    """An event of which fields were erased: they stay as ciphertext that no key opens."""

    position: int
    source: str
    id: str
    fields: tuple[str, ...]


class Forgotten(NamedTuple):
    """What forgetting a candidate came to."""

    position: int
    """Where the CandidateForgotten stands."""
    erased: tuple[ErasedEvent, ...]
    already: bool
    """The ledger said so before: nothing was recorded now."""
    destroyed: bool
    """There was a key, and it was destroyed now."""


def forget(
    ledger: Ledger, candidate: str, *, reason: str, actor: str | None, time: int
) -> Forgotten:
    """Destroy a candidate's key for good and append the CandidateForgotten, in one transaction.

    The key is destroyed durably before the event is committed, so that the event never lies; killed
    in between, the key is gone, and the same call appends the event. Of a candidate who was
    forgotten before nothing is recorded, and a key that came back is destroyed. `reason` and
    `actor` are kept beside the keys, in clear text. `time` is in microseconds.

    Raises NothingRecorded for a candidate of whom neither the ledger nor the key file knows, and
    LedgerProblem when either cannot be written: then nothing was changed in the ledger, and the
    problem says so if the key is gone already.
    """
    try:
        return _forget(ledger, candidate, reason, actor, time)
    except NothingRecorded:
        raise
    except LedgerProblem as problem:
        if _is_gone(ledger, candidate):
            raise LedgerProblem(
                f"{problem}; the key of {candidate} is destroyed: forget once more, so that the "
                "ledger says so"
            ) from problem
        raise


def _is_gone(ledger: Ledger, candidate: str) -> bool:
    try:
        return ledger.vault.look_up(candidate)[1] and not ledger.is_forgotten(candidate)
    except LedgerProblem:
        return False


def _forget(ledger: Ledger, candidate: str, reason: str, actor: str | None, time: int) -> Forgotten:
    with ledger.appending() as appending:
        rows = ledger.stream(f"candidate/{candidate}")
        event = forgotten_at(rows)
        if event is not None:
            destroyed = appending.keyring.destroy(candidate)
            return Forgotten(event.position, erased_of(rows), True, destroyed)
        keys = appending.keyring.file()
        with appending.keyring.problems():
            key, destroyed = (None, False) if keys is None else keys.look_up(candidate)
        if not rows and not destroyed:
            raise NothingRecorded(f"nothing is recorded of a candidate {candidate!r}")
        position = _append(appending, candidate, actor, time)
        appending.keyring.register(Erasure(candidate, position, reason, actor, time))
    return Forgotten(position, erased_of(rows), False, key is not None)


def _append(appending: Appending, candidate: str, actor: str | None, time: int) -> int:
    """Append the event, which destroys the key too, and return its position."""
    ids = chain([candidate], (f"{candidate}/{n}" for n in count(2)))  # should one be another's
    id = next(id for id in ids if appending.find(SOURCE, id) is None)
    fact = Fact(SOURCE, id, candidate, time, CandidateForgotten(), actor)
    (outcome,) = appending.take([fact.row(as_recorded=True)])
    if isinstance(outcome, Refused):
        raise LedgerProblem(f"{candidate} is not forgotten: {outcome.problem}")
    assert isinstance(outcome, Appended)
    return outcome.position


def forgotten_at(rows: Iterable[Recorded]) -> Recorded | None:
    """Pick the first event that says that the candidate of a stream was forgotten."""
    return next((row for row in rows if row.type == CandidateForgotten.type), None)


def erased_of(rows: Sequence[Recorded]) -> tuple[ErasedEvent, ...]:
    """Name the events of a stream that hold personal fields, which only its key would open."""
    return tuple(
        ErasedEvent(row.position, row.source, row.id, tuple(fields))
        for row in rows
        if (fields := encrypted_fields(row.topic, row.payload()))
    )


# -- whatever is put back, nobody who was forgotten comes back with it


def destroy_again(ledger: Ledger) -> tuple[str, ...]:
    """Destroy every key of a candidate whom the ledger says was forgotten; return whose, sorted.

    For whoever puts a key file, or a ledger, back. Raises LedgerProblem.
    """
    with ledger.appending() as appending:
        return tuple(
            candidate
            for candidate in sorted(ledger.forgotten())
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


# -- the certificate


def certificate(ledger: Ledger, paths: LogPaths, candidate: str) -> bytes:
    """Return the certificate of a forgotten candidate, as a file that `verify-proof` checks.

    The CandidateForgotten must be sealed. Nothing personal is in it but the names of the fields.
    Raises NothingRecorded if the candidate was not forgotten, LogProblem when it cannot be signed.
    """
    rows = ledger.stream(f"candidate/{candidate}")
    event = forgotten_at(rows)
    if event is None:
        raise NothingRecorded(f"{candidate!r} was not forgotten: there is nothing to certify")
    signing = read_signing_key(paths.key)
    why, backups = reason_of(ledger, event)
    erased = erased_of([row for row in rows if row.position < event.position])
    statement = _statement(signing.verifier.name, event, why, erased, backups if erased else [])
    return certify_erasure(paths, signing, statement, event)


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


def _statement(
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
