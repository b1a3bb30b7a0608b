"""Checks of what makes a ledger trusted (log, key, verification, backup) and of what it makes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from attempt_ledger.doctor.findings import Depth, Figure, Finding, Subject, fine, found, span
from attempt_ledger.doctor.surroundings import may_write
from attempt_ledger.places import cache_folder
from ledger.backup.backup import last_backup, note_path
from ledger.instants import format_instant
from ledger.own_folder import NotOurs
from ledger.tlog.checkpoint import key_state, last_verified, need_verifier_key, seal_state
from replay.columns.folder import FOREIGN, Damaged, folder_of
from replay.many import many
from replay.snapshot import Engine


def views(subject: Subject) -> Iterator[Finding]:
    """Are the views of this ledger, and how far behind?"""
    path = subject.views
    if path.exists() and not (may_write(path) and may_write(path.parent)):
        # SQLite makes a file beside one in WAL mode, which these always are, to read it.
        yield fine("views", f"{path} is there; this account may not look into it")
        return
    state = many("state_of")(subject.opened, path) if os.path.lexists(path) else None
    if state is None:
        yield fine("views", f"there are none at {path} (`project` makes them)")
        return
    if state.damaged:
        yield found("views-damaged", f"{path} is damaged")
        return
    if state.other is not None:
        yield found("views-of-another", f"the views in {path} are {state.other}")
        return
    behind = max(0, subject.head.position - state.position)
    first = subject.recorded_at(state.position + 1) if behind else None
    age = 0 if first is None else subject.age(first)
    figures: dict[str, Figure] = {
        "position": state.position,
        "behind": behind,
        "age_seconds": age // 1_000_000,
    }
    if age > subject.bounds.views:
        yield found(
            "views-behind",
            f"the views lack {behind:,} events, the first of them for {span(age)}",
            **figures,
        )
    elif state.stale:
        exams = ", ".join(sorted(state.stale)[:5])
        yield found(
            "views-stale",
            f"{len(state.stale)} exams ({exams}) are still to be folded again after a change of "
            "the catalogue",
            stale=len(state.stale),
            **figures,
        )
    elif behind:
        yield fine("views", f"the views lack {behind:,} events, since {span(age)}", **figures)
    else:
        yield fine("views", f"the views stand for position {state.position:,}", **figures)


def column_cache(subject: Subject) -> Iterator[Finding]:
    """Is the column cache beside the ledger of this account's making, and as it was written?"""
    folder = folder_of(subject.path)
    if not os.path.lexists(folder):
        yield fine("column-cache", "there is none (`replay` makes one)", position=None)
        return
    cache = many("ColumnCache")(subject.opened, Engine(cache_folder()))
    try:
        position = cache.reached()
        problem = cache.check(remove=False) if subject.depth is Depth.full else None
        if problem not in (None, FOREIGN):
            raise Damaged(problem)
    except Damaged as damage:
        yield found("column-cache-damaged", f"the column cache in {folder} is damaged: {damage}")
        return
    except (NotOurs, OSError) as hindrance:
        yield found(
            "column-cache-unused",
            f"this account does without a column cache in {folder}: {hindrance}",
        )
        return
    if position is None:
        yield fine("column-cache", "there is none (`replay` makes one)", position=None)
    else:
        behind = subject.head.position - position
        yield fine(
            "column-cache",
            f"it stands for position {position:,}, {behind:,} behind (`replay` takes them up)",
            position=position,
            behind=behind,
        )


_LOOKS, _BETWEEN = 8, 0.05


def seal(subject: Subject) -> Iterator[Finding]:
    """Is what was recorded signed, and is the log whole?"""
    state, elsewhere = subject.seal, subject.sealed_elsewhere
    head = subject.head.position
    if state.problem is not None:
        yield found("checkpoint-fails", state.problem)
        return
    if state.checkpoint is None and elsewhere is None:
        yield found(
            "never-sealed",
            f"none of {head:,} events is sealed: nobody would notice a change",
            unsealed=head,
        )
        return
    sealed = elsewhere if state.checkpoint is None else state.checkpoint.size
    assert sealed is not None
    if sealed > head:
        yield found(
            "cut-off",
            f"the ledger ends at position {head:,}, but {sealed:,} events were sealed: it was cut "
            "off, or is an old copy put back",
            sealed=sealed,
            head=head,
        )
        return
    if elsewhere is None and not state.whole:
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
            f"{_events(head - sealed, 'is', 'are')} not sealed, the first of them for "
            f"{span(waits)}",
            **figures,
        )
    elif head > sealed:
        yield fine(
            "seal",
            f"{_events(head - sealed, 'waits', 'wait')} to be sealed, for {span(waits)}",
            **figures,
        )
    else:
        yield fine("seal", f"all {sealed:,} events are sealed", **figures)


def _events(count: int, one: str, many: str) -> str:
    return f"1 event {one}" if count == 1 else f"{count:,} events {many}"


def signing_key(subject: Subject) -> Iterator[Finding]:
    """Can it go on being sealed, with the key that outsiders know?"""
    if subject.sealed_elsewhere is not None:
        yield fine("signing-key", "other machines have the key, and seal")
        return
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
    if not os.path.lexists(path):
        yield found("never-verified", "it was never verified here")
        return
    verified = last_verified(subject.paths, need_verifier_key(subject.paths))
    if verified is None:
        yield found("never-verified", f"{path}, the note of the last verification, does not hold")
        return
    upto, at = verified.size, path.stat().st_mtime_ns // 1000
    age = subject.age(at)
    figures: dict[str, Figure] = {
        "position": upto,
        "at": format_instant(at),
        "age_seconds": age // 1_000_000,
    }
    sentence = f"it was verified up to position {upto:,} {span(age)} ago"
    if age > subject.bounds.verification:
        yield found("verification-old", sentence, **figures)
    else:
        yield fine("verification", sentence, **figures)


def backup(subject: Subject) -> Iterator[Finding]:
    """Is there a copy, and how much would be lost without the original?"""
    note, path = last_backup(subject.file), note_path(subject.file)
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
    sentence = f"the last backup is {span(age)} old and lacks {behind:,} events"
    if age > subject.bounds.backup and behind:
        yield found("backup-old", sentence, **figures)
    else:
        yield fine("backup", sentence, **figures)
