"""The annotated history: what each event changed, on the day it was recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import pytest
from auditing import ledger_of_world, rows
from example_ledger import Ledgers
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_values import at
from scenarios import (
    Line,
    annulled,
    attempted,
    certification,
    earned,
    exam,
    failed,
    forgotten,
    granted,
    passed,
    requested,
    result,
)
from strategies import world

from ledger.facts import fact_of
from ledger.ledger import Ledger
from projections.standing import Moment
from replay.snapshot import Known, Snapshot

CATALOGUE = (
    exam("AZ-104"),
    exam("AZ-700"),
    certification("admin", exams=["AZ-104"]),
)
SHOWN = ("status", "reasons", "waived", "eligible_from", "sittings_in_series", "outcome")


def told(crowd: Ledgers, *lines: Line, **asked: Any) -> list[dict[str, Any]]:
    """Return the annotated history of C-1 in a story."""
    return rows(crowd.told(*CATALOGUE, *lines).ledger, "history", **asked)


def change(row: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what a row says differs, before and after."""
    sides = {name: (row[f"{name}_before"], row[f"{name}_after"]) for name in SHOWN}
    return {name: pair for name, pair in sides.items() if pair[0] != pair[1]}


FAILED = failed("AZ-104", on="2021-04-01T09:00Z", reg="R-1")
FREE = at("2021-04-02T09:00Z")


def test_a_sitting_and_its_result_are_told_apart(crowd: Ledgers) -> None:
    """Each by what it changed when it came: first the sitting, then that it was failed."""
    began, came = told(crowd, FAILED)
    assert (began["type"], came["type"]) == ("ExamAttempted", "ExamFailed")
    assert change(began) == {
        "status": ("eligible", "result-pending"),
        "reasons": (None, "result-pending waiting"),
        "sittings_in_series": (0, 1),
        "outcome": (None, "pending"),
    }
    assert change(came) == {
        "status": ("result-pending", "waiting"),
        "reasons": ("result-pending waiting", "waiting"),
        "eligible_from": (None, FREE),
        "outcome": ("pending", "failed"),
    }
    assert (began["changed"], came["changed"]) == (True, True)
    assert (came["exam"], came["key"], came["as_of"]) == ("AZ-104", "R-1", came["recorded_at"])


@pytest.mark.parametrize(
    ("late", "status"),
    [
        (FREE - 1, ("result-pending", "waiting")),
        (FREE, ("result-pending", "eligible")),
        (FREE + 1, ("result-pending", "eligible")),
    ],
)
def test_a_late_result_is_told_by_what_it_changed_that_day(
    crowd: Ledgers, late: int, status: tuple[str, str]
) -> None:
    """On the day it came the wait was over, or it was not."""
    began = attempted("AZ-104", on="2021-04-01T09:00Z", reg="R-1")
    came = result("AZ-104", reg="R-1", on="2021-04-01T10:00Z", passed=False).recorded(late)
    assert change(told(crowd, began, came)[1])["status"] == status


def test_an_event_true_just_after_its_recording_is_seen(crowd: Ledgers) -> None:
    """A clock that goes ahead by minutes: the standings are of the later of the two."""
    ahead = attempted("AZ-104", on="2021-04-01T09:05Z", reg="R-1").recorded("2021-04-01T09:00Z")
    (row,) = told(crowd, ahead)
    assert row["as_of"] == at("2021-04-01T09:05Z")
    assert row["status_after"] == "result-pending"


def test_an_annulment_takes_back_what_the_event_changed(crowd: Ledgers) -> None:
    """It is about the exam and the registration of what it annuls."""
    gone = annulled("R-1/result", on="2021-04-01T12:00Z")
    _, came, undone = told(crowd, FAILED, gone)
    assert came["annulled_by"] == undone["position"]
    assert (undone["annuls"], undone["exam"], undone["key"]) == (came["position"], "AZ-104", "R-1")
    assert change(undone)["outcome"] == ("failed", "pending")
    before = Known(position=undone["position"] - 1)
    assert [row["annulled_by"] for row in told(crowd, FAILED, gone, known_at=before)] == [None] * 2


def test_a_grant_moves_a_reason_to_what_is_waived(crowd: Ledgers) -> None:
    """A request changes nothing, and is told all the same."""
    asked = requested("AZ-104", on="2021-04-01T10:00Z", reg="R-1")
    given_ = granted("AZ-104", on="2021-04-01T11:00Z")
    _, _, request, grant = told(crowd, FAILED, asked, given_)
    assert (request["exam"], request["changed"], change(request)) == ("AZ-104", False, {})
    assert change(grant) == {
        "status": ("waiting", "eligible"),
        "reasons": ("waiting", None),
        "waived": (None, "waiting"),
        "eligible_from": (FREE, None),
    }


def test_a_certification_is_told_for_each_exam_that_it_changed(crowd: Ledgers) -> None:
    """It is about no exam itself; where it changed none it has one row."""
    lines = [
        passed("AZ-104", on="2021-04-01T09:00Z", reg="R-1"),
        passed("AZ-700", on="2021-04-02T09:00Z", reg="R-2"),
        earned("admin", on="2021-04-03", expires="2022-04-03"),
        earned("other", on="2021-04-04", expires="2022-04-04"),
    ]
    found = told(crowd, *lines)
    held, other = found[4:]
    assert (held["exam"], held["key"]) == ("AZ-104", "admin")
    assert change(held) == {"eligible_from": (None, at("2022-04-03"))}
    assert (other["exam"], other["changed"], other["status_before"]) == (None, False, None)
    of_one = told(crowd, *lines, exam="AZ-700")
    assert [(row["type"], row["exam"]) for row in of_one] == [
        ("ExamAttempted", "AZ-700"), ("ExamPassed", "AZ-700"), ("CertEarned", None),
        ("CertEarned", None),
    ]  # fmt: skip


PERSONAL = {"first_name": "Zoë", "last_name": "Quandt", "email": "z@example.org"}


@pytest.mark.parametrize(("gone", "word"), [(False, "sealed"), (True, "erased")])
def test_what_is_personal_is_told_neither_in_clear_nor_as_ciphertext(
    crowd: Ledgers, gone: bool, word: str
) -> None:
    """Once the candidate is forgotten it is said to be erased; before that it is sealed."""
    asked = requested("AZ-104", on="2021-04-01T10:00Z", reg="R-1", **PERSONAL)
    end = (forgotten(on="2021-05-01"),) if gone else ()
    ledger = crowd.told(*CATALOGUE, FAILED, asked, *end).ledger
    found = rows(ledger, "history")
    data = json.loads(found[2]["data"])
    assert {name: data[name] for name in PERSONAL} == dict.fromkeys(PERSONAL, word)
    assert data["reason"] == "lab-crash"
    for secret in (*PERSONAL.values(), "ciphertext", "hmac"):
        assert secret not in str(found)
    then = rows(ledger, "history", Known(position=found[2]["position"]))
    assert json.loads(then[2]["data"])["first_name"] == "sealed"


# --- laws ------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, (1 << 64) - 1).map(Random))
def test_each_side_is_the_standing_of_its_moment(random: Random) -> None:
    """So the last row of an exam says what the standing says; and every event has a row."""
    made = world(random)
    with ledger_of_world([fact_of(row) for row in made.rows]) as ledger:
        head = ledger.head().position
        position = random.choice((head, random.randint(head // 2, head)))
        found = rows(ledger, "history", Known(position=position))
        now = Snapshot(ledger, Moment(0, None, 0))
        for row in found:
            if row["exam"] is None:
                continue
            for side, known in (("before", row["position"] - 1), ("after", row["position"])):
                then = now.at(Moment(row["as_of"], None, known))
                standing = then.standing("C-1", row["exam"])
                assert row[f"status_{side}"] == standing.status
                assert row[f"eligible_from_{side}"] == standing.eligible_from
                assert row[f"sittings_in_series_{side}"] == standing.sittings_in_series
                assert row[f"period_ends_at_{side}"] == standing.period_ends_at
                codes = " ".join(reason.code for reason in standing.reasons)
                assert (row[f"reasons_{side}"] or "") == codes
        told_of = [row["position"] for row in found]
        mine = [row.position for row in ledger.stream("candidate/C-1", upto=position)]
        assert sorted(set(told_of)) == mine
        assert told_of == sorted(told_of)
        unchanged_elsewhere(ledger, now, found, mine)


def unchanged_elsewhere(
    ledger: Ledger, now: Snapshot, found: list[dict[str, Any]], mine: list[int]
) -> None:
    """See to it that an event changed no exam's standing that no row tells of."""
    told_of = {(row["position"], row["exam"]) for row in found}
    exams = sorted({row.exam for row in ledger.stream("candidate/C-1") if row.exam is not None})
    as_of = {row["position"]: row["as_of"] for row in found}
    for position in mine:
        for name in exams:
            if (position, name) in told_of:
                continue
            before, after = (
                now.at(Moment(as_of[position], None, known)).standing("C-1", name)
                for known in (position - 1, position)
            )
            assert (before.status, before.eligible_from) == (after.status, after.eligible_from)
            assert before.sittings_in_series == after.sittings_in_series


def test_a_history_takes_time_in_proportion_to_its_events(tmp_path: Path) -> None:
    """Four times the sittings of one exam take about four times as long, not sixteen."""

    def took(ledger: Ledger, sittings: int) -> float:
        began = process_time()
        assert len(rows(ledger, "history")) == 2 * sittings
        return process_time() - began

    begin, seconds = datetime(2010, 1, 1, 9, tzinfo=UTC), {}
    for sittings in (400, 1600):
        lines = [
            failed("AZ-104", on=begin + timedelta(days=2 * n), reg=f"R-{n}")
            for n in range(sittings)
        ]
        folder = tmp_path / str(sittings)
        folder.mkdir()
        with Ledgers(folder) as made:
            ledger = made.told(*CATALOGUE, *lines).ledger
            seconds[sittings] = min(took(ledger, sittings) for _ in range(3))
    assert seconds[1600] < 10 * seconds[400]
