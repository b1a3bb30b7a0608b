"""A folder in memory: for disks that are simulated, or broken by us, a real one is only slow."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 512 << 20


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """Give an empty folder, removed at the end: in memory if there is room, else in `otherwise`."""
    fits = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    with tempfile.TemporaryDirectory(prefix="drill-", dir=_MEMORY if fits else otherwise) as folder:
        yield Path(os.path.realpath(folder))


@contextmanager
def emptied(folder: Path) -> Iterator[Path]:
    """Make a folder anew, and remove it at the end."""
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
