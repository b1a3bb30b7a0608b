"""Where the log of a ledger lies, which checkpoints there are, and whether they agree."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from ledger.problems import LedgerProblem, Locked, LogProblem, NotSealed, SigningKeyProblem
from ledger.store.integrity import Finding
from ledger.store.locks import FileLock
from ledger.tlog.note import last_signed_path, read_signing_key
from ledger.tlog.tiles import TileMissing, Tiles, Tree
from ledger.tlog.verify_proof import (
    Checkpoint,
    ProofProblem,
    VerifierKey,
    open_checkpoint,
    parse_vkey,
    read_file,
    read_key,
)


class LogPaths(NamedTuple):
    """The files of one ledger's log."""

    ledger: Path
    folder: Path
    """``<ledger>.tlog``: tiles, checkpoint, verifier key. As it is it can be served over HTTP."""
    key: Path
    """The signing key, ``<ledger>.signing-key`` unless another is named."""

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint, signed."""
        return self.folder / "checkpoint"

    @property
    def verifier_key(self) -> Path:
        """The verifier keys of the log, one a line; the last is the one in use."""
        return self.folder / "vkey"

    @property
    def verified(self) -> Path:
        """The checkpoint up to which `verify` found everything in order."""
        return self.folder / "verified"

    @property
    def lock(self) -> Path:
        """What `flock` is taken on while the log is written."""
        return self.folder / "lock"

    @property
    def tiles(self) -> Tiles:
        """The tiles."""
        return Tiles(self.folder)


def log_paths(ledger: Path, key: Path | None = None) -> LogPaths:
    """Return where the log of a ledger lies, by whatever name the ledger is opened."""
    path = Path(os.path.realpath(ledger))
    own = Path(f"{path}.signing-key") if key is None else Path(key)
    return LogPaths(path, Path(f"{path}.tlog"), own)


def origin_of(ledger_id: str) -> str:
    """Name the log of a ledger: the origin of its checkpoints, and the name of its key."""
    return f"attempt-ledger/{ledger_id}"


def read_note(path: Path) -> bytes | None:
    """Return a signed note as it lies there, or None; raises LogProblem."""
    try:
        return read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ProofProblem as problem:
        raise LogProblem(str(problem)) from None
    except OSError as error:
        raise LogProblem(f"{path} cannot be read: {error.strerror}") from None


def need_checkpoint(paths: LogPaths) -> bytes:
    """Return the last checkpoint, signed, unchecked; raises NotSealed."""
    note = read_note(paths.checkpoint)
    if note is None:
        raise NotSealed(f"{paths.ledger} was never sealed: there is no {paths.checkpoint}")
    return note


def need_verifier_key(paths: LogPaths) -> VerifierKey:
    """Return the log's verifier key as it lies beside the log; raises LogProblem.

    Good enough for whoever owns the place; an outsider has got the key from somewhere else.
    """
    if not paths.verifier_key.is_file():
        raise NotSealed(f"{paths.ledger} has no log: there is no {paths.verifier_key}")
    try:
        return read_key(str(paths.verifier_key))
    except ProofProblem as problem:
        raise LogProblem(f"{paths.verifier_key} does not read: {problem}") from None


def sealed_size(paths: LogPaths) -> int:
    """Tell how many events the last checkpoint says are sealed, without checking it; 0 if none."""
    return _size(paths.checkpoint)


def verified_size(paths: LogPaths) -> int:
    """Return how many events the last verification says it found in order, without checking it."""
    return _size(paths.verified)


def _size(path: Path) -> int:
    lines = (read_note(path) or b"").split(b"\n", 2)
    return int(lines[1]) if len(lines) > 2 and lines[1].isdigit() else 0


def last_signed(paths: LogPaths) -> bytes | None:
    """Return the last checkpoint that the signing key is known to have signed, unchecked."""
    return read_note(last_signed_path(paths.key))


# -- what a log is compared with: its own checkpoint, the copy beside the key, an outsider's


class Signed(NamedTuple):
    """A checkpoint that holds, and the note that signs it."""

    checkpoint: Checkpoint
    note: bytes


def signed_before(paths: LogPaths, key: VerifierKey, findings: list[Finding]) -> Signed | None:
    """Return the checkpoint to compare with: the log's, or else the copy beside the key."""
    own, copy = _both(paths)
    if own is None:
        findings.append(
            Finding(None, f"there is no {paths.checkpoint}: never sealed, or it was removed")
        )
    found: list[Signed] = []
    for path, note in ((paths.checkpoint, own), (last_signed_path(paths.key), copy)):
        if note is not None:
            try:
                found.append(Signed(open_checkpoint(note, key), note))
            except ProofProblem as problem:
                findings.append(Finding(None, f"{path}: {problem}"))
    if len(found) == 2:
        findings += _differing(found[0].checkpoint, found[1].checkpoint)
    return found[0] if found else None


def _both(paths: LogPaths) -> tuple[bytes | None, bytes | None]:
    """Read the log's checkpoint and the copy of the last one signed, as of one time."""
    copy, own = _copy(paths), read_note(paths.checkpoint)
    if copy not in (None, own):
        # Perhaps only because a new one was just being signed: wait for that.
        lock = FileLock(paths.lock, paths.ledger, shared=True, name=paths.folder)
        with suppress(OSError, Locked):  # nor need the lock be
            if paths.lock.exists():
                with closing(lock), lock:
                    copy, own = _copy(paths), read_note(paths.checkpoint)
    return own, copy


def _copy(paths: LogPaths) -> bytes | None:
    with suppress(LedgerProblem):  # the signer's place need not be open to who verifies
        return last_signed(paths)
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


def verified_before(paths: LogPaths, key: VerifierKey, tree: Tree, findings: list[Finding]) -> int:
    """Return the size of the log that was verified last, if this log continues it."""
    note = read_note(paths.verified)
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


# -- how it stands with a log, for the doctor


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


def seal_state(paths: LogPaths) -> SealState:
    """Read the last checkpoint and see whether it holds; never raises LogProblem."""
    try:
        note = read_note(paths.checkpoint)
        key = _verifier_key(paths)
    except LogProblem as problem:
        return SealState(None, str(problem), False)
    if note is None and key is None:
        return SealState(None, None, False)
    if note is None or key is None:
        gone = paths.checkpoint if note is None else paths.verifier_key
        return SealState(None, f"there is no {gone}", False)
    try:
        checkpoint = open_checkpoint(note, key)
    except ProofProblem as problem:
        return SealState(None, f"{paths.checkpoint} fails: {problem}", False)
    try:
        whole = Tree(paths.tiles, checkpoint.size).root() == checkpoint.root
    except (TileMissing, OSError):
        whole = False
    return SealState(checkpoint, None, whole)


def key_state(paths: LogPaths, checkpoint: Checkpoint | None) -> KeyState:
    """See how the signing key fits the log and its last checkpoint; never raises LogProblem."""
    if not os.access(paths.key, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        return KeyState(True, None, None, None, None)
    try:
        signer = read_signing_key(paths.key)
        published = _verifier_key(paths)
        note = last_signed(paths)
    except (SigningKeyProblem, LogProblem) as problem:
        return KeyState(False, str(problem), None, None, None)
    if published is not None and published != signer.verifier:
        return KeyState(
            False, None, f"{paths.key} is not the key of {paths.verifier_key}", None, None
        )
    apart, contradicts = _memory(last_signed_path(paths.key), note, signer.verifier, checkpoint)
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


def _verifier_key(paths: LogPaths) -> VerifierKey | None:
    """Read the verifier key in use; None if there is no such file; raises LogProblem."""
    text = read_note(paths.verifier_key)
    if text is None:
        return None
    try:
        return parse_vkey(text.decode("ascii", "replace").split()[-1])
    except (ProofProblem, IndexError) as problem:
        raise LogProblem(f"{paths.verifier_key} does not read: {problem}") from None


def verified_at(paths: LogPaths) -> tuple[int, int] | None:
    """Return how many events were verified last, and when (microseconds UTC); None if never."""
    note = read_note(paths.verified)
    if note is None:
        return None
    lines = note.split(b"\n", 2)
    if len(lines) < 3 or not lines[1].isdigit():
        return None
    return int(lines[1]), paths.verified.stat().st_mtime_ns // 1000
