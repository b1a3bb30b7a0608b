"""How two readings of one table differ, said in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

MOST = 20
"""How many differences are said one by one."""

Row = tuple[str, ...]


class Apart(NamedTuple):
    """What differs, and in which rows."""

    sentences: list[str]
    rows: list[dict[str, str]]
    """The rows that differ, by column, each as either reading has it."""


def apart(
    ours: Sequence[Row], theirs: Sequence[Row], key: Sequence[str], *, here: str, there: str
) -> Apart:
    """Compare rows, headers first, as `here` and as `there` have them.

    `key` names the columns that tell one row from another. With no difference there is no
    sentence.
    """
    head, their_head = (rows[0] if rows else () for rows in (ours, theirs))
    if head != their_head and (head and their_head):
        return Apart([f"the columns are {_list(their_head)} {there}, {_list(head)} {here}"], [])
    head = head or their_head
    at = [head.index(name) for name in key]
    mine, other = _by_key(ours[1:], at), _by_key(theirs[1:], at)
    sentences: list[str] = []
    rows: list[dict[str, str]] = []

    def add(sentence: str, row: Row) -> None:
        sentences.append(sentence)
        rows.append(dict(zip(head, row, strict=False)))

    for place in [*mine, *(place for place in other if place not in mine)]:
        named = ", ".join(f"{name} {value}" for name, value in zip(key, place, strict=True))
        if place not in other:
            add(f"{named}: missing {there}", mine[place][0])
        elif place not in mine:
            add(f"{named}: only {there}", other[place][0])
        elif mine[place] != other[place]:
            if len(mine[place]) != len(other[place]):
                add(f"{named}: there {len(other[place])} times {there}", mine[place][0])
                continue
            was, now = other[place][0], mine[place][0]
            told = [
                f"{name} is {b or 'empty'} {there}, {a or 'empty'} {here}"
                for name, a, b in zip(head, now, was, strict=False)
                if a != b
            ]
            add(f"{named}: {'; '.join(told) or 'the cells differ'}", now)
    if not sentences and list(ours) != list(theirs):
        sentences.append(f"the rows are in another order {there}")
    return Apart(sentences, rows)


def _by_key(rows: Iterable[Row], at: Sequence[int]) -> dict[Row, list[Row]]:
    found: dict[Row, list[Row]] = {}
    for row in rows:
        place = tuple(row[i] if i < len(row) else "" for i in at)
        found.setdefault(place, []).append(row)
    return found


def lines_apart(ours: Sequence[Row], theirs: Sequence[Row], *, here: str, there: str) -> Apart:
    """Compare lines of text."""
    sentences = [
        f"line {number} is {b!r} {there}, {a!r} {here}"
        for number, ((a,), (b,)) in enumerate(zip(ours, theirs, strict=False), 1)
        if a != b
    ]
    if len(ours) != len(theirs):
        sentences.append(f"there are {len(theirs):,} lines {there}, {len(ours):,} {here}")
    return Apart(sentences, [])


def shortened(sentences: Sequence[str]) -> list[str]:
    """Keep as many sentences as anyone reads, and say how many more there are."""
    if len(sentences) <= MOST:
        return list(sentences)
    return [*sentences[:MOST], f"and {len(sentences) - MOST:,} more differences"]


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
