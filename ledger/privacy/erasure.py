"""Forget a candidate: the key is destroyed, and the ledger says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import Final, NamedTuple

from ledger.appending import Appended, Appending, Refused
from ledger.events import CandidateForgotten, Fact, Recorded
from ledger.ledger import Ledger
from ledger.privacy.cipher import sealed_fields
from ledger.privacy.key_file import Erasure
from ledger.problems import LedgerProblem

SOURCE: Final = "urn:attempt-ledger:erasure"
"""The source of every CandidateForgotten that is recorded here; its id is the candidate's."""


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
        return ledger.vault.is_destroyed(candidate) and not ledger.is_forgotten(candidate)
    except LedgerProblem:
        return False


def _forget(ledger: Ledger, candidate: str, reason: str, actor: str | None, time: int) -> Forgotten:
    with ledger.appending() as appending:
        rows = ledger.stream(f"candidate/{candidate}")
        said = forgotten_at(rows)
        if said is not None:
            destroyed = appending.keyring.destroy(candidate)
            return Forgotten(said.position, erased_of(rows), True, destroyed)
        keys = appending.keyring.file()
        if not rows and (keys is None or not keys.is_destroyed(candidate)):
            raise NothingRecorded(f"nothing is recorded of a candidate {candidate!r}")
        there = keys is not None and keys.key(candidate) is not None
        position = _append(appending, candidate, actor, time)
        appending.keyring.register(Erasure(candidate, position, reason, actor, time))
    return Forgotten(position, erased_of(rows), False, there)


def _append(appending: Appending, candidate: str, actor: str | None, time: int) -> int:
    """Append the event, which destroys the key too, and return its position."""
    ids = chain([candidate], (f"{candidate}/{n}" for n in count(2)))  # should one be another's
    id = next(id for id in ids if appending.find(SOURCE, id) is None)
    fact = Fact(SOURCE, id, candidate, time, CandidateForgotten(), actor)
    (outcome,) = appending.take([fact.row()])
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
        if (fields := sealed_fields(row.topic, row.payload()))
    )
