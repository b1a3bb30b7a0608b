"""The tiles of a longer tree: hashed from the rows, written before anything is signed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ledger.tlog import merkle
from ledger.tlog.files import replace_all
from ledger.tlog.paths import Place
from ledger.tlog.problems import Inconsistent
from ledger.tlog.rows import hash_tiles
from ledger.tlog.tiles import WIDTH, Tiles, split, width_in
from ledger.tlog.verify_proof import Checkpoint
from ledger.tlog.worker_pool import Crew

Told = Callable[[int], object]
"""Told how many more rows are hashed."""

JOB_TILES = 128
"""Tiles of one piece of work: 32,768 rows, and so many files that are made durable together."""


def grow(place: Place, sealed: int, size: int, crew: Crew, told: Told) -> None:
    """Write the tiles that a tree of `size` leaves has beside those of one of `sealed`, durably.

    What the old tree has is not overwritten, but the rows of its last tile are hashed once more.
    Raises Inconsistent where one of them differs from its leaf, or a row is missing.
    """
    begin = max(sealed - 1, 0) // WIDTH
    tops: list[bytes] = []
    jobs = list(pieces(begin, size))
    written = crew.map(_write_tiles, ((place, *job, sealed) for job in jobs))
    for (first, last), made in zip(jobs, written, strict=True):
        tops += made
        told(last - max(first - 1, sealed))
    full = sealed // WIDTH
    _write_above(place.tiles, full, tops[full - begin :], sealed)


def rebuild(place: Place, last: Checkpoint, crew: Crew, told: Told) -> None:
    """Make tiles anew that were lost or damaged, if the rows are still those that were signed.

    Everything is hashed first and written after that: what is there is no worse if the rows are
    not. Raises Inconsistent if so.
    """
    tops: list[bytes] = []
    tail: list[bytes] = []
    jobs = list(pieces(0, last.size))
    for made, rest in crew.map(_hash_rows, ((place, *job) for job in jobs)):
        tops += made
        tail = rest
    nodes = merkle.grown(0, tops, tail, before=_nothing)
    if merkle.root(last.size, nodes) != last.root:
        raise Inconsistent(
            f"nothing is signed: {place.folder} is damaged, and the rows of {place.ledger} are not "
            f"those that were signed as a log of {last.size} events; `verify` says more"
        )
    grow(place, 0, last.size, crew, told)


def drop_partial(tiles: Tiles, sealed: int, size: int) -> None:
    """Remove the partial tiles of an older tree that are full ones in the new."""
    for level in range(8):
        index = (sealed >> (8 * level)) // WIDTH
        if width_in(size, level, index) == WIDTH:
            tiles.drop_partial(level, index)


def pieces(begin: int, last: int) -> Iterator[tuple[int, int]]:
    """Cut the positions from a tile's first up to `last` into pieces of work: (first, last)."""
    step = JOB_TILES * WIDTH
    for first in range(begin * WIDTH + 1, last + 1, step):
        yield first, min(first + step - 1, last)


def _write_tiles(place: Place, first: int, last: int, sealed: int) -> list[bytes]:
    """Hash rows and write their tiles; return the node over each full one."""
    tiles = place.tiles
    files: dict[Path, bytes] = {}
    tops = []
    for index, leaves in _leaves(place, first, last):
        start = index * WIDTH
        if start < sealed:
            _compare(tiles, index, leaves, min(sealed - start, WIDTH))
        if start + len(leaves) > sealed:
            files[tiles.path(0, index, len(leaves))] = b"".join(leaves)
        if len(leaves) == WIDTH:
            tops.append(merkle.top(leaves))
    replace_all(files)
    return tops


def _hash_rows(place: Place, first: int, last: int) -> tuple[list[bytes], list[bytes]]:
    """Hash rows; return the node over each full tile, and the leaves of a last partial one."""
    tops: list[bytes] = []
    for _, leaves in _leaves(place, first, last):
        if len(leaves) < WIDTH:
            return tops, leaves
        tops.append(merkle.top(leaves))
    return tops, []


def _leaves(place: Place, first: int, last: int) -> Iterator[tuple[int, list[bytes]]]:
    """Hash rows, tile by tile; raises Inconsistent where there is none to hash."""
    for index, found, _ in hash_tiles(place.ledger, first, last):
        leaves = [leaf for leaf in found if leaf is not None]
        if len(leaves) < len(found):
            raise Inconsistent(
                f"nothing is signed: position {index * WIDTH + found.index(None) + 1} of "
                f"{place.ledger} is missing, or holds what the ledger never writes"
            )
        yield index, leaves


def _compare(tiles: Tiles, index: int, leaves: list[bytes], width: int) -> None:
    """See whether rows are still as they were sealed."""
    for number, known in enumerate(split(tiles.read(0, index, width))):
        if leaves[number : number + 1] != [known]:
            raise Inconsistent(
                f"nothing is signed: position {index * WIDTH + number + 1} was changed after it "
                "was sealed; `verify` says more"
            )


def _write_above(tiles: Tiles, begin: int, tops: list[bytes], sealed: int) -> None:
    """Write the tiles above those of the leaves; `tops` are the nodes over the new full ones.

    Of the old tree only what its root was computed from is used, so it is known to be right.
    """
    files: dict[Path, bytes] = {}
    level = 1
    while tops:
        first, at = divmod(begin, WIDTH)
        known = tiles.read(level, first, at) if at else b""
        hashes = split(known) + tops
        tops = []
        for index in range(first, first + -(-len(hashes) // WIDTH)):
            tile = hashes[(index - first) * WIDTH : (index - first + 1) * WIDTH]
            files[tiles.path(level, index, len(tile))] = b"".join(tile)
            if len(tile) == WIDTH:
                tops.append(merkle.top(tile))
        begin, level = first, level + 1
    paths = list(files)
    for start in range(0, len(paths), WIDTH):
        replace_all({path: files[path] for path in paths[start : start + WIDTH]})


def _nothing(level: int, index: int) -> bytes:
    raise AssertionError(f"node {level}/{index} lies before the first")
