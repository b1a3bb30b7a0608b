"""How long an answer holds: while it is said to, a new one differs in its moment alone."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ledger import NOW, questions, random_ledger, seeded_worlds
from strategies import about

from ledger.ledger import Ledger
from projections.answers import Standing
from projections.fold.facts import NEVER
from projections.standing import Moment
from replay.snapshot import Snapshot
from replay.validity import answers_of, still_holds


def without_moment(answers: tuple[Standing, ...]) -> list[dict[str, object]]:
    """Leave out what a 304 does not promise: as_of, known_at and position."""
    moment = {"as_of", "known_at", "position"}
    return [each.model_dump(exclude=moment) for each in answers]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_still_holds_is_the_same_answer(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """In random worlds, at random clocks, forwards and backwards, as more and more is known."""
    random = Random(seed)
    (world,) = seeded_worlds(1, 3, ("2024-02-28T09:00Z", "2021-10-30T00:30Z"))
    path = tmp_path_factory.mktemp("validity") / "a.ledger"
    ledger, told = random_ledger(path, [world], random)
    held = 0
    with ledger:
        some = Snapshot(ledger, Moment(0, None, 0))
        for asking in questions(told[0], random, 12):
            exam = asking.exam if random.random() < 0.7 else None
            then = some.at(Moment(asking.as_of, None, asking.known))
            answers, validity = answers_of(then, asking.who, exam)
            edges = [asking.as_of, validity.until - 1, validity.until, *times(ledger, asking.who)]
            for _ in range(12):
                as_of = about(random, random.choice([each for each in edges if each < NEVER]))
                known = random.choice((asking.known, random.randint(0, ledger.head().position)))
                now = some.at(Moment(as_of, None, known))
                if still_holds(validity, now, asking.who):
                    held += 1
                    again, _ = answers_of(now, asking.who, exam)
                    assert without_moment(again) == without_moment(answers)
    assert held


def test_another_event_at_the_same_position_ends_it(tmp_path: Path) -> None:
    """A ledger was put back to an earlier day, and went on otherwise: positions say nothing."""
    from ledger_facts import attempted

    told = []
    for name, later in (("a", 0), ("b", 1)):
        fact = attempted(1)
        clock = fact.time + 60_000_000 + later
        with Ledger.create(tmp_path / name, clock=lambda at=clock: at) as ledger:
            ledger.append([fact])
            now = Snapshot(ledger, Moment(clock, None, 1))
            told.append(answers_of(now, fact.subject, None)[1])
            assert still_holds(told[-1], now, fact.subject)
            assert still_holds(told[0], now, fact.subject) is (not later)
    assert told[0].candidate.position == told[1].candidate.position


def times(ledger: Ledger, candidate: str) -> list[int]:
    """Return when a candidate's events were true."""
    return [row.occurred_at for row in ledger.stream(f"candidate/{candidate}")] or [NOW]


def test_what_is_recorded_and_not_true_yet_ends_it(tmp_path: Path) -> None:
    """A fact may be recorded five minutes before it is true: then nothing is recorded again."""
    from ledger_facts import attempted

    fact = attempted(1)
    with Ledger.create(tmp_path / "a.ledger", clock=lambda: fact.time - 60_000_000) as ledger:
        ledger.append([fact])
        before = Snapshot(ledger, Moment(fact.time - 1, None, 1))
        answers, validity = answers_of(before, fact.subject, None)
        assert answers == ()
        assert validity.until == fact.time
        assert not still_holds(validity, before.at(Moment(fact.time, None, 1)), fact.subject)
