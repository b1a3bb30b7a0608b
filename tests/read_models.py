"""What the tests of the views share: facts without a file, tables held against the fold itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
from example_ledger import CACHE, row_of
from memory_store import recorded

from ledger.events import Recorded
from ledger.facts import fact_of
from ledger.instants import MAX_INSTANT
from ledger.ledger import Ledger
from ledger.outcomes import Appended
from projections.catalogue import catalogue_of
from projections.fold.facts import NEVER
from projections.history import history_of
from projections.standing import Moment, standing_of
from replay.compiled import kernels_in
from replay.read_model.build import Options
from replay.read_model.fold import Folder, Rows
from replay.read_model.follow import keeper
from replay.read_model.rebuild import differences
from replay.read_model.store import reading
from replay.tables.batch import USUAL, Late

KERNELS = kernels_in(CACHE)


def is_of_catalogue(row: Recorded) -> bool:
    """Tell an event of the catalogue from a candidate's."""
    return not row.stream.startswith("candidate/")


def fold(rows: Sequence[Recorded], late: Late = USUAL) -> Rows:
    """Fold a whole history into the views' tables."""
    by_position = {row.position: row for row in rows}
    folder = Folder(KERNELS, late, lambda some: {n: by_position[n] for n in some})
    folder.learn([row for row in rows if is_of_catalogue(row)])
    return folder.fold(
        recorded([row for row in rows if not is_of_catalogue(row)]),
        rows[-1].position if rows else 0,
    )


def as_of(standings: pa.Table, instant: int) -> list[tuple[Any, ...]]:
    """Ask the timeline about everybody: rows as the population's table has them."""
    return [
        (
            row["candidate"],
            row["exam"],
            row["status"],
            bool(row["eligible"]),
            row["eligible_from"],
            row["sittings_in_series"],
            row["period_ends_at"],
            row["last_sitting_at"],
            row["last_outcome"],
        )
        for row in standings.to_pylist()
        if row["valid_from"] <= instant < row["valid_to"]
    ]


def told(rows: Sequence[Recorded], instant: int, position: int = NEVER) -> list[tuple[Any, ...]]:
    """Ask the interpreted fold about everybody, one by one."""
    known = [row for row in rows if row.position <= position]
    catalogue = catalogue_of([row for row in known if is_of_catalogue(row)])
    people: dict[str, list[Recorded]] = {}
    for row in known:
        if not is_of_catalogue(row):
            people.setdefault(row.subject, []).append(row)
    moment = Moment(instant, None, known[-1].position if known else 0)
    found = []
    for who in sorted(people):
        history = history_of(people[who], catalogue)
        for exam in sorted(history.runs):
            standing = standing_of(who, exam, history, catalogue, moment)
            if not standing.sittings:
                continue
            found.append(row_of(standing))
    return found


def beside(ledger: Path) -> Path:
    """Name the file of a ledger's views."""
    return Path(f"{ledger}.views")


def ledger_from(path: Path, rows: Sequence[Recorded]) -> Ledger:
    """Make a ledger of rows, at their positions and recorded when they were."""
    ledger = Ledger.create(path, clock=lambda: MAX_INSTANT)
    record(ledger, rows)
    return ledger


def record(ledger: Ledger, rows: Sequence[Recorded]) -> None:
    """Record more rows, as they were recorded."""
    outcomes = ledger.append([fact_of(row) for row in rows], keep_recorded_at=True)
    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    assert len(outcomes) == len(rows)


def _silent(sentence: str) -> None:
    """Say nothing."""


def options(said: list[str] | None = None, **more: Any) -> Options:
    """Compile as the tests do, and hear what is said."""
    return Options(
        lambda events: KERNELS, (lambda sentence: None) if said is None else said.append, **more
    )


def project(ledger: Ledger, path: Path, said: list[str] | None = None) -> int:
    """Bring views up to the ledger; give the position they stand for."""
    with keeper(ledger, path, options(said)) as kept:
        kept.catch_up()
        return kept.position


def built_anew(ledger: Ledger, path: Path) -> Path:
    """Build views of all of a ledger, from nothing."""
    path.unlink(missing_ok=True)
    project(ledger, path)
    return path


def apart(live: Path, rebuilt: Path) -> list[str]:
    """List what differs between two files of views."""
    with reading(live) as connection:
        return [str(difference) for difference in differences(connection, rebuilt)]


def table(path: Path, name: str, where: str = "true") -> list[dict[str, Any]]:
    """Read a table, or a readable view, of a file of views."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(f"SELECT * FROM {name} WHERE {where}")
        return [dict(row) for row in found]
