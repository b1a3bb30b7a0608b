"""Files that are there whole or not at all, and on the disk when the call returns."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_AT_ONCE = 32
_FEW = 4


_MODE = 0o664
"""Of a new file, and of a folder but for searching it, less what the umask takes: whatever that is,
no other account writes to a log."""


def replace(path: Path, content: bytes, mode: int = _MODE) -> None:
    """Write a file beside its place and rename it there, durably; raises OSError."""
    replace_all({path: content}, mode)


def replace_all(files: Mapping[Path, bytes], mode: int = _MODE) -> None:
    """Write many files, each whole or not at all; all are durable when this returns.

    Makes folders where there are none. Only one process at a time may write to a place. Raises
    OSError; then some are written and some not.
    """
    folders = {path.parent for path in files}
    made = set[Path]()
    for folder in folders:
        made |= _make(folder)
    drafts = {path.with_name(f".{path.name}.new"): path for path in files}
    descriptors: list[int] = []
    try:
        for draft, path in drafts.items():
            descriptors.append(_open(draft, mode))
            _write(descriptors[-1], files[path])
        _sync(descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    for draft, path in drafts.items():
        os.replace(draft, path)
    for folder in folders | made:
        sync(folder)


def sync(path: Path) -> None:
    """See to it that a file, or the names in a folder, are on the disk; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(folder: Path) -> set[Path]:
    """Make a folder and those above it; give the folders whose names changed by that."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(_MODE | 0o111, exist_ok=True)
    return {each.parent for each in missing}


def _open(draft: Path, mode: int) -> int:
    """Make a file, in the place of what a crash left; never through a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        return os.open(draft, flags, mode)
    except FileExistsError:
        draft.unlink()
        return os.open(draft, flags, mode)


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync(descriptors: Collection[int]) -> None:
    if len(descriptors) <= _FEW:
        for descriptor in descriptors:
            os.fsync(descriptor)
        return
    # One after another each waits for the disk; together the file system writes them in one go.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(os.fsync, descriptors):
            pass
