"""Requests with personal fields, and what the tests of erasure look for in files."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ledger_facts import FULL, sample

from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.models import CandidateForgotten

PERSONAL = ("first_name", "last_name", "email", "description")
CLEAR = {name: FULL["ExceptionRequested"][name] for name in PERSONAL}
WHO = "C-1001"


def request(n: int = 1, *, candidate: str = WHO, **changes: Any) -> Fact:
    """Return the nth request of a candidate, with every personal field in clear text."""
    fact = sample("ExceptionRequested", f"Q-{n}", full=True, request_id=f"Q-{n}", **changes)
    return fact._replace(subject=candidate)


def erasure(candidate: str = WHO, id: str = "forget/1") -> Fact:
    """Return a CandidateForgotten that somebody else recorded."""
    return sample("CandidateForgotten", id)._replace(subject=candidate)


def keys_in(path: Path) -> dict[str, bytes | None]:
    """Return the keys of a key file, or of a backup, by candidate."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT candidate, key FROM keys"))


def key_of(ledger: Ledger, candidate: str = WHO) -> bytes:
    """Return a candidate's key, which must be there."""
    key = ledger.vault.key(candidate)
    assert key is not None
    return key


def files_in(folder: Path) -> dict[Path, bytes]:
    """Return the raw bytes of every file in a folder and below: free pages and journals too."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def holding(files: dict[Path, bytes], words: Iterable[bytes]) -> list[str]:
    """Name the files that hold one of some byte strings."""
    words = list(words)
    return sorted(
        {path.name for path, raw in files.items() for word in words if word and word in raw}
    )


def forms(text: str) -> Iterator[bytes]:
    """Yield the ways in which a text may stand in a file: encodings, JSON, base64 at any offset."""
    yield text.encode()
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield text.encode().hex().encode()
    for offset in range(3):
        # The characters that depend on nothing but the text, wherever it begins in the base64.
        encoded = base64.b64encode(bytes(offset) + text.encode())
        certain = encoded[(0, 2, 3)[offset] : len(encoded) - 4]
        if len(certain) >= _TELLING:
            yield certain


def forgotten_rows(ledger: Ledger) -> list[tuple[int, str]]:
    """Return position and subject of every CandidateForgotten."""
    return [(row.position, row.subject) for row in ledger.read() if row.type == _FORGOTTEN]


_TELLING = 8  # fewer characters would be found by chance
_FORGOTTEN = CandidateForgotten.type
