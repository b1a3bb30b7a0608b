"""Sealing: what was appended since the last checkpoint is hashed, then signed. After the append.

Nothing is signed that does not continue what was signed before. A crash anywhere leaves the log of
the last checkpoint; the next sealing completes it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from ledger.tlog.files import replace, sync_folder
from ledger.tlog.growing import Told, drop_partial, grow, rebuild
from ledger.tlog.note import (
    SigningKey,
    check_no_key,
    keep_last_signed,
    last_signed_path,
    read_key,
    write_key,
)
from ledger.tlog.paths import Place, last_signed, origin_of, read_note
from ledger.tlog.problems import Inconsistent, LogProblem, SigningKeyProblem
from ledger.tlog.rows import definitions, last_position
from ledger.tlog.tiles import TileMissing, Tree
from ledger.tlog.verify_proof import (
    EMPTY_ROOT,
    Checkpoint,
    ProofProblem,
    check_consistency,
    open_checkpoint,
    parse_vkey,
)
from ledger.tlog.worker_pool import Crew


class Sealed(NamedTuple):
    """What a sealing came to."""

    before: int
    """How many events were sealed before."""
    checkpoint: Checkpoint


def check_unused(place: Place) -> None:
    """Raise LogProblem where a log, or a signing key, is there already."""
    for path, what in ((place.verifier_key, "log"), (place.checkpoint, "log"), (place.key, "key")):
        if os.path.lexists(path):
            raise LogProblem(
                f"{path} is there already, of the {what} of another ledger: move it away first"
            )


def make_key(place: Place, ledger_id: str) -> SigningKey:
    """Make the signing key of a new log, and its folder; raises SigningKeyProblem, LogProblem."""
    with _writing(place):
        check_unused(place)
        key = SigningKey.generate(origin_of(ledger_id))
        write_key(place.key, key)
        replace(place.verifier_key, f"{key.verifier}\n".encode())
    return key


def renew_key(place: Place, ledger_id: str) -> SigningKey:
    """Make a new signing key for a log whose key was lost, or read by others.

    The new key signs the tree of the last checkpoint, which must hold under the old verifier key
    beside it. Outsiders must be given the new one. Raises LogProblem.
    """
    with _writing(place):
        check_no_key(place.key)
        old_keys = (read_note(place.verifier_key) or b"").decode(errors="replace").split()
        note = read_note(place.checkpoint)
        if not old_keys or note is None:
            raise LogProblem(
                f"{place.folder} has no checkpoint and verifier key that a new key could continue"
            )
        old = _of_any(note, old_keys, place)
        key = SigningKey.generate(origin_of(ledger_id))
        keys = "".join(f"{each}\n" for each in (*old_keys, key.verifier))
        replace(place.verifier_key, keys.encode())
        _publish(place, key, Checkpoint(key.verifier.name, old.size, old.root))
        write_key(place.key, key)  # last: after a crash before it the same call makes another
        return key


def _of_any(note: bytes, keys: Sequence[str], place: Place) -> Checkpoint:
    """Read a checkpoint that one of the verifier keys signed, tried from the last; Inconsistent."""
    why = ""
    for text in reversed(keys):
        try:
            return open_checkpoint(note, parse_vkey(text))
        except ProofProblem as problem:
            why = why or str(problem)
    raise Inconsistent(f"no new key is made, {place.checkpoint} fails: {why}")


def seal(
    place: Place, ledger_id: str, head: int, *, processes: int = 2, told: Told | None = None
) -> Sealed:
    """Seal every event up to position `head`, which must be durable; return what was sealed.

    The rows of the last sealed tile are hashed once more on the way. Many rows are hashed by
    `processes` processes. Safe beside other sealers, and beside writers.

    Raises SigningKeyProblem or LogProblem when there is no key or the log cannot be written, and
    Inconsistent when it would contradict what was signed before; then nothing was signed.
    """
    with _writing(place):
        key = read_key(place.key)
        if key.verifier.name != origin_of(ledger_id):
            raise SigningKeyProblem(
                f"{place.key} signs for {key.verifier.name}, not for this ledger's log "
                f"{origin_of(ledger_id)}: put that one's back, or name it with --signing-key"
            )
        if not place.verifier_key.exists():  # where a crash came after the key was made
            replace(place.verifier_key, f"{key.verifier}\n".encode())
        known = _known(place, key)
        last = known[-1]
        if head < last.size:
            # Another sealer went further since `head` was asked for; or the ledger is shorter.
            head = min(last.size, last_position(place.ledger))
        if head < last.size:
            raise Inconsistent(
                f"nothing is signed: {place.ledger} ends at position {head}, but {last.size} "
                "events were sealed: it was cut off, or is an old copy put back"
            )
        with Crew(head - last.size, processes) as crew:
            if not _is_whole(place, last):
                with Crew(last.size, processes) as larger:
                    rebuild(place, last, larger, told or _nobody)
            for older in known:
                _check_continues(place, older, last)
            if head > last.size:
                if others := definitions(place.ledger):
                    raise Inconsistent(
                        f"nothing is signed, {place.ledger} was changed past the ledger: "
                        f"{others[0]}; `verify` says more"
                    )
                return Sealed(last.size, _extend(place, key, last, head, crew, told or _nobody))
            _publish(place, key, last)  # where a crash came between signing and publishing
            return Sealed(last.size, last)


def _known(place: Place, key: SigningKey) -> list[Checkpoint]:
    """Return what this key is known to have signed, the empty log first, the largest last."""
    known = [Checkpoint(key.verifier.name, 0, EMPTY_ROOT)]
    for note, where in (
        (read_note(place.checkpoint), place.checkpoint),
        (last_signed(place), last_signed_path(place.key)),
    ):
        if note is not None:
            try:
                known.append(open_checkpoint(note, key.verifier))
            except ProofProblem as problem:
                raise Inconsistent(
                    f"nothing is signed, {where} fails: {problem}. Keep it to find out why; once "
                    "it is moved away, the other copy is used"
                ) from None
    return sorted(known, key=lambda checkpoint: checkpoint.size)


def _is_whole(place: Place, last: Checkpoint) -> bool:
    """Return whether the tiles that a longer tree would be built on lead to the signed root."""
    try:
        return Tree(place.tiles, last.size).root() == last.root
    except TileMissing:
        return False


def _check_continues(place: Place, older: Checkpoint, last: Checkpoint) -> None:
    """Raise Inconsistent unless one checkpoint is continued by the last."""
    path = Tree(place.tiles, last.size).consistency_path(older.size)
    try:
        check_consistency(older.size, older.root, last.size, last.root, path)
    except ProofProblem as problem:
        raise Inconsistent(f"nothing is signed: {problem}") from None


def _extend(
    place: Place, key: SigningKey, last: Checkpoint, head: int, crew: Crew, told: Told
) -> Checkpoint:
    grow(place, last.size, head, crew, told)
    checkpoint = Checkpoint(key.verifier.name, head, Tree(place.tiles, head).root())
    _check_continues(place, last, checkpoint)
    _publish(place, key, checkpoint)
    drop_partial(place.tiles, last.size, head)
    return checkpoint


def _publish(place: Place, key: SigningKey, checkpoint: Checkpoint) -> None:
    note = key.sign_checkpoint(checkpoint)
    if note != last_signed(place):
        keep_last_signed(place.key, note)
    if note != read_note(place.checkpoint):
        replace(place.checkpoint, note)


def _nobody(more: int) -> None:
    """Tell nobody."""


@contextmanager
def _writing(place: Place) -> Iterator[None]:
    """Be the only one that writes this log; raises LogProblem when it cannot be written."""
    with _log_problems(place):
        if not place.folder.is_dir():
            place.folder.mkdir(exist_ok=True)
            sync_folder(place.folder.parent)
        descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _log_problems(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or place.folder
        raise LogProblem(f"{where} cannot be written: {error.strerror}") from None
