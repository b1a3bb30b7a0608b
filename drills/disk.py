"""A disk as a power cut leaves it: what was synced is there; of the rest, who knows.

It is taken to do less than most: a file's sync makes the file's own bytes and length durable, not
its name; a name is durable once its folder was synced; nothing is kept in the order it was done in.
What stands is that a rename is done or not, and that a sector of 512 bytes is old or new.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple, TypeAlias

from drills.tracing import Call


class NotSimulated(RuntimeError):
    """A call that this disk does not know what to make of."""


class Write(NamedTuple):
    """Bytes written to a file, not synced yet."""

    order: int
    at: int
    content: bytes


class Resize(NamedTuple):
    """A file's length set, not synced yet."""

    order: int
    size: int


Change: TypeAlias = Write | Resize


@dataclass(eq=False)
class File:
    """A file: what of it is durable, and what was done to it since."""

    durable: bytes = b""
    pending: list[Change] = field(default_factory=list)
    size: int = 0
    """With all that is pending."""


@dataclass(eq=False)
class Folder:
    """A folder: the names that are durable, and those that programs see."""

    durable: dict[str, Node] = field(default_factory=dict)
    seen: dict[str, Node] = field(default_factory=dict)


Node: TypeAlias = File | Folder


class Naming(NamedTuple):
    """Names given or taken in one step, not synced yet: (folder, name, what it names or None)."""

    order: int
    names: tuple[tuple[Folder, str, Node | None], ...]


class Disk:
    """The files below one folder, as a trace of calls changes them."""

    def __init__(self, root: str) -> None:
        """Begin with an empty folder at the path `root`, which is durable."""
        self._root_path = root.rstrip("/")
        self.root = Folder()
        self.naming: list[Naming] = []
        self._open: dict[tuple[int, str], tuple[Node, list[int]]] = {}
        self._order = 0

    def holds(self, path: str) -> bool:
        """Return whether a path lies on this disk."""
        return path.startswith(f"{self._root_path}/") or path == self._root_path

    def do(self, call: Call) -> bool:
        """Do what a call did; tell whether it changed or synced anything here."""
        self._order += 1
        name = call.name
        if name in ("open", "openat", "creat"):
            return self._opened(call)
        if name in ("rename", "renameat", "renameat2", "link", "linkat"):
            old, new = _two_paths(call)
            return self._renamed(old, new, keep=name.startswith("link"))
        if name in ("unlink", "rmdir", "mkdir", "unlinkat", "mkdirat"):
            path = _path(call)
            if not self.holds(path):
                return False
            made = Folder() if name.startswith("mkdir") else None
            self._name((*self._slot(path), made))
            return True
        if name in ("symlink", "symlinkat", "truncate"):
            if any(self.holds(each) for each in _any_paths(call)):
                raise NotSimulated(f"{name} of {_any_paths(call)}")
            return False
        return self._to_open_file(call)

    # -- names

    def _opened(self, call: Call) -> bool:
        path = call.opened
        if not self.holds(path):
            return False
        flags = " ".join(call.arguments)
        if "O_SYNC" in flags or "O_DSYNC" in flags or "O_TMPFILE" in flags:
            raise NotSimulated(f"{path} opened with {flags}")
        folder, name = self._slot(path) if path != self._root_path else (self.root, "")
        node = folder.seen.get(name) if name else self.root
        made = node is None
        if node is None:
            node = File()
            self._name((folder, name, node))
        self._open[call.returned, path] = (node, [0])
        if isinstance(node, File) and "O_TRUNC" in flags and node.size:
            self._resize(node, 0)
            return True
        return made

    def _renamed(self, old: str, new: str, *, keep: bool) -> bool:
        if not self.holds(old) and not self.holds(new):
            return False
        if not self.holds(old) or not self.holds(new):
            raise NotSimulated(f"{old} moved to {new}")
        (from_folder, from_name), (folder, name) = self._slot(old), self._slot(new)
        node = from_folder.seen[from_name]
        if keep:
            self._name((folder, name, node))
        else:
            self._name((folder, name, node), (from_folder, from_name, None))
        return True

    def _name(self, *names: tuple[Folder, str, Node | None]) -> None:
        for folder, name, node in names:
            _put(folder.seen, name, node)
        self.naming.append(Naming(self._order, names))

    def _slot(self, path: str) -> tuple[Folder, str]:
        parts = PurePosixPath(os.path.relpath(path, self._root_path)).parts
        folder = self.root
        for part in parts[:-1]:
            below = folder.seen[part]
            assert isinstance(below, Folder)
            folder = below
        return folder, parts[-1]

    # -- bytes

    def _to_open_file(self, call: Call) -> bool:
        if call.name == "mmap":
            return self._mapped(call)
        descriptor, path = call.file()
        if not self.holds(path) or (call.name == "lseek" and (descriptor, path) not in self._open):
            return (
                False  # a folder is read through a second descriptor, which nothing is written to
            )
        node, offset = self._node(descriptor, path)
        match call.name:
            case "fsync" | "fdatasync":
                self._synced(node, call.begun)
            case "lseek":
                offset[0] = call.returned
                return False
            case "write" | "pwrite64":
                assert isinstance(node, File)
                content = call.text(1)[: call.returned]
                at = offset[0] if call.name == "write" else call.number(3)
                node.pending.append(Write(self._order, at, content))
                node.size = max(node.size, at + len(content))
                if call.name == "write":
                    offset[0] = at + len(content)
            case "ftruncate":
                assert isinstance(node, File)
                self._resize(node, call.number(1))
            case _:
                raise NotSimulated(f"{call.name} of {path}")
        return True

    def _node(self, descriptor: int, path: str) -> tuple[Node, list[int]]:
        try:
            return self._open[descriptor, path]
        except KeyError:
            raise NotSimulated(f"descriptor {descriptor} of {path}, opened otherwise") from None

    def _mapped(self, call: Call) -> bool:
        _, path = call.file(4) if len(call.arguments) > 4 else (-1, "")
        writes = "MAP_SHARED" in call.arguments[3] and "PROT_WRITE" in call.arguments[2]
        # SQLite makes a -shm anew from the write-ahead log: whoever comes first after a cut.
        if writes and self.holds(path) and not path.endswith("-shm"):
            raise NotSimulated(f"{path} is written through memory")
        return False

    def _resize(self, file: File, size: int) -> None:
        file.pending.append(Resize(self._order, size))
        file.size = size

    def _synced(self, node: Node, begun: int) -> None:
        """Make durable what had been done when the sync began."""
        if isinstance(node, File):
            covered = [change for change in node.pending if change.order <= begun]
            node.durable = replayed(node.durable, covered)
            del node.pending[: len(covered)]
            return
        left = []
        for naming in self.naming:
            if naming.order <= begun and any(folder is node for folder, _, _ in naming.names):
                for folder, name, named in naming.names:
                    _put(folder.durable, name, named)
            else:
                left.append(naming)
        self.naming = left

    # -- what is there

    def seen(self) -> dict[str, bytes]:
        """Return every file as programs see it, by its path below the root."""
        return dict(_seen(self.root, ""))


def _seen(folder: Folder, below: str) -> Iterator[tuple[str, bytes]]:
    for name, node in folder.seen.items():
        if isinstance(node, Folder):
            yield from _seen(node, f"{below}{name}/")
        else:
            yield f"{below}{name}", replayed(node.durable, node.pending)


def replayed(content: bytes, changes: list[Change]) -> bytes:
    """Return a file's content after changes, gaps filled with zeros."""
    after = bytearray(content)
    for change in changes:
        if isinstance(change, Resize):
            del after[change.size :]
            after += bytes(change.size - len(after))
        else:
            after += bytes(max(0, change.at - len(after)))
            after[change.at : change.at + len(change.content)] = change.content
    return bytes(after)


def _put(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _two_paths(call: Call) -> tuple[str, str]:
    if call.name.endswith(("at", "at2")):
        return _joined(call.file(0)[1], call.path(1)), _joined(call.file(2)[1], call.path(3))
    return call.path(0), call.path(1)


def _path(call: Call) -> str:
    if call.name.endswith("at"):
        return _joined(call.file(0)[1], call.path(1))
    return call.path(0)


def _any_paths(call: Call) -> list[str]:
    return [call.path(n) for n, each in enumerate(call.arguments) if each.startswith('"')]


def _joined(folder: str, path: str) -> str:
    return os.path.join(folder, path)
