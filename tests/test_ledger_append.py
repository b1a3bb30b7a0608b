"""Append: new, the same again, the different again, and what cannot be taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_facts import (
    NINE,
    NOW,
    SetClock,
    a_ledger,
    attempted,
    exported,
    facts,
    kinds,
    sample,
)

from ledger.appending import differences
from ledger.events import Row
from ledger.facts import Fact
from ledger.instants import DAY, SECOND, format_instant
from ledger.ledger import Head, Ledger
from ledger.models import EVENT_TYPES
from ledger.outcomes import Appended, Conflict, Duplicate, Refused

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: SetClock) -> Iterator[Ledger]:
    with a_ledger(tmp_path, clock=clock) as ledger:
        yield ledger


# -- new, duplicate, conflict


def test_new_facts_get_the_next_positions(ledger: Ledger) -> None:
    """1, 2, 3 … in the order given, whatever their times."""
    assert ledger.append([attempted(2), attempted(1, time=NINE - 1)]) == [Appended(1), Appended(2)]
    assert ledger.append([attempted(3)]) == [Appended(3)]
    assert [row.id for row in ledger.read()] == ["R-2/attempted", "R-1/attempted", "R-3/attempted"]


def test_nothing_is_nothing(ledger: Ledger) -> None:
    """An empty batch takes no position and no time."""
    assert ledger.append([]) == []
    assert ledger.head() == Head(0, 0)


@pytest.mark.parametrize("type", list(EVENT_TYPES))
@pytest.mark.parametrize("full", [False, True])
def test_the_same_again_is_a_duplicate(ledger: Ledger, type: str, full: bool) -> None:
    """Of every type, with personal fields too: skipped, at the position where it stands."""
    ledger.append([sample("ExamPassed", "R-77/result")])
    fact = sample(type, full=full)
    assert ledger.append([fact]) == [Appended(2)]
    before = exported(ledger)
    assert ledger.append([fact, fact]) == [Duplicate(2), Duplicate(2)]
    assert ledger.append([fact._replace(actor="someone else")]) == [Duplicate(2)]
    assert exported(ledger) == before


DIFFERENT: list[tuple[Fact, tuple[str, ...]]] = [
    (sample("ExamPassed", score=710), ("data.score (old 700, new 710)",)),
    (sample("ExamPassed"), ("data.score (old 700, new none)",)),
    (sample("ExamPassed", score=700.0), ()),
    (sample("ExamPassed", score=700, exam="AZ-500"), ("data.exam (old AZ-104, new AZ-500)",)),
    (sample("ExamFailed", score=700), ("type (old ExamPassed, new ExamFailed)",)),
    (sample("ExamPassed", score=700)._replace(subject="C-2"), ("subject (old C-1001, new C-2)",)),
    (
        sample("ExamPassed", score=1, time=NINE + 1),
        (
            "time (old 2021-03-01T09:00:00Z, new 2021-03-01T09:00:00.000001Z)",
            "data.score (old 700, new 1)",
        ),
    ),
]


@pytest.mark.parametrize(("fact", "differs"), DIFFERENT)
def test_the_different_again_is_a_conflict_that_says_what_differs(
    ledger: Ledger, fact: Fact, differs: tuple[str, ...]
) -> None:
    """Refused, and nothing changed: the first fact stands as it was."""
    ledger.append([sample("ExamPassed", score=700)])
    before = exported(ledger)
    assert ledger.append([fact]) == [Conflict(1, differs) if differs else Duplicate(1)]
    assert exported(ledger) == before


def test_a_conflict_is_one_sentence() -> None:
    """As a rejects file gives it."""
    assert Conflict(42, ("data.score (old 700, new 710)", "time (old a, new b)")).problem == (
        "conflicts with position 42, which has the same source and id: "
        "data.score (old 700, new 710), time (old a, new b)"
    )


def test_differences_may_be_asked_for_alone(ledger: Ledger) -> None:
    """As the intake of results does, to pass over a field that was absent before."""
    ledger.append([attempted()])
    stored = ledger.find("urn:vue", "R-1/attempted")
    assert stored is not None
    assert differences(stored, attempted()) == ()
    assert differences(stored, attempted(ended_at="2021-03-01T10:00:00Z")) == (
        "data.ended_at (old none, new 2021-03-01T10:00:00Z)",
    )


def test_long_texts_are_shown_from_where_they_part(ledger: Ledger) -> None:
    """Two versions of a policy file differ in one number: that is what the sentence shows."""
    text = "# The rules, as published.\n" * 20
    ledger.append([sample("PolicyPublished", toml=f"{text}sittings = 5\n")])
    (outcome,) = ledger.append([sample("PolicyPublished", toml=f"{text}sittings = 6\n")])
    assert isinstance(outcome, Conflict)
    assert "sittings = 5" in outcome.problem
    assert "sittings = 6" in outcome.problem
    assert len(outcome.problem) < 250


def test_a_batch_may_hold_all_at_once(ledger: Ledger) -> None:
    """New ones, the same again, a conflict, a malformed one: each is told, the good ones stand."""
    ledger.append([attempted(1)])
    outcomes = ledger.append(
        [
            attempted(2),
            attempted(1),
            attempted(1, delivery="beta"),
            attempted(3)._replace(source=""),
            attempted(2),
            attempted(4).row(),
        ]
    )
    assert kinds(outcomes) == [
        "Appended", "Duplicate", "Conflict", "Refused", "Duplicate", "Appended",
    ]  # fmt: skip
    assert ledger.head().position == 3
    assert len({row.recorded_at for row in ledger.read(after=1)}) == 1


# -- a fact about the future


@pytest.mark.parametrize(
    ("ahead", "taken"),
    [(5 * MINUTE - 1, True), (5 * MINUTE, True), (5 * MINUTE + 1, False), (10**15, False)],
)
def test_a_time_may_lie_five_minutes_ahead(ledger: Ledger, ahead: int, taken: bool) -> None:
    """Clocks differ a little; what is still to come goes into a date field."""
    (outcome,) = ledger.append([attempted(time=NOW + ahead)])
    if taken:
        assert outcome == Appended(1)
    else:
        assert isinstance(outcome, Refused)
        assert "more than 5 minutes after its recording" in outcome.problem
        assert format_instant(NOW) in outcome.problem
        assert ledger.head().position == 0


def test_a_fact_that_is_refused_because_the_clock_is_behind_says_so(tmp_path: Path) -> None:
    """A clock that jumped back makes true facts look like the future: it is what must be set."""
    clock = SetClock(NOW)
    with a_ledger(tmp_path, clock=clock) as ledger:
        ledger.append([attempted(1)])
        clock.now = NOW - 2 * DAY
        true = attempted(2, time=NOW + HOUR)
        assert kinds(ledger.append([attempted(3, time=NOW + MINUTE)])) == ["Appended"]
        (outcome,) = ledger.append([true])
        assert outcome == Refused(
            "time 2021-04-01T01:00:00Z lies more than 5 minutes after its recording, "
            "2021-04-01T00:00:00.000002Z: what is still to come goes into a date field; but the "
            "clock of this machine is behind, it says 2021-03-30T00:00:00Z: set it first, then "
            "this can be recorded"
        )
        clock.now = NOW + HOUR
        assert ledger.append([true]) == [Appended(3)]


def test_a_fact_from_the_future_does_not_hold_back_the_others(ledger: Ledger) -> None:
    """It alone is refused."""
    outcomes = ledger.append([attempted(1), attempted(2, time=NOW + 10**12), attempted(3)])
    assert kinds(outcomes) == ["Appended", "Refused", "Appended"]
    assert ledger.head().position == 2


# -- recorded_at


def test_recorded_at_is_the_clocks_and_one_for_a_transaction(ledger: Ledger) -> None:
    """All facts of one append share it."""
    ledger.append([attempted(1), attempted(2)])
    assert [row.recorded_at for row in ledger.read()] == [NOW, NOW]


@pytest.mark.parametrize("jump", [0, 1, -1, -(10**12), -NOW])
def test_recorded_at_rises_under_a_clock_that_stands_or_jumps_back(
    ledger: Ledger, clock: SetClock, jump: int
) -> None:
    """max(clock, the last + 1 µs)."""
    ledger.append([attempted(1)])
    clock.now += jump
    ledger.append([attempted(2)])
    ledger.append([attempted(3)])
    first, second, third = (row.recorded_at for row in ledger.read())
    assert (first, second, third) == (NOW, NOW + 1, NOW + 2)
    assert [ledger.position_at(NOW + n) for n in (-1, 0, 1, 2, 3)] == [0, 1, 2, 3, 3]


def test_the_clock_is_believed_by_an_empty_ledger(ledger: Ledger, clock: SetClock) -> None:
    """Even before 1970."""
    clock.now = -5
    ledger.append([attempted(1, time=-10)])
    assert ledger.head() == Head(1, -5)


# -- annulments


def annulment(of: str, *, id: str = "annul/1", subject: str = "C-1001") -> Fact:
    return sample("EventAnnulled", id, annuls={"source": "urn:vue", "id": of})._replace(
        subject=subject
    )


def test_an_annulment_stands_in_the_stream_of_what_it_annuls(ledger: Ledger) -> None:
    """Whatever kind of subject that has; `annuls` is its position."""
    for n, type in enumerate(["ExamPassed", "ExamAnnounced", "CertificationDefined"]):
        fact = sample(type, f"fact/{n}")
        assert ledger.append([fact]) == [Appended(2 * n + 1)]
        ledger.append([annulment(f"fact/{n}", id=f"annul/{n}", subject=fact.subject)])
        (_, row) = ledger.stream(fact.stream)
        assert (row.type, row.annuls) == ("EventAnnulled", 2 * n + 1)


def test_an_annulment_may_come_in_the_same_batch_as_its_event(ledger: Ledger) -> None:
    """As in an export; but not before it."""
    passed, annulled = sample("ExamPassed", "R-1/result"), annulment("R-1/result")
    assert kinds(ledger.append([annulled, passed, annulled])) == ["Refused", "Appended", "Appended"]
    assert ledger.find("urn:vue", "annul/1").annuls == 1  # type: ignore[union-attr]


BAD_ANNULMENTS = [
    (annulment("nowhere", id="x"), "which is not in the ledger"),
    (annulment("R-1/result", id="x", subject="C-2"), "whose subject is 'C-1001', not 'C-2'"),
    (annulment("annul/1", id="x"), "itself an annulment: append the fact anew under a new id"),
    (annulment("x", id="x"), "which is not in the ledger"),
]


@pytest.mark.parametrize(("fact", "words"), BAD_ANNULMENTS)
def test_an_annulment_of_what_it_may_not_annul_is_refused(
    ledger: Ledger, fact: Fact, words: str
) -> None:
    """Something there, of the same subject, and no annulment itself."""
    ledger.append([sample("ExamPassed", "R-1/result"), annulment("R-1/result")])
    (outcome,) = ledger.append([fact])
    assert isinstance(outcome, Refused)
    assert words in outcome.problem
    assert ledger.head().position == 2


def test_an_event_may_be_annulled_twice(ledger: Ledger) -> None:
    """Two desks found the same error: both said so."""
    ledger.append([sample("ExamPassed", "R-1/result")])
    outcomes = ledger.append([annulment("R-1/result", id="a"), annulment("R-1/result", id="b")])
    assert kinds(outcomes) == ["Appended", "Appended"]


def test_an_annulment_that_names_another_event_under_its_id_conflicts(ledger: Ledger) -> None:
    """The same key, another meaning."""
    ledger.append([sample("ExamPassed", "a"), sample("ExamPassed", "b"), annulment("a")])
    assert ledger.append([annulment("b")]) == [Conflict(3, ("data.annuls.id (old a, new b)",))]


# -- history being moved in: keep_recorded_at


def moved(*recorded: int | None, **changes: Any) -> list[Fact]:
    """Return facts, one for each recordedtime."""
    return [
        attempted(n, **changes)._replace(recorded_at=at) for n, at in enumerate(recorded, start=1)
    ]


def test_history_keeps_the_time_it_was_recorded(ledger: Ledger, clock: SetClock) -> None:
    """And the ledger goes on from there by its own clock."""
    history = moved(NINE, NINE, NINE + 5, NOW)
    assert kinds(ledger.append(history, keep_recorded_at=True)) == ["Appended"] * 4
    assert [row.recorded_at for row in ledger.read()] == [NINE, NINE, NINE + 5, NOW]
    ledger.append([attempted(9)])
    assert ledger.head() == Head(5, NOW + 1)


def test_recordedtime_is_ignored_unless_history_is_moved_in(ledger: Ledger) -> None:
    """The ledger gives its own."""
    ledger.append(moved(NINE, 1, None))
    assert {row.recorded_at for row in ledger.read()} == {NOW}


STOPS: list[tuple[list[Fact], int, str]] = [
    (moved(NINE, NINE - 1, NINE), 1, "lies before 2021-03-01T09:00:00Z, the last one recorded"),
    (moved(NINE, NOW + 1, NOW), 1, "lies after now, 2021-04-01T00:00:00Z"),
    (moved(NINE, None, NINE), 1, "recordedtime is missing or no RFC 3339 instant"),
    (moved(NINE - 5 * MINUTE - 1, NINE), 0, "more than 5 minutes after its recording"),
    (moved(NINE, NINE, delivery="beta")[:1] + moved(NINE), 1, "data.delivery (old beta, new live)"),
    (
        [*moved(NINE, NINE)[:1], attempted(5)._replace(source="", recorded_at=NINE), *moved(NINE)],
        1,
        "source is empty",
    ),
]


@pytest.mark.parametrize(("history", "taken", "words"), STOPS)
def test_moving_in_stops_at_the_first_line_refused(
    ledger: Ledger, history: list[Fact], taken: int, words: str
) -> None:
    """The lines before it stand, and of those after it nothing is said: none was taken."""
    outcomes = ledger.append(history, keep_recorded_at=True)
    assert kinds(outcomes[:-1]) == ["Appended"] * taken
    assert isinstance(outcomes[-1], Refused | Conflict)
    assert words in outcomes[-1].problem
    assert len(outcomes) == taken + 1
    assert ledger.head().position == taken


def test_moving_in_again_passes_over_what_is_already_in(ledger: Ledger) -> None:
    """Duplicates are told before recordedtime is looked at, even where it is lost or fell."""
    history = moved(NINE, NINE + 1, NINE + 2)
    ledger.append(history[:2], keep_recorded_at=True)
    assert kinds(ledger.append(history, keep_recorded_at=True)) == [
        "Duplicate", "Duplicate", "Appended",
    ]  # fmt: skip
    assert (
        kinds(ledger.append(moved(None, NINE - 7, NOW + 7), keep_recorded_at=True))
        == ["Duplicate"] * 3
    )


def test_nothing_is_moved_in_before_what_is_there(ledger: Ledger) -> None:
    """recorded_at never falls as position rises."""
    ledger.append([attempted(9)])
    (outcome,) = ledger.append(moved(NINE), keep_recorded_at=True)
    assert isinstance(outcome, Refused)
    assert ledger.append(moved(NOW), keep_recorded_at=True) == [Appended(2)]


# -- laws


@settings(max_examples=80, deadline=None)
@given(history=st.lists(facts(), max_size=12), data=st.data())
def test_however_often_and_however_cut_a_history_is_there_once(
    history: list[Fact], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whole or in pieces, once or again, as facts or as rows: the same ledger, the same words."""
    folder = tmp_path_factory.mktemp("law")
    with a_ledger(folder, "whole") as whole, a_ledger(folder, "pieces") as pieces:
        told = whole.append(history)
        cut = data.draw(st.integers(0, len(history)))
        as_rows: list[Fact | Row] = [fact.row() for fact in history[cut:]]
        assert pieces.append(history[:cut]) + pieces.append(as_rows) == told
        for ledger in (whole, pieces):
            assert [row.position for row in ledger.read()] == list(
                range(1, sum(isinstance(outcome, Appended) for outcome in told) + 1)
            )
        for fact, outcome in zip(history, told, strict=True):
            (again,) = pieces.append([fact])
            if isinstance(outcome, Refused):
                continue  # what an annulment names may have come after it
            if isinstance(outcome, Conflict):  # what it conflicts with may be annulled by now
                assert isinstance(again, Conflict)
                assert (again.position, again.differs) == (outcome.position, outcome.differs)
            elif any(row.annuls == outcome.position for row in pieces.read()):
                assert isinstance(again, Refused)
            else:
                assert again == Duplicate(outcome.position)
        assert _without_secrets(whole) == _without_secrets(pieces)[: whole.head().position]


def _without_secrets(ledger: Ledger) -> list[object]:
    """Return what is in a ledger, but for its own recorded_at and ciphertext."""
    return [
        (row._replace(recorded_at=0, data=""), ledger.vault.reveal(row)) for row in ledger.read()
    ]
