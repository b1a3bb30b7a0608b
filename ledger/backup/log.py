"""A copy of the transparency log, as of one checkpoint, while others go on sealing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from ledger.durable import replace, replace_all
from ledger.store.file import storage_problems
from ledger.tlog.checkpoint import LogPaths
from ledger.tlog.tiles import LEVELS, width_in

_AT_ONCE = 256


def copy_log(source: LogPaths, copy: LogPaths, size: int, note: bytes, keys: bytes) -> None:
    """Copy what a log of `size` events consists of: tiles, checkpoint, verifier keys; durably.

    A tile that has grown since is taken as it was. Raises TileMissing, and LedgerProblem.
    """
    files: dict[Path, bytes] = {}
    with storage_problems(copy.folder):
        for level, index, width in tiles_in(size):
            files[copy.tiles.path(level, index, width)] = source.tiles.read(level, index, width)
            if len(files) == _AT_ONCE:
                replace_all(files)
                files.clear()
        replace_all(files)
        replace(copy.verifier_key, keys)
        replace(copy.checkpoint, note)


def tiles_in(size: int) -> Iterator[tuple[int, int, int]]:
    """Name the tiles of a log of `size` events: level, index, width.

    >>> list(tiles_in(600))
    [(0, 0, 256), (0, 1, 256), (0, 2, 88), (1, 0, 2)]
    """
    for level in count():
        if not size >> (LEVELS * level):
            return
        for index in count():
            width = width_in(size, level, index)
            if not width:
                break
            yield level, index, width
