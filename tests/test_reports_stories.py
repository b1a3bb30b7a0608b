"""Each report against a month that was worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from reporting import MARCH, cut, inputs, made, plainly, snapshot, written

from projections.reports.registry import REPORTS
from projections.tables import TABLES
from replay.snapshot import Snapshot


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """Ask about everybody of the story."""
    with written(tmp_path_factory.mktemp("month") / "a.ledger") as ledger:
        yield snapshot(ledger)


PUBLISHED = MARCH[1]


def test_volumes_count_first_sittings_and_retakes_apart(asked: Snapshot) -> None:
    """A beta is counted by neither; a pass rate is of those decided."""
    rows = made("volumes", inputs(asked, known_at=PUBLISHED))
    assert cut(rows, "month", "exam", "sitting", "sittings", "passed", "failed", "pending") == [
        ("2021-03", "AZ-104", "first", 3, 0, 2, 1),
        ("2021-03", "AZ-104", "retake", 2, 1, 1, 0),
        ("2021-03", "AZ-700", "uncounted", 1, 0, 0, 1),
    ]
    assert cut(rows, "pass_rate") == [(0.0,), (0.5,), (None,)]


def test_volumes_restated_know_what_was_learned_since(asked: Snapshot) -> None:
    """C-2 passed, and so had C-4."""
    rows = made("volumes", inputs(asked))
    assert cut(rows, "sitting", "sittings", "passed", "failed", "pending", "pass_rate") == [
        ("first", 3, 2, 1, 0, 0.6667),
        ("retake", 2, 1, 1, 0, 0.5),
        ("uncounted", 1, 0, 0, 1, None),
    ]


@pytest.mark.parametrize(
    ("period", "sittings"),
    [
        (("2021-03-01T09:00Z", "2021-03-03T09:00Z"), 1),
        (("2021-03-01T09:00:01Z", "2021-03-03T09:00:01Z"), 1),
        (("2021-03-01T09:00Z", "2021-03-03T09:00:01Z"), 2),
        ((None, "2021-03-01T09:00Z"), 0),
        (("2021-03-31T12:00Z", None), 1),
        ((None, None), 6),
    ],
)
def test_a_period_has_its_start_and_not_its_end(
    asked: Snapshot, period: tuple[str | None, str | None], sittings: int
) -> None:
    """From is inclusive, to is exclusive, and either may be left out."""
    rows = made("volumes", inputs(asked, period=period))
    assert sum(row["sittings"] for row in rows) == sittings


def test_an_exam_alone_is_that_exams_rows(asked: Snapshot) -> None:
    """A report of one exam holds the rows that the report of all has of it."""
    for name, report in REPORTS.items():
        if report.by_exam and "exam" in report.schema.names:
            all_rows = made(name, inputs(asked))
            some = made(name, inputs(asked, exam="AZ-104"))
            assert some == [row for row in all_rows if row["exam"] == "AZ-104"]


def test_blocked_candidates_stand_under_their_first_reason(asked: Snapshot) -> None:
    """C-4 waits 24 hours from noon of the 31st; C-1's pass blocks until the certification ends."""
    rows = made("blocked", inputs(asked, known_at=PUBLISHED))
    assert cut(rows, "exam", "reason", "candidates", "within_a_week", "without_end") == [
        ("AZ-104", "passed", 1, 0, 0),
        ("AZ-104", "result-pending", 1, 0, 1),
        ("AZ-104", "waiting", 1, 1, 0),
        ("AZ-700", "beta-taken", 1, 0, 0),
    ]
    assert cut(rows, "first_free_at", "last_free_at") == [
        ("2022-03-09T00:00Z",) * 2,
        (None, None),
        ("2021-04-01T12:00Z",) * 2,
        ("2021-05-04T00:00Z",) * 2,
    ]


def test_retakes_are_measured_against_the_wait_before_them(asked: Snapshot) -> None:
    """Two days for a wait of one; then six where fourteen were asked."""
    rows = made("retakes", inputs(asked))
    names = ("ordinal", "retakes", "wait_days", "days_median", "before_wait", "within_a_day")
    assert cut(rows, *names, "passed") == [
        (2, 1, 1.0, 2.0, 0, 0, 0),
        (3, 1, 14.0, 6.0, 1, 0, 1),
    ]


def test_a_retake_knows_the_sitting_and_the_wait_before_it(asked: Snapshot) -> None:
    """Nobody else has either."""
    rows = plainly(inputs(asked).snapshot.table("sittings"))
    assert cut(rows, "candidate", "ordinal", "previous_at", "wait_until") == [
        ("C-1", 1, None, None),
        ("C-1", 2, "2021-03-01T09:00Z", "2021-03-02T09:00Z"),
        ("C-1", 3, "2021-03-03T09:00Z", "2021-03-17T09:00Z"),
        ("C-2", 1, None, None),
        ("C-3", None, None, None),
        ("C-4", 1, None, None),
    ]


@pytest.mark.parametrize(
    ("as_of", "overdue", "age"),
    [("2021-04-01", 0, 10.0), ("2021-05-03T23:00Z", 0, 42.96), ("2021-05-04", 1, 43.0)],
)
def test_a_beta_result_ages_and_is_overdue_two_weeks_after_the_exam_goes_live(
    asked: Snapshot, as_of: str, overdue: int, age: float
) -> None:
    """Usual 7 to 10 days after the live date, overdue after 14."""
    (row,) = made("betas", inputs(asked, as_of))
    assert (row["exam"], row["pending"], row["overdue"]) == ("AZ-700", 1, overdue)
    assert row["days_oldest"] == row["days_median"] == age
    assert (row["live_at"], row["results_from"], row["results_by"], row["overdue_from"]) == (
        "2021-04-20T00:00Z", "2021-04-27T00:00Z", "2021-04-30T00:00Z", "2021-05-04T00:00Z",
    )  # fmt: skip


def test_exceptions_are_told_by_reason_with_the_time_to_the_first_decision(
    asked: Snapshot,
) -> None:
    """Rejected at once; granted after a day and withdrawn later; open for half a month."""
    rows = made("exceptions", inputs(asked, "2021-04-15T14:00Z"))
    names = ("reason", "requests", "granted", "rejected", "revoked", "open")
    assert cut(rows, *names, "hours_median", "days_open") == [
        ("lab-crash", 2, 0, 1, 1, 0, 12.0, None),
        ("power-cut", 1, 0, 0, 0, 1, None, 15.0),
    ]
    rows = made("exceptions", inputs(asked, "2021-04-01T13:00Z"))
    assert cut(rows, *names, "hours_p90")[0] == ("lab-crash", 2, 1, 1, 0, 0, 24.0)
    rows = made("exceptions", inputs(asked, "2021-04-01T12:59Z"))
    assert cut(rows, *names, "hours_median")[0] == ("lab-crash", 2, 0, 1, 0, 1, 0.0)


def test_certifications_expire_in_the_month_of_their_last_end(asked: Snapshot) -> None:
    """A renewal moves the end: C-9's is a year later than it was."""
    ends = (None, None)
    rows = made("expiring", inputs(asked, "2021-03-24", period=ends))
    names = ("month", "certification", "expiring", "ended", "renewed_before")
    assert cut(rows, *names) == [("2021-04", "admin", 1, 0, 0), ("2022-03", "admin", 1, 0, 0)]
    rows = made("expiring", inputs(asked, "2022-03-09", period=ends))
    assert cut(rows, *names) == [("2022-03", "admin", 1, 1, 0), ("2022-04", "admin", 1, 0, 1)]


def test_violations_say_whether_they_were_known_then(asked: Snapshot) -> None:
    """C-1 came back eight days too early, and that could be seen."""
    rows = made("violations", inputs(asked))
    assert cut(rows, "month", "exam", "found", "status", "sittings", "early_hours") == [
        ("2021-03", "AZ-104", "then and now", "waiting", 1, 192.0)
    ]


def test_corrections_are_told_by_the_month_they_correct(asked: Snapshot) -> None:
    """Two results came late, one was annulled; the withdrawal is of April."""
    rows = made("corrections", inputs(asked, "2021-04-30", period=(None, None)))
    rows = [row for row in rows if row["month"] >= "2021"]
    names = ("month", "kind", "type", "facts", "candidates", "after_month", "lag_days_most")
    assert cut(rows, *names) == [
        ("2021-03", "annulment", "ExamFailed", 1, 1, 1, 2.83),
        ("2021-03", "late", "ExamPassed", 2, 2, 2, 13.0),
        ("2021-04", "revocation", "ExceptionRevoked", 1, 1, 0, 0.0),
    ]


def test_before_it_was_known_there_was_nothing_to_correct(asked: Snapshot) -> None:
    """As published, March had no correction."""
    assert made("corrections", inputs(asked, known_at=PUBLISHED)) == []


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_of_nothing_is_an_empty_table_and_a_sentence(asked: Snapshot, name: str) -> None:
    """Before the first sitting there is nothing to report, which is no error."""
    report = REPORTS[name]
    table = report.make(inputs(asked, "1999-01-01", period=("1998-01-01", "1998-02-01")))
    assert table == report.schema.empty_table()
    assert report.line(table).endswith(".")


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_says_what_it_comes_to_in_one_sentence(asked: Snapshot, name: str) -> None:
    """One line, for people."""
    line = REPORTS[name].line(REPORTS[name].make(inputs(asked, "2021-04-30")))
    assert line.endswith(".")
    assert "\n" not in line


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_sorted_by_its_key_which_tells_its_rows_apart(
    asked: Snapshot, name: str
) -> None:
    """The same rows in the same order, whatever the ledger's order was."""
    report = REPORTS[name]
    rows = report.make(inputs(asked, "2021-04-30", period=(None, None))).to_pylist()
    keys = [tuple(row[column] for column in report.key) for row in rows]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("name", TABLES)
def test_inputs_have_the_columns_they_are_said_to_have(asked: Snapshot, name: str) -> None:
    """Documented, exported and computed are one."""
    table = inputs(asked).snapshot.table(name)
    assert table.schema == TABLES[name].schema
    assert inputs(asked, "1990-01-01").snapshot.table(name).schema == table.schema
