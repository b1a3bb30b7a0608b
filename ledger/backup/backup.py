"""Make a backup: a copy of the ledger and of its log, verified before it gets its name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from ledger.backup.staging import FileState, Progress, copy_file, copy_log, drafting, file_state
from ledger.durable import replace
from ledger.instants import format_instant, parse_instant
from ledger.problems import Inconsistent, LedgerProblem, Unsound
from ledger.store.file import connect_reader, storage_problems
from ledger.store.inspection import MOST_FOUND
from ledger.store.integrity import (
    inspect,
    last_position,
    read_rows,
    read_through,
)
from ledger.tlog.checkpoint import LogPaths, need_verifier_key, read_note
from ledger.tlog.verify import verify
from ledger.tlog.verify_proof import (
    Checkpoint,
    ProofProblem,
    VerifierKey,
    open_checkpoint,
    read_file,
)

_TRIES = 8
_AT_ONCE = 4096

Bar = Callable[[str, int], AbstractContextManager[Progress]]
"""Shows what is done of so many: (what, how many) → a context that yields a Progress."""
Seal = Callable[[int], object]
"""Seals up to a position, which may fail with a LedgerProblem."""


class CopyOptions(NamedTuple):
    """How a copy is made: how many processes hash, and where it shows how far it is."""

    processes: int = 1
    bar: Bar = lambda what, total: nullcontext(lambda more: None)


class BackedUp(NamedTuple):
    """What a backup holds."""

    position: int
    """Its last position; 0: the ledger is empty."""
    checkpoint: Checkpoint | None
    """The checkpoint within. Events after it are in the backup too, compared with the ledger's."""
    unsealed: LedgerProblem | None
    """What hindered sealing up to the last position; None if nothing did."""


def back_up(paths: LogPaths, target: Path, seal: Seal, options: CopyOptions) -> BackedUp:
    """Copy a ledger with its log to `target` and ``<target>.tlog``, while others go on.

    Every event that was durable when this was called is in it. It is sealed first, up to where the
    copy ends; what cannot be sealed is in it all the same. The copy is then read back: every event
    hashed and compared with the log and its checkpoint, those that are not sealed against the
    ledger's own rows, and SQLite looks at all of the file. Only then it gets its name.

    Raises Unsound when anything is wrong with it, Inconsistent when sealing would contradict what
    was signed, LedgerProblem for what hinders; then nothing has that name.
    """
    with drafting(target) as draft:
        copy = draft.paths
        with _sealed_state(paths, seal) as (source, log, hindered):
            with options.bar("copying", source.pages) as progress:
                copy_file(source, copy.file, target, progress)
            sealed = 0 if log is None else log.checkpoint.size
            different = differing(source, copy.file, sealed)
        # The ledger itself is let go: its write-ahead log can be cleaned up again.
        if log is not None:
            copy_log(paths, copy, sealed, log.note, log.keys)
        with options.bar("verifying", sealed) as progress:
            key = None if log is None else log.key
            findings = unsound(copy, key, processes=options.processes, progress=progress)
        if different is not None:
            findings.append(f"position {different} was not copied as it is in {paths.ledger}")
        if findings:
            raise Unsound([each.replace(str(copy.ledger), str(target)) for each in findings])
        draft.publish()
        return BackedUp(source.head, None if log is None else log.checkpoint, hindered)


class _Log(NamedTuple):
    """A ledger's log as of one checkpoint."""

    checkpoint: Checkpoint
    note: bytes
    key: VerifierKey
    keys: bytes


@contextmanager
def _sealed_state(
    paths: LogPaths, seal: Seal
) -> Iterator[tuple[FileState, _Log | None, LedgerProblem | None]]:
    """Open one state of the ledger, sealed up to its head if that can be.

    With what hindered it, if anything did. While others append and seal, the checkpoint may pass
    the state that is open: then a later one is taken.
    """
    _hindered(paths, seal, last_position(paths.file))  # while no state is kept open
    for last in (False,) * _TRIES + (True,):
        before = _log(paths)
        with ExitStack() as stack:
            state = stack.enter_context(file_state(paths.file))
            if before is not None and before.checkpoint.size > state.head:
                raise Inconsistent(
                    f"{paths.ledger} ends at position {state.head}, but {before.checkpoint.size} "
                    "events were sealed: it was cut off, or is an old copy put back"
                )
            problem = _hindered(paths, seal, state.head)
            log = _log(paths)
            if log is not None and log.checkpoint.size > state.head:
                if not last:
                    continue
                log, problem = before, None
            if isinstance(problem, Inconsistent):
                raise problem
            yield state, log, problem
            return


def _hindered(paths: LogPaths, seal: Seal, head: int) -> LedgerProblem | None:
    """Seal up to a position; return what hinders it."""
    log = _log(paths)
    if log is None or log.checkpoint.size < head:
        try:
            seal(head)
        except LedgerProblem as problem:
            return problem
    return None


def _log(paths: LogPaths) -> _Log | None:
    """Read the log's checkpoint and keys; None if there is none. Raises Unsound, LogProblem."""
    note = read_note(paths.checkpoint)
    if note is None:
        return None
    key = need_verifier_key(paths)
    try:
        checkpoint = open_checkpoint(note, key)
    except ProofProblem as problem:
        raise Unsound([f"{paths.checkpoint}: {problem}"]) from None
    return _Log(checkpoint, note, key, read_note(paths.verifier_key) or b"")


# -- is a copy what was signed, and is its file sound?


def unsound(
    paths: LogPaths, key: VerifierKey | None, *, processes: int, progress: Progress
) -> list[str]:
    """Return what is wrong with a copy's file, its log, and with either beside the other.

    Every event is hashed anew and compared with the log, which is compared with its checkpoint, as
    `verify` does; meanwhile SQLite looks at every page and index. Without a `key` there is
    no log, and only the file is looked at. Sentences; none: it is all sound.
    """
    try:
        if key is None:
            with read_through(paths.file) as damages:
                findings = [*inspect(paths.file, 0).findings, *damages()]
        else:
            verdict = verify(paths, key, full=True, processes=processes, progress=progress)
            # A note for who verifies where it lies: the copy is to lie elsewhere.
            paths.verified.unlink(missing_ok=True)
            findings = list(verdict.findings)
    except LedgerProblem as problem:
        return [str(problem)]
    sentences = [finding.sentence for finding in findings]
    more = (
        [f"and {len(sentences) - MOST_FOUND} more findings"] if len(sentences) > MOST_FOUND else []
    )
    return [*sentences[:MOST_FOUND], *more]


def differing(source: FileState, copy: Path, after: int) -> int | None:
    """Compare the rows after a position with those of the ledger; return the first that differs."""
    with storage_problems(copy), closing(connect_reader(copy)) as connection:
        for first in range(after + 1, source.head + 1, _AT_ONCE):
            some = (first, min(first + _AT_ONCE - 1, source.head))
            theirs = read_rows(source.connection, *some)
            ours = read_rows(connection, *some)
            if theirs != ours:
                same = (one == other for one, other in zip(theirs, ours, strict=False))
                return first + next((n for n, is_same in enumerate(same) if not is_same), len(ours))
    return None


# -- the note beside a ledger on its last backup: when, up to where, and under which name


class Note(NamedTuple):
    """What was backed up last."""

    at: int
    """When it was done, microseconds since 1970 (UTC)."""
    position: int
    """The last position that is in the backup."""
    file: str
    """The backup's absolute path, on the machine that made it."""
    sealed: int
    """How many of its events the checkpoint within covers; 0: it has none."""
    root: str
    """That checkpoint's root in base64; empty without one."""


def note_path(ledger: Path) -> Path:
    """Return where the note lies, by whatever name the ledger is opened."""
    return Path(f"{os.path.realpath(ledger)}.last-backup")


def last_backup(ledger: Path) -> Note | None:
    """Return the note on the last backup; None if there is none that can be read."""
    try:
        note = json.loads(read_file(note_path(ledger)))
        return Note(
            parse_instant(note["at"]),
            int(note["position"]),
            str(note["file"]),
            int(note["checkpoint"]["size"]),
            str(note["checkpoint"]["root"]),
        )
    except (OSError, ProofProblem, ValueError, KeyError, TypeError):
        return None


def keep_note(ledger: Path, note: Note) -> None:
    """Replace the note, durably; raises OSError."""
    members = {
        "at": format_instant(note.at),
        "position": note.position,
        "file": note.file,
        "checkpoint": {"size": note.sealed, "root": note.root},
    }
    replace(note_path(ledger), f"{json.dumps(members, indent=1)}\n".encode())
