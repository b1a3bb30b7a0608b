"""The table that `make bench` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.measure import Figure

_HEAD = ("what", "ours", "peer", "", "ratio", "asked", "load", "reached")


def lines(figures: Sequence[Figure]) -> Iterator[str]:
    """Lay figures out in columns, one line each, then what is to be said of them."""
    rows = [_HEAD, *map(_cells, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    numbers = {1, 2, 4, 6}
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)
    notes = {figure.note: figure for figure in reversed(figures) if figure.note}
    if notes:
        yield ""
    for note, figure in reversed(notes.items()):
        beside = f" beside {figure.peer_name}" if figure.peer_name else ""
        yield f"{figure.what}{beside}: {note}"


def _cells(figure: Figure) -> tuple[str, ...]:
    reached = {True: "yes", False: "NO", None: ""}[figure.reached]
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    return (
        figure.what,
        quantity(figure.ours, figure.unit),
        "" if figure.peer is None else quantity(figure.peer, figure.unit),
        figure.peer_name,
        ratio,
        _asked(figure),
        f"{figure.load:.1f}",
        reached,
    )


def _asked(figure: Figure) -> str:
    unit = "" if figure.peer is not None else f" {figure.unit}"
    if figure.at_least is not None:
        return f"≥ {figure.at_least:,}{unit}"
    return "" if figure.at_most is None else f"≤ {figure.at_most:,}{unit}"


def quantity(value: float, unit: str) -> str:
    """Write a quantity with as many digits as say something.

    >>> quantity(1234567.8, "/s"), quantity(0.04321, "s")
    ('1,234,568/s', '0.043 s')
    """
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    gap = "" if unit == "/s" else " "
    return f"{value:,.{digits}f}{gap}{unit}"
