"""A table is said once: the read model's rows at the head are those computed at the head."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from example_ledger import CACHE, facts, ledger_of
from hypothesis import HealthCheck, given, settings
from read_models import beside, ledger_from, project, record, table
from strategies import randomness, world

from attempt_ledger.cli.export import WITHOUT_EXAM, Exported
from ledger.cloudevents import backfilled
from ledger.events import Recorded
from ledger.facts import event_of, fact_of
from ledger.instants import DAY
from ledger.ledger import Ledger
from ledger.models import ExamAttempted
from projections.fold.facts import LAST
from projections.history import SITTING_KINDS
from projections.standing import Moment
from projections.tables import KEPT, TABLES
from replay.snapshot import Engine, Snapshot

AT_THE_HEAD = [each.name for each in KEPT if each.name in TABLES and each.name != "standings"]


def asked(ledger: Ledger, instant: int = LAST) -> Snapshot:
    """Ask about the head, of all time."""
    engine = Engine(cache=CACHE, keep_columns=False)
    return Snapshot(ledger, Moment(instant, None, ledger.head().position), engine)


def computed(snapshot: Snapshot, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table at a moment, as SQLite would keep them."""
    rows: list[dict[str, Any]] = snapshot.table(name).cast(TABLES[name].plain).to_pylist()
    return rows


def kept(path: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table of a read model, in the order of the one that is computed."""
    order = {
        "sittings": "candidate, exam, number",
        "standings": "candidate, exam, valid_from",
    }.get(name, ", ".join(TABLES[name].key))
    return table(path, name, f"true ORDER BY {order}")


def held_equal(ledger: Ledger, path: Path) -> None:
    """Compare every table, and the timeline at its own bounds."""
    snapshot = asked(ledger)
    for name in AT_THE_HEAD:
        assert kept(path, name) == computed(snapshot, name), name
    timeline = kept(path, "standings")
    bounds = sorted({row["valid_from"] for row in timeline})
    for instant in [*bounds[:: max(1, len(bounds) // 6)], *(bound - 1 for bound in bounds[-2:])]:
        there = [row for row in timeline if row["valid_from"] <= instant < row["valid_to"]]
        names = TABLES["standings"].names
        found = [{name: row[name] for name in names} for row in there]
        assert found == computed(asked(ledger, instant), "standings"), instant


def told_otherwise(random: Random) -> list[Recorded]:
    """Make a world: some was moved in, some is of another source, too long or before its time."""
    rows = world(random, people=3).rows
    annulled = {row.annuls for row in rows}
    return [_otherwise(random, row) if row.position not in annulled else row for row in rows]


def _otherwise(random: Random, row: Recorded) -> Recorded:
    if random.random() < 0.2:
        row = row._replace(extensions=backfilled(row.extensions))
    if row.type in SITTING_KINDS and random.random() < 0.3:
        row = row._replace(source="urn:another")
    if row.type in ("ExamPassed", "ExamFailed") and random.random() < 0.2:
        row = row._replace(occurred_at=row.occurred_at - DAY)
    event = event_of(row)
    if isinstance(event, ExamAttempted) and random.random() < 0.2:
        lasts = random.choice((7 * DAY, 7 * DAY + 1, 30 * DAY))
        event = event.model_copy(update={"ended_at": row.occurred_at + lasts})
        row = Recorded(
            row.position, row.recorded_at, *fact_of(row)._replace(event=event).row(as_recorded=True)
        )
    return row


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=randomness())
def test_every_table_of_the_read_model_is_the_one_computed_at_the_head(random: Random) -> None:
    """Row for row, in random ledgers: built at once, and followed in two steps."""
    rows = told_otherwise(random)
    with TemporaryDirectory() as name:
        path = Path(name) / "a.ledger"
        some = random.randint(0, len(rows))
        with ledger_from(path, rows[:some]) as ledger:
            project(ledger, beside(path))
            record(ledger, rows[some:])
            project(ledger, beside(path))
            held_equal(ledger, beside(path))
            project(ledger, path.with_name("anew"))
            held_equal(ledger, path.with_name("anew"))


def test_it_holds_for_the_example(tmp_path: Path) -> None:
    """A year of twenty candidates, with corrections, exceptions and certifications."""
    path = tmp_path / "a.ledger"
    with ledger_of(path, facts()) as ledger:
        project(ledger, beside(path))
        held_equal(ledger, beside(path))
        assert all(kept(beside(path), name) for name in AT_THE_HEAD)


def test_every_table_can_be_exported() -> None:
    """The command names those that there are, and which of them are of exams."""
    assert [each.value for each in Exported] == list(TABLES)
    without = {name for name, table in TABLES.items() if "exam" not in table.names}
    assert without == set(WITHOUT_EXAM)


@pytest.mark.parametrize("name", TABLES)
def test_columns_that_are_asked_for_alone_are_the_same(tmp_path: Path, name: str) -> None:
    """Whatever else is computed beside them, or is not."""
    with ledger_of(tmp_path / "a.ledger", facts()) as ledger:
        snapshot = asked(ledger)
        whole = snapshot.table(name)
        assert whole.schema == TABLES[name].schema
        for column in TABLES[name].names:
            assert snapshot.table(name, columns=[column]) == whole.select([column]), column
        if "exam" in TABLES[name].names:
            rows = [row for row in whole.to_pylist() if row["exam"] == "AZ-104"]
            assert snapshot.table(name, exam="AZ-104").to_pylist() == rows
        else:
            with pytest.raises(ValueError, match="of no single exam"):
                snapshot.table(name, exam="AZ-104")
