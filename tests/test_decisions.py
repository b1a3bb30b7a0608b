"""Decisions from the compiled fold are what the interpreted one says of each candidate and exam."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from example_ledger import bound
from random_ledger import questions, random_ledger, seeded_worlds

from projections.standing import Moment
from replay.decisions import Decided, decisions_of
from replay.snapshot import Snapshot


@pytest.mark.parametrize("seed", [3, 11])
def test_decisions_are_those_of_each_standing(tmp_path: Path, seed: int) -> None:
    """In random worlds, compiled: known or not, with a sitting or none, of exams that are none."""
    random = Random(seed)
    worlds = seeded_worlds(12, 3)
    ledger, told = random_ledger(tmp_path / "a.ledger", worlds, random)
    with ledger:
        everyone = bound(ledger)
        for each in told[:6]:
            (asking,) = questions(each, random, 1)
            moment = Moment(asking.as_of, None, asking.known)
            snapshot: Snapshot = everyone.at(moment)
            pairs = [
                (name, f"{exam}{name.partition('-')[1]}{name.partition('-')[2]}")
                for other in told
                for name in (*other.names, "nobody")
                for exam in ("X", "Y", "Z")
            ]
            found = list(decisions_of(snapshot, pairs))
            plain = Snapshot(ledger, moment)
            for (candidate, exam), decided in zip(pairs, found, strict=True):
                said = plain.standing(candidate, exam)
                assert decided == Decided(
                    candidate, exam, said.known, said.status, said.eligible_from,
                    said.next_change_at,
                )  # fmt: skip
