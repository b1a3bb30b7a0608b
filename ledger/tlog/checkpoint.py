"""The checkpoints that a log is compared with: its own, the key's copy, an outsider's, the last."""

from __future__ import annotations

import fcntl
from contextlib import suppress
from typing import NamedTuple

from ledger.problems import LedgerProblem
from ledger.tlog.inspection import Finding
from ledger.tlog.note import last_signed_path
from ledger.tlog.paths import Place, last_signed, read_note
from ledger.tlog.tiles import TileMissing, Tree
from ledger.tlog.verify_proof import (
    Checkpoint,
    ProofProblem,
    VerifierKey,
    open_checkpoint,
)


class Signed(NamedTuple):
    """A checkpoint that holds, and the note that signs it."""

    checkpoint: Checkpoint
    note: bytes


def signed_before(place: Place, key: VerifierKey, findings: list[Finding]) -> Signed | None:
    """Return the checkpoint to compare with: the log's, or else the copy beside the key."""
    own, copy = _both(place)
    if own is None:
        findings.append(
            Finding(None, f"there is no {place.checkpoint}: never sealed, or it was removed")
        )
    found: list[Signed] = []
    for path, note in ((place.checkpoint, own), (last_signed_path(place.key), copy)):
        if note is not None:
            try:
                found.append(Signed(open_checkpoint(note, key), note))
            except ProofProblem as problem:
                findings.append(Finding(None, f"{path}: {problem}"))
    if len(found) == 2:
        findings += _differing(found[0].checkpoint, found[1].checkpoint)
    return found[0] if found else None


def _both(place: Place) -> tuple[bytes | None, bytes | None]:
    """Read the log's checkpoint and the copy of the last one signed, as of one time."""
    copy, own = _copy(place), read_note(place.checkpoint)
    if copy not in (None, own):
        # Perhaps only because a new one was just being signed: wait for that.
        with suppress(OSError), place.lock.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            copy, own = _copy(place), read_note(place.checkpoint)
    return own, copy


def _copy(place: Place) -> bytes | None:
    with suppress(LedgerProblem):  # the signer's place need not be open to who verifies
        return last_signed(place)
    return None


def _differing(own: Checkpoint, signed: Checkpoint) -> list[Finding]:
    """Find whether the log's checkpoint is not the last that was signed."""
    if signed.size > own.size:
        return [
            Finding(
                None,
                f"the log was set back: its checkpoint is of {own.size} events, but one of "
                f"{signed.size} was signed",
            )
        ]
    if signed.size == own.size and signed.root != own.root:
        return [Finding(None, f"the log was forked: two of {own.size} events were signed")]
    return []


def compared_with(
    tree: Tree, key: VerifierKey, note: bytes, own: Checkpoint, head: int
) -> list[Finding]:
    """Compare the log with a checkpoint that an outsider kept."""
    try:
        kept = open_checkpoint(note, key)
    except ProofProblem as problem:
        return [Finding(None, f"the checkpoint to compare with fails: {problem}")]
    if kept.size > head:
        return [
            Finding(
                head + 1,
                f"the checkpoint to compare with is of {kept.size} events, this ledger ends at "
                f"position {head}: it was cut off, or is an old copy put back",
            )
        ]
    if kept.size > own.size:
        return [
            Finding(
                own.size + 1,
                f"the checkpoint to compare with is of {kept.size} events, this log only of "
                f"{own.size}: it is an old copy put back",
            )
        ]
    with suppress(TileMissing):
        if tree.root_at(kept.size) == kept.root:
            return []
    return [
        Finding(
            None,
            f"the log was forked or rewritten: its first {kept.size} events are not those of the "
            f"checkpoint to compare with (it differs somewhere in positions 1 to {kept.size})",
        )
    ]


def verified_before(place: Place, key: VerifierKey, tree: Tree, findings: list[Finding]) -> int:
    """Return the size of the log that was verified last, if this log continues it."""
    note = read_note(place.verified)
    if note is None:
        return 0
    try:
        before = open_checkpoint(note, key)
    except ProofProblem:
        return 0  # of another key, or spoilt: then all is verified anew
    with suppress(TileMissing):
        if before.size <= tree.size and tree.root_at(before.size) == before.root:
            return before.size
    findings.append(
        Finding(
            None,
            f"the log does not continue the one of {before.size} events that was verified last",
        )
    )
    return 0
