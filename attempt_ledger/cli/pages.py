"""What pages of text are made of: styled lines, headed blocks and columns that wrap.

Our own, since a page needs these few parts, and the library that has all others takes a quarter of
the time of a whole answer.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from shutil import get_terminal_size
from typing import IO, Final, Protocol, TypeAlias
from unicodedata import combining, east_asian_width

from attempt_ledger.cli.output import WIDTH, to_standard_output
from ledger.problems import printable
from projections.sentences import Show

HEAD, QUIET, GREEN, RED, WAIT = "1", "2", "32", "31", "33"
GOOD, BAD = f"{HEAD};{GREEN}", f"{HEAD};{RED}"
"""How a terminal shows it (ECMA-48)."""

ERASED, UNREADABLE = "erased", "cannot be read: encrypted with another key, or changed"
"""What stands for a personal field that is not shown."""


_WIDEST: Final = 100
_GAP: Final = 2
_WORD = re.compile(r"\s*\S+\s*")

Line: TypeAlias = list[tuple[str, str]]
"""Pieces of text, each with its style."""


class Part(Protocol):
    """What a page is put together of."""

    @property
    def width(self) -> int:
        """How wide it is where nothing is wrapped."""

    def lines(self, width: int) -> Iterable[Line]:
        """Return its lines, none wider than `width`."""


class Text:
    """Styled text that wraps; what is recorded cannot steer the terminal."""

    def __init__(self, words: str = "", style: str = "", *more: Text) -> None:
        """Begin with some words; further texts go on where they end."""
        self._pieces: Line = [(printable(words, keep="\n"), style)]
        for text in more:
            self._pieces += text._pieces

    @property
    def width(self) -> int:
        """The width of its longest line."""
        return max(sum(_cells(words) for words, _ in line) for line in self._split())

    def lines(self, width: int) -> Iterator[Line]:
        """Break lines where words end; a word wider than a line, where the line does."""
        for line in self._split():
            begin = 0
            for end in (*_breaks("".join(words for words, _ in line), width), None):
                yield _cut(line, begin, end)
                begin = end or begin

    def _split(self) -> list[Line]:
        lines: list[Line] = [[]]
        for words, style in self._pieces:
            first, *rest = words.split("\n")
            lines[-1].append((first, style))
            lines += [[(each, style)] for each in rest]
        return lines


class Stack:
    """Parts below one another."""

    def __init__(self, *parts: Part, indent: int = 0) -> None:
        """Put parts below one another, all of them indented."""
        self._parts = parts
        self._indent = indent

    @property
    def width(self) -> int:
        """The width of the widest."""
        return self._indent + max((part.width for part in self._parts), default=0)

    def lines(self, width: int) -> Iterator[Line]:
        """Return the lines of all."""
        for part in self._parts:
            for line in part.lines(max(1, width - self._indent)):
                yield [(" " * self._indent, ""), *line]


class Columns:
    """Rows of cells in columns two blanks apart."""

    def __init__(
        self, rows: Sequence[Sequence[Part]], *, right: Sequence[int], whole: Sequence[int]
    ) -> None:
        """Arrange rows; the columns in `right` end flush, those in `whole` are never wrapped."""
        self._rows = rows
        self._right = right
        self._whole = whole
        count = max((len(row) for row in rows), default=0)
        self._widths = [max(row[n].width for row in rows) for n in range(count)]

    @property
    def width(self) -> int:
        """The width of all columns and what is between them."""
        return sum(self._widths) + _GAP * max(0, len(self._widths) - 1)

    def lines(self, width: int) -> Iterator[Line]:
        """Return the lines of each row, its cells side by side, from the top."""
        widths = self._narrowed(width)
        for row in self._rows:
            cells = [list(part.lines(w)) for part, w in zip(row, widths, strict=True)]
            for side_by_side in zip_longest(*cells, fillvalue=[]):
                line: Line = []
                for n, (cell, w) in enumerate(zip(side_by_side, widths, strict=True)):
                    free = " " * (w - sum(_cells(words) for words, _ in cell))
                    line += [(free, ""), *cell] if n in self._right else [*cell, (free, "")]
                    line.append((" " * _GAP, ""))
                yield line

    def _narrowed(self, width: int) -> list[int]:
        """Return the columns' widths, the widest of those that wrap made narrower to fit."""
        widths = list(self._widths)
        wrapping = [n for n in range(len(widths)) if n not in self._whole]
        for _ in range(max(0, self.width - width)):
            widest = max(wrapping, key=lambda n: (widths[n], n), default=None)
            if widest is None or widths[widest] == 1:
                break
            widths[widest] -= 1
        return widths


def text(words: str, style: str = "") -> Text:
    """Make styled text."""
    return Text(words, style)


def page(*parts: Part | None) -> Stack:
    """Put the parts that there are below one another, an empty line between each."""
    spaced: list[Part] = []
    for part in parts:
        if part is not None:
            spaced += [part] if not spaced else [Text(), part]
    return Stack(*spaced)


def block(heading: str, *parts: Part) -> Stack:
    """Put parts, indented, below a heading."""
    return Stack(Text(heading, HEAD), Stack(*parts, indent=2))


def columns(
    rows: Iterable[Sequence[str | Part]],
    *,
    head: Sequence[str] = (),
    right: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> Columns:
    """Arrange rows in columns, below their names if they have any."""
    cells = [[Text(each) if isinstance(each, str) else each for each in row] for row in rows]
    if head:
        cells.insert(0, [Text(name, QUIET) for name in head])
    return Columns(cells, right=right, whole=whole)


def labelled(pairs: Iterable[tuple[str, str | Part]]) -> Columns:
    """Arrange names and what belongs to them, the names in quiet."""
    return columns([(Text(name, QUIET), value) for name, value in pairs], whole=(0,))


def moment_lines(
    as_of: int, known_at: int | None, position: int, instant: Show
) -> Iterator[tuple[str, str]]:
    """Yield which moment was asked about."""
    yield "as of", instant(as_of)
    known = "before any event" if known_at is None else instant(known_at)
    yield "known at", f"{known}, position {position}"


def show(page: Part, file: IO[str] | None = None) -> None:
    """Put a page on standard output: 80 columns wide, or as wide as a terminal, at most 100.

    In colour on a terminal alone, and not where NO_COLOR is set. Or write it to a file, plainly.
    """
    if file is not None:
        for line in page.lines(WIDTH):
            file.write("".join(words for words, _ in line).rstrip() + "\n")
        return
    terminal = sys.stdout.isatty()
    width = min(get_terminal_size((WIDTH, 24)).columns, _WIDEST) if terminal else WIDTH
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    with to_standard_output():
        for line in page.lines(width):
            plain = "".join(words for words, _ in line).rstrip()
            sys.stdout.write(f"{_coloured(line) if colour else plain}\n")


def _coloured(line: Line) -> str:
    return "".join(f"\x1b[{style}m{words}\x1b[0m" if style else words for words, style in line)


def _cells(words: str) -> int:
    """Return how many cells of a terminal words take."""
    if words.isascii():
        return len(words)
    wide = sum(east_asian_width(letter) in "WF" for letter in words)
    return len(words) + wide - sum(combining(letter) > 0 for letter in words)


def _breaks(line: str, width: int) -> Iterator[int]:
    """Yield where a line is broken, so that no piece is wider than `width`."""
    used = 0
    for match in _WORD.finditer(line):
        word, start = match[0], match.start()
        size = _cells(word.rstrip())
        if size <= width - used:
            used += _cells(word)
            continue
        if used:
            yield start
        used = 0
        for letter in word if size > width else ():
            if used + _cells(letter) > width:
                yield start
                used = 0
            used += _cells(letter)
            start += 1
        used = used or _cells(word)


def _cut(line: Line, begin: int, end: int | None) -> Line:
    """Return what stands in a line from one letter up to another, without blanks at a break."""
    found, at = [], 0
    for words, style in line:
        piece = words[max(0, begin - at) : None if end is None else max(0, end - at)]
        found.append((piece, style))
        at += len(words)
    while end is not None and found and found[-1][0] != (bare := found[-1][0].rstrip()):
        found[-1] = (bare, found[-1][1])
        if not bare:
            found.pop()
    return found
