"""Everybody's standing by the compiled fold, held equal to each candidate's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from example_ledger import NOW, ROOT, bound, compiled_quietly, facts, ledger_of, one_by_one
from numba import typeof
from plain_values import rows_of

from ledger.instants import parse_instant
from ledger.ledger import Ledger
from projections.standing import Moment
from projections.tables import TABLES
from replay.columns import build
from replay.columns import cache as snapshot
from replay.population import Scope, questions_of
from replay.snapshot import HEAD, Known, Snapshot, snapshot_at

EVENTS = facts()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Yield a ledger of the whole example."""
    with ledger_of(tmp_path_factory.mktemp("crowd") / "a.ledger", EVENTS) as made:
        yield made


@pytest.fixture(scope="module")
def everyone(ledger: Ledger) -> Snapshot:
    """Ask about everybody of that ledger."""
    return bound(ledger, keep_columns=True)


def at(ledger: Ledger, as_of: str, known: Known = HEAD) -> Moment:
    """Make a moment."""
    return snapshot_at(ledger, parse_instant(as_of), known, now=NOW).moment


@pytest.mark.parametrize("known", [None, 0, 40, 200, 555])
@pytest.mark.parametrize(
    "as_of",
    [
        "2020-06-01T00:00:00Z",
        "2021-06-30T00:00:00Z",
        "2021-10-25T00:00:00Z",
        "2022-01-01T00:00:00Z",
        "2022-12-31T23:59:59.999999Z",
        "2024-02-29T12:00:00Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_the_table_is_what_each_candidate_is_told(
    ledger: Ledger, everyone: Snapshot, as_of: str, known: int | None
) -> None:
    """Row for row, at instants and positions all over the example."""
    moment = at(ledger, as_of, HEAD if known is None else Known(position=known))
    assert list(rows_of(everyone.at(moment).everybody())) == list(one_by_one(ledger, moment))


def test_a_delta_is_woven_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates old and new, of a snapshot in many parts and with a delta, come out sorted."""
    monkeypatch.setattr(build, "PART_ROWS", 60)
    monkeypatch.setattr(snapshot, "_SMALL", 10_000)
    with ledger_of(tmp_path / "a.ledger", EVENTS[:400]) as ledger:
        assert bound(ledger, keep_columns=True).at(Moment(0, None, 400)).columns
        ledger.append(EVENTS[400:], keep_recorded_at=True)
        everyone = bound(ledger, keep_columns=True)
        moment = at(ledger, "2023-03-01T00:00:00Z")
        table = everyone.at(moment).everybody()
        assert everyone.at(Moment(0, None, moment.position)).columns.delta is not None
        assert list(rows_of(table)) == list(one_by_one(ledger, moment))


def test_one_worker_or_several_and_a_snapshot_or_none_give_the_same(ledger: Ledger) -> None:
    """The same inputs give the same rows."""
    moment = at(ledger, "2022-08-01T00:00:00Z")
    tables = [
        bound(ledger, workers=workers, keep_columns=kept).at(moment).everybody()
        for workers in (1, 2, 5)
        for kept in (True, False)
    ]
    assert all(table.equals(tables[0]) for table in tables)


def test_the_scope_leaves_out_everybody_else(ledger: Ledger, everyone: Snapshot) -> None:
    """An exam, some candidates, or both."""
    moment = at(ledger, "2022-08-01T00:00:00Z")
    rows = list(rows_of(everyone.at(moment).everybody()))
    exam = list(rows_of(everyone.at(moment).everybody(Scope("AZ-104"))))
    assert exam
    assert exam == [row for row in rows if row[1] == "AZ-104"]
    two = frozenset({"C-1001", "C-1003", "C-nobody"})
    some = list(rows_of(everyone.at(moment).everybody(Scope(None, two))))
    assert some == [row for row in rows if row[0] in two]
    assert list(rows_of(everyone.at(moment).everybody(Scope("XX-000")))) == []


def test_where_no_column_cache_can_be_kept_it_goes_without(tmp_path: Path) -> None:
    """Said once, and answered all the same."""
    with ledger_of(tmp_path / "a.ledger", EVENTS[:300]) as ledger:
        Path(f"{ledger.path}.columns").write_text("in the way")
        said: list[str] = []
        moment = at(ledger, "2022-08-01T00:00:00Z")
        table = bound(ledger, say=said.append, keep_columns=True).at(moment).everybody()
        assert list(rows_of(table)) == list(one_by_one(ledger, moment))
        assert len(said) == 1
        assert "no column cache" in said[0]


ASK = """
import sys
from pathlib import Path
from ledger.ledger import Ledger
from replay.snapshot import Engine, snapshot_at
ledger = Ledger.open(sys.argv[1], clock=lambda: 0, read_only=True)
engine = Engine(Path(sys.argv[2]), small=0)
snapshot = snapshot_at(ledger, int(sys.argv[3]), now=0, engine=engine)
print(snapshot.everybody()["status"].to_pylist().count("waiting"))
"""


@pytest.mark.parametrize("known", [0, 200, 720])
def test_a_small_ledger_is_interpreted_by_the_same_functions(ledger: Ledger, known: int) -> None:
    """Everybody, violations, a difference and each table: the same as compiled, row for row."""
    moment = at(ledger, "2022-08-01T00:00:00Z", Known(position=known))
    late = at(ledger, "2023-03-01T00:00:00Z")

    def answers(small: int) -> Iterator[pa.Table]:
        snapshot = bound(ledger, small=small).at(moment)
        yield snapshot.everybody()
        yield snapshot.violations()
        yield snapshot.diff(snapshot.at(late))
        for name in TABLES:
            yield snapshot.table(name)

    for compiled, interpreted in zip(answers(0), answers(10_000), strict=True):
        assert interpreted.equals(compiled)


def test_the_compiler_is_not_even_loaded_for_a_small_ledger(ledger: Ledger, tmp_path: Path) -> None:
    """The first question on a machine takes a second, not half a minute."""
    script = ASK.replace(", small=0", "") + "print('numba' in sys.modules)"
    arguments = [
        str(ledger.path),
        str(tmp_path / "cache"),
        str(parse_instant("2021-04-12T00:00:00Z")),
    ]
    said = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(said[0]) > 0
    assert said[1] == "False"


def test_an_edited_rule_is_compiled_anew(ledger: Ledger, tmp_path: Path) -> None:
    """Cached code never outlives the rules it was made of: the trap of numba's own cache.

    Asked of the loop that is compiled in a second; the others take half a minute.
    """
    house = tmp_path / "house"
    for room in ("ledger", "retake_policies", "projections", "replay"):
        shutil.copytree(ROOT / room, house / room, ignore=shutil.ignore_patterns("__pycache__"))
    as_of = parse_instant("2023-04-12T00:00:00Z")
    held = 'table("certifications").num_rows'
    script = ASK.replace('everybody()["status"].to_pylist().count("waiting")', held)
    assert held in script
    shutil.copytree(compiled_quietly(), tmp_path / "kernels")

    def ask() -> str:
        arguments = [str(ledger.path), str(tmp_path / "kernels"), str(as_of)]
        return subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=house,
            env=os.environ | {"PYTHONPATH": str(house), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    assert int(ask()) > 0
    rules = house / "projections" / "fold" / "certifications.py"
    text = rules.read_text()
    last = "return Held(i, expired_at, min(rows.until[i], expired_at))\n"
    assert text.count(last) == 1
    rules.write_text(text.replace(last, "return NOT_HELD\n"))
    assert ask() == "0"


def test_all_questions_are_of_one_kind_for_the_compiler() -> None:
    """One moment or many, narrow numbers or wide, of our own or only to be read: one loop each."""
    three = np.arange(3)
    shown = np.broadcast_to(np.int64(7), 3)
    kinds = {
        typeof(questions_of(group, as_of, known, without))
        for group in (three, three.astype(np.int32), shown, three[:1], three[:0])
        for as_of in (7, np.full(len(group), 7))
        for known in (7, np.full(len(group), 7))
        for without in (-1, np.full(len(group), 7, np.int32))
    }
    assert len(kinds) == 1
