"""Checks of what a ledger lies on and in: file system, rights, room, and the clock."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from attempt_ledger.doctor.findings import Finding, fine, found, size, span
from attempt_ledger.doctor.subject import Patient
from ledger.health import disk
from ledger.instants import SECOND, format_instant, parse_instant
from ledger.store.file import exposed as open_to_others

EARLIEST = parse_instant("2020-01-01T00:00:00Z")
"""Before any of the rules: a machine without a clock begins in 1970, or on the day of its build."""
LATEST = parse_instant("2100-01-01T00:00:00Z")
CLOCK_APART = SECOND
"""Many appends within a microsecond each put recorded_at a little ahead of the clock."""
FEW_FILES = 10_000


def file_system(patient: Patient) -> Iterator[Finding]:
    """Does the file lie on a disk of this machine?"""
    kind = disk.file_system(patient.path, disk.MOUNTS)
    where = f"{patient.path} lies on {kind}"
    if kind in disk.NETWORK:
        yield found(
            "network-file-system",
            f"{where}, a network file system: SQLite's log needs memory that all who open the file "
            "share, which only one machine has",
            "keep the ledger on a disk of the machine that writes it, and let others ask that "
            "machine, or copies of it",
            kind=kind,
        )
    elif kind in disk.MEMORY:
        yield found(
            "memory-file-system",
            f"{where}, in memory: it is gone when the machine restarts",
            "keep the ledger on a disk",
            kind=kind,
        )
    elif kind in disk.LAYERS:
        yield found(
            "container-layer",
            f"{where}, a container's own layer: it is gone when the container is",
            "keep the ledger on a volume",
            kind=kind,
        )
    elif kind is None:
        yield fine("file-system", "what the file lies on cannot be told here", kind=None)
    else:
        yield fine("file-system", where, kind=kind)


def rights(patient: Patient) -> Iterator[Finding]:
    """May those write who should, and nobody else?"""
    path, lock = patient.path, Path(f"{patient.path}.lock")
    if disk.everyone_may_write(path):
        yield found(
            "everyone-may-write",
            f"everybody on this machine may write {path}, past the ledger",
            f"chmod 600 {path}, then `verify --full`",
        )
        return
    exposed = [*open_to_others(path), *filter(disk.open_to_others, _there(patient.paths.lock))]
    if exposed:
        # SQLite makes these as the ledger is, and removes them when nobody has it open.
        kept = [file for file in exposed if not file.name.endswith(("-wal", "-shm"))]
        yield found(
            "open-to-others",
            f"other accounts can open {shlex.join(map(str, exposed))}: whoever can read it can "
            "lock it, and so stop all writing",
            f"chmod 600 {shlex.join(map(str, kept or exposed))}; the same for its -wal and -shm "
            "while a program has it open; let others read a copy (`backup`)",
            files=len(exposed),
        )
    writable = disk.may_write(path) and disk.may_write(path.parent)
    if writable and (not disk.may_write(lock) or (lock.exists() and not lock.is_file())):
        yield found(
            "lock-unusable",
            f"this account may write {path}, but not {lock}, on which writers queue: it cannot "
            "append",
            f"give the account the right to write {lock}, as it has for the ledger; remove it only "
            "while nothing writes",
        )
    elif not exposed:
        may = " and append to it" if writable else ", not append to it"
        yield fine("rights", f"this account may read the ledger{may}", append=writable)


def _there(*paths: Path) -> list[Path]:
    return [path for path in paths if path.exists()]


def room(patient: Patient) -> Iterator[Finding]:
    """Is there room to go on, and for what is made of the ledger?"""
    free, files = disk.room(patient.path)
    takes = disk.size(patient.path) + disk.size(Path(f"{patient.path}-wal"))
    wanted = 2 * takes + disk.size(patient.views)
    figures = {"free": free, "ledger": takes, "wanted": wanted, "files": files}
    left = f"{size(free)} are free, where the ledger takes up {size(takes)}"
    if free < patient.bounds.free:
        yield found(
            "disk-full",
            f"{left}: less than {size(patient.bounds.free)} (--free)",
            "make room, or move the ledger to a larger disk; a full disk refuses events but "
            "damages none",
            **figures,
        )
    elif free < wanted:
        yield found(
            "disk-low",
            f"{left}: too little to make a backup beside it, or its views anew "
            f"({size(wanted)} for both)",
            "make room, back up to another disk, and name another with --views",
            **figures,
        )
    elif files is not None and files < FEW_FILES:
        yield found(
            "files-low",
            f"only {files:,} more files fit on the disk; the log of 1,000,000 events takes 4,000",
            "remove files that are not needed, or move the ledger to a disk with more inodes",
            **figures,
        )
    else:
        yield fine("room", left, **figures)


def clock(patient: Patient) -> Iterator[Finding]:
    """Is the clock where the ledger's last recorded_at says it must be?"""
    now, head = patient.now, patient.head
    figures = {
        "now": format_instant(now),
        "last_recorded_at": format_instant(head.recorded_at) if head.position else None,
    }
    if not EARLIEST <= now < LATEST:
        yield found(
            "clock-implausible",
            f"the clock says {format_instant(now)}",
            "set the clock, best by NTP, before anything is recorded: recorded_at never goes back",
            **figures,
        )
    elif head.position and now < head.recorded_at - CLOCK_APART:
        yield found(
            "clock-behind",
            f"the clock is {span(head.recorded_at - now)} behind the last recorded_at, "
            f"{format_instant(head.recorded_at)}",
            "set the clock, best by NTP. If it is the ledger that is ahead: what is appended is "
            "recorded a microsecond after the last until the clock has come by, and no time of an "
            "event is taken that lies more than 5 minutes after that",
            behind_seconds=(head.recorded_at - now) // SECOND,
            **figures,
        )
    elif not head.position:
        yield fine("clock", f"the clock says {format_instant(now)}", **figures)
    else:
        ago = span(patient.age(head.recorded_at))
        yield fine("clock", f"the last event was recorded {ago} ago", **figures)
