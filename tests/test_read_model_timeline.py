"""The timeline says of every instant what the fold says as of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from example_ledger import NOW, bound, facts, ledger_of
from plain_values import rows_of
from read_models import as_of, fold, told
from strategies import world

from projections.fold.facts import LAST
from projections.standing import Moment
from projections.tables import OPEN
from replay.read_model.fold import timeline

DAY = 86_400_000_000


def instants(standings: pa.Table, random: Random, count: int) -> list[int]:
    """Draw instants: where a stretch begins, just before, just after, and anywhere."""
    bounds = standings["valid_from"].to_pylist()
    drawn = [random.choice(bounds) + random.choice((-1, 0, 1, DAY // 3)) for _ in range(count)]
    return [*drawn, min(bounds) - 1, max(bounds) + 1, LAST] if bounds else []


@pytest.mark.parametrize("seed", range(60))
def test_as_of_any_instant_it_is_the_fold_in_random_worlds(seed: int) -> None:
    """Of policies and histories of every kind, at and beside every boundary."""
    random = Random(seed)
    rows = world(random, people=3).rows
    standings = fold(rows)["standings"]
    for instant in instants(standings, random, 25):
        instant = min(instant, LAST)
        assert as_of(standings, instant) == told(rows, instant), instant


def test_as_of_any_instant_it_is_replay(tmp_path: Path) -> None:
    """Of the example's whole ledger: the same rows as the population's table."""
    with ledger_of(tmp_path / "a.ledger", facts()) as ledger:
        everyone = bound(ledger, keep_columns=True)
        head = ledger.head().position
        standings = fold(list(ledger.read()))["standings"]
        for instant in instants(standings, Random(7), 60):
            moment = Moment(instant, NOW, head)
            assert as_of(standings, instant) == list(rows_of(everyone.at(moment).everybody()))


@pytest.mark.parametrize("seed", range(5))
def test_stretches_follow_each_other_and_differ(seed: int) -> None:
    """Without a gap, the last for ever, and none says what the one before said."""
    rows = fold(world(Random(seed), people=6).rows)["standings"].to_pylist()
    assert rows
    for one, other in pairwise(rows):
        if (one["candidate"], one["exam"]) != (other["candidate"], other["exam"]):
            assert one["valid_to"] == OPEN
            continue
        assert one["valid_from"] < one["valid_to"] == other["valid_from"]
        apart = {name for name in one if one[name] != other[name]}
        assert apart - {"valid_from", "valid_to"}
    assert rows[-1]["valid_to"] == OPEN


def test_little_room_at_once_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many stretches are made at a time, even fewer than one candidate has."""
    rows = world(Random(3), people=8).rows
    whole = fold(rows)["standings"]
    monkeypatch.setattr(timeline, "__defaults__", (1,))
    assert fold(rows)["standings"].equals(whole)
