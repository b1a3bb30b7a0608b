"""Checks of what a ledger lies on and in: file system, rights, room, and the clock."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from attempt_ledger.doctor.findings import Figure, Finding, Subject, fine, found, size, span
from ledger.instants import SECOND, format_instant, parse_instant
from ledger.store.file import exposed

EARLIEST = parse_instant("2020-01-01T00:00:00Z")
"""Before any of the rules: a machine without a clock begins in 1970, or on the day of its build."""
LATEST = parse_instant("2100-01-01T00:00:00Z")
CLOCK_APART = SECOND
"""Many appends within a microsecond each put recorded_at a little ahead of the clock."""
FEW_FILES = 10_000


def file_system(subject: Subject) -> Iterator[Finding]:
    """Does the file lie on a disk of this machine?"""
    kind = kind_at(subject.file, MOUNTS)
    where = f"{subject.file} lies on {kind}"
    if kind in NETWORK:
        yield found(
            "network-file-system",
            f"{where}, a network file system: SQLite's log needs memory that all who open the file "
            "share, which only one machine has",
            kind=kind,
        )
    elif kind in MEMORY:
        yield found(
            "memory-file-system",
            f"{where}, in memory: it is gone when the machine restarts",
            kind=kind,
        )
    elif kind in LAYERS:
        yield found(
            "container-layer",
            f"{where}, a container's own layer: it is gone when the container is",
            kind=kind,
        )
    elif kind is None:
        yield fine("file-system", "what the file lies on is not known here", kind=None)
    else:
        yield fine("file-system", where, kind=kind)


def rights(subject: Subject) -> Iterator[Finding]:
    """May those write who should, and nobody else?"""
    path, lock = subject.file, Path(f"{subject.file}.lock")
    if everyone_may_write(path):
        yield found(
            "everyone-may-write", f"everybody on this machine may write {path}, past the ledger"
        )
        return
    others = [*exposed(path), *filter(is_open_to_others, _there(subject.paths.lock))]
    if others:
        # SQLite makes these as the ledger is, and removes them when nobody has it open.
        kept = [file for file in others if not file.name.endswith(("-wal", "-shm"))]
        yield found(
            "open-to-others",
            f"other accounts can open {shlex.join(map(str, others))}: whoever can read it can "
            "lock it, and so stop all writing",
            f"chmod 600 {shlex.join(map(str, kept or others))}; the same for its -wal and -shm "
            "while a program has it open; let others read a copy (`backup`)",
            files=len(others),
        )
    writable = may_write(path) and may_write(path.parent)
    if writable and (not may_write(lock) or (lock.exists() and not lock.is_file())):
        yield found(
            "lock-unusable",
            f"this account may write {path}, but not {lock}, on which writers queue: it cannot "
            "append",
        )
    else:
        may = " and append to it" if writable else ", not append to it"
        yield fine("rights", f"this account may read the ledger{may}", append=writable)


def _there(*paths: Path) -> list[Path]:
    return [path for path in paths if path.exists()]


def room(subject: Subject) -> Iterator[Finding]:
    """Is there room to go on, and for what is made of the ledger?"""
    free, files = room_left(subject.file)
    takes = bytes_of(subject.file) + bytes_of(Path(f"{subject.file}-wal"))
    wanted = 2 * takes + bytes_of(subject.views)
    figures: dict[str, Figure] = {"free": free, "ledger": takes, "wanted": wanted, "files": files}
    left = f"{size(free)} are free, where the ledger takes up {size(takes)}"
    if free < subject.bounds.free:
        yield found(
            "disk-full", f"{left}: less than {size(subject.bounds.free)} (--free)", **figures
        )
    elif free < wanted:
        yield found(
            "disk-low",
            f"{left}: too little to make a backup beside it, or its views anew "
            f"({size(wanted)} for both)",
            **figures,
        )
    elif files is not None and files < FEW_FILES:
        yield found(
            "files-low",
            f"only {files:,} more files fit on the disk; the log of 1,000,000 events takes 4,000",
            **figures,
        )
    else:
        yield fine("room", left, **figures)


def clock(subject: Subject) -> Iterator[Finding]:
    """Is the clock where the ledger's last recorded_at says it must be?"""
    head = subject.head
    # Read after it: what is recorded while the doctor looks at the rest is not ahead of the clock.
    now = subject.clock()
    figures: dict[str, Figure] = {
        "now": format_instant(now),
        "last_recorded_at": format_instant(head.recorded_at) if head.position else None,
    }
    if not EARLIEST <= now < LATEST:
        yield found("clock-implausible", f"the clock says {format_instant(now)}", **figures)
    elif head.position and now < head.recorded_at - CLOCK_APART:
        yield found(
            "clock-behind",
            f"the clock is {span(head.recorded_at - now)} behind the last recorded_at, "
            f"{format_instant(head.recorded_at)}",
            behind_seconds=(head.recorded_at - now) // SECOND,
            **figures,
        )
    elif not head.position:
        yield fine("clock", f"the clock says {format_instant(now)}", **figures)
    else:
        ago = span(subject.age(head.recorded_at))
        yield fine("clock", f"the last event was recorded {ago} ago", **figures)


# -- what a ledger lies on: the kind of file system, the room that is left, who may open what


MOUNTS = Path("/proc/self/mountinfo")

NETWORK = frozenset(
    [
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.ceph",
        "fuse.cephfs",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
    ]
)
"""Where locks or shared memory do not reach every machine that may write: the log needs both."""
MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
LAYERS = frozenset({"overlay", "aufs"})
"""A container's own layer, which goes when the container goes."""


class Room(NamedTuple):
    """What is left on a file system for us."""

    free: int
    """In bytes."""
    files: int | None
    """How many more files there may be; None where there is no such limit."""


def kind_at(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Name the kind of file system a file lies on (``ext4``); None if it cannot be found."""
    try:
        device = path.stat().st_dev
        text = mounts.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return kind_of(text, str(path), f"{os.major(device)}:{os.minor(device)}")


def kind_of(mounts: str, path: str, device: str) -> str | None:
    """Find a path's file system in the text of a ``mountinfo``: by its device, else by its place.

    Some kinds give their files another device number than the mount has: then the longest mount
    point above the path decides, and of several at one place the last.
    """
    by_place, longest, by_device = None, -1, None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        kind, place = after.split()[0], _unescaped(fields[4])
        if fields[2] == device:
            by_device = kind
        above = path == place or path.startswith(f"{place.rstrip('/')}/")
        if above and len(place) >= longest:
            by_place, longest = kind, len(place)
    return by_device or by_place


def _unescaped(place: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        place = place.replace(code, letter)
    return place


def room_left(path: Path) -> Room:
    """Return how much more may be written beside a file; raises OSError."""
    found = os.statvfs(path.parent)
    return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def bytes_of(path: Path) -> int:
    """Return how many bytes a file takes up; 0 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def is_open_to_others(path: Path) -> bool:
    """Return whether others than the owner may read or write a file; raises OSError."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def everyone_may_write(path: Path) -> bool:
    """Return whether everybody on the machine may write a file; raises OSError."""
    return bool(path.stat().st_mode & stat.S_IWOTH)


def may_write(path: Path) -> bool:
    """Return whether this process may write a file, or make it where it is not there."""
    return _may(path if path.exists() else path.parent, os.W_OK)


def may_read(path: Path) -> bool:
    """Return whether this process may read a file."""
    return _may(path, os.R_OK)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
