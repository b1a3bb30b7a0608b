"""Put a ledger back from a backup: copied, and compared with every checkpoint there is."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ledger.backup.backup import CopyOptions, unsound
from ledger.backup.staging import Draft, copy_file, copy_log, file_state, set_journal
from ledger.durable import replace
from ledger.problems import BackupProblem, Inconsistent, Stale, Unsound
from ledger.store.file import check_file, storage_problems
from ledger.tlog.checkpoint import LogPaths, log_paths, need_verifier_key, read_note
from ledger.tlog.sealer import drop_partial, grow
from ledger.tlog.tiles import Tree
from ledger.tlog.verify_proof import (
    Checkpoint,
    ProofProblem,
    VerifierKey,
    open_checkpoint,
)


class Kept(NamedTuple):
    """A checkpoint that was kept elsewhere than in the backup."""

    where: Path
    note: bytes


class Restored(NamedTuple):
    """What was put back."""

    head: int
    """The last position; 0: an empty ledger."""
    checkpoint: Checkpoint
    """The largest checkpoint that it was verified against; it is the new log's."""
    stale: tuple[str, ...]
    """What was signed and is not in it, a sentence each; only if that was accepted."""


def verifier_of(backup: Path) -> VerifierKey:
    """Return the verifier key beside a backup; raises LogProblem, BackupProblem if there is none.

    Whoever has put a backup together could have put a key of theirs beside it: one from elsewhere
    is better.
    """
    check_file(backup)
    paths = log_paths(backup)
    if not paths.verifier_key.is_file():
        raise _without_log(paths)
    return need_verifier_key(paths)


def restore(
    backup: Path,
    draft: Draft,
    key: VerifierKey,
    kept: Sequence[Kept],
    options: CopyOptions,
    *,
    stale_ok: bool = False,
) -> Restored:
    """Copy a backup and its log into a draft, and verify all of it; `finish` gives it its name.

    Every event is hashed and compared with the log and checkpoint of the backup, the log with
    each checkpoint in `kept`. One of those that is larger than the backup's own, while the backup
    has the events, takes its place. A backup without a log needs one: its log is made anew.

    Raises Unsound when anything is not as it was signed; Stale when events that were signed are
    missing from the backup, unless `stale_ok`; LedgerProblem for what hinders.
    """
    check_file(backup)
    source, copy = log_paths(backup), draft.paths
    own = read_note(source.checkpoint)
    if own is None and not kept:
        raise _without_log(source)
    largest = None if own is None else _opened(own, key, source.checkpoint)
    others = [(_opened(each.note, key, each.where), each) for each in kept]
    with file_state(backup) as state, options.bar("copying", state.pages) as progress:
        copy_file(state, copy.file, draft.target, progress)
        head = state.head
    if own is not None and largest is not None:
        keys = read_note(source.verifier_key) or b""
        if keys.decode(errors="replace").split()[-1:] != [str(key)]:
            keys = f"{key}\n".encode()
        copy_log(source, copy, largest.size, own, keys)
    with options.bar("verifying", head) as progress:
        of_log = None if largest is None else key
        findings = unsound(copy, of_log, processes=options.processes, progress=progress)
    if findings:
        raise Unsound([each.replace(str(copy.ledger), str(backup)) for each in findings])
    if largest is None:
        replace(copy.verifier_key, f"{key}\n".encode())
    stale = []
    for checkpoint, each in sorted(others, key=lambda other: other[0].size):
        if checkpoint.size > head:
            stale.append(_missing(backup, head, checkpoint.size, each.where))
        else:
            _compare_with(copy, backup, largest, checkpoint, each, options)
            if largest is None or checkpoint.size > largest.size:
                largest = checkpoint
    if stale and (largest is None or not stale_ok):
        raise Stale("\n".join(stale))
    assert largest is not None
    return Restored(head, largest, tuple(stale))


def finish(draft: Draft) -> None:
    """Make the draft a ledger that is written to, under its name; raises BackupProblem."""
    file = draft.paths.file
    with storage_problems(draft.target):
        # A backup may be kept where it is read-only.
        file.chmod(file.stat().st_mode | stat.S_IWUSR)
        set_journal(file, "wal")
    draft.publish()


def _compare_with(
    copy: LogPaths,
    backup: Path,
    own: Checkpoint | None,
    checkpoint: Checkpoint,
    kept: Kept,
    options: CopyOptions,
) -> None:
    """Compare a log, made longer from the rows if need be, with a checkpoint; raises Unsound."""
    size = 0 if own is None else own.size
    try:
        if checkpoint.size > size:
            more = checkpoint.size - size
            with options.bar("hashing", more) as progress:
                grow(copy, size, checkpoint.size, options.processes, progress)
        tree = Tree(copy.tiles, max(size, checkpoint.size))
        if tree.root_at(checkpoint.size) != checkpoint.root:
            raise Inconsistent(
                f"{backup} was forked or rewritten: its first {checkpoint.size} events are not "
                f"those of {kept.where}"
            )
    except Inconsistent as problem:
        raise Unsound([str(problem).removeprefix("nothing is signed: ")]) from None
    if checkpoint.size > size or own is None:
        replace(copy.checkpoint, kept.note)
        drop_partial(copy.tiles, size, checkpoint.size)


def _without_log(paths: LogPaths) -> BackupProblem:
    return BackupProblem(
        f"{paths.ledger} cannot be verified, it has no log beside it ({paths.folder}): name the "
        "log's verifier key (--key) and a checkpoint that was kept elsewhere (--against); one that "
        "never had a log gets it by `seal --new-key`"
    )


def _opened(note: bytes, key: VerifierKey, where: Path) -> Checkpoint:
    try:
        return open_checkpoint(note, key)
    except ProofProblem as problem:
        raise Unsound([f"{where}: {problem}"]) from None


def _missing(backup: Path, head: int, size: int, where: Path) -> str:
    gone = f"position {size} is" if head + 1 == size else f"positions {head + 1} to {size} are"
    return (
        f"{backup} ends at position {head}, but {where} was signed over {size} events: {gone} "
        "missing from it"
    )
