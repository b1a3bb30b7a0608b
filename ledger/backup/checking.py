"""Is a copy what was signed, and is its file sound? Asked before it is given a name."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from ledger.backup.copying import Snapshot, Told
from ledger.problems import LedgerProblem
from ledger.store.file import connect_reader, storage_problems
from ledger.store.integrity import Finding, inspect, read_rows, read_through
from ledger.tlog.checkpoint import LogPaths, origin_of
from ledger.tlog.verify import verify
from ledger.tlog.verify_proof import VerifierKey

_MOST = 20
_AT_ONCE = 4096


def unsound(place: LogPaths, key: VerifierKey | None, *, processes: int, told: Told) -> list[str]:
    """Return what is wrong with a copy's file, its log, and with either beside the other.

    Every event is hashed anew and held against the log, which is held against its checkpoint, as
    `verify --full` does; meanwhile SQLite looks at every page and index. Without a `key` there is
    no log, and only the file is looked at. Sentences; none: it is all sound.
    """
    try:
        if key is None:
            with read_through(place.ledger) as damages:
                findings = [*inspect(place.ledger, 0).findings, *damages()]
        else:
            verdict = verify(place, key, full=True, processes=processes, progress=told)
            # A note for who verifies where it lies: the copy is to lie elsewhere.
            place.verified.unlink(missing_ok=True)
            findings = list(verdict.findings) or _of_another(place, key)
    except LedgerProblem as problem:
        return [str(problem)]
    sentences = [finding.sentence for finding in findings]
    more = [f"and {len(sentences) - _MOST} more findings"] if len(sentences) > _MOST else []
    return [*sentences[:_MOST], *more]


def _of_another(place: LogPaths, key: VerifierKey) -> list[Finding]:
    """Find that a ledger's own id, which is in no event, is not that of its log."""
    with storage_problems(place.ledger), closing(connect_reader(place.ledger)) as connection:
        ids = connection.execute("SELECT value FROM about WHERE name = 'ledger'").fetchall()
    return [
        Finding(None, f"{place.ledger} says it is {origin_of(id)}, its log is of {key.name}")
        for (id,) in ids
        if origin_of(id) != key.name
    ]


def differing(source: Snapshot, copy: Path, after: int) -> int | None:
    """Compare the rows after a position with those of the ledger; give the first that differs."""
    with storage_problems(copy), closing(connect_reader(copy)) as connection:
        for first in range(after + 1, source.head + 1, _AT_ONCE):
            some = (first, min(first + _AT_ONCE - 1, source.head))
            theirs = read_rows(source.connection, *some)
            ours = read_rows(connection, *some)
            if theirs != ours:
                same = (one == other for one, other in zip(theirs, ours, strict=False))
                return first + next((n for n, is_same in enumerate(same) if not is_same), len(ours))
    return None
