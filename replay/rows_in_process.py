"""How two readings of one table differ, said in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
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


def lines_apart(ours: Iterable[Row], theirs: Iterable[Row], *, here: str, there: str) -> Apart:
    """Compare lines of text, of which none is held; sentences are shortened."""
    sentences: list[str] = []
    more = here_count = there_count = 0
    for number, (our, their) in enumerate(zip_longest(ours, theirs), 1):
        here_count += our is not None
        there_count += their is not None
        if our is None or their is None or our == their:
            continue
        if len(sentences) < MOST - 1:
            sentences.append(f"line {number} is {their[0]!r} {there}, {our[0]!r} {here}")
        else:
            more += 1
    if here_count != there_count:
        sentences.append(f"there are {there_count:,} lines {there}, {here_count:,} {here}")
    if more:
        sentences.append(f"and {more:,} more differences")
    return Apart(sentences, [])


def shortened(sentences: Sequence[str]) -> list[str]:
    """Keep as many sentences as anyone reads, and say how many more there are."""
    if len(sentences) <= MOST + 1:  # to say that there is one more takes as much room as it does
        return list(sentences)
    return [*sentences[:MOST], f"and {len(sentences) - MOST:,} more differences"]


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
