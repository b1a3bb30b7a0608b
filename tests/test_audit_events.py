"""Which events: every condition to its boundary, and nothing lost between two of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from auditing import everything, ids, ledger_of_world, recorded_by, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_values import at
from reporting import written
from scenarios import annulled, certification, exam, failed, passed, policy
from strategies import world

from ledger.facts import fact_of
from ledger.ledger import Ledger
from replay.snapshot import Known
from retake_policies import shipped

GENERAL = dict(shipped())["general"]

STORY = (
    exam("AZ-104"),
    exam("AZ-700"),
    certification("C-1", exams=["AZ-104"]),
    recorded_by("feed", failed("AZ-104", on="2021-03-01T09:00Z", reg="R-1")),
    recorded_by("feed", passed("AZ-700", on="2021-03-02T09:00Z", reg="R-2", who="C-2"), "urn:vue"),
    recorded_by("desk", failed("AZ-104", on="2021-03-03T09:00Z", reg="R-3", who="C-2")).recorded(
        "2021-03-10T00:00Z"
    ),
    recorded_by("desk", annulled("R-1/result", on="2021-03-20T00:00Z", subject="C-1")),
    policy(GENERAL.replace("P14D", "P15D"), on="2021-03-21"),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Yield a ledger of two candidates, a feed and a desk."""
    with written(tmp_path / "a.ledger", STORY) as made:
        yield made


SAT = ["R-1/attempted", "R-1/result", "R-2/attempted", "R-2/result", "R-3/attempted", "R-3/result"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"actor": "feed"}, SAT[:4]),
        ({"actor": "desk"}, [*SAT[4:], "R-1/result/annulled"]),
        ({"actor": "nobody"}, []),
        ({"source": "urn:vue"}, SAT[2:4]),
        ({"source": "urn:vue", "actor": "desk"}, []),
        ({"types": ("ExamFailed",)}, ["R-1/result", "R-3/result"]),
        ({"types": ("ExamFailed", "ExamPassed")}, ["R-1/result", "R-2/result", "R-3/result"]),
        ({"candidate": "C-2"}, SAT[2:]),
        ({"candidate": "C-1"}, [*SAT[:2], "R-1/result/annulled"]),
        ({"subject": "C-1"}, ["certification/C-1", *SAT[:2], "R-1/result/annulled"]),
        ({"subject": "AZ-700"}, ["exam/AZ-700"]),
        ({"subject": "general"}, ["policy/general", "policy/general/2"]),
        ({"exam": "AZ-104"}, ["exam/AZ-104", *SAT[:2], *SAT[4:], "R-1/result/annulled"]),
        ({"exam": "AZ-104", "candidate": "C-2"}, SAT[4:]),
        ({"exam": "az-104"}, []),
    ],
    ids=str,
)
def test_what_is_listed(ledger: Ledger, asked: dict[str, Any], found: list[str]) -> None:
    """All conditions are true of it; an annulment is of the exam of what it annuls."""
    assert ids(ledger, **asked) == found


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("2021-03-10T00:00Z", None, True),
        (at("2021-03-10T00:00Z") + 1, None, False),
        (at("2021-03-10T00:00Z") - 1, None, True),
        (None, "2021-03-10T00:00Z", False),
        (None, at("2021-03-10T00:00Z") + 1, True),
        ("2021-03-10T00:00Z", at("2021-03-10T00:00Z") + 1, True),
        ("2030-01-01", "2031-01-01", False),
    ],
)
def test_recorded_is_from_inclusive_to_exclusive(
    ledger: Ledger, start: Any, end: Any, found: bool
) -> None:
    """By when the ledger took it, to the microsecond."""
    bounds = {"recorded_from": start, "recorded_to": end}
    said = {name: bound for name, bound in bounds.items() if bound is not None}
    assert ("R-3/result" in ids(ledger, **said)) == found


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("2021-03-03T09:00Z", None, True),
        (at("2021-03-03T09:00Z") + 1, None, False),
        (None, "2021-03-03T09:00Z", False),
        (None, at("2021-03-03T09:00Z") + 1, True),
    ],
)
def test_valid_is_from_inclusive_to_exclusive(
    ledger: Ledger, start: Any, end: Any, found: bool
) -> None:
    """By when it was true."""
    bounds = {"valid_from": start, "valid_to": end}
    said = {name: bound for name, bound in bounds.items() if bound is not None}
    assert ("R-3/result" in ids(ledger, **said)) == found


def test_an_event_says_who_when_and_what_about(ledger: Ledger) -> None:
    """Both clocks, the subject, and no data."""
    (row,) = rows(ledger, "events", candidate="C-2", types=("ExamPassed",))
    position = ledger.find("urn:vue", "R-2/result").position  # type: ignore[union-attr]
    assert row == {
        "position": position, "recorded_at": at("2021-03-02T09:00Z"),
        "true_at": at("2021-03-02T09:00Z"), "type": "ExamPassed", "about": "candidate",
        "subject": "C-2", "exam": "AZ-700", "key": "R-2", "source": "urn:vue", "id": "R-2/result",
        "actor": "feed", "annuls": None, "annulled_by": None,
    }  # fmt: skip


def test_an_annulled_event_is_listed_with_what_annulled_it(ledger: Ledger) -> None:
    """From when the annulment is known; the annulment names exam and registration as it does."""
    annulment = ledger.find("urn:test", "R-1/result/annulled")
    assert annulment is not None
    before = Known(position=annulment.position - 1)
    said = [row["annulled_by"] for row in rows(ledger, "events", before, candidate="C-1")]
    assert said == [None, None]
    found = rows(ledger, "events", candidate="C-1")
    assert [row["annulled_by"] for row in found] == [None, annulment.position, None]
    assert (found[2]["annuls"], found[2]["exam"], found[2]["key"]) == (
        annulment.annuls, "AZ-104", "R-1",
    )  # fmt: skip


def test_an_annulment_outside_the_interval_is_known_all_the_same(ledger: Ledger) -> None:
    """The interval says what is listed, not what is known of it."""
    found = rows(ledger, "events", recorded_to="2021-03-02", types=("ExamFailed",))
    assert [row["annulled_by"] for row in found] == [annulled_at(ledger)]


def annulled_at(ledger: Ledger) -> int:
    """Return the position of the annulment."""
    return next(row.position for row in everything(ledger) if row.annuls is not None)


def test_of_nothing_there_is_nothing(tmp_path: Path) -> None:
    """An empty ledger has no event, and says so."""
    with Ledger.create(tmp_path / "a.ledger", clock=lambda: 0) as empty:
        assert rows(empty, "events") == []


# --- laws ------------------------------------------------------------------------------------


def plainly(row: Any, of: Any, asked: dict[str, Any]) -> bool:
    """Return whether an event is meant, by reading the conditions one by one; `of` it annuls."""
    about = of or row
    meant = {
        "candidate": row.stream == f"candidate/{asked.get('candidate')}",
        "subject": row.subject == asked.get("subject"),
        "exam": about.exam == asked.get("exam"),
        "types": row.type in asked.get("types", ()),
        "actor": row.actor == asked.get("actor"),
        "source": row.source == asked.get("source"),
        "recorded_from": row.recorded_at >= asked.get("recorded_from", 0),
        "recorded_to": row.recorded_at < asked.get("recorded_to", 0),
        "valid_from": row.occurred_at >= asked.get("valid_from", 0),
        "valid_to": row.occurred_at < asked.get("valid_to", 0),
    }
    return all(meant[name] for name in asked)


def some_conditions(random: Random, all_rows: list[Any]) -> dict[str, Any]:
    """Draw conditions, of what is in the ledger or a microsecond beside it."""
    row = random.choice(all_rows)
    beside = random.choice((-1, 0, 1))
    offered = {
        "candidate": row.subject,
        "subject": row.subject,
        "exam": row.exam or "X",
        "types": tuple({row.type, random.choice(all_rows).type}),
        "source": row.source,
        "recorded_from": row.recorded_at + beside,
        "recorded_to": row.recorded_at + beside,
        "valid_from": row.occurred_at + beside,
        "valid_to": row.occurred_at + beside,
    }
    return {name: offered[name] for name in random.sample(sorted(offered), random.randint(1, 3))}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, (1 << 64) - 1).map(Random))
def test_the_conditions_find_what_reading_one_by_one_finds(random: Random) -> None:
    """And those of an interval's two sides are all events, each once."""
    made = world(random, people=2)
    with ledger_of_world([fact_of(row) for row in made.rows]) as ledger:
        all_rows = everything(ledger)
        at_position = {row.position: row for row in all_rows}
        for _ in range(4):
            asked = some_conditions(random, all_rows)
            found = [row["position"] for row in rows(ledger, "events", **asked)]
            assert found == [
                row.position
                for row in all_rows
                if plainly(row, at_position.get(row.annuls or 0), asked)
            ]
        for kind, clock in (("recorded", "recorded_at"), ("valid", "occurred_at")):
            t = getattr(random.choice(all_rows), clock)
            parts = [
                row["position"]
                for said in ({f"{kind}_to": t}, {f"{kind}_from": t})
                for row in rows(ledger, "events", **said)
            ]
            assert sorted(parts) == [row.position for row in all_rows]
        by_type = [
            row["position"]
            for type in sorted({row.type for row in all_rows})
            for row in rows(ledger, "events", types=(type,))
        ]
        assert sorted(by_type) == [row.position for row in all_rows]
