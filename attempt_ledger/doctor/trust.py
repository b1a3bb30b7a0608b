"""Checks of what makes a ledger trusted: its log, its signing key, verification, backup."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from attempt_ledger.doctor.findings import Figure, Finding, Subject, fine, found, span
from ledger.backup.backup import last_backup, note_path
from ledger.instants import format_instant
from ledger.tlog.checkpoint import key_state, noted_size, seal_state

_LOOKS, _BETWEEN = 8, 0.05


def seal(subject: Subject) -> Iterator[Finding]:
    """Is what was recorded signed, and is the log whole?"""
    state, head = subject.seal, subject.head.position
    if state.problem is not None:
        yield found("checkpoint-fails", state.problem)
        return
    if state.checkpoint is None:
        yield found(
            "never-sealed",
            f"none of {head:,} events is sealed: nobody would notice a change",
            unsealed=head,
        )
        return
    sealed = state.checkpoint.size
    if sealed > head:
        yield found(
            "cut-off",
            f"the ledger ends at position {head:,}, but {sealed:,} events were sealed: it was cut "
            "off, or is an old copy put back",
            sealed=sealed,
            head=head,
        )
        return
    if not state.whole:
        yield found(
            "tiles-damaged",
            f"the hashes in {subject.paths.folder} do not lead to the root that was signed",
            sealed=sealed,
        )
        return
    first = subject.recorded_at(sealed + 1) if sealed < head else None
    waits = 0 if first is None else subject.age(first)
    figures: dict[str, Figure] = {
        "sealed": sealed,
        "unsealed": head - sealed,
        "waits_seconds": waits // 1_000_000,
    }
    if waits > subject.bounds.seal:
        yield found(
            "unsealed",
            f"{head - sealed:,} events are not sealed, the first of them for {span(waits)}",
            **figures,
        )
    elif head > sealed:
        yield fine(
            "seal", f"{head - sealed:,} events wait to be sealed, for {span(waits)}", **figures
        )
    else:
        yield fine("seal", f"all {sealed:,} events are sealed", **figures)


def signing_key(subject: Subject) -> Iterator[Finding]:
    """Can it go on being sealed, with the key that outsiders know?"""
    paths = subject.paths
    state = key_state(paths, subject.seal.checkpoint)
    for _ in range(_LOOKS):
        if state is None or state[0] != "last-signed-apart":
            break
        time.sleep(_BETWEEN)  # a sealer may just have signed, and not published yet
        state = key_state(paths, seal_state(paths).checkpoint)
    if state is None:
        yield fine("signing-key", f"{paths.key} is the key of this log")
    else:
        yield found(*state)


def verification(subject: Subject) -> Iterator[Finding]:
    """Was it verified lately that nothing was changed?"""
    if subject.seal.checkpoint is None:
        return
    path = subject.paths.verified
    if not path.exists():
        yield found("never-verified", "it was never verified here")
        return
    upto, at = noted_size(path), path.stat().st_mtime_ns // 1000
    age = subject.age(at)
    figures: dict[str, Figure] = {
        "position": upto,
        "at": format_instant(at),
        "age_seconds": age // 1_000_000,
    }
    said = f"it was verified up to position {upto:,} {span(age)} ago"
    if age > subject.bounds.verification:
        yield found("verification-old", said, **figures)
    else:
        yield fine("verification", said, **figures)


def backup(subject: Subject) -> Iterator[Finding]:
    """Is there a copy, and how much would be lost without the original?"""
    note, path = last_backup(subject.path), note_path(subject.path)
    if note is None and os.path.lexists(path):
        yield found("backup-unreadable", f"{path}, the note on the last backup, does not read")
        return
    if note is None:
        yield found("no-backup", "no backup was ever made with `backup`")
        return
    age, behind = subject.age(note.at), max(0, subject.head.position - note.position)
    figures: dict[str, Figure] = {
        "at": format_instant(note.at),
        "position": note.position,
        "behind": behind,
        "age_seconds": age // 1_000_000,
    }
    said = f"the last backup is {span(age)} old and lacks {behind:,} events"
    if age > subject.bounds.backup and behind:
        yield found("backup-old", said, **figures)
    else:
        yield fine("backup", said, **figures)
