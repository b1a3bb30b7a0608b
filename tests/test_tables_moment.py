"""What reports are made of, held equal to what each candidate is told one by one."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from example_ledger import CACHE, NOW, facts, ledger_of
from plain_values import at, rows_of
from reporting import CATALOGUE, inputs, snapshot, written
from scenarios import earned, expired, failed, passed, policy, renewed, requested

from ledger.instants import Period
from ledger.ledger import Ledger
from ledger.models import ExceptionRequested
from projections.catalogue import Catalogue, catalogue_of
from projections.exceptions import requests_of
from projections.reports.registry import REPORTS
from projections.standing import Moment
from projections.tables import TABLES
from replay.formats.json import write_jsonl
from replay.outputs import Inputs
from replay.snapshot import Engine, Known, Snapshot, snapshot_at
from retake_policies import shipped

EVENTS = facts()
MOMENTS = [
    (as_of, known)
    for as_of in ("2021-06-30", "2021-10-25", "2022-04-01", "2023-07-01")
    for known in (0, 40, 333, len(EVENTS))
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """Ask about everybody of the example."""
    with ledger_of(tmp_path_factory.mktemp("crowd") / "a.ledger", EVENTS) as ledger:
        yield snapshot(ledger)


def given(asked: Snapshot, as_of: str, known: int) -> Inputs:
    """Return the inputs at a moment."""
    moment = snapshot_at(asked.ledger, at(as_of), Known(position=known), now=NOW).moment
    return Inputs(asked.at(moment), Period())


def standings(ledger: Ledger, moment: Moment) -> Iterator[Any]:
    """Yield each standing by the interpreted fold."""
    asked = Snapshot(ledger, moment)
    for candidate in ledger.candidates(moment.position):
        yield from asked.standings(candidate)


@pytest.mark.parametrize(("as_of", "known"), MOMENTS)
def test_sittings_are_those_that_each_candidate_is_told(
    asked: Snapshot, as_of: str, known: int
) -> None:
    """Start, delivery, outcome and when it came, in the order of the answer."""
    made = given(asked, as_of, known)
    names = ("candidate", "exam", "started_at", "delivery", "outcome", "outcome_at", "number")
    table = made.snapshot.table("sittings")
    assert list(rows_of(table.select(["registration_id", *names]))) == [
        (
            sitting.registration_id, told.candidate, told.exam, sitting.started_at,
            sitting.delivery, sitting.outcome, sitting.outcome_at, number,
        )
        for told in standings(asked.ledger, made.snapshot.moment)
        for number, sitting in enumerate(told.sittings, 1)
    ]  # fmt: skip


def test_an_ordinal_is_the_one_a_candidate_was_told_when_the_sitting_began(
    asked: Snapshot,
) -> None:
    """By the policy in force at its start: a later version makes no first sitting a retake."""
    made = given(asked, "2023-07-01", len(EVENTS))
    now = Snapshot(asked.ledger, made.snapshot.moment)
    names = ("candidate", "exam", "registration_id", "started_at", "ordinal")
    rows = list(rows_of(made.snapshot.table("sittings").select(list(names))))
    for candidate, exam, registration, start, ordinal in rows:
        then = now.at(Moment(start, None, now.position)).standing(candidate, exam)
        told = {sitting.registration_id: sitting.ordinal for sitting in then.sittings}
        assert told[registration] == ordinal, (candidate, exam, registration)
    assert {ordinal for *_, ordinal in rows} > {None, 1, 2, 3}


@pytest.mark.parametrize(("as_of", "known"), MOMENTS)
def test_the_blocked_are_those_who_are_told_so(asked: Snapshot, as_of: str, known: int) -> None:
    """Counted by exam and first reason."""
    made = given(asked, as_of, known)
    counted = Counter(
        (told.exam, told.status)
        for told in standings(asked.ledger, made.snapshot.moment)
        if not told.eligible
    )
    rows = REPORTS["blocked"].make(made).select(["exam", "reason", "candidates"])
    assert {(exam, reason): count for exam, reason, count in rows_of(rows)} == counted


@pytest.mark.parametrize(("as_of", "known"), MOMENTS)
def test_exceptions_are_what_the_desk_says_of_them(asked: Snapshot, as_of: str, known: int) -> None:
    """A grant that was used or has run out was granted all the same."""
    made = given(asked, as_of, known)
    catalogue: Catalogue = catalogue_of(asked.ledger.catalogue())
    told = [
        (
            each.candidate, each.exam, each.request_id,
            "granted" if each.state in ("used", "expired") else each.state,
            each.registration_id, each.reason, each.requested_at,
        )
        for candidate in asked.ledger.candidates()
        for each in requests_of(
            candidate, asked.ledger.stream(f"candidate/{candidate}"), catalogue,
            made.snapshot.moment,
        )
    ]  # fmt: skip
    names = ("candidate", "exam", "request_id", "decision", "registration_id", "reason")
    rows = rows_of(made.snapshot.table("exceptions").select([*names, "requested_at"]))
    assert list(rows) == sorted(told, key=lambda row: row[:3])


def test_a_wait_is_the_one_that_a_violation_is_measured_by(asked: Snapshot) -> None:
    """Who sat while waiting might have sat from when the wait ended."""
    made = given(asked, "2023-07-01", len(EVENTS))
    broken = made.snapshot.table("violations").filter(
        pc.equal(made.snapshot.table("violations")["status_now"], "waiting")
    )
    waits = dict(rows_of(made.snapshot.table("sittings").select(["position", "wait_until"])))
    told = list(rows_of(broken.select(["position", "eligible_from_now"])))
    assert told
    assert [waits[position] for position, _ in told] == [free for _, free in told]


def test_a_sittings_wait_is_by_the_policy_in_force_at_its_start(tmp_path: Path) -> None:
    """A version that asks for three days from June on; calendar days count from midnight."""
    text = dict(shipped())["general"]
    later = text.replace("2021-03-31T00:00:00Z", "2021-06-01T00:00:00Z").replace(
        '"PT24H"', '"P3D"'
    ).replace('days = "elapsed"', 'days = "calendar"')  # fmt: skip
    told = (
        *CATALOGUE,
        policy(later, on="2021-05-01"),
        failed("AZ-104", on="2021-05-01T09:00Z", reg="R-1"),
        failed("AZ-104", on="2021-05-10T09:00Z", reg="R-2"),
        failed("AZ-104", on="2021-06-01T09:00Z", reg="R-3", who="C-2"),
        failed("AZ-104", on="2021-06-10T09:00Z", reg="R-4", who="C-2"),
        passed("AZ-104", on="2021-05-31T09:00Z", reg="R-5", who="C-3"),
        failed("AZ-104", on="2021-06-10T09:00Z", reg="R-6", who="C-3"),
    )
    with written(tmp_path / "a.ledger", told) as ledger:
        made = inputs(snapshot(ledger), "2021-07-01", period=(None, None))
        waits = [
            wait for (wait,) in rows_of(made.snapshot.table("sittings").select(["wait_until"]))
        ]
    assert waits == [None, at("2021-05-02T09:00Z"), None, at("2021-06-04"), None, None]


def test_a_certification_ends_as_its_last_facts_say(tmp_path: Path) -> None:
    """At expires_at of the last, at a later CertExpired if that is earlier, or never."""
    told = (
        earned("a", on="2021-01-01", expires="2022-01-01"),
        renewed("a", on="2021-06-01", expires="2023-01-01"),
        earned("b", on="2021-01-02", expires="2022-01-02"),
        expired("b", on="2021-06-02"),
        earned("c", on="2021-01-03"),
        expired("d", on="2021-01-04"),
        earned("b", on="2021-07-01", expires="2021-12-31", who="C-2"),
    )
    with written(tmp_path / "a.ledger", told) as ledger:
        made = inputs(snapshot(ledger), "2021-08-01", period=(None, None))
        end = at("2023-01-01")
        assert list(rows_of(made.snapshot.table("certifications"))) == [
            ("C-1", "a", at("2021-01-01"), at("2021-06-01"), 1, end, None, end),
            ("C-1", "b", at("2021-01-02"), None, 0, at("2022-01-02"), *[at("2021-06-02")] * 2),
            ("C-1", "c", at("2021-01-03"), None, 0, None, None, None),
            ("C-2", "b", at("2021-07-01"), None, 0, at("2021-12-31"), None, at("2021-12-31")),
        ]


def test_columns_extended_after_the_first_question_give_the_same(tmp_path: Path) -> None:
    """A snapshot with a delta, and none at all, are one."""
    with ledger_of(tmp_path / "a.ledger", EVENTS[:500]) as ledger:
        engine = Engine(CACHE)
        _ = snapshot_at(ledger, NOW, now=NOW, engine=engine).columns
        ledger.append(EVENTS[500:], keep_recorded_at=True)
        plain = snapshot(ledger)
        again = snapshot_at(ledger, NOW, now=NOW, engine=engine)
        for name in TABLES:
            one, other = (given(each, "2023-07-01", len(EVENTS)) for each in (plain, again))
            assert one.snapshot.table(name) == other.snapshot.table(name), name


@pytest.mark.parametrize("known", [0, 40, 333, 600])
def test_what_is_known_at_a_position_is_what_a_ledger_that_ends_there_says(
    asked: Snapshot, tmp_path: Path, known: int
) -> None:
    """Nothing recorded after it shines through, in any table and any report."""
    with ledger_of(tmp_path / "then.ledger", EVENTS[:known]) as ledger:
        ended = snapshot(ledger)
        for as_of in ("2021-10-25", "2023-07-01"):
            then, now = (given(each, as_of, known) for each in (ended, asked))
            for name in TABLES:
                assert now.snapshot.table(name) == then.snapshot.table(name), name
            for report in REPORTS.values():
                assert report.make(now) == report.make(then), report.name


def test_no_personal_field_is_in_any_table(tmp_path: Path) -> None:
    """Neither as a column nor in one."""
    personal = {name: f"{name} of Ada" for name in ExceptionRequested.personal}
    told = (
        *CATALOGUE,
        failed("AZ-104", on="2021-03-01T09:00Z", reg="R-1"),
        requested("AZ-104", on="2021-03-02", reg="R-1", **personal),
    )
    with written(tmp_path / "a.ledger", told) as ledger:
        made = inputs(snapshot(ledger))
        for name in TABLES:
            text = io.StringIO()
            write_jsonl(made.snapshot.table(name), text)
            assert "Ada" not in text.getvalue()
            assert "ciphertext" not in text.getvalue()
            assert not set(TABLES[name].names) & set(personal)


@pytest.mark.parametrize("name", TABLES)
def test_a_tables_key_tells_its_rows_apart(asked: Snapshot, name: str) -> None:
    """A check names rows by it."""
    table = given(asked, "2023-07-01", len(EVENTS)).snapshot.table(name)
    keys = list(rows_of(table.select(list(TABLES[name].key))))
    assert len(keys) == len(set(keys)) > 0
