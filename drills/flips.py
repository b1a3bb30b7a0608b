"""Damage to files: bits, bytes and pages, and where it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeAlias

from drills.life import LEDGER
from drills.pages import page_size, regions

Regions: TypeAlias = Mapping[str, Mapping[str, Sequence[range]]]
"""Of each region the files that it lies in, and where in them."""
_FRAME = 24
_LOG_HEADER = 32


class Flip(NamedTuple):
    """One damage."""

    region: str
    file: str
    kind: str
    what: Callable[[bytearray], object]

    def __str__(self) -> str:
        """Name it in a finding."""
        return f"{self.kind} of {self.region}, {self.file}"


def regions_of(folder: Path) -> Regions:
    """Return which regions the files of a ledger's folder have."""
    found: dict[str, dict[str, Sequence[range]]] = {}

    def add(region: str, file: Path, ranges: Sequence[range]) -> None:
        if any(len(each) for each in ranges):
            found.setdefault(region, {})[str(file.relative_to(folder))] = ranges

    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        whole = [range(path.stat().st_size)]
        name = path.name.removeprefix(LEDGER)
        if name in ("", ".keys", ".views"):
            what = {"": "ledger", ".keys": "keys", ".views": "views"}[name]
            for region, ranges in regions(path).items():
                add(f"{what}: {region}" if what == "ledger" else what, path, ranges)
        elif name == "-wal":
            for region, ranges in _log(path).items():
                add(f"ledger: {region}", path, ranges)
        elif "tile" in path.parts:
            add("log: tiles", path, whole)
        elif path.parent.name == f"{LEDGER}.columns":
            add("snapshot", path, whole)
        elif name != ".lock" and path.name != "lock" and not name.endswith("-shm"):
            add(f"log: {name.lstrip('.')}", path, whole)
    return {name: found[name] for name in sorted(found)}


def flips(
    folder: Path, region: str, files: Mapping[str, Sequence[range]], many: int, chance: Random
) -> Iterator[Flip]:
    """Yield so many different ways to damage a region."""
    for number in range(many):
        file = chance.choice(list(files))
        places = files[file]
        content = (folder / file).read_bytes()
        place = chance.choice(places)
        at = chance.choice(place)
        # Single bits are what happens, and hardest to find.
        kind = ("bit", "bit", "bit", "byte", "zeros", "swap")[number % 6]
        if kind == "swap" and len(places) < 2:
            kind = "bit"
        if kind == "bit":
            bit = chance.randrange(8)
            yield Flip(region, file, f"bit {bit} of byte {at:,}", _xor(at, 1 << bit))
        elif kind == "byte":
            yield Flip(region, file, f"byte {at:,}", _xor(at, chance.randint(1, 255)))
        elif kind == "zeros":
            size = min(len(place), page_size(content) if content.startswith(b"SQLite") else 512)
            start = place.start + (at - place.start) // size * size
            stop = min(start + size, place.stop)
            yield Flip(region, file, f"zeros from byte {start:,}", _zeros(start, stop))
        else:
            one, other = chance.sample(list(places), 2)
            told = f"swap of bytes {one.start:,} and {other.start:,}"
            yield Flip(region, file, told, _swap(one, other))


def _xor(at: int, mask: int) -> Callable[[bytearray], object]:
    def flip(content: bytearray) -> None:
        content[at] ^= mask

    return flip


def _zeros(start: int, stop: int) -> Callable[[bytearray], object]:
    def wipe(content: bytearray) -> None:
        content[start:stop] = bytes(stop - start)

    return wipe


def _swap(one: range, other: range) -> Callable[[bytearray], object]:
    def swap(content: bytearray) -> None:
        first, second = content[one.start : one.stop], content[other.start : other.stop]
        if len(first) == len(second):
            content[one.start : one.stop], content[other.start : other.stop] = second, first

    return swap


def _log(path: Path) -> dict[str, list[range]]:
    """Return the parts of a write-ahead log: its header, those of its frames, and their pages."""
    content = path.read_bytes()
    size = int.from_bytes(content[8:12], "big")
    starts = range(_LOG_HEADER, len(content) - size, size + _FRAME)
    return {
        "log's header": [range(_LOG_HEADER)],
        "log's frame headers": [range(start, start + _FRAME) for start in starts],
        "log's pages": [range(start + _FRAME, start + _FRAME + size) for start in starts],
    }
