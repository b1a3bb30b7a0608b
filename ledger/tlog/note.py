"""The signing key of a log, in a file of its own, and what it signs."""

from __future__ import annotations

import base64
import os
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.durable import replace, sync
from ledger.problems import SigningKeyProblem
from ledger.tlog.verify_proof import (
    ED25519,
    Checkpoint,
    ProofProblem,
    VerifierKey,
    from_base64,
    key_id,
    read_file,
)

_PREFIX = "PRIVATE+KEY"
_DASH = "\N{EM DASH} "


class SigningKey:
    """An Ed25519 key and the name of the log it signs for.

    As text it is what golang.org/x/mod/sumdb/note made the custom:
    ``PRIVATE+KEY+<name>+<id>+<base64 of type and seed>``.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        self._seed = seed
        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._key.public_key().public_bytes_raw()
        self.verifier = VerifierKey(name, key_id(name, public), public)

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        """Draw a new key."""
        return cls(name, os.urandom(32))

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """Read a key from its text; raises ProofProblem."""
        words = text.split("+", 4)
        if len(words) != 5 or "+".join(words[:2]) != _PREFIX or not words[2]:
            raise ProofProblem(f"it should read {_PREFIX}+NAME+ID+BASE64")
        raw = from_base64(words[4], "its last part")
        if len(raw) != 33 or raw[0] != ED25519:
            raise ProofProblem("it is not of type Ed25519")
        key = cls(words[2], raw[1:])
        if key.verifier.id.hex() != words[3]:
            raise ProofProblem("its id does not fit its name and key")
        return key

    def to_text(self) -> str:
        """Write it as text: the secret itself."""
        seed = base64.b64encode(bytes([ED25519]) + self._seed).decode()
        return f"{_PREFIX}+{self.verifier.name}+{self.verifier.id.hex()}+{seed}"

    def sign(self, text: str) -> bytes:
        """Sign a text, which ends with a newline, as a note."""
        signature = base64.b64encode(self.verifier.id + self._key.sign(text.encode())).decode()
        return f"{text}\n{_DASH}{self.verifier.name} {signature}\n".encode()

    def sign_checkpoint(self, checkpoint: Checkpoint) -> bytes:
        """Sign a checkpoint. Whoever calls this has made sure that it continues the last one."""
        return self.sign(checkpoint.text())


def write_key(path: Path, key: SigningKey) -> None:
    """Make a key file that only its owner may read; raises SigningKeyProblem if one is there.

    It is written beside its place and linked there, so that a crash leaves no half of a key, which
    the next attempt would have to leave as it is.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(f"{key.to_text()}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        finally:
            with suppress(OSError):
                draft.unlink()
        sync(path.parent)
    except FileExistsError:
        raise _there(path) from None
    except OSError as error:
        raise SigningKeyProblem(
            f"the signing key {path} cannot be made: {error.strerror}"
        ) from None


def check_no_key(path: Path) -> None:
    """Raise SigningKeyProblem if there is a key, or anything else."""
    if os.path.lexists(path):
        raise _there(path)


def _there(path: Path) -> SigningKeyProblem:
    return SigningKeyProblem(f"{path} is already there: it was left as it is")


def read_signing_key(path: Path) -> SigningKey:
    """Read a key file; raises SigningKeyProblem."""
    try:
        mode = path.stat().st_mode
        text = read_file(path).decode().rstrip("\n")
    except FileNotFoundError:
        raise SigningKeyProblem(
            f"there is no signing key at {path}: put it back, name it with --signing-key, or make "
            "one with `seal --new-key`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SigningKeyProblem(f"the signing key {path} cannot be read: {reason}") from None
    except ProofProblem as problem:
        raise SigningKeyProblem(str(problem)) from None
    if mode & 0o077:
        raise SigningKeyProblem(
            f"the signing key {path} is open to others than its owner: chmod 600 {path}, or make a "
            "new one if it may have been read"
        )
    try:
        return SigningKey.parse(text)
    except ProofProblem as problem:
        raise SigningKeyProblem(f"{path} is no signing key: {problem}") from None


def last_signed_path(key: Path) -> Path:
    """Return where the last checkpoint that a key signed is kept: beside the key."""
    return Path(f"{key}.last")


def keep_last_signed(key: Path, note: bytes) -> None:
    """Keep the checkpoint that is about to be published, durably; raises SigningKeyProblem.

    It is kept before it is published: whatever a crash or a restore leaves of the log, this key
    never signs two that contradict each other.
    """
    try:
        replace(last_signed_path(key), note, mode=0o600)
    except OSError as error:
        raise SigningKeyProblem(
            f"{last_signed_path(key)} cannot be written, so nothing is signed: {error.strerror}"
        ) from None
