"""How it stands with a log: what is sealed, with which key, what was verified. Reads, no more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ledger.tlog.note import last_signed_path, read_key
from ledger.tlog.paths import Place, last_signed, read_note
from ledger.tlog.problems import LogProblem, SigningKeyProblem
from ledger.tlog.tiles import TileMissing, Tree
from ledger.tlog.verify_proof import (
    Checkpoint,
    ProofProblem,
    VerifierKey,
    open_checkpoint,
    parse_vkey,
)


class SealState(NamedTuple):
    """What the log beside a ledger says."""

    checkpoint: Checkpoint | None
    """The last one, if it reads and holds under the verifier key beside it."""
    problem: str | None
    """Why there is none; None where nothing was ever sealed."""
    whole: bool
    """The tiles lead to the checkpoint's root."""


class KeyState(NamedTuple):
    """How the signing key fits the log; each sentence None if there is nothing to say."""

    missing: bool
    """Or not to be read by this account, as where it is kept apart."""
    unusable: str | None
    other: str | None
    """It is not the key whose verifier key lies with the log."""
    apart: str | None
    """What it signed last is not what was published last: a crash in between, or a lost file."""
    contradicts: str | None
    """What it signed last cannot be a log that this one continues."""


def seal_state(place: Place) -> SealState:
    """Read the last checkpoint and see whether it holds; never raises LogProblem."""
    try:
        note = read_note(place.checkpoint)
        key = _verifier_key(place)
    except LogProblem as problem:
        return SealState(None, str(problem), False)
    if note is None and key is None:
        return SealState(None, None, False)
    if note is None or key is None:
        gone = place.checkpoint if note is None else place.verifier_key
        return SealState(None, f"there is no {gone}", False)
    try:
        checkpoint = open_checkpoint(note, key)
    except ProofProblem as problem:
        return SealState(None, f"{place.checkpoint} fails: {problem}", False)
    try:
        whole = Tree(place.tiles, checkpoint.size).root() == checkpoint.root
    except (TileMissing, OSError):
        whole = False
    return SealState(checkpoint, None, whole)


def key_state(place: Place, checkpoint: Checkpoint | None) -> KeyState:
    """See how the signing key fits the log and its last checkpoint; never raises LogProblem."""
    if not os.access(place.key, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        return KeyState(True, None, None, None, None)
    try:
        signer = read_key(place.key)
        published = _verifier_key(place)
        note = last_signed(place)
    except (SigningKeyProblem, LogProblem) as problem:
        return KeyState(False, str(problem), None, None, None)
    if published is not None and published != signer.verifier:
        return KeyState(
            False, None, f"{place.key} is not the key of {place.verifier_key}", None, None
        )
    apart, contradicts = _memory(last_signed_path(place.key), note, signer.verifier, checkpoint)
    return KeyState(False, None, None, apart, contradicts)


def _memory(
    path: Path, note: bytes | None, key: VerifierKey, checkpoint: Checkpoint | None
) -> tuple[str | None, str | None]:
    """Compare what the key signed last with what was published last."""
    if note is None:
        return (None if checkpoint is None else f"there is no {path}"), None
    try:
        last = open_checkpoint(note, key)
    except ProofProblem as problem:
        return None, f"{path} fails: {problem}"
    if checkpoint is None or last == checkpoint:
        return None, None
    if last.size == checkpoint.size:
        return None, f"{path} and the log's checkpoint are two logs of {last.size} events"
    sizes = f"{path} is of {last.size} events, the log's checkpoint of {checkpoint.size}"
    return sizes, None


def _verifier_key(place: Place) -> VerifierKey | None:
    """Read the verifier key in use; None if there is no such file; raises LogProblem."""
    text = read_note(place.verifier_key)
    if text is None:
        return None
    try:
        return parse_vkey(text.decode("ascii", "replace").split()[-1])
    except (ProofProblem, IndexError) as problem:
        raise LogProblem(f"{place.verifier_key} does not read: {problem}") from None


def verified_at(place: Place) -> tuple[int, int] | None:
    """Return how many events were verified last, and when (microseconds UTC); None if never."""
    note = read_note(place.verified)
    if note is None:
        return None
    lines = note.split(b"\n", 2)
    if len(lines) < 3 or not lines[1].isdigit():
        return None
    return int(lines[1]), place.verified.stat().st_mtime_ns // 1000
