"""Backdated facts by threshold, what they changed of earlier answers; and annulments."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from auditing import everything, ids, ledger_of_world, recorded_by, rows
from example_ledger import Ledgers
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_values import at
from scenarios import (
    annulled,
    attempted,
    exam,
    failed,
    forgotten,
    granted,
    passed,
    policy,
    requested,
    result,
)
from strategies import world

from ledger.facts import fact_of
from projections.standing import Moment
from replay.audit.conditions import Conditions, threshold
from replay.audit.query import seconds
from replay.snapshot import Known, Snapshot

SECOND = 1_000_000
DAY = 86_400 * SECOND
TRUE = at("2021-04-01T09:00Z")


@pytest.mark.parametrize(
    ("by", "lag", "found"),
    [
        ("P7D", 7 * DAY - 1, False),
        ("P7D", 7 * DAY, False),
        ("P7D", 7 * DAY + 1, True),
        ("P1W", 7 * DAY + 1, True),
        ("PT168H", 7 * DAY, False),
        ("PT168H", 7 * DAY + 1, True),
        ("PT0S", 0, False),
        ("PT0S", 1, True),
        ("PT0.000001S", 1, False),
    ],
)
def test_longer_than_the_threshold_is_backdated(
    crowd: Ledgers, by: str, lag: int, found: bool
) -> None:
    """And not just as long; a day is 24 hours."""
    late = attempted("AZ-104", on=TRUE, reg="R-1").recorded(TRUE + lag)
    ledger = crowd.told(exam("AZ-104"), late).ledger
    assert ("R-1/attempted" in ids(ledger, "backdated", by=by)) == found


@pytest.mark.parametrize("text", ["P1M", "P1Y", "P7DT1H", "a week", "-P7D", "P7X", ""])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    """Months are not all as long; the sentence says what would be accepted."""
    with pytest.raises(ValueError, match=r"P\d+[DM]"):
        threshold(text)
    with pytest.raises(ValueError, match=r"P\d+[DM]"):
        Conditions(by=text)


def test_the_longest_lag_comes_first_then_the_position(crowd: Ledgers) -> None:
    """With the lag in seconds, and who recorded it."""
    lines = [
        recorded_by("feed", attempted("AZ-104", on=TRUE - 5 * DAY, reg="R-1")).recorded(TRUE),
        attempted("AZ-104", on=TRUE - 4 * DAY, reg="R-2").recorded(TRUE + DAY),
        attempted("AZ-104", on=TRUE - 30 * DAY, reg="R-3").recorded(TRUE + 2 * DAY),
    ]
    found = rows(crowd.told(exam("AZ-104"), *lines).ledger, "backdated", by="P1D")
    said = [(row["key"], row["lag_seconds"], row["actor"]) for row in found]
    assert said == [
        ("R-3", 32 * 86_400.0, None), ("R-1", 5 * 86_400.0, "feed"), ("R-2", 5 * 86_400.0, None),
    ]  # fmt: skip
    assert {row["changed"] for row in found} == {None}


def test_an_entry_of_the_catalogue_is_a_fact_too(crowd: Ledgers) -> None:
    """Whoever backdates a policy or an exam is listed; it is held against no one standing."""
    late = exam("AZ-500", on=TRUE).recorded(TRUE + 30 * DAY)
    (row,) = rows(crowd.told(late).ledger, "backdated", by="P7D", changes=True)
    assert (row["about"], row["subject"], row["changed"]) == ("exam", "AZ-500", None)


BEGAN = attempted("AZ-104", on=TRUE, reg="R-1")


@pytest.mark.parametrize(
    ("lines", "changed", "exams"),
    [
        # A result nine days late: until it came the answer was that it was pending.
        ([BEGAN, result("AZ-104", reg="R-1", on=TRUE, passed=False).recorded(TRUE + 9 * DAY)],
         TRUE, "AZ-104"),
        # True again what was known already: nothing is another.
        ([BEGAN, result("AZ-104", reg="R-1", on=TRUE, passed=False),
          result("AZ-104", reg="R-1", on=TRUE + DAY, passed=False).recorded(TRUE + 9 * DAY)],
         None, None),
        # Asking for an exception changes no standing.
        ([BEGAN, requested("AZ-104", on=TRUE, reg="R-1").recorded(TRUE + 9 * DAY)], None, None),
        # A sitting while another waits for its result: the series is longer from its start on.
        ([BEGAN, attempted("AZ-104", on=TRUE + DAY, reg="R-2").recorded(TRUE + 9 * DAY)],
         TRUE + DAY, "AZ-104"),
    ],
)  # fmt: skip
def test_what_a_late_fact_changed_is_told_from_when_on(
    crowd: Ledgers, lines: list[Any], changed: int | None, exams: str | None
) -> None:
    """As of any instant before it was recorded, of which the answer is another by it."""
    (row,) = rows(crowd.told(exam("AZ-104"), *lines).ledger, "backdated", by="P7D", changes=True)
    assert (row["changed"], row["changed_from"]) == (changed is not None, changed)
    assert row["changed_exams"] == exams


def test_a_change_that_comes_with_the_clock_alone_is_found(crowd: Ledgers) -> None:
    """A grant that waived nothing on its day does so when a new version brings a wait."""
    calm, strict = (
        f'id = "calm"\neffective_from = {day}T00:00:00Z\n[wait]\nafter = ["{wait}"]\n'
        for day, wait in (("2021-01-01", "PT0S"), ("2021-04-05", "P30D"))
    )
    late = granted("AZ-104", on=TRUE + DAY).recorded(TRUE + 9 * DAY)
    sat = failed("AZ-104", on=TRUE, reg="R-1")
    lines = [policy(calm), policy(strict), exam("AZ-104", policy="calm"), sat, late]
    (row,) = rows(crowd.told(*lines).ledger, "backdated", by="P7D", changes=True)
    assert (row["changed"], row["changed_from"]) == (True, at("2021-04-05"))


def test_a_backdated_fact_says_what_annulled_it(crowd: Ledgers) -> None:
    """As known at the moment asked about."""
    late = BEGAN.recorded(TRUE + 9 * DAY)
    gone = annulled("R-1/attempted", on=TRUE + 10 * DAY)
    ledger = crowd.told(exam("AZ-104"), late, gone).ledger
    (row,) = rows(ledger, "backdated", by="P7D")
    assert row["annulled_by"] == row["position"] + 1
    (row,) = rows(ledger, "backdated", Known(position=row["position"]), by="P7D")
    assert row["annulled_by"] is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, (1 << 64) - 1).map(Random))
def test_no_instant_before_the_first_change_has_another_answer(random: Random) -> None:
    """The first one is exact: the standing differs there and nowhere before, if anywhere at all."""
    made = world(random)
    # All late: known only a year after the last was true.
    late = max(row.occurred_at for row in made.rows) + 365 * DAY
    facts = [fact_of(row)._replace(recorded_at=late + row.position) for row in made.rows]
    with ledger_of_world(facts) as ledger:
        now = Snapshot(ledger, Moment(0, None, 0))
        all_rows = {row.position: row for row in everything(ledger)}
        found = rows(ledger, "backdated", by="PT0S", changes=True, candidate="C-1")
        told = all_rows.values()
        instants = sorted({row.occurred_at + d for row in told for d in (0, 1, DAY, 14 * DAY)})
        for row in random.sample(found, min(3, len(found))):
            about = all_rows[row["annuls"] or row["position"]]
            first = row["changed_from"] if row["changed"] else row["recorded_at"]
            names = {each.exam for each in told if each.subject == "C-1" and each.exam is not None}
            quiet = [t for t in instants if about.occurred_at <= t < first]
            for name in names:
                for t in random.sample(quiet, min(8, len(quiet))):
                    assert not differs(now, name, t, row["position"])
            if row["changed"]:
                assert any(
                    differs(now, name, first, row["position"])
                    for name in row["changed_exams"].split()
                )


def differs(now: Snapshot, exam: str, as_of: int, position: int) -> bool:
    """Return whether the standing as of an instant is another once a position is known."""
    without, within = (
        now.at(Moment(as_of, None, known))
        .standing("C-1", exam)
        .model_dump(
            exclude={"known", "known_at", "position", "next_change_at", "policy", "problems"}
        )
        for known in (position - 1, position)
    )
    for said in (without, within):
        for reason in (*said["reasons"], *said["waived"]):
            # Codes alone are what an audit compares: a pass is put in other words, by another
            # clause, as soon as a certification is known.
            del reason["because"], reason["text"], reason["until"], reason["clause"]
        said["sittings"] = [each["outcome"] for each in said["sittings"]]
    return without != within


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0.0, "00:00:00"),
        (59.999999, "00:00:59.999999"),
        (86_400.0, "1 d 00:00:00"),
        (93_784.5, "1 d 02:03:04.5"),
        (-60.0, "-00:01:00"),
    ],
)
def test_a_length_of_time_is_said_in_days_and_hours(length: float, said: str) -> None:
    """To the microsecond, and with its sign."""
    assert seconds(length) == said


# --- annulments ------------------------------------------------------------------------------


ANNULLED = (
    exam("AZ-104"),
    recorded_by("feed", failed("AZ-104", on=TRUE, reg="R-1")),
    recorded_by("clerk", annulled("R-1/result", on=TRUE + DAY)),
    recorded_by("other", annulled("R-1/result", on=TRUE + 2 * DAY)),
    recorded_by("clerk", passed("AZ-104", on=TRUE + 3 * DAY, reg="R-2", who="C-2")),
    recorded_by("clerk", annulled("R-2/result", on=TRUE + 4 * DAY, subject="C-2")),
)


def test_an_annulment_says_who_what_when_and_why(crowd: Ledgers) -> None:
    """With the annulled event beside it, and for how long that had stood."""
    first, second, other = rows(crowd.told(*ANNULLED).ledger, "annulments")
    assert (first["actor"], first["of_actor"]) == ("clerk", "feed")
    assert first["lag_seconds"] == 86_400.0
    assert (first["of_type"], first["of_id"], first["annuls"]) == (
        "ExamFailed", "R-1/result", first["position"] - 1,
    )  # fmt: skip
    assert json.loads(first["of_data"]) == {"exam": "AZ-104", "registration_id": "R-1"}
    assert first["reason"]
    assert (first["before"], second["before"], other["before"]) == (None, first["position"], None)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["R-1/result/annulled", "R-1/result/annulled/2", "R-2/result/annulled"]),
        ({"actor": "clerk"}, ["R-1/result/annulled", "R-2/result/annulled"]),
        ({"actor": "feed"}, []),
        ({"types": ("ExamPassed",)}, ["R-2/result/annulled"]),
        ({"types": ("EventAnnulled",)}, []),
        ({"candidate": "C-2"}, ["R-2/result/annulled"]),
        ({"exam": "AZ-104", "types": ("ExamFailed",)},
         ["R-1/result/annulled", "R-1/result/annulled/2"]),
        ({"valid_from": TRUE + 3 * DAY}, ["R-2/result/annulled"]),
        ({"valid_from": TRUE + 3 * DAY + 1}, []),
        ({"valid_to": TRUE}, []),
        ({"valid_to": TRUE + 1}, ["R-1/result/annulled", "R-1/result/annulled/2"]),
        ({"recorded_from": TRUE + 4 * DAY}, ["R-2/result/annulled"]),
        ({"recorded_to": TRUE + 2 * DAY}, ["R-1/result/annulled"]),
    ],
    ids=str,
)  # fmt: skip
def test_which_annulments(crowd: Ledgers, asked: dict[str, Any], found: list[str]) -> None:
    """Type, exam and valid time are the annulled event's, the rest is the annulment's own."""
    assert ids(crowd.told(*ANNULLED).ledger, "annulments", **asked) == found


def test_the_first_to_annul_is_told_also_outside_the_interval(crowd: Ledgers) -> None:
    """The second changed nothing, whichever are listed; what is known later is not told."""
    ledger = crowd.told(*ANNULLED).ledger
    (row,) = rows(
        ledger, "annulments", recorded_from=TRUE + 2 * DAY, recorded_to=TRUE + 2 * DAY + 1
    )
    assert row["before"] == row["position"] - 1
    assert ids(ledger, "annulments", known_at=TRUE + DAY) == ["R-1/result/annulled"]
    assert ids(ledger, "annulments", known_at=TRUE + DAY - 1) == []


def test_an_annulled_request_shows_nothing_personal(crowd: Ledgers) -> None:
    """Sealed, and erased once the candidate is forgotten."""
    asked = requested("AZ-104", on=TRUE, reg="R-1", first_name="Zoë")
    gone = annulled("X-1/requested", on=TRUE + DAY)
    ledger = crowd.told(BEGAN, asked, gone, forgotten(on=TRUE + 2 * DAY)).ledger
    (row,) = rows(ledger, "annulments", Known(position=ledger.head().position - 1))
    assert json.loads(row["of_data"])["first_name"] == "sealed"
    (row,) = rows(ledger, "annulments")
    assert json.loads(row["of_data"])["first_name"] == "erased"
