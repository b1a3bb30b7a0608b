"""Rows beside the leaves that they were sealed as: the work of the processes that verify.

It imports no more than it needs, so that they start quickly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger.problems import LedgerProblem
from ledger.tlog import merkle
from ledger.tlog.checkpoint import LogPaths
from ledger.tlog.leaf import hash_tiles
from ledger.tlog.tiles import LEVELS, WIDTH, TileMissing, Tree, split, width_in

_MOST = 256
"""So many rows that differ are looked into, of each piece of work."""
_NO_LEAF = bytes(32)


class Compared(NamedTuple):
    """What the comparison of some rows came to: plain values, since another process makes it."""

    tops: list[bytes]
    """The node over each full tile, hashed from the rows."""
    tail: list[bytes]
    """The leaves of a last partial tile, hashed from the rows."""
    different: list[tuple[int, bool]]
    """(position, whether it has a row) of those that differ from their leaf; the first of them."""
    how_many: int
    """How many differ."""
    unread: list[int]
    """The tiles that cannot be read."""
    broken: str
    """Why the rows cannot be read; empty if they can."""


def compare(paths: LogPaths, first: int, last: int, size: int) -> Compared:
    """Hash rows and compare them with their leaves in the log of `size`: one piece of work."""
    found = Compared([], [], [], 0, [], "")
    tail: list[bytes] = []
    count = 0
    try:
        for tile, leaves, present in hash_tiles(paths.ledger, first, last):
            hashes = [leaf or _NO_LEAF for leaf in leaves]
            try:
                known = paths.tiles.read(0, tile, width_in(size, 0, tile))
            except TileMissing:
                found.unread.append(tile)
            else:
                if b"".join(hashes) != known:
                    for number, (leaf, sealed) in enumerate(
                        zip(hashes, split(known), strict=False), 1
                    ):
                        if leaf != sealed:
                            count += 1
                            position = tile * WIDTH + number
                            there = present is None or position in present
                            found.different.append((position, there))
                    del found.different[_MOST:]
            if len(hashes) == WIDTH:
                found.tops.append(merkle.top(hashes))
            else:
                tail = hashes
    except LedgerProblem as problem:
        return found._replace(broken=str(problem))
    return found._replace(tail=tail, how_many=count)


def other_nodes(tree: Tree, begin: int, tops: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Find nodes that the log holds otherwise than the rows say, or not at all: (level, index).

    `tops` are the nodes (8, begin) … hashed from rows. Lowest first.
    """
    level, hashes, start = LEVELS, list(tops), begin
    while hashes:
        for index, hash in enumerate(hashes, start):
            if _node_or_none(tree, level, index) != hash:
                yield level, index
        lead = -start % WIDTH  # up to the first node above that lies wholly over them
        start = (start + lead) // WIDTH
        whole = range(lead, len(hashes) - WIDTH + 1, WIDTH)
        hashes = [merkle.top(hashes[at : at + WIDTH]) for at in whole]
        level += LEVELS


def _node_or_none(tree: Tree, level: int, index: int) -> bytes | None:
    try:
        return tree.node(level, index)
    except TileMissing:
        return None
