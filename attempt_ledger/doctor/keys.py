"""Checks of the keys of personal fields: there for the living, gone for the forgotten."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from attempt_ledger.doctor.findings import Finding, Subject, fine, found, span
from attempt_ledger.doctor.surroundings import is_open_to_others, may_read
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.privacy.key_file import KeyBackup
from ledger.privacy.vault import open_keys
from ledger.problems import KeyFileProblem, LedgerProblem
from ledger.store.server import Address

_LISTED = 5


class Keys(NamedTuple):
    """What a key file holds, against what the ledger says of it."""

    id: str
    candidates: int
    """How many candidates have a key."""
    damaged: bool
    came_back: tuple[str, ...]
    """Candidates who were forgotten, by the ledger, and have a key all the same; sorted."""
    only_here: tuple[str, ...]
    """Candidates whose key was destroyed, while the ledger does not say they were forgotten."""
    backups: tuple[KeyBackup, ...]
    """The copies that were made of it, the first first."""


def keys_of(ledger: Ledger, place: Address) -> Keys:
    """Look into keys; raises KeyFileProblem or LedgerProblem where they do not read."""
    with closing(open_keys(place)) as opened, opened.problems():
        file = opened.key_file(None)
        if file is None:
            raise KeyFileProblem(f"there are no keys in {place}")
        there = dict(file.candidates())
        damaged, backups = file.is_damaged(), tuple(file.backups())
    forgotten = ledger.forgotten()
    return Keys(
        file.id,
        sum(there.values()),
        damaged,
        tuple(sorted(name for name in forgotten if there.get(name))),
        tuple(sorted(name for name, has in there.items() if not has and name not in forgotten)),
        backups,
    )


def keys(subject: Subject) -> Iterator[Finding]:
    """Are the keys of personal fields there, and those of the forgotten gone?"""
    path = subject.keys
    if not _is_there(path):
        if subject.key_file is None:
            yield fine("keys", "no personal field was ever recorded, so there are no keys")
            return
        yield found(
            "no-key-file", f"the key file {path} is missing: no personal field can be read or taken"
        )
        return
    if isinstance(path, Path) and not may_read(path):
        yield fine("keys", f"{path} is there; this account may not look into it")
        return
    try:
        kept = keys_of(subject.opened, path)
    except LedgerProblem as problem:
        yield found("key-file-unreadable", str(problem))
        return
    if kept.damaged:
        yield found("key-file-unreadable", f"{path} is damaged")
        return
    if subject.key_file not in (None, kept.id):
        yield found(
            "key-file-of-another",
            f"{path} is another ledger's key file ({kept.id[:8]}…), this ledger's is "
            f"{(subject.key_file or '')[:8]}…",
        )
        return
    wrong = False
    if isinstance(path, Path) and is_open_to_others(path):
        wrong = True
        yield found("key-file-open", f"others than its owner may read or write {path}")
    if kept.came_back:
        wrong = True
        yield found(
            "key-came-back",
            f"{_named(kept.came_back)} {_was(kept.came_back)} forgotten, but a key is there again: "
            "an old key file was put back",
            _forget(kept.came_back),
            candidates=len(kept.came_back),
        )
    if kept.only_here:
        wrong = True
        yield found(
            "forgotten-elsewhere",
            f"the key of {_named(kept.only_here)} was destroyed, but the ledger does not say "
            "so: an old ledger was put back",
            _forget(kept.only_here),
            candidates=len(kept.only_here),
        )
    if not wrong:
        yield fine("keys", f"{path} holds the keys of {kept.candidates:,} candidates",
                   candidates=kept.candidates)  # fmt: skip


def _is_there(place: Address) -> bool:
    with closing(open_keys(place)) as keys:
        return keys.exists()


def _named(candidates: tuple[str, ...]) -> str:
    some = ", ".join(candidates[:_LISTED])
    more = len(candidates) - _LISTED
    return some + (f" and {more:,} more" if more > 0 else "")


def _was(candidates: tuple[str, ...]) -> str:
    return "was" if len(candidates) == 1 else "were"


def _forget(candidates: tuple[str, ...]) -> str:
    each = "" if len(candidates) == 1 else ", and so for each of them"
    return f"`forget {candidates[0]} --reason …`, which does again what is not done{each}"


def key_backup(subject: Subject) -> Iterator[Finding]:
    """Is there a copy of the keys that may be used, and none that should be gone by now?"""
    path = subject.keys
    if not _is_there(path) or (isinstance(path, Path) and not may_read(path)):
        return
    try:
        kept = keys_of(subject.opened, path)
    except LedgerProblem:
        return  # which `keys` says
    for old in kept.backups:
        if old.until <= subject.now and os.path.lexists(old.file):
            yield found(
                "key-backup-kept",
                f"{old.file} was to be used before {format_instant(old.until)}, and is still there",
                until=format_instant(old.until),
            )
            return
    usable = [backup for backup in kept.backups if backup.until > subject.now]
    if usable:
        last = usable[-1]
        yield fine(
            "key-backup",
            f"the last backup of the keys is {span(subject.age(last.at))} old and may be used for "
            f"{span(last.until - subject.now)}",
            at=format_instant(last.at),
            until=format_instant(last.until),
        )
    elif kept.candidates:
        yield found(
            "no-key-backup",
            f"there is no backup of the keys of {kept.candidates:,} candidates that may be used: "
            "if the key file is lost, so is every personal field",
            candidates=kept.candidates,
        )
    else:
        yield fine("key-backup", "there is no key to back up")
