"""Which part of an SQLite file is what: header, tables, indexes, free pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

HEADER = 100
_INTERIOR = {2: "index", 5: "table"}
_LEAVES = {10: "index", 13: "table"}


def page_size(content: bytes) -> int:
    """Return the length of the file's pages."""
    size = int.from_bytes(content[16:18], "big")
    return 65536 if size == 1 else size


def regions(path: Path) -> dict[str, list[range]]:
    """Return what each part of a file at rest is, and where it lies.

    ``header``, ``schema``, ``table NAME``, ``indexes``, ``free pages`` and ``overflow pages``.
    """
    content = path.read_bytes()
    size = page_size(content)
    found: dict[str, list[range]] = {"header": [range(HEADER)]}
    known = {0}
    # As it lies: nothing beside it is brought in, or swept up.
    place = f"file:{quote(str(path))}?immutable=1"
    with closing(sqlite3.connect(place, uri=True)) as connection:
        roots = connection.execute("SELECT type, name, rootpage FROM sqlite_schema").fetchall()
    for type, name, root in roots:
        for page in _tree(content, size, root):
            known.add(page - 1)
            what = "indexes" if type == "index" else f"table {name}"
            found.setdefault(what, []).append(range((page - 1) * size, page * size))
    found["schema"] = [range(HEADER, size)]
    for page in _free(content, size):
        known.add(page - 1)
        found.setdefault("free pages", []).append(range((page - 1) * size, page * size))
    for page in range(len(content) // size):
        if page not in known:
            found.setdefault("overflow pages", []).append(range(page * size, (page + 1) * size))
    return found


def _tree(content: bytes, size: int, page: int) -> Iterator[int]:
    """Yield the pages of a b-tree, but for what overflows from them."""
    yield page
    start = (page - 1) * size + (HEADER if page == 1 else 0)
    if content[start] not in _INTERIOR:
        assert content[start] in _LEAVES
        return
    cells = int.from_bytes(content[start + 3 : start + 5], "big")
    for cell in range(cells):
        at = start + 12 + 2 * cell
        pointer = (page - 1) * size + int.from_bytes(content[at : at + 2], "big")
        yield from _tree(content, size, int.from_bytes(content[pointer : pointer + 4], "big"))
    yield from _tree(content, size, int.from_bytes(content[start + 8 : start + 12], "big"))


def _free(content: bytes, size: int) -> Iterator[int]:
    trunk = int.from_bytes(content[32:36], "big")
    while trunk:
        yield trunk
        start = (trunk - 1) * size
        many = int.from_bytes(content[start + 4 : start + 8], "big")
        for number in range(many):
            at = start + 8 + 4 * number
            yield int.from_bytes(content[at : at + 4], "big")
        trunk = int.from_bytes(content[start : start + 4], "big")
