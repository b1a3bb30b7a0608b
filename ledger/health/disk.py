"""What a ledger lies on: the kind of file system, the room that is left, who may open what."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

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


def file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Name the kind of file system a file lies on (``ext4``); None if it cannot be told."""
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


def room(path: Path) -> Room:
    """Return how much more may be written beside a file; raises OSError."""
    told = os.statvfs(path.parent)
    return Room(told.f_bavail * told.f_frsize, told.f_favail if told.f_files else None)


def size(path: Path) -> int:
    """Return how many bytes a file takes up; 0 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def open_to_others(path: Path) -> bool:
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
