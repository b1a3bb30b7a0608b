"""The table `problems` has the codes that a standing's `problems` has, for everybody at once."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from plain_values import at
from read_models import fold, ledger_from
from scenarios import (
    SHIPPED,
    Line,
    annulled,
    attempted,
    exam,
    failed,
    line,
    passed,
    recorded,
    rescored,
    result,
)
from strategies import randomness
from test_tables_law import asked, told_otherwise

from ledger.cloudevents import backfilled
from ledger.events import Recorded
from ledger.intake.odd import SOURCES_DISAGREE
from ledger.models import ExamAttempted
from projections.fold.facts import LAST
from projections.history import SITTING_KINDS
from projections.problems import CODES, UNKNOWN_EXAM
from replay.snapshot import Snapshot

AZ = exam("AZ-104", on="2019-01-01")
FIRST = "2021-04-01T09:00Z"


def of(source: str, told: Line) -> Line:
    """The same facts from another source."""
    return told._replace(facts=tuple(fact._replace(source=source) for fact in told.facts))


def found(rows: list[Recorded]) -> list[dict[str, Any]]:
    """The rows of the five codes."""
    return [row for row in fold(rows)["problems"].to_pylist() if row["kind"] in CODES]


def a_sitting(*, ended: str | None) -> Line:
    """A sitting that ended then."""
    ends = None if ended is None else at(ended)
    event = ExamAttempted(exam="AZ-104", registration_id="R-1", delivery="live", ended_at=ends)
    return line("C-1", "R-1/attempted", FIRST, event)


def another(on: str, *, is_pass: bool) -> Line:
    """A result of R-1 from another source."""
    return of("urn:vue", result("AZ-104", reg="R-1", on=on, passed=is_pass))


SAT = failed("AZ-104", on=FIRST, reg="R-1", result_at="2021-04-01T12:00Z")
CASES = {
    "fits": ([SAT], []),
    "an exam that nobody announced": ([failed("az-104", on=FIRST, reg="R-1")], [UNKNOWN_EXAM]),
    "another outcome": ([SAT, another("2021-04-02", is_pass=True)], [SOURCES_DISAGREE]),
    "the same outcome": ([SAT, another("2021-04-02", is_pass=False)], []),
    "another outcome by the same source": (
        [SAT, result("AZ-104", reg="R-1", on="2021-04-02", passed=True)],
        [],
    ),
    "another outcome, annulled": (
        [
            result("AZ-104", reg="R-1", on="2021-04-02", passed=True),
            annulled("R-1/result", on="2021-04-03"),
            of("urn:vue", SAT),
        ],
        [],
    ),
    "another start": (
        [SAT, of("urn:vue", attempted("AZ-104", on="2021-04-01T10:00Z", reg="R-1"))],
        [SOURCES_DISAGREE],
    ),
    "a result before its sitting": (
        [
            attempted("AZ-104", on=FIRST, reg="R-1"),
            result("AZ-104", reg="R-1", on="2021-04-01T08:59:59Z", passed=False),
        ],
        ["result-before-sitting"],
    ),
    "a result as its sitting begins": (
        [
            attempted("AZ-104", on=FIRST, reg="R-1"),
            result("AZ-104", reg="R-1", on=FIRST, passed=False),
        ],
        [],
    ),
    "a result alone": ([result("AZ-104", reg="R-1", on=FIRST, passed=False)], []),
    "seven days": ([a_sitting(ended="2021-04-08T09:00Z")], []),
    "more than seven days": ([a_sitting(ended="2021-04-08T09:00:01Z")], ["long-sitting"]),
    "thirty days late": ([SAT.recorded("2021-05-01T12:00Z")], []),
    "more than thirty days late": ([SAT.recorded("2021-05-01T12:00:01Z")], ["late-result"]),
    "a late attempt": ([attempted("AZ-104", on=FIRST, reg="R-1").recorded("2022-04-01")], []),
    "a late rescoring": (
        [
            passed("AZ-104", on=FIRST, reg="R-1"),
            rescored("AZ-104", reg="R-1", on="2021-05-01", passed=False).recorded("2021-07-01"),
        ],
        ["late-result"],
    ),
}
"""What is recorded after AZ-104 was announced, and the codes of the rows."""


@pytest.mark.parametrize("case", CASES)
def test_each_code_has_its_rows(case: str) -> None:
    """On either side of each bound, as the read model keeps them."""
    lines, codes = CASES[case]
    rows = found(recorded([*SHIPPED, AZ, *lines]))
    assert [row["kind"] for row in rows] == codes
    assert all((row["candidate"], row["key"]) == ("C-1", "R-1") for row in rows)


def test_what_was_moved_in_is_no_late_result() -> None:
    """A row with the mark of a migration, however old."""
    rows = recorded([*SHIPPED, AZ, SAT.recorded("2025-01-01")])
    assert [row["kind"] for row in found(rows)] == ["late-result"]
    moved_in = [row._replace(extensions=backfilled(row.extensions)) for row in rows]
    assert found(moved_in) == []


def test_what_the_rows_say() -> None:
    """The event, when it was true, who says what, and until when."""
    early = result("AZ-104", reg="R-1", on="2021-03-31T09:00Z", passed=True)
    lines = [a_sitting(ended="2021-05-01T09:00Z"), early, another("2021-05-01", is_pass=False)]
    rows = recorded([*SHIPPED, AZ, *lines])
    by_code = {row["kind"]: row for row in found(rows)}
    opened, before = (
        next(row.position for row in rows if row.id == id) for id in ("R-1/attempted", "R-1/result")
    )
    disagree = by_code["sources-disagree"]
    assert disagree["position"] == opened
    assert disagree["detail"].endswith("disagree about R-1: urn:test says passed, "
                                       "urn:vue says failed.")  # fmt: skip
    assert (by_code["long-sitting"]["position"], by_code["long-sitting"]["until"]) == (
        opened, at("2021-05-01T09:00Z"),
    )  # fmt: skip
    row = by_code["result-before-sitting"]
    assert (row["position"], row["at"], row["until"]) == (
        before, at("2021-03-31T09:00Z"), at(FIRST),
    )  # fmt: skip


Said = dict[tuple[str, str, str], set[Any]]
"""By candidate, exam and code: sittings that are told differently, or positions."""


def said_by_the_table(snapshot: Snapshot) -> Said:
    """What the rows of the table are about; of unknown exams a standing names only its likes."""
    said: Said = defaultdict(set)
    for row in snapshot.table("problems").to_pylist():
        if row["kind"] in CODES and row["kind"] != UNKNOWN_EXAM:
            about = row["key" if row["kind"] == SOURCES_DISAGREE else "position"]
            said[row["candidate"], row["exam"], row["kind"]].add(about)
    return said


def said_by_standings(snapshot: Snapshot, rows: list[Recorded]) -> Said:
    """What the problems of everybody's standings are about."""
    by_key = {(row.source, row.id): row for row in rows}
    said: Said = defaultdict(set)
    for candidate, code in {(row.subject, row.exam) for row in rows if row.type in SITTING_KINDS}:
        assert code is not None
        for problem in snapshot.standing(candidate, code).problems:
            events = [by_key[each.source, each.id] for each in problem.because]
            if problem.code == SOURCES_DISAGREE:
                said[candidate, code, problem.code].update(each.key for each in events)
            elif problem.code != UNKNOWN_EXAM:
                of_result = problem.code != "long-sitting"
                said[candidate, code, problem.code].update(
                    each.position
                    for each in events
                    if (each.type == "ExamAttempted") is not of_result
                )
    return said


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=randomness())
def test_the_rows_are_those_of_every_standing(random: Random) -> None:
    """At random moments of random ledgers: as the law has it, the read model keeps the same."""
    rows = told_otherwise(random)
    with TemporaryDirectory() as name, ledger_from(Path(name) / "a.ledger", rows) as ledger:
        for instant in [LAST, *(random.choice(rows).occurred_at for _ in rows[:2])]:
            snapshot = asked(ledger, instant)
            assert said_by_the_table(snapshot) == said_by_standings(snapshot, rows)
