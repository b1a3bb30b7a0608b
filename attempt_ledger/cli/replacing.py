"""What an output may replace: an earlier output of its kind, by --force another file, never ours.

The ledger, what belongs to it, the inputs of a call, and a checkpoint that was kept stay, under
whatever name they are called.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ledger.problems import LedgerProblem
from ledger.store.server import Address, Server

OUTPUTS: Final = frozenset(
    {"output", "receipt", "chart", "certificate", "rejects", "sittings", "standings", "partitioned"}
)
"""The parameters of commands that name what to write; every other path is one to read."""
_BESIDE: Final = ("", "-wal", "-shm", "-journal", ".lock")
_OWN: Final = (
    ".keys", ".signing-key", ".signing-key.last", ".tlog", ".columns", ".parts", ".views",
)  # fmt: skip
_HEAD: Final = 1 << 16
_MARKUP: Final = 90
"""How many bytes all our pages, and all our pictures, have in common at their beginning."""

_protected: dict[Path, str] = {}
_forced = False


class NotReplaced(LedgerProblem):
    """A file stays as it is; str() is one sentence."""


def begin(force: bool = False) -> None:
    """Forget what an earlier call of this process protected, and whether it was forced."""
    global _forced
    _protected.clear()
    _forced = force


def protect_ledger(path: Address, keys: Address | None, signing_key: Path | None) -> None:
    """Protect a ledger and what belongs to it."""
    for own in ("", *_OWN):
        for ending in _BESIDE:
            file = Path(f"{os.fspath(path)}{own}{ending}")
            _protect(file, "belongs to the ledger" if own else "the ledger")
    for key in (keys, signing_key):
        for ending in () if key is None or isinstance(key, Server) else (*_BESIDE, ".last"):
            _protect(Path(f"{key}{ending}"), "belongs to the ledger")


def protect_inputs(paths: Iterable[Path]) -> None:
    """Protect what a call reads."""
    for path in paths:
        _protect(path, "is read by this call")


def _protect(path: Path, why: str) -> None:
    _protected[path] = why


def check_outputs(paths: Iterable[Path]) -> None:
    """Refuse, before anything is done, what must stay, and one file for two outputs."""
    places = set()
    for path in paths:
        check_place(path)
        place = Path(os.path.realpath(path))
        if place in places and not place.is_char_device():
            raise NotReplaced(f"{path} is named for two outputs of this call: name another file")
        places.add(place)


def check_new(path: Path) -> None:
    """Refuse a file that is there, but with --force: what people work on is nobody's output."""
    if not _forced and path.is_file() and path.stat().st_size:
        raise NotReplaced(f"{path} is there already: name another file, or replace it by --force")


def check_place(path: Path) -> None:
    """Refuse a place that is never written to; raises NotReplaced."""
    place = Path(os.path.realpath(path))
    for protected, why in _protected.items():
        kept = Path(os.path.realpath(protected))
        if _is_same(place, kept) or kept in place.parents:
            is_why = "is the ledger" if why == "the ledger" else why
            raise NotReplaced(f"{path} {is_why}, and is never replaced: name another file")


def _is_same(place: Path, kept: Path) -> bool:
    if place == kept:
        return True
    try:
        return os.path.samefile(place, kept)  # a link, or another case where case says nothing
    except OSError:
        return False


def check_replaced(path: Path, place: Path, draft: Path) -> None:
    """Refuse to replace a file that is no earlier output of this kind; raises NotReplaced."""
    try:
        with place.open("rb") as file:
            before = file.read(_HEAD)
    except FileNotFoundError:
        return
    except OSError:
        before = b"?"
    if b"\nattempt-ledger/" in b"\n" + before[:64]:
        raise NotReplaced(f"{path} is a checkpoint that was kept, and is never replaced")
    with draft.open("rb") as file:
        after = file.read(_HEAD)
    if _forced or not before or shape_of(before) == shape_of(after):
        return
    if not after and before.startswith(b"{"):
        return  # no rows in JSON lines now, some before
    raise NotReplaced(
        f"{path} is there already, and is no earlier output of this command: name another file, or "
        "replace it by --force"
    )


def shape_of(head: bytes) -> object:
    """Return what the outputs of one kind have in common at their beginning.

    Binary forms their mark; JSON the members of the first object; pages and pictures what stands
    before anything of the data; CSV and text their first line.
    """
    for mark in (b"PAR1", b"ARROW1", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n"):
        if head.startswith(mark):
            return mark
    if head.startswith(b"<"):
        return head[:_MARKUP]
    lines = head.split(b"\n")
    if lines[0] == b"[" and len(lines) > 1:
        lines = [lines[1].rstrip(b",")]
    for text in (lines[0], head):
        if text.startswith(b"{"):
            try:
                members = frozenset(json.loads(text))
            except ValueError:
                continue
            return "events" if "specversion" in members else members
    return lines[0]
