"""RFC 6962 trees: roots and proofs, from the hashes of complete subtrees.

A node (level, index) is the hash over the leaves index · 2^level up to (index + 1) · 2^level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import TypeAlias

from ledger.tlog.verify_proof import EMPTY_ROOT, node_hash

Nodes: TypeAlias = Callable[[int, int], bytes]
"""Gives the hash of the node (level, index), which must be complete."""


def root(size: int, nodes: Nodes) -> bytes:
    """Return the root over the first `size` leaves."""
    return _range_hash(0, size, nodes) if size else EMPTY_ROOT


def inclusion_path(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return the hashes beside the way from a leaf (counted from 0) up to the root (2.1.1)."""
    low, high = 0, size
    path: list[bytes] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_hash(middle, high, nodes))
            high = middle
        else:
            path.append(_range_hash(low, middle, nodes))
            low = middle
    return path[::-1]


def consistency_path(old: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return the hashes that show that the tree of `old` leaves begins the one of `size` (2.1.2).

    0 ≤ old ≤ size; empty when old is 0 or size.
    """
    if old in (0, size):
        return []
    low, high, complete = 0, size, True
    path: list[bytes] = []
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range_hash(middle, high, nodes))
            high = middle
        else:
            path.append(_range_hash(low, middle, nodes))
            low, complete = middle, False
    if not complete:
        path.append(_range_hash(low, high, nodes))
    return path[::-1]


def above(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the nodes over pairs of nodes; one left over at the end is left out."""
    pairs: Iterator[bytes] = iter(hashes)
    # What node_hash does, without the call: this is a third of what a leaf costs.
    return [
        sha256(b"\1" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)
    ]


def top(hashes: Sequence[bytes]) -> bytes:
    """Return the node over all of a power of two of nodes."""
    while len(hashes) > 1:
        hashes = above(hashes)
    return hashes[0]


def grown(begin: int, tops: Sequence[bytes], tail: Sequence[bytes], before: Nodes) -> Nodes:
    """Return the nodes of a tree of which all from leaf 256 · `begin` on is at hand.

    `tops` are the nodes (8, begin), (8, begin + 1) …, `tail` the leaves after those; `before` gives
    the nodes that lie before them all.
    """
    first_of_tail = (begin + len(tops)) * 256

    def node(level: int, index: int) -> bytes:
        start, end = index << level, (index + 1) << level
        if end <= begin * 256:
            return before(level, index)
        if level == 8:
            return tops[index - begin]
        if level < 8:
            return top(tail[start - first_of_tail : end - first_of_tail])
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


def _split(size: int) -> int:
    """Return the largest power of two below a size of at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_hash(low: int, high: int, nodes: Nodes) -> bytes:
    size = high - low
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return nodes(level, low >> level)  # low is a multiple of any split above it
    middle = low + _split(size)
    return node_hash(_range_hash(low, middle, nodes), _range_hash(middle, high, nodes))
