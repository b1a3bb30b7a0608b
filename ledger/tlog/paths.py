"""Where the log of a ledger lies, and what can be read there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ledger.tlog.note import last_signed_path
from ledger.tlog.problems import LogProblem, NotSealed
from ledger.tlog.tiles import Tiles
from ledger.tlog.verify_proof import ProofProblem, VerifierKey, read_file, read_key


class Place(NamedTuple):
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


def place_of(ledger: Path, key: Path | None = None) -> Place:
    """Return where the log of a ledger lies, by whatever name the ledger is opened."""
    path = Path(os.path.realpath(ledger))
    own = Path(f"{path}.signing-key") if key is None else Path(key)
    return Place(path, Path(f"{path}.tlog"), own)


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


def need_checkpoint(place: Place) -> bytes:
    """Return the last checkpoint, signed, unchecked; raises NotSealed."""
    note = read_note(place.checkpoint)
    if note is None:
        raise NotSealed(f"{place.ledger} was never sealed: there is no {place.checkpoint}")
    return note


def need_verifier_key(place: Place) -> VerifierKey:
    """Return the log's verifier key as it lies beside the log; raises LogProblem.

    Good enough for whoever owns the place; an outsider has got the key from somewhere else.
    """
    if not place.verifier_key.is_file():
        raise NotSealed(f"{place.ledger} has no log: there is no {place.verifier_key}")
    try:
        return read_key(str(place.verifier_key))
    except ProofProblem as problem:
        raise LogProblem(f"{place.verifier_key} does not read: {problem}") from None


def sealed_size(place: Place) -> int:
    """Tell how many events the last checkpoint says are sealed, without checking it; 0 if none."""
    return _size(place.checkpoint)


def verified_size(place: Place) -> int:
    """Return how many events the last verification says it found in order, without checking it."""
    return _size(place.verified)


def _size(path: Path) -> int:
    lines = (read_note(path) or b"").split(b"\n", 2)
    return int(lines[1]) if len(lines) > 2 and lines[1].isdigit() else 0


def last_signed(place: Place) -> bytes | None:
    """Return the last checkpoint that the signing key is known to have signed, unchecked."""
    return read_note(last_signed_path(place.key))
