"""The benchmarks' own ground: histories that are made, and the table that is printed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.make_ledger import make
from ledger.events import EVENTS
from ledger.ledger import Appended, Ledger
from ledger.wire import parse_line, to_cloudevent

NOW = 1_800_000_000_000_000  # 2027: later than anything that is made


def opened(path: Path) -> Ledger:
    return Ledger.open(path, clock=lambda: NOW)


@pytest.mark.parametrize("plain", [False, True], ids=["whole", "plain"])
def test_a_made_ledger_is_what_importing_its_own_export_makes(tmp_path: Path, plain: bool) -> None:
    """Rows laid out by template are, column for column, those that `Ledger.append` writes."""
    make(6_000, tmp_path / "made.ledger", plain=plain)
    with (
        opened(tmp_path / "made.ledger") as made,
        Ledger.create(tmp_path / "imported.ledger", clock=lambda: NOW) as imported,
    ):
        facts = [parse_line(to_cloudevent(row)) for row in made.read()]
        outcomes = imported.append(facts, keep_recorded_at=True)
        assert [type(outcome) for outcome in outcomes] == [Appended] * 6_000
        assert list(imported.read()) == list(made.read())


def test_a_made_ledger_has_the_table_and_indexes_of_any_other(tmp_path: Path) -> None:
    """Nothing tells the file from one that `create` made: same mark, same schema, WAL, sound."""
    make(500, tmp_path / "made.ledger")
    Ledger.create(tmp_path / "other.ledger", clock=lambda: NOW).close()
    assert about(tmp_path / "made.ledger") == about(tmp_path / "other.ledger")


def about(path: Path) -> list[object]:
    """What SQLite says of a file besides its rows."""
    asked = ("application_id", "user_version", "journal_mode", "integrity_check")
    with closing(sqlite3.connect(path)) as connection:
        schema = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
        return [
            schema.fetchall(),
            *(connection.execute(f"PRAGMA {name}").fetchall() for name in asked),
        ]


def test_the_same_seed_makes_the_same_ledger_and_another_seed_another(tmp_path: Path) -> None:
    """Figures of two days are of the same events, to the byte."""
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        make(2_000, tmp_path / name, seed=seed)
    first, again, other = ((tmp_path / name).read_bytes() for name in ("first", "again", "other"))
    assert first == again
    assert first != other


def test_histories_hold_every_kind_of_event_but_erasure_in_believable_shares(
    tmp_path: Path,
) -> None:
    """About five sittings a candidate; nothing that a ledger may hold is left out but erasure."""
    make(60_000, tmp_path / "made.ledger")
    with opened(tmp_path / "made.ledger") as made:
        rows = list(made.read())
    kinds = Counter(row.type for row in rows)
    assert set(kinds) == {event.type for event in EVENTS} - {"CandidateForgotten"}
    candidates = len({row.stream for row in rows if row.stream.startswith("candidate/")})
    assert 4 < kinds["ExamAttempted"] / candidates < 6
    assert 9 < len(rows) / candidates < 12
