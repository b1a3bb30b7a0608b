"""What every drill ends with: is the ledger whole, and is everything acknowledged in it, once?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from attempt_ledger import clock
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.store.inspection import Finding
from ledger.tlog.checkpoint import log_paths, need_verifier_key
from ledger.tlog.sealer import seal
from ledger.tlog.verify import verify

Key: TypeAlias = tuple[str, str]
"""(source, id) of an event."""
_MOST_TOLD = 3
Acknowledged: TypeAlias = Mapping[Key, int | None]
"""The position that a writer was told for each event; None if it was told just that it is in."""


@dataclass(frozen=True)
class Whole:
    """What is there at the end."""

    stored: int
    lost: int
    """Acknowledged, and not there, or not at the position that was told."""
    doubled: int
    """Rows beyond the first of each (source, id)."""
    problems: tuple[str, ...]
    """One sentence each."""


def examine(path: Path, acknowledged: Acknowledged) -> Whole:
    """Seal what is there, verify all of it, and count it against what was acknowledged.

    The table is read itself, not its indexes: an index could hide a row, or a second one.
    """
    problems: list[str] = []
    try:
        problems += _unsealed(path)
        problems += (finding.sentence for finding in _verified(path))
        rows, damage = _rows(path)
    except (LedgerProblem, sqlite3.Error) as problem:
        return Whole(0, len(acknowledged), 0, (*problems, str(problem)))
    problems += damage
    problems += _in_disorder(rows)
    there: dict[Key, int] = {}
    for position, _, source, id in rows:
        there.setdefault((source, id), position)
    lost = [
        f"{key[1]} was told to be at position {position}, and is at {there.get(key)}"
        for key, position in acknowledged.items()
        if key not in there or position not in (None, there[key])
    ]
    problems += lost[:_MOST_TOLD]
    return Whole(len(rows), len(lost), len(rows) - len(there), tuple(problems))


def _unsealed(path: Path) -> Iterator[str]:
    with Ledger.open(path, clock=clock.now) as ledger:
        try:
            seal(log_paths(path), str(ledger.about("ledger")), ledger.head().position)
        except LedgerProblem as problem:
            yield f"it cannot be sealed: {problem}"


def _verified(path: Path) -> Iterator[Finding]:
    place = log_paths(path)
    verdict = verify(place, need_verifier_key(place), full=True)
    yield from verdict.findings


def _rows(path: Path) -> tuple[list[tuple[int, int, str, str]], list[str]]:
    with closing(sqlite3.connect(path)) as connection:
        answers = [str(each) for (each,) in connection.execute("PRAGMA integrity_check")]
        rows = connection.execute(
            "SELECT position, recorded_at, source, id FROM events NOT INDEXED ORDER BY position"
        ).fetchall()
    return rows, [f"integrity_check: {each}" for each in answers if each != "ok"]


def _in_disorder(rows: list[tuple[int, int, str, str]]) -> Iterator[str]:
    before = None
    for expected, (position, recorded_at, *_) in enumerate(rows, 1):
        if position != expected:
            yield f"position {expected} is missing: the next is {position}"
            return
        if before is not None and recorded_at < before:
            yield f"recorded_at falls at position {position}"
            return
        before = recorded_at
