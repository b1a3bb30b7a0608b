"""The hashes of the tree in files, as c2sp.org/tlog-tiles lays them out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ledger.own_folder import remove_folder
from ledger.problems import LogProblem
from ledger.tlog import merkle

WIDTH = 256
HASH = 32
LEVELS = 8
"""A tile holds 256 hashes of 32 bytes; a level of tiles stands for 8 levels of the tree."""


_PARTIAL = re.compile(r"[0-9]{1,3}")


class TileMissing(LogProblem):
    """A tile that a tree of that size has is not there, or cut off."""


def tile_name(level: int, index: int, width: int = WIDTH) -> str:
    """Name a tile's file below the log's folder; a `width` below 256 names a partial one.

    >>> tile_name(0, 1234067), tile_name(1, 0, 17)
    ('tile/0/x001/x234/067', 'tile/1/000.p/17')
    """
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.append(f"x{index % 1000:03d}")
    path = "/".join(reversed(parts))
    return f"tile/{level}/{path}" if width == WIDTH else f"tile/{level}/{path}.p/{width}"


def width_in(size: int, level: int, index: int) -> int:
    """Return how many hashes a tile has in a tree of `size` leaves; 0: it is none of its tiles."""
    return max(0, min(WIDTH, (size >> (LEVELS * level)) - index * WIDTH))


def split(tile: bytes) -> list[bytes]:
    """Return a tile's hashes."""
    return [tile[at : at + HASH] for at in range(0, len(tile), HASH)]


class Tiles:
    """The tiles in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, level: int, index: int, width: int = WIDTH) -> Path:
        """Return where a tile lies."""
        return self.folder / tile_name(level, index, width)

    def read(self, level: int, index: int, width: int = WIDTH) -> bytes:
        """Return the first `width` hashes of a tile; raises TileMissing.

        From the file of that width or, once it is there, from the full one.
        """
        for wide in dict.fromkeys((width, WIDTH)):
            path = self.path(level, index, wide)
            try:
                with path.open("rb") as file:
                    content = file.read(width * HASH)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise TileMissing(f"{path} cannot be read: {error.strerror}") from None
            if len(content) == width * HASH:
                return content
        raise TileMissing(
            f"{tile_name(level, index, width)} is missing from {self.folder}, or cut off"
        )

    def drop_partial(self, level: int, index: int) -> None:
        """Remove the partial tiles that a full one has replaced."""
        full = self.path(level, index)
        remove_folder(full.with_name(f"{full.name}.p"), _PARTIAL)


class Tree:
    """The tree of a size, read from its tiles."""

    def __init__(self, tiles: Tiles, size: int) -> None:
        self._tiles = tiles
        self.size = size
        self._read = lru_cache(64)(self._levels)

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete node of the tree; raises TileMissing."""
        tile_level, up = divmod(level, LEVELS)
        tile, at = divmod(index << up, WIDTH)
        return self._read(tile_level, tile)[up][at >> up]

    def root(self) -> bytes:
        """Return the root; raises TileMissing."""
        return merkle.root(self.size, self.node)

    def root_at(self, size: int) -> bytes:
        """Return the root when the tree had a smaller size; raises TileMissing."""
        return merkle.root(size, self.node)

    def leaf(self, position: int) -> bytes:
        """Return the hash of the leaf of a position; raises TileMissing."""
        return self.node(0, position - 1)

    def inclusion_path(self, position: int) -> list[bytes]:
        """Return the inclusion proof of a position; raises TileMissing."""
        return merkle.inclusion_path(position - 1, self.size, self.node)

    def consistency_path(self, old: int, size: int | None = None) -> list[bytes]:
        """Return the proof that the tree of `size` (or all) continues the one of `old`."""
        return merkle.consistency_path(old, self.size if size is None else size, self.node)

    def _levels(self, level: int, index: int) -> Sequence[list[bytes]]:
        """Return a tile's hashes and the levels of the tree above them, up to the next tile's."""
        hashes = split(self._tiles.read(level, index, width_in(self.size, level, index)))
        levels = [hashes]
        while len(hashes) > 1:
            hashes = merkle.above(hashes)
            levels.append(hashes)
        return levels
