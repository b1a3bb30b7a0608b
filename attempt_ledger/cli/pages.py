"""What pages of text are made of: lines, headed blocks and columns that wrap within 80."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ledger.problems import printable

GOOD = "bold green"
BAD = "bold red"
WAIT = "yellow"
HEAD = "bold"
QUIET = "dim"

Cell = str | Text
_INDENT = (0, 0, 0, 2)


def text(words: str, style: str = "") -> Text:
    """Make styled text that wraps; what is recorded cannot steer the terminal."""
    return Text(printable(words, keep="\n"), style=style)


def cell(words: Cell) -> Text:
    """Take text as it is, and words as text."""
    return words if isinstance(words, Text) else text(words)


def page(*parts: RenderableType | None) -> Group:
    """Put the parts that there are below one another, an empty line between each."""
    there = [part for part in parts if part is not None]
    spaced: list[RenderableType] = []
    for part in there:
        spaced += [part] if not spaced else [Text(), part]
    return Group(*spaced)


def block(heading: str, *parts: RenderableType) -> Group:
    """Put parts, indented, below a heading."""
    return Group(text(heading, HEAD), *(Padding(part, _INDENT) for part in parts))


def columns(
    rows: Iterable[Sequence[Cell]],
    *,
    head: Sequence[str] = (),
    right: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> Table:
    """Lay rows out in columns two blanks apart; those named in `whole` are never wrapped."""
    rows = [[cell(each) for each in row] for row in rows]
    table = Table(
        box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=bool(head), header_style=QUIET
    )
    for i in range(len(head) or max((len(row) for row in rows), default=0)):
        table.add_column(
            head[i] if head else "",
            justify="right" if i in right else "left",
            no_wrap=i in whole,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    return table


def labelled(pairs: Iterable[tuple[str, Cell]]) -> Table:
    """Lay out names and what belongs to them, the names in quiet."""
    return columns([(text(name, QUIET), value) for name, value in pairs], whole=(0,))
