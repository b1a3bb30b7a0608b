"""What a drill is asked for and what it reports, and how that is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What a call asks for."""

    scratch: Path
    """An empty folder of the drill's own, removed after it with all that lies in it."""
    slice: bool = False
    """A small part of the drill, in a few seconds."""
    seed: int = 1
    """Whatever is left to chance follows from it, as far as processes and disks let it."""

    def size(self, whole: int, slice: int) -> int:
        """Choose the number for the whole drill or for its slice."""
        return slice if self.slice else whole


@dataclass(frozen=True)
class Finding:
    """What one drill, or one part of it, came to."""

    drill: str
    what: str
    """What was done, with its counts: ``80 kills -9, 2 writers``."""
    acknowledged: int
    """Events of which a writer was told that they are in."""
    lost: int
    """Acknowledged, and not there at the end, or not as they were or where they were said to be."""
    doubled: int
    """There more than once."""
    problems: Sequence[str] = ()
    """Whatever else is wrong, one sentence each: what verify says, a gap, an error of a writer."""
    note: str = ""
    """What was measured on the way: ``worst wait 154 ms``."""

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or found wrong."""
        return not (self.lost or self.doubled or self.problems)

    def line(self) -> str:
        """Tell all of it in one line."""
        counts = (
            f"{self.acknowledged:,} events acknowledged, {self.lost} lost, {self.doubled} doubled"
        )
        ending = f"{len(self.problems)} problems" if self.problems else "verified"
        return ", ".join(filter(None, (f"{self.drill}: {self.what}", counts, self.note, ending)))


@dataclass(frozen=True)
class Timed:
    """A finding, and the seconds that it took."""

    finding: Finding
    seconds: float


_HEAD = ("drill", "what was done", "acknowledged", "lost", "doubled", "verify", "s")
_NUMBERS = {2, 3, 4, 6}


def table(results: Sequence[Timed]) -> Iterator[str]:
    """Lay findings out in columns, one line each."""
    rows = [_HEAD, *map(_cells, results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if column in _NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def _cells(result: Timed) -> tuple[str, ...]:
    finding = result.finding
    return (
        finding.drill,
        finding.what,
        f"{finding.acknowledged:,}",
        f"{finding.lost:,}",
        f"{finding.doubled:,}",
        f"{len(finding.problems)} PROBLEMS" if finding.problems else "sound",
        f"{result.seconds:.0f}",
    )
