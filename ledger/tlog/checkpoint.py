"""Where the log of a ledger lies, which checkpoints there are, and whether they agree."""

from __future__ import annotations

import os
import re
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from ledger.problems import LedgerProblem, Locked, LogProblem, NotSealed, SigningKeyProblem
from ledger.store import sealing
from ledger.store.inspection import Finding
from ledger.store.locks import FileLock
from ledger.store.sealing import inspection_of
from ledger.store.server import Address, Server
from ledger.tlog.note import last_signed_path, read_signing_key
from ledger.tlog.tiles import TileMissing, Tiles, Tree
from ledger.tlog.verify_proof import (
    Checkpoint,
    ProofProblem,
    VerifierKey,
    open_checkpoint,
    parse_vkey,
    read_file,
)


class LogPaths(NamedTuple):
    """The files of one ledger's log."""

    ledger: Address
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
    def file(self) -> Path:
        """The ledger's file; raises LedgerProblem where it is in a database."""
        if isinstance(self.ledger, Server):
            raise LedgerProblem(
                f"{self.ledger} is no file: back it up by PostgreSQL's own means (pg_dump, WAL "
                "archiving), as docs/postgresql.md shows"
            )
        return self.ledger

    @property
    def guarded(self) -> Path:
        """Whose mode and owner the lock gets: the ledger's file, or the log where there is none."""
        return self.folder if isinstance(self.ledger, Server) else self.ledger

    @property
    def tiles(self) -> Tiles:
        """The tiles."""
        return Tiles(self.folder)


def log_paths(ledger: Address, key: Path | None = None) -> LogPaths:
    """Return where the log of a ledger lies, by whatever name the ledger is opened."""
    path = Path(os.path.realpath(ledger))
    own = Path(f"{path}.signing-key") if key is None else Path(key)
    address = ledger if isinstance(ledger, Server) else path
    return LogPaths(address, Path(f"{path}.tlog"), own)


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


def verifier_key(paths: LogPaths) -> VerifierKey | None:
    """Return the verifier key in use as it lies beside the log; None if there is no such file.

    Good enough for whoever owns the log; an outsider has got the key from somewhere else. Raises
    LogProblem.
    """
    text = read_note(paths.verifier_key)
    if text is None:
        return None
    try:
        return parse_vkey((text.decode("ascii", "replace").split() or [""])[-1])
    except ProofProblem as problem:
        raise LogProblem(
            f"{paths.verifier_key} does not read: {problem}; once it is moved away, `seal` writes "
            "it anew"
        ) from None


def need_verifier_key(paths: LogPaths) -> VerifierKey:
    """Return the log's verifier key; raises LogProblem, NotSealed if there is none."""
    if (key := verifier_key(paths)) is None:
        raise NotSealed(f"{paths.ledger} has no log: there is no {paths.verifier_key}")
    return key


def sealed_size(paths: LogPaths) -> int:
    """Return how many events the last checkpoint says are sealed, without checking it; 0 if none.

    What is no number of events counts as none: it is damaged, which is found where it is checked.
    """
    return _size_of(read_note(paths.checkpoint) or b"")


def _size_of(note: bytes) -> int:
    lines = note.split(b"\n", 2)
    return int(lines[1]) if len(lines) > 2 and re.fullmatch(rb"[0-9]{1,18}", lines[1]) else 0


def sealed_elsewhere(paths: LogPaths) -> int | None:
    """Return how many events other machines have sealed of a ledger on a server, if they alone do.

    As the server says, without checking it. None where this machine has a key or a log of the
    ledger, or nobody has sealed it. Raises LedgerProblem.
    """
    ledger = paths.ledger
    if not isinstance(ledger, Server) or any(map(os.path.lexists, (paths.key, paths.verifier_key))):
        return None
    note = sealing.last_signed(ledger, origin_of(inspection_of(ledger).id_of(ledger)))
    return None if note is None else _size_of(note)


def last_signed(paths: LogPaths) -> bytes | None:
    """Return the last checkpoint that the signing key is known to have signed, unchecked."""
    return read_note(last_signed_path(paths.key))


class Signed(NamedTuple):
    """A checkpoint that holds, and the note that signs it."""

    checkpoint: Checkpoint
    note: bytes


# -- what a log is compared with: its own checkpoint, the copy beside the key, an outsider's


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
                findings.append(
                    Finding(
                        None,
                        f"{path}: {problem}. Keep it to find out why; once it is moved away, "
                        "`seal` writes it anew",
                    )
                )
    if len(found) == 2:
        findings += _differing(found[0].checkpoint, found[1].checkpoint)
    return found[0] if found else None


def _both(paths: LogPaths) -> tuple[bytes | None, bytes | None]:
    """Read the log's checkpoint and the copy of the last one signed, as of one time."""
    copy, own = _copy(paths), read_note(paths.checkpoint)
    if copy not in (None, own):
        # Perhaps only because a new one was just being signed: wait for that.
        lock = FileLock(paths.lock, paths.guarded, shared=True, name=paths.folder)
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
        sizes = f"its checkpoint is of {own.size} events, but one of {signed.size} was signed"
        return [Finding(None, f"the log was set back: {sizes}")]
    if signed.size == own.size and signed.root != own.root:
        return [Finding(None, f"the log was forked: two of {own.size} events were signed")]
    return []


def compared_with(
    tree: Tree, key: VerifierKey, note: bytes, own: Checkpoint, head: int
) -> list[Finding]:
    """Compare the log with a checkpoint that an outsider kept."""
    what = "the checkpoint to compare with"
    try:
        kept = open_checkpoint(note, key)
    except ProofProblem as problem:
        return [Finding(None, f"{what} fails: {problem}")]
    size = kept.size
    if size > head:
        cut = f"this ledger ends at position {head}: it was cut off, or is an old copy put back"
        return [Finding(head + 1, f"{what} is of {size} events, {cut}")]
    if size > own.size:
        old = f"this log only of {own.size}: it is an old copy put back"
        return [Finding(own.size + 1, f"{what} is of {size} events, {old}")]
    with suppress(TileMissing):
        if tree.root_at(size) == kept.root:
            return []
    rewritten = f"the log was forked or rewritten: its first {size} events are not those of"
    where = f"(it differs somewhere in positions 1 to {size})"
    return [Finding(None, f"{rewritten} {what} {where}")]


def last_verified(paths: LogPaths, key: VerifierKey) -> Checkpoint | None:
    """Return what `verify` found in order last; None if its note is missing, or does not hold."""
    with suppress(LogProblem, ProofProblem):  # of another key, or damaged: all is verified anew
        note = read_note(paths.verified)
        return None if note is None else open_checkpoint(note, key)
    return None


def verified_before(paths: LogPaths, key: VerifierKey, tree: Tree, findings: list[Finding]) -> int:
    """Return the size of the log that was verified last, if this log continues it."""
    before = last_verified(paths, key)
    if before is None:
        return 0
    with suppress(TileMissing):
        if before.size <= tree.size and tree.root_at(before.size) == before.root:
            return before.size
    last = f"the one of {before.size} events that was verified last"
    findings.append(Finding(None, f"the log does not continue {last}"))
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


def seal_state(paths: LogPaths) -> SealState:
    """Read the last checkpoint and see whether it holds; never raises LogProblem."""
    try:
        note, key = read_note(paths.checkpoint), verifier_key(paths)
        if note is None and key is None:
            return SealState(None, None, False)
        if note is None or key is None:
            gone = paths.checkpoint if note is None else paths.verifier_key
            return SealState(None, f"there is no {gone}", False)
        checkpoint = open_checkpoint(note, key)
    except LogProblem as problem:
        return SealState(None, str(problem), False)
    except ProofProblem as problem:
        return SealState(None, f"{paths.checkpoint} fails: {problem}", False)
    try:
        whole = Tree(paths.tiles, checkpoint.size).root() == checkpoint.root
    except (TileMissing, OSError):
        whole = False
    return SealState(checkpoint, None, whole)


def key_state(paths: LogPaths, checkpoint: Checkpoint | None) -> tuple[str, str] | None:
    """Return how the signing key does not fit the log and its last checkpoint; None if it does.

    A code of the doctor's, and a sentence. Never raises LogProblem.
    """
    if not os.access(paths.key, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        sentence = f"there is no signing key at {paths.key} that this account may see"
        return "no-signing-key", sentence  # or it is kept elsewhere
    last = last_signed_path(paths.key)
    try:
        signer, published = read_signing_key(paths.key), verifier_key(paths)
        if published not in (None, signer.verifier):
            other = f"{paths.key} is not the key of {paths.verifier_key}"
            return "signing-key-of-another", other
        note = read_note(last)
        if note is None:
            return None if checkpoint is None else ("last-signed-apart", f"there is no {last}")
        signed = open_checkpoint(note, signer.verifier)
    except (SigningKeyProblem, LogProblem) as problem:
        return "signing-key-unusable", str(problem)
    except ProofProblem as problem:
        return "last-signed-contradicts", f"{last} fails: {problem}"
    if checkpoint in (None, signed):
        return None
    if signed.size == checkpoint.size:
        two = f"{last} and the log's checkpoint are two logs of {signed.size} events"
        return "last-signed-contradicts", two
    # A crash came between signing and publishing, or a file was lost.
    sizes = f"{last} is of {signed.size} events, the log's checkpoint of {checkpoint.size}"
    return "last-signed-apart", sizes
