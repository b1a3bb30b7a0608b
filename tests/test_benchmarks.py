"""The benchmarks' own ground: histories that are made, and the table that is printed."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from example_ledger import ROOT, bound

from benchmarks.__main__ import APART, BENCHES
from benchmarks.make_ledger import make
from benchmarks.peers.in_sql import InSql, write_facts
from benchmarks.population import agree, asked_at
from benchmarks.table import quantity
from ledger.cloudevents import parse_line, to_cloudevent
from ledger.instants import DAY
from ledger.ledger import Ledger
from ledger.models import EVENTS
from ledger.outcomes import Appended
from projections.standing import Moment

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
    """About five sittings a candidate; what the shipped policies do not know is left out."""
    make(60_000, tmp_path / "made.ledger")
    with opened(tmp_path / "made.ledger") as made:
        rows = list(made.read())
    kinds = Counter(row.type for row in rows)
    unknown = {"AuthorizationGranted", "AuthorizationRevoked", "SittingMissed"}
    assert set(kinds) == {event.type for event in EVENTS} - {"CandidateForgotten"} - unknown
    candidates = len({row.stream for row in rows if row.stream.startswith("candidate/")})
    assert 4 < kinds["ExamAttempted"] / candidates < 6
    assert 9 < len(rows) / candidates < 12


def test_the_peer_in_sql_says_the_same_of_everybody_at_many_moments(tmp_path: Path) -> None:
    """DuckDB and the compiled fold agree on every row: both run the same course."""
    make(12_000, tmp_path / "plain.ledger", plain=True)
    candidates, exams = write_facts(tmp_path / "plain.ledger", tmp_path / "facts.parquet")
    with opened(tmp_path / "plain.ledger") as ledger:
        everyone = bound(ledger, keep_columns=True)
        head = ledger.head()
        statuses: Counter[str] = Counter()
        for days_ago in range(0, 1_900, 240):
            as_of = head.recorded_at - days_ago * DAY
            for position in {head.position, head.position - 2_000, ledger.position_at(as_of)}:
                moment = Moment(as_of, None, position)
                ours = everyone.at(moment).everybody()
                asked = asked_at(ledger, moment)
                theirs = InSql(tmp_path / "facts.parquet", exams, asked, threads=1)()
                agree(ours, theirs, candidates, exams)
                statuses.update(ours["status"].to_pylist())
    assert set(statuses) == {
        *("eligible", "passed", "waiting", "cap-reached", "result-pending", "retired"),
    }


OF_SERVERS = {"postgres", "large", "engine", "scale"}
"""They begin a server of PostgreSQL or Sail, seconds each: `tests/test_postgres_*.py` and
`tests/test_engines.py` begin such and hold what these measure to more."""


def test_every_bench_runs_and_the_table_says_whether_its_figures_are_reached(
    tmp_path: Path,
) -> None:
    """`python -m benchmarks` measures, prints, keeps the figures as JSON, and its code tells."""
    names = sorted((BENCHES | APART).keys() - OF_SERVERS)
    results = gzip.compress(
        b"candidate_id,exam,registration_id,started_at,outcome\nC,A,R,2021-03-01T09:00:00Z,pass\n"
    )
    (tmp_path / "oulad.csv.gz").write_bytes(results)
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        *names,
        "--oulad",
        str(tmp_path / "oulad.csv.gz"),
    ]
    ran = subprocess.run(
        [*command, "--events", "2000", "--runs", "1"],
        cwd=ROOT,
        env={**os.environ, "BENCHMARKS_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "failed before" not in ran.stderr, ran.stderr
    kept = json.loads((tmp_path / "results.json").read_text())["figures"]
    assert {figure["bench"] for figure in kept} == set(names)
    assert ran.returncode == int(any(figure["reached"] is False for figure in kept))
    for figure in kept:
        lines = [
            line
            for line in ran.stdout.splitlines()
            if line.startswith(figure["what"]) and quantity(figure["ours"], figure["unit"]) in line
            and (not figure["peer"] or quantity(figure["peer"], figure["unit"]) in line)
        ]  # fmt: skip
        reached = {True: "yes", False: "NO", None: ""}[figure["reached"]]
        assert any(line.endswith(reached) for line in lines), figure


def test_the_page_says_of_every_bench_what_it_measures() -> None:
    """A bench is a module of its name, and a row of benchmarks/README.md."""
    page = (ROOT / "benchmarks" / "README.md").read_text()
    for name in BENCHES | APART:
        assert (ROOT / "benchmarks" / f"{name}.py").exists(), name
        assert f"\n| `{name}` |" in page, name
