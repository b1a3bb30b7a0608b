"""What was done to a row that differs from its leaf, where that can be found out.

The leaf is a hash: it shows that a row is another, not what it was. So likely values are tried, one
column at a time, until one gives the leaf.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.store.inspection import Finding
from ledger.store.sealing import inspection_of
from ledger.tlog import merkle
from ledger.tlog.checkpoint import LogPaths
from ledger.tlog.leaf import leaf_hash_or_none
from ledger.tlog.tiles import LEVELS, WIDTH, TileMissing, Tree, width_in
from ledger.upcasts import TOPICS

_MOST = 64
_AROUND = 128
_TRIED = ("recorded_at", "stream", "source", "id", "actor", "exam", "key", "data", "extensions")
_CLOCKS = ("recorded_at", "occurred_at")


def explained(
    paths: LogPaths, tree: Tree, root: bytes, different: Sequence[tuple[int, bool]], how_many: int
) -> list[Finding]:
    """Return what is wrong with rows unlike their leaves: (position, has a row) of each."""
    some = different[:_MOST]
    tiles = {(position - 1) // WIDTH for position, _ in some}
    signed = {tile for tile in tiles if _is_signed(tree, root, tile)}
    leaves = {
        position: tree.leaf(position) for position, _ in some if (position - 1) // WIDTH in signed
    }
    findings = []
    with inspection_of(paths.ledger).reading(paths.ledger) as reading:
        for position, there in some:
            if not there:
                findings.append(Finding(position, f"position {position} is missing"))
                continue
            if position not in leaves:
                findings.append(
                    Finding(
                        position,
                        f"position {position} differs from the hash beside it, which is not the "
                        "one that was signed either",
                    )
                )
                continue
            around = reading.found(position - _AROUND, position + _AROUND)
            near = [Recorded(*row) for row in around]
            row = next((row for row in near if row.position == position), None)
            if row is None:
                what = "is found or not, by how it is looked for: the table's pages are in disorder"
            else:
                what = _what(row, leaves, near)
            findings.append(Finding(position, f"position {position} {what}"))
    if how_many > len(some):
        findings.append(
            Finding(
                some[-1][0] + 1,
                f"{how_many - len(some)} more positions differ from what was sealed",
            )
        )
    return findings


def _what(row: Recorded, leaves: dict[int, bytes], near: Sequence[Recorded]) -> str:
    leaf = leaves[row.position]
    for other in leaves:
        if leaf_hash_or_none(row._replace(position=other)) == leaves[other]:
            return f"holds the event that was sealed as position {other}: they were moved"
    for column, value in _guesses(row, near):
        if leaf_hash_or_none(row._replace(**{column: value})) == leaf:
            return f"was changed: its {column} was {_shown(column, value)} when it was sealed"
    said = "was changed after it was sealed, or another event was put in its place"
    for neighbour in near:
        if neighbour.position == row.position - 1 and _later(neighbour, row):
            return f"{said}; its recorded_at lies before that of position {neighbour.position}"
        if neighbour.position == row.position + 1 and _later(row, neighbour):
            return f"{said}; its recorded_at lies after that of position {neighbour.position}"
    return said


def _guesses(row: Recorded, near: Sequence[Recorded]) -> Iterator[tuple[str, Any]]:
    """Yield likely values of single columns: those of the rows around it, and all known topics."""
    for topic in TOPICS:
        yield "topic", topic
    for column in _TRIED:
        for value in dict.fromkeys(getattr(other, column) for other in near):
            yield column, value
    for column in ("actor", "exam", "key", "flag", "until", "annuls", "extensions"):
        yield column, None
    for flag in range(4):
        yield "flag", flag
    yield "occurred_at", row.recorded_at
    if row.recorded_at and isinstance(row.occurred_at, int):
        yield "recorded_at", row.occurred_at


def _later(row: Recorded, than: Recorded) -> bool:
    return (
        type(row.recorded_at) is int
        and type(than.recorded_at) is int
        and row.recorded_at > than.recorded_at
    )


def _shown(column: str, value: Any) -> str:
    if column in _CLOCKS and type(value) is int:
        return format_instant(value)
    return (
        "empty"
        if value is None
        else ascii(value)
        if column in ("data", "extensions")
        else str(value)
    )


def _is_signed(tree: Tree, root: bytes, tile: int) -> bool:
    """Return whether the stored leaves of a tile lead to the signed root by the stored nodes above.

    A partial tile on the edge of the tree is what the root is made of; above a full one stands its
    node, in a tile that is looked at likewise.
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
