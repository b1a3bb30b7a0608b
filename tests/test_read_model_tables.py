"""What each table of the views says, held against the fold of each candidate."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from example_ledger import NOW, bound, facts, ledger_of
from plain_values import at
from read_models import as_of, beside, built_anew, fold, is_of_catalogue, table, told
from scenarios import (
    SHIPPED,
    annulled,
    attempted,
    authorized,
    earned,
    exam,
    expired,
    granted,
    missed,
    policy,
    recorded,
    rejected,
    renewed,
    requested,
    result,
    revoked,
    unauthorized,
    withdrawn,
)
from strategies import world

from ledger.events import Recorded
from ledger.facts import fact_of
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.models import ExceptionRequested
from projections.catalogue import catalogue_of
from projections.exceptions import requests_of
from projections.fold.facts import LAST
from projections.history import history_of
from projections.standing import Moment, standing_of
from projections.tables import KEPT, OPEN
from replay.read_model.schema import readable_select
from replay.read_model.store import standings_as_of

DAY = 86_400_000_000
HOUR = DAY // 24


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Yield a ledger of the whole example."""
    with ledger_of(tmp_path_factory.mktemp("views") / "a.ledger", facts()) as made:
        yield made


@pytest.fixture(scope="module")
def views(ledger: Ledger) -> Path:
    """Return views of it."""
    return built_anew(ledger, beside(ledger.path))


def rows_of(name: str, rows: list[Recorded]) -> list[dict[str, Any]]:
    """Fold a history and give the rows of one table."""
    return fold(rows)[name].to_pylist()


# --- sittings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(15))
def test_sittings_are_those_of_each_standing(seed: int) -> None:
    """The same sittings, in the same order, with the same outcomes, judged at their own start."""
    rows = world(Random(seed), people=4).rows
    found = fold(rows)
    sittings = found["sittings"].to_pylist()
    catalogue = catalogue_of([row for row in rows if is_of_catalogue(row)])
    told_of = []
    for who in sorted({row.subject for row in rows if not is_of_catalogue(row)}):
        history = history_of([row for row in rows if row.stream == f"candidate/{who}"], catalogue)
        for code in sorted(history.runs):
            moment = Moment(LAST, None, rows[-1].position)
            standing = standing_of(who, code, history, catalogue, moment)
            for number, sitting in enumerate(standing.sittings, 1):
                then = Moment(sitting.started_at, None, rows[-1].position)
                there = {
                    each.registration_id: each.ordinal
                    for each in standing_of(who, code, history, catalogue, then).sittings
                }
                told_of.append(
                    {
                        "candidate": who,
                        "exam": code,
                        "registration_id": sitting.registration_id,
                        "started_at": sitting.started_at,
                        "delivery": sitting.delivery,
                        "outcome": sitting.outcome,
                        "outcome_at": sitting.outcome_at,
                        "number": number,
                        "ordinal": there[sitting.registration_id],
                    }
                )
    assert [{name: row[name] for name in told_of[0]} for row in sittings] == told_of


def test_a_sitting_tells_what_held_before_it() -> None:
    """The status without itself, from when the candidate might have sat it, what was waived."""
    lines = [
        exam("AZ-104", policy="general", on="2019-01-01"),
        attempted("AZ-104", reg="R-1", on="2022-03-01T09:00Z"),
        result("AZ-104", passed=False, reg="R-1", on="2022-03-01T10:00Z"),
        attempted("AZ-104", reg="R-2", on="2022-03-02T08:00Z"),
        result("AZ-104", passed=False, reg="R-2", on="2022-03-02T09:00Z"),
        granted("AZ-104", request="Q-1", waives=("wait",), on="2022-03-03"),
        attempted("AZ-104", reg="R-3", on="2022-03-04T08:00Z"),
    ]
    first, second, third = rows_of("sittings", recorded([*SHIPPED, *lines]))
    assert (first["status"], first["eligible_from"], first["waived"]) == ("eligible", None, None)
    assert (second["status"], second["waived"]) == ("waiting", None)
    assert second["eligible_from"] == at("2022-03-02T09:00Z")
    assert (third["status"], third["waived"], third["ordinal"]) == ("eligible", "wait", 3)


# --- corrections -----------------------------------------------------------------------------


def standings_then(
    rows: list[Recorded], row: dict[str, Any], instant: int, position: int
) -> tuple[str | None, int | None]:
    """Ask the interpreted fold for one status and eligible_from, None where there is none."""
    for who, code, status, _, eligible_from, *_ in told(rows, instant, position):
        if (who, code) == (row["candidate"], row["exam"]):
            return status, eligible_from
    return None, None


@pytest.mark.parametrize("seed", range(10))
def test_corrections_tell_what_was_said_before_and_after(seed: int) -> None:
    """As of when it was true and when it became known, by the fold itself at both positions."""
    rows = world(Random(seed), people=3).rows
    corrections = rows_of("corrections", rows)
    assert corrections
    for row in corrections:
        if row["exam"] is None:
            assert (row["was_status"], row["is_status"]) == (None, None)
            continue
        before, after = row["position"] - 1, row["position"]
        was = standings_then(rows, row, row["true_at"], before)
        now = standings_then(rows, row, row["true_at"], after)
        assert (row["was_status"], row["was_eligible_from"]) == was
        assert (row["is_status"], row["is_eligible_from"]) == now
        assert row["told_before"] == standings_then(rows, row, row["recorded_at"], before)[0]
        assert row["told_after"] == standings_then(rows, row, row["recorded_at"], after)[0]


def test_what_is_a_correction() -> None:
    """A day late to the microsecond, an annulment, a revocation; a fact in time is none."""
    lines = [
        exam("AZ-104", policy="general", on="2019-01-01"),
        attempted("AZ-104", reg="R-1", on="2022-03-01T09:00Z"),
        result("AZ-104", passed=False, reg="R-1", on="2022-03-01T10:00Z").recorded(
            "2022-03-02T09:59:59.999999Z"
        ),
        attempted("AZ-104", reg="R-2", on="2022-03-10T09:00Z").recorded("2022-03-11T09:00Z"),
        result("AZ-104", passed=True, reg="R-2", on="2022-03-10T10:00Z").recorded(
            "2022-03-11T09:00Z"
        ),
        revoked("AZ-104", reg="R-2", on="2022-03-20"),
        annulled("R-1/result", on="2022-03-21"),
    ]
    rows = recorded([*SHIPPED, *lines])
    late, taken_back, annulment = rows_of("corrections", rows)
    assert (late["kind"], late["type"], late["key"]) == ("late", "ExamAttempted", "R-2")
    assert (late["true_at"], late["recorded_at"] - late["true_at"]) == (
        at("2022-03-10T09:00Z"),
        DAY,
    )
    assert (late["was_status"], late["is_status"]) == ("eligible", "result-pending")
    assert (taken_back["kind"], taken_back["type"]) == ("revocation", "ResultRevoked")
    assert (taken_back["told_before"], taken_back["told_after"]) == ("passed", "waiting")
    # 14 days after a second sitting that was revoked
    assert (annulment["kind"], annulment["type"]) == ("annulment", "ExamFailed")
    assert annulment["true_at"] == at("2022-03-01T10:00Z")
    assert (annulment["was_status"], annulment["is_status"]) == ("waiting", "result-pending")
    assert annulment["annuls"] == next(row.position for row in rows if row.id == "R-1/result")


def test_a_certification_told_late_bears_on_what_it_changes() -> None:
    """A row for each exam whose standing it changes; where it changes none, one that names none."""
    lines = [
        exam("AZ-104", policy="general", on="2019-01-01"),
        exam("AZ-500", policy="general", on="2019-01-01"),
        attempted("AZ-104", reg="R-1", on="2022-03-01"),
        result("AZ-104", passed=True, reg="R-1", on="2022-03-01"),
        attempted("AZ-500", reg="R-2", on="2022-03-01"),
        result("AZ-500", passed=False, reg="R-2", on="2022-03-01"),
        earned("ADMIN", on="2022-03-02", expires="2023-03-02", exams=("AZ-104",)).recorded(
            "2023-06-01"
        ),
        earned("OTHER", on="2022-03-02", expires="2023-03-02", exams=()).recorded("2023-06-02"),
    ]
    bearing, idle = rows_of("corrections", recorded([*SHIPPED, *lines]))
    assert (bearing["exam"], bearing["key"], bearing["number"]) == ("AZ-104", "ADMIN", 1)
    assert (bearing["told_before"], bearing["told_after"]) == ("passed", "eligible")
    assert (idle["exam"], idle["key"], idle["is_status"]) == (None, "OTHER", None)


# --- problems --------------------------------------------------------------------------------


def test_what_does_not_fit_is_a_problem() -> None:
    """One row each, of the event that does not fit; what is annulled is none."""
    lines = [
        exam("AZ-104", policy="general", on="2019-01-01"),
        result("AZ-104", passed=True, reg="R-1", on="2022-03-01"),
        revoked("AZ-104", reg="R-2", on="2022-03-01"),
        attempted("XX-1", reg="R-3", on="2022-03-01"),
        attempted("AZ-104", reg="R-4", on="2022-03-02"),
        attempted("AZ-104", reg="R-5", on="2022-05-01").recorded("2022-06-01"),
        attempted("AZ-104", reg="R-6", on="2022-05-02").recorded("2022-06-02"),
        annulled("R-6/attempted", on="2022-06-03"),
    ]
    found = {
        (row["kind"], row["key"]): row for row in rows_of("problems", recorded([*SHIPPED, *lines]))
    }
    assert set(found) == {
        ("result-without-sitting", "R-1"),
        ("revocation-without-sitting", "R-2"),
        ("unknown-exam", "R-3"),
        ("not-eligible", "R-4"),
        ("not-eligible", "R-5"),
        ("late", "R-5"),
    }
    assert found["not-eligible", "R-4"]["detail"] == "passed"
    assert found["not-eligible", "R-5"]["until"] is None
    assert found["late", "R-5"]["recorded_at"] == at("2022-06-01")


def test_a_missed_sitting_is_no_problem() -> None:
    """It has no attempt and no result, and violates nothing: also not where a pass stands."""
    lines = [
        exam("AZ-104", policy="general", on="2019-01-01"),
        attempted("AZ-104", reg="R-1", on="2022-03-01"),
        result("AZ-104", passed=True, reg="R-1", on="2022-03-01"),
        missed("AZ-104", reg="R-2", on="2022-03-02"),
    ]
    assert list(rows_of("problems", recorded([*SHIPPED, *lines]))) == []
    _, other = rows_of("sittings", recorded([*SHIPPED, *lines]))
    assert (other["outcome"], other["status"], other["ordinal"]) == ("missed", "passed", None)


NEEDED = """
id = "ours"
effective_from = 2020-01-01T00:00:00Z
[authorization]
required = true
"""


def test_a_withdrawn_authorization_is_a_correction() -> None:
    """As a withdrawn grant is: of the exam that it bears on, by the authorization's id."""
    lines = [
        policy(
            'id = "ours"\neffective_from = 2020-01-01T00:00:00Z\n[authorization]\nrequired = true\n'
        ),
        exam("X", policy="ours", on="2020-01-01"),
        authorized("X", on="2022-03-01"),
        unauthorized("X", on="2022-03-05").recorded("2022-03-06"),
    ]
    (found,) = rows_of("corrections", recorded([*SHIPPED, *lines]))
    assert (found["kind"], found["type"]) == ("revocation", "AuthorizationRevoked")
    assert (found["exam"], found["key"]) == ("X", "A-1")
    assert (found["was_status"], found["is_status"]) == (None, None)  # no sitting, no standing


# --- exceptions and certifications -----------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_exceptions_are_what_the_desk_says(seed: int) -> None:
    """The same requests; a grant that has run out is granted, with the date that it ran out."""
    rows = world(Random(seed), people=5).rows
    catalogue = catalogue_of([row for row in rows if is_of_catalogue(row)])
    said = {}
    for who in {row.subject for row in rows if not is_of_catalogue(row)}:
        mine = [row for row in rows if row.stream == f"candidate/{who}"]
        for each in requests_of(who, mine, catalogue, Moment(LAST, None, rows[-1].position)):
            said[each.candidate, each.exam, each.request_id] = each
    found = rows_of("exceptions", rows)
    assert {(row["candidate"], row["exam"], row["request_id"]) for row in found} == set(said)
    for row in found:
        each = said[row["candidate"], row["exam"], row["request_id"]]
        assert row["decision"] == {"used": "granted", "expired": "granted"}.get(
            each.state, each.state
        )
        assert row["registration_id"] == each.registration_id
        assert row["reason"] == each.reason
        assert row["requested_at"] == each.requested_at
        assert row["used_by"] == each.used_by
        assert row["waives"] == (" ".join(each.waives) or None)
        assert row["why"] == each.why
        assert row["missing"] == (",".join(each.missing) or None)


def test_a_sitting_that_had_been_missed_uses_a_grant_once_it_has_a_result() -> None:
    """Missed it is not counted, and uses nothing; a result told later says that it was sat."""
    lines = [
        exam("AZ-104", policy="general", on="2019-01-01"),
        granted("AZ-104", request="Q-1", waives=("wait",), on="2022-03-01"),
        missed("AZ-104", reg="R-1", on="2022-03-02"),
    ]
    (unused,) = rows_of("exceptions", recorded([*SHIPPED, *lines]))
    assert (unused["used_at"], unused["used_by"]) == (None, None)
    lines.append(result("AZ-104", passed=False, reg="R-1", on="2022-03-05"))
    (used,) = rows_of("exceptions", recorded([*SHIPPED, *lines]))
    assert (used["used_at"], used["used_by"]) == (at("2022-03-02"), "R-1")


def test_an_exception_tells_its_decision_and_its_use() -> None:
    """Asked, granted, used; asked, refused; granted and withdrawn."""
    lines = [
        exam("AZ-104", policy="general", on="2019-01-01"),
        attempted("AZ-104", reg="R-1", on="2022-03-01"),
        result("AZ-104", passed=False, reg="R-1", on="2022-03-01"),
        requested("AZ-104", reg="R-1", request="Q-1", on="2022-03-01T08:00Z"),
        granted("AZ-104", request="Q-1", waives=("wait",), on="2022-03-01T09:00Z"),
        attempted("AZ-104", reg="R-2", on="2022-03-01T10:00Z"),
        requested("AZ-104", reg="R-2", request="Q-2", on="2022-03-03"),
        rejected("AZ-104", request="Q-2", missing=("email",), on="2022-03-04"),
        granted("AZ-104", request="Q-3", waives=("wait", "cap"), on="2022-03-05"),
        withdrawn("AZ-104", request="Q-3", on="2022-03-06"),
    ]
    used, refused, gone = rows_of("exceptions", recorded([*SHIPPED, *lines]))
    assert (used["decision"], used["used_by"]) == ("granted", "R-2")
    assert used["used_at"] == at("2022-03-01T10:00Z")
    assert used["decided_at"] - used["requested_at"] == HOUR
    assert (refused["decision"], refused["missing"]) == ("rejected", "email")
    assert (gone["decision"], gone["waives"]) == ("revoked", "wait cap")
    assert gone["decided_at"] == at("2022-03-06")


def test_a_certification_tells_when_it_ends() -> None:
    """By its last holding, or by what was said of it since, whichever is earlier."""
    lines = [
        earned("A", on="2021-01-01", expires="2022-01-01"),
        renewed("A", on="2021-12-01", expires="2023-01-01"),
        earned("B", on="2021-01-01"),
        expired("B", on="2021-06-01"),
        renewed("B", on="2021-07-01"),
        earned("C", on="2021-01-01", expires="2022-01-01"),
        expired("C", on="2021-06-01"),
        expired("C", on="2021-09-01"),
        expired("D", on="2021-06-01"),
    ]
    a, b, c = rows_of("certifications", recorded(lines))
    assert (a["certification"], a["renewals"], a["ends_at"]) == ("A", 1, at("2023-01-01"))
    assert (a["earned_at"], a["renewed_at"]) == (at("2021-01-01"), at("2021-12-01"))
    assert (b["ends_at"], b["expired_at"], b["expires_at"]) == (None, None, None)
    assert (c["ends_at"], c["expires_at"]) == (at("2021-06-01"), at("2022-01-01"))


# --- the catalogue ---------------------------------------------------------------------------


def test_exams_policies_and_what_certifications_cover(ledger: Ledger, views: Path) -> None:
    """By their last entries."""
    exams = {row["exam"]: row for row in table(views, "exams")}
    announced = {row.subject for row in ledger.catalogue() if row.type == "ExamAnnounced"}
    assert set(exams) == announced
    assert exams["AZ-104"]["policy"] == "general"
    assert table(views, "stale") == []
    published = {row["policy"] for row in table(views, "policies")}
    assert {"general", "mta-mce", "mos"} <= published
    defined = {row.subject for row in ledger.catalogue() if row.type == "CertificationDefined"}
    assert {row["certification"] for row in table(views, "certification_exams")} == defined


def test_a_policy_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """With what is wrong with it; the exams that follow it are unknown."""
    lines = [policy('id = "odd"\nwait = "long"\n', on="2022-01-01")]
    events = [fact_of(row) for row in recorded(lines)]
    with ledger_of(tmp_path / "a.ledger", events) as made:
        (row,) = table(built_anew(made, tmp_path / "a.views"), "problems")
    assert (row["kind"], row["key"]) == ("unreadable-policy", "odd")
    assert "wait" in row["detail"]


# --- the file --------------------------------------------------------------------------------


def test_everybody_as_of_a_date_is_replay(ledger: Ledger, views: Path) -> None:
    """Read from the file: the same rows, whatever the order; and those of one exam or status."""
    everyone, head = bound(ledger, keep_columns=True), ledger.head().position
    key = [("candidate", "ascending"), ("exam", "ascending")]
    for day in ("2020-01-01", "2021-04-07T09:00Z", "2022-06-01", "2024-02-29", "9999-12-31"):
        moment = Moment(at(day), NOW, head)
        asked = standings_as_of(views, at(day)).sort_by(key)
        assert asked.equals(everyone.at(moment).everybody().combine_chunks().sort_by(key))
        rows = asked.to_pylist()
        waiting = [each for each in rows if each["status"] == "waiting"]
        assert standings_as_of(views, at(day), status="waiting").sort_by(key).to_pylist() == waiting
        some = standings_as_of(views, at(day), exam="AZ-104", status="waiting").sort_by(key)
        assert some.to_pylist() == [each for each in waiting if each["exam"] == "AZ-104"]


@pytest.mark.parametrize(
    ("where", "index"),
    [
        ("valid_from <= ? AND valid_to > ?", "COVERING INDEX standings_as_of"),
        (
            "exam = 'AZ-104' AND status = 'waiting' AND valid_from <= ? AND valid_to > ?",
            "INDEX standings_waiting_list",
        ),
        ("candidate = ? AND exam = 'AZ-104'", "INDEX sqlite_autoindex_standings_1"),
    ],
)
def test_the_questions_it_is_made_for_are_indexed(views: Path, where: str, index: str) -> None:
    """Everybody as of a date; one exam's waiting list on a day; one candidate."""
    marks = (0,) * where.count("?")
    with closing(sqlite3.connect(views)) as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT * FROM standings WHERE {where}", marks
        )
        assert [index in row[3] for row in plan] == [True]


def test_readable_views_print_every_instant(views: Path) -> None:
    """As RFC 3339; what never ends is null."""
    for each in KEPT:
        for row, printed in zip(
            table(views, each.name), table(views, f"{each.name}_readable"), strict=True
        ):
            for column in each.columns:
                value = row[column.name]
                if column.is_instant:
                    value = None if value in (None, OPEN) else format_instant(value)
                assert printed[column.name] == value


def test_instants_before_1970_and_finer_than_a_second_are_printed(tmp_path: Path) -> None:
    """The microseconds count forwards on either side."""
    for instant in (-1, -1_000_000, 0, 1, 1_000_001, OPEN - 1, at("0001-01-01T00:00:00.5Z")):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(f"CREATE TABLE position ({', '.join(KEPT[0].names)})")
            values = ("", 1, instant, "urn:x", "1", 1, 1)
            connection.execute(f"INSERT INTO position VALUES ({'?, ' * 6}?)", values)
            printed = connection.execute(readable_select(KEPT[0])).fetchone()
        assert printed[2] == format_instant(instant)


def test_no_personal_field_is_in_the_file(tmp_path: Path) -> None:
    """Neither in clear nor encrypted, however much was asked for."""
    request = ExceptionRequested(
        request_id="Q-1", exam="AZ-104", registration_id="R-1", reason="lab-crash",
        first_name="Zoë", last_name="Ungewöhnlich", email="zoe@example.org",
        description="the lab went black",
    )  # fmt: skip
    (asked,) = (
        fact_of(row)._replace(event=request)
        for row in recorded([requested("AZ-104", reg="R-1", request="Q-1", on="2022-03-01")])
    )
    with ledger_of(tmp_path / "a.ledger", [asked]) as made:
        (stored,) = made.read()
        path = built_anew(made, tmp_path / "a.views")
        assert table(path, "exceptions")[0]["reason"] == "lab-crash"
        content = b"".join(each.read_bytes() for each in tmp_path.glob("a.views*"))
    sealed = [stored.payload()[name]["ciphertext"] for name in ExceptionRequested.personal]
    for secret in (*sealed, "Zoë", "Ungewöhnlich", "zoe@example.org", "went black"):
        assert secret.encode() not in content


def test_the_timeline_of_the_example_is_that_of_the_file(ledger: Ledger, views: Path) -> None:
    """What the fold of all facts in memory says, row for row."""
    rows = list(ledger.read())
    standings = fold(rows)["standings"]
    stored = table(views, "standings")
    assert sorted(map(str, standings.to_pylist())) == sorted(map(str, stored))
    assert as_of(standings, at("2022-01-01")) == told(rows, at("2022-01-01"))
