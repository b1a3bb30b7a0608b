"""What may be left of a disk at a cut: for each way of losing what was not synced, the files.

Each way is a plain function of what is pending and of chance. Real disks do some of these; together
they are meant to do worse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeAlias

from drills.disk import Change, Disk, File, Folder, Naming, Resize, Write, replayed

SECTOR = 512

Left: TypeAlias = dict[str, bytes | None]
"""What is there after a cut: content by path below the root, None for a folder."""


class Way(NamedTuple):
    """One way of losing: what becomes of a file's changes, and which names hold."""

    content: Callable[[File, Random], bytes]
    names: Callable[[Sequence[Naming], Random], Sequence[Naming]]


def dropped(file: File, chance: Random) -> bytes:
    """Nothing that was not synced is there."""
    return file.durable


def kept(file: File, chance: Random) -> bytes:
    """All of it is there."""
    return replayed(file.durable, file.pending)


def halved(file: File, chance: Random) -> bytes:
    """The last write came to its half."""
    changes = list(file.pending)
    if changes and isinstance(last := changes[-1], Write):
        changes[-1] = last._replace(content=last.content[: len(last.content) // 2])
    return replayed(file.durable, changes)


def begun(file: File, chance: Random) -> bytes:
    """The first so many are there, and half of the next."""
    changes = file.pending[: chance.randint(0, len(file.pending))]
    return halved(File(file.durable, changes), chance)


def reordered(file: File, chance: Random) -> bytes:
    """Some are there and some not, whichever came first."""
    share = chance.choice((0.2, 0.5, 0.8))
    return replayed(file.durable, [each for each in file.pending if chance.random() < share])


def torn(file: File, chance: Random) -> bytes:
    """Of each write some sectors are there, and some of the length."""
    share = chance.choice((0.1, 0.5, 0.9))
    return _filled(
        replayed(file.durable, list(_sectors(file.pending, share, chance))), file, chance
    )


def grown(file: File, chance: Random) -> bytes:
    """The length is there, and of the bytes none: zeros, or whatever lay on the disk before."""
    return _filled(file.durable, file, chance, always=True)


def no_names(pending: Sequence[Naming], chance: Random) -> Sequence[Naming]:
    """No name that was not synced holds."""
    return ()


def all_names(pending: Sequence[Naming], chance: Random) -> Sequence[Naming]:
    """Every one holds."""
    return pending


def some_names(pending: Sequence[Naming], chance: Random) -> Sequence[Naming]:
    """Some hold and some not, whichever came first."""
    return [naming for naming in pending if chance.random() < 0.5]


def first_names(pending: Sequence[Naming], chance: Random) -> Sequence[Naming]:
    """The first so many hold."""
    return pending[: chance.randint(0, len(pending))]


WAYS: Mapping[str, Way] = {
    "dropped": Way(dropped, no_names),
    "kept": Way(kept, all_names),
    "named, but empty": Way(dropped, all_names),
    "written, but nameless": Way(kept, no_names),
    "halved": Way(halved, all_names),
    "begun": Way(begun, first_names),
    "reordered": Way(reordered, some_names),
    "torn": Way(torn, some_names),
    "torn, but named": Way(torn, all_names),
    "grown": Way(grown, all_names),
}


def left(disk: Disk, way: Way, chance: Random) -> Left:
    """Return what is there when the power fails now."""
    names: dict[int, dict[str, File | Folder]] = {}
    for naming in way.names(disk.naming, chance):
        for folder, name, node in naming.names:
            there = names.setdefault(id(folder), dict(folder.durable))
            if node is None:
                there.pop(name, None)
            else:
                there[name] = node
    contents: dict[int, bytes] = {}

    def walk(folder: Folder, below: str) -> Iterator[tuple[str, bytes | None]]:
        for name, node in sorted(names.get(id(folder), folder.durable).items()):
            path = f"{below}{name}"
            if isinstance(node, Folder):
                yield path, None
                yield from walk(node, f"{path}/")
            else:
                if id(node) not in contents:  # two names of one file hold the same
                    contents[id(node)] = way.content(node, chance)
                yield path, contents[id(node)]

    return dict(walk(disk.root, ""))


def digest(files: Left) -> bytes:
    """Tell one state from another, by all but SQLite's -shm, which is to be made anew anyway."""
    summed = hashlib.blake2b(digest_size=16)
    for path, content in files.items():
        if not path.endswith("-shm"):
            summed.update(f"{path}\0{-1 if content is None else len(content)}\0".encode())
            summed.update(content or b"")
    return summed.digest()


def lay_out(files: Left, folder: Path) -> None:
    """Write what is there into an empty folder."""
    for path, content in files.items():
        place = folder / path
        if content is None:
            place.mkdir()
        else:
            # SQLite's -shm is written through memory: whatever was there of it may be there.
            place.write_bytes(b"?" * len(content) if path.endswith("-shm") else content)
            # A name that holds, of a key that only its owner may read.
            place.chmod(0o600 if ".keys" in path or ".signing-key" in path else 0o644)


def _sectors(changes: Sequence[Change], share: float, chance: Random) -> Iterator[Change]:
    for change in changes:
        if isinstance(change, Resize):
            if chance.random() < share:
                yield change
            continue
        end = change.at + len(change.content)
        at = change.at
        while at < end:
            until = min(end, (at // SECTOR + 1) * SECTOR)
            if chance.random() < share:
                yield Write(change.order, at, change.content[at - change.at : until - change.at])
            at = until


def _filled(content: bytes, file: File, chance: Random, *, always: bool = False) -> bytes:
    """Return a file more of its new length than of its bytes."""
    missing = file.size - len(content)
    if missing <= 0 or not (always or chance.random() < 0.5):
        return content
    missing = missing if always else chance.randint(0, missing)
    return content + (bytes(missing) if chance.random() < 0.5 else chance.randbytes(missing))
