"""Checks of the keys of personal fields: there for the living, gone for the forgotten."""

from __future__ import annotations

import os
from collections.abc import Iterator

from attempt_ledger.doctor.findings import Finding, fine, found, span
from attempt_ledger.doctor.subject import Patient
from ledger.health import disk
from ledger.health.keys import keys_of
from ledger.instants import format_instant
from ledger.problems import LedgerProblem

_LISTED = 5


def keys(patient: Patient) -> Iterator[Finding]:
    """Are the keys of personal fields there, and those of the forgotten gone?"""
    path = patient.keys
    if not path.exists():
        if patient.key_file is None:
            yield fine("keys", "no personal field was ever recorded, so there are no keys")
            return
        yield found(
            "no-key-file",
            f"the key file {path} is missing: no personal field can be read or taken",
            "put it back, name it with --keys, or `keys restore` a backup of it",
        )
        return
    if not disk.may_read(path):
        yield fine("keys", f"{path} is there; this account may not look into it")
        return
    try:
        held = keys_of(patient.opened, path)
    except LedgerProblem as problem:
        yield found("key-file-unreadable", str(problem), "`keys restore` a backup of it")
        return
    if held.damaged:
        yield found("key-file-unreadable", f"{path} is damaged", "`keys restore` a backup of it")
        return
    if patient.key_file not in (None, held.id):
        yield found(
            "key-file-of-another",
            f"{path} is another ledger's key file ({held.id[:8]}…), this ledger's is "
            f"{(patient.key_file or '')[:8]}…",
            "put the right one back, or name it with --keys",
        )
        return
    wrong = False
    if disk.open_to_others(path):
        wrong = True
        yield found(
            "key-file-open", f"others than its owner may read or write {path}", f"chmod 600 {path}"
        )
    if held.came_back:
        wrong = True
        yield found(
            "key-came-back",
            f"{_named(held.came_back)} {_was(held.came_back)} forgotten, but a key is there again: "
            "an old key file was put back",
            _forget(held.came_back),
            candidates=len(held.came_back),
        )
    if held.only_here:
        wrong = True
        yield found(
            "forgotten-elsewhere",
            f"the key of {_named(held.only_here)} was destroyed, but the ledger does not say "
            "so: an old ledger was put back",
            _forget(held.only_here),
            candidates=len(held.only_here),
        )
    if not wrong:
        yield fine("keys", f"{path} holds the keys of {held.candidates:,} candidates",
                   candidates=held.candidates)  # fmt: skip


def _named(candidates: tuple[str, ...]) -> str:
    some = ", ".join(candidates[:_LISTED])
    more = len(candidates) - _LISTED
    return some + (f" and {more:,} more" if more > 0 else "")


def _was(candidates: tuple[str, ...]) -> str:
    return "was" if len(candidates) == 1 else "were"


def _forget(candidates: tuple[str, ...]) -> str:
    each = "" if len(candidates) == 1 else ", and so for each of them"
    return f"`forget {candidates[0]} --reason …`, which does again what is not done{each}"


def key_backup(patient: Patient) -> Iterator[Finding]:
    """Is there a copy of the keys that may be used, and none that should be gone by now?"""
    path = patient.keys
    if not path.exists() or not disk.may_read(path):
        return
    try:
        held = keys_of(patient.opened, path)
    except LedgerProblem:
        return  # which `keys` says
    for old in held.backups:
        if old.until <= patient.now and os.path.lexists(old.file):
            yield found(
                "key-backup-kept",
                f"{old.file} was to be used before {format_instant(old.until)}, and is still there",
                "destroy it: the keys of whoever was forgotten since may be in it",
                until=format_instant(old.until),
            )
            return
    usable = [backup for backup in held.backups if backup.until > patient.now]
    if usable:
        last = usable[-1]
        yield fine(
            "key-backup",
            f"the last backup of the keys is {span(patient.age(last.at))} old and may be used for "
            f"{span(last.until - patient.now)}",
            at=format_instant(last.at),
            until=format_instant(last.until),
        )
    elif held.candidates:
        yield found(
            "no-key-backup",
            f"there is no backup of the keys of {held.candidates:,} candidates that may be used: "
            "if the key file is lost, so is every personal field",
            "`keys backup FILE`, on another disk than the ledger's backups, and again before its "
            "time is over",
            candidates=held.candidates,
        )
    else:
        yield fine("key-backup", "there is no key to back up")
