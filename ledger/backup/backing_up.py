"""Make a backup: a copy of the ledger and of its log, verified before it is given its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from ledger.backup.checking import differing, unsound
from ledger.backup.copying import Snapshot, Told, copy_file, snapshot
from ledger.backup.draft import drafting
from ledger.backup.log import copy_log
from ledger.problems import Inconsistent, LedgerProblem, Unsound
from ledger.tlog.checkpoint import LogPaths, need_verifier_key, read_note
from ledger.tlog.verify_proof import (
    Checkpoint,
    ProofProblem,
    VerifierKey,
    open_checkpoint,
)

_TRIES = 8

Bar = Callable[[str, int], AbstractContextManager[Told]]
"""Shows how much of so many is done: given what and how many, a context that is told of more."""
Seal = Callable[[int], object]
"""Seals up to a position, which may fail with a LedgerProblem."""


class Ways(NamedTuple):
    """How a copy is made: how many processes hash, and how it tells how far it is."""

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


def back_up(place: LogPaths, target: Path, seal: Seal, ways: Ways) -> BackedUp:
    """Copy a ledger with its log to `target` and ``<target>.tlog``, while others go on.

    Every event that was durable when this was called is in it. It is sealed first, up to where the
    copy ends; what cannot be sealed is in it all the same. The copy is then read back: every event
    hashed and held against the log and its checkpoint, those that are not sealed against the
    ledger's own rows, and SQLite looks at all of the file. Only then it gets its name.

    Raises Unsound when anything is wrong with it, Inconsistent when sealing would contradict what
    was signed, LedgerProblem for what hinders; then nothing has that name.
    """
    with drafting(target) as draft:
        copy = draft.place
        with _sealed_snapshot(place, seal) as (source, log, hindered):
            with ways.bar("copying", source.pages) as told:
                copy_file(source, copy.ledger, target, told)
            sealed = 0 if log is None else log.checkpoint.size
            different = differing(source, copy.ledger, sealed)
        # The ledger itself is let go: its write-ahead log can be cleaned up again.
        if log is not None:
            copy_log(place, copy, sealed, log.note, log.keys)
        with ways.bar("verifying", sealed) as told:
            key = None if log is None else log.key
            findings = unsound(copy, key, processes=ways.processes, told=told)
        if different is not None:
            findings.append(f"position {different} was not copied as it is in {place.ledger}")
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
def _sealed_snapshot(
    place: LogPaths, seal: Seal
) -> Iterator[tuple[Snapshot, _Log | None, LedgerProblem | None]]:
    """Hold one state of the ledger, sealed up to its head if that can be.

    With what hindered it, if anything did. While others append and seal, the checkpoint may pass
    the state that is held: then a later one is taken.
    """
    with snapshot(place.ledger) as held:
        head = held.head
    _hindered(place, seal, head)  # what there is of it, while nothing is held
    for last in (False,) * _TRIES + (True,):
        before = _log(place)
        with ExitStack() as stack:
            held = stack.enter_context(snapshot(place.ledger))
            if before is not None and before.checkpoint.size > held.head:
                raise Inconsistent(
                    f"{place.ledger} ends at position {held.head}, but {before.checkpoint.size} "
                    "events were sealed: it was cut off, or is an old copy put back"
                )
            problem = _hindered(place, seal, held.head)
            log = _log(place)
            if log is not None and log.checkpoint.size > held.head:
                if not last:
                    continue
                log, problem = before, None
            if isinstance(problem, Inconsistent):
                raise problem
            yield held, log, problem
            return


def _hindered(place: LogPaths, seal: Seal, head: int) -> LedgerProblem | None:
    """Seal up to a position; give what hinders it."""
    log = _log(place)
    if log is None or log.checkpoint.size < head:
        try:
            seal(head)
        except LedgerProblem as problem:
            return problem
    return None


def _log(place: LogPaths) -> _Log | None:
    """Read the log's checkpoint and keys; None if there is none. Raises Unsound, LogProblem."""
    note = read_note(place.checkpoint)
    if note is None:
        return None
    key = need_verifier_key(place)
    try:
        checkpoint = open_checkpoint(note, key)
    except ProofProblem as problem:
        raise Unsound([f"{place.checkpoint}: {problem}"]) from None
    return _Log(checkpoint, note, key, read_note(place.verifier_key) or b"")
