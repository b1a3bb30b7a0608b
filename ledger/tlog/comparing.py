"""Rows beside the leaves they were sealed as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger.problems import LedgerProblem
from ledger.tlog import merkle
from ledger.tlog.paths import Place
from ledger.tlog.rows import hash_tiles
from ledger.tlog.tiles import LEVELS, WIDTH, TileMissing, Tree, split, width_in

MOST_TOLD = 256
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


def compare(place: Place, first: int, last: int, size: int) -> Compared:
    """Hash rows and compare them with their leaves in the log of `size`: one piece of work."""
    found = Compared([], [], [], 0, [], "")
    tail: list[bytes] = []
    count = 0
    try:
        for tile, leaves, present in hash_tiles(place.ledger, first, last):
            hashes = [leaf or _NO_LEAF for leaf in leaves]
            try:
                known = place.tiles.read(0, tile, width_in(size, 0, tile))
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
                    del found.different[MOST_TOLD:]
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


def is_signed(tree: Tree, root: bytes, tile: int) -> bool:
    """Return whether the stored leaves of a tile lead to the signed root by the stored nodes above.

    A partial tile on the edge of the tree is what the root is made of; above a full one stands its
    node, in a tile of which the same is asked.
    """
    level = 0
    try:
        while width_in(tree.size, level, tile) == WIDTH:
            nodes = [tree.node(level * LEVELS, tile * WIDTH + number) for number in range(WIDTH)]
            if merkle.top(nodes) != tree.node((level + 1) * LEVELS, tile):
                return False
            level, tile = level + 1, tile // WIDTH
        return tree.root() == root
    except TileMissing:
        return False
