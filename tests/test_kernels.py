"""The loops over everybody say of many questions what each of them says alone.

They go on from one question to the next. Here each is asked alone too, with everything gathered
and walked from the beginning, over worlds full of oddities.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from strategies import World, world

from projections.catalogue import Catalogue, catalogue_of
from projections.fold.eligible_from import first_eligible
from projections.fold.facts import NONE, Question, SittingRows, room
from projections.fold.sittings import gather
from projections.fold.verdict import Judged, verdict_at
from projections.history import History, history_of
from replay import kernels
from replay.questions import Answers, Groups, Numbered, Questions, room_for
from replay.reached import question

WORLDS = 300


class Asked:
    """One candidate and exam of a world, laid out for the loops."""

    def __init__(self, made: World, random: Random) -> None:
        """Choose one of its exams."""
        self.who = random.choice(made.people)
        self.catalogue: Catalogue = catalogue_of(made.catalogue)
        self.history: History = history_of(made.of(self.who), self.catalogue)
        self.exam = random.choice(sorted(self.history.runs) or [""])
        self.lo, self.hi = self.history.runs.get(self.exam, (0, 0))
        self.groups = Groups(
            [0], [self.catalogue.exams.get(self.exam, -1)], [self.lo], [self.hi],
            [0, len(self.history.certification_events)], [0, len(self.history.grant_events)],
            [0, len(self.history.authorization_events)],
        )  # fmt: skip
        self.sizes = (
            len(self.history.authorization_events), len(self.history.certification_events)
        )  # fmt: skip
        self.versions = len(self.catalogue.published)
        self.moments = sorted({row.occurred_at for row in self.history.rows})
        self.positions = sorted({row.position for row in self.history.rows})

    def q(self, as_of: int, known: int) -> Question:
        """Make a question."""
        return question(self.groups, 0, as_of, known)

    def alone(self, as_of: int, known: int, without: int) -> tuple[Any, ...]:
        """Answer one question with nothing to go on from."""
        rows = self.history.sittings
        kept = [i for i in range(self.lo, self.hi) if rows.key[i] != without]
        mine = SittingRows(*([column[i] for i in kept] for column in rows))
        out = room(len(kept), *self.sizes)
        n = gather(mine, 0, len(kept), as_of, known, out)
        q = self.q(as_of, known)

        def judge(t: int) -> Judged:
            return verdict_at(self.history.facts, q, out, n, t)

        judged = judge(as_of)
        verdict = judged.verdict
        return (
            verdict.status, first_eligible(judged, judge), verdict.waived,
            n, verdict.in_series, verdict.period_end, out.start[n - 1] if n else NONE,
            out.outcome[n - 1] if n else 0,
        )  # fmt: skip


@pytest.fixture(scope="module", params=range(3))
def asked(request: pytest.FixtureRequest) -> list[tuple[Asked, Random]]:
    """Worlds with a candidate and an exam each."""
    made = []
    for seed in range(request.param * WORLDS // 3, (request.param + 1) * WORLDS // 3):
        random = Random(seed)
        there = Asked(world(random), random)
        if there.hi > there.lo:
            made.append((there, random))
    assert len(made) > WORLDS // 6
    return made


def test_questions_one_after_another_are_answered_as_each_alone(
    asked: list[tuple[Asked, Random]],
) -> None:
    """Moments that rise, known or not, and now and then one that comes before; each sitting out."""
    for there, random in asked:
        count = 12
        as_of = sorted(random.choice(there.moments) + random.choice((0, 1)) for _ in range(count))
        known = sorted(random.choice(there.positions) for _ in range(count))
        kind = random.randrange(3)
        if kind == 0:
            known = [there.positions[-1]] * count
        if random.random() < 0.3:
            random.shuffle(as_of)
            random.shuffle(known)
        keys = [-1, *there.history.sittings.key[there.lo : there.hi]]
        without = [random.choice(keys) for _ in range(count)]
        out = Answers(*([0] * count for _ in Answers._fields))
        kernels.answer_each(
            there.history.sittings, there.groups, there.history.facts,
            Questions([0] * count, as_of, known, without), 1,
            room_for(there.hi - there.lo, *there.sizes, there.versions), out,
        )  # fmt: skip
        for i, said in enumerate(zip(*out, strict=True)):
            assert said == there.alone(as_of[i], known[i], without[i]), (there.who, there.exam, i)


def test_sittings_are_numbered_as_each_was_when_it_began(
    asked: list[tuple[Asked, Random]],
) -> None:
    """The ordinal is the one among the sittings that were visible at its start."""
    numbered = 0
    for there, random in asked:
        size, known = there.hi - there.lo, random.choice(there.positions)
        out = Numbered(*([0] * size for _ in Numbered._fields))
        count = kernels.number_sittings(
            there.history.sittings, there.groups, there.history.facts, [1], 0, 1,
            there.moments[-1], known, 1, room(size, *there.sizes),
            room_for(size, *there.sizes, there.versions), out,
        )  # fmt: skip
        for i in range(count):
            then = room(size, *there.sizes)
            rows, start = there.history.sittings, out.start[i]
            n = gather(rows, there.lo, there.hi, start, known, then)
            q = there.q(start, known)
            found = verdict_at(there.history.facts, q, then, n, start)
            key = rows.key[out.row[i]]
            at = [s for s in range(n) if then.key[s] == key and found.verdict.version >= 0]
            assert out.ordinal[i] == (then.ordinal[at[0]] if at else 0)
            numbered += out.ordinal[i] > 1
    assert numbered > 20
