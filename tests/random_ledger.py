"""Thousands of random candidates in one ledger: random worlds, each under names of its own.

A world (`strategies.py`) has its own policies, exams and certifications. Put into one ledger side
by side, their events mixed, all of them are read, laid out and compiled once, and then each is
asked about with questions of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import strategies
from strategies import Asking, World, asking, world

from ledger.events import Recorded, Row
from ledger.facts import Fact, fact_of
from ledger.fields import EventRef
from ledger.ledger import Ledger
from ledger.outcomes import Appended

NOW = 253_000_000_000_000_000
"""The clock of such a ledger: late in the year 9987, after everything in it."""
PLACES = strategies.NEARBY * 2 + ("1969-12-30T23:00Z", "1904-02-27T12:00Z", "0004-02-28T00:00Z",
                                  "2199-12-30T12:00Z", "9980-06-30T23:00Z")  # fmt: skip
"""Where histories begin: also before 1970, at the edges of the zones' tables, and far off."""
BATCH = 5_000


class Told(NamedTuple):
    """One world as it stands in the ledger."""

    world: World
    """Under its own names, with its own positions."""
    names: tuple[str, ...]
    """Its candidates in the ledger."""
    positions: tuple[int, ...]
    """The ledger's position of each of its rows."""

    def position(self, known: int) -> int:
        """Return the ledger's position at which so many of its rows are known."""
        return self.positions[known - 1] if known else 0


def renamed(row: Recorded, mark: str) -> Fact:
    """Return a row as a fact under names that no other world has."""
    fact = fact_of(row)
    if not mark:
        return fact
    event = fact.event
    changed: dict[str, Any] = {}
    for name in ("exam", "certification", "policy"):
        if hasattr(event, name):
            changed[name] = getattr(event, name) + mark
    if getattr(event, "exams", None):
        changed["exams"] = tuple(code + mark for code in event.exams)  # type: ignore[attr-defined]
    if hasattr(event, "annuls"):
        changed["annuls"] = EventRef(source=row.source, id=event.annuls.id + mark)
    if hasattr(event, "toml"):
        changed["toml"] = re.sub(r'(?m)^(id = "[^"]*)', rf"\1{mark}", event.toml, count=1)
    event = event.model_copy(update=changed)
    return fact._replace(event=event, subject=fact.subject + mark, id=fact.id + mark)


def mixed(random: Random, lengths: Sequence[int]) -> list[int]:
    """Give the numbers of worlds in the order in which their events come, each in its own order."""
    order = [number for number, length in enumerate(lengths) for _ in range(length)]
    random.shuffle(order)
    return order


def by_record(worlds: Sequence[World]) -> list[int]:
    """Return the numbers of worlds in the order in which their events were recorded."""
    stamps = [
        (row.recorded_at, row.position, number)
        for number, world in enumerate(worlds)
        for row in world.rows
    ]
    return [number for _, _, number in sorted(stamps)]


def random_ledger(
    path: Path, worlds: Sequence[World], random: Random | None
) -> tuple[Ledger, list[Told]]:
    """Put worlds into one new ledger: their events mixed, and all recorded long afterwards.

    Without `random` each event comes, and keeps its instant, as it was recorded in its world.
    """
    marks = [f"-{number}" if len(worlds) > 1 else "" for number in range(len(worlds))]
    lengths = [len(world.rows) for world in worlds]
    order = mixed(random, lengths) if random else by_record(worlds)
    rows: list[Iterator[Recorded]] = [iter(world.rows) for world in worlds]
    facts = [renamed(next(rows[number]), marks[number]) for number in order]
    ledger = Ledger.create(path, clock=lambda: NOW)
    for start in range(0, len(facts), BATCH):
        some: list[Fact | Row] = [*facts[start : start + BATCH]]
        if random:  # laid out as a history is, which may hold what is refused of new facts
            some = [fact.row(as_recorded=True) for fact in facts[start : start + BATCH]]
        outcomes = ledger.append(some, keep_recorded_at=not random)
        assert {type(outcome) for outcome in outcomes} == {Appended}
    positions: list[list[int]] = [[] for _ in worlds]
    for position, number in enumerate(order, 1):
        positions[number].append(position)
    return ledger, [
        Told(world, tuple(who + mark for who in world.people), tuple(mine))
        for world, mark, mine in zip(worlds, marks, positions, strict=True)
    ]


def seeded_worlds(count: int, people: int, places: tuple[str, ...] = PLACES) -> list[World]:
    """Make worlds that are the same for ever, beginning at some of the places."""
    nearby, strategies.NEARBY = strategies.NEARBY, places  # type: ignore[misc]
    try:
        return [world(Random(seed), people) for seed in range(count)]
    finally:
        strategies.NEARBY = nearby  # type: ignore[misc]


def questions(told: Told, random: Random, count: int) -> Iterator[Asking]:
    """Ask about a world so many times; `known` is a position of the ledger.

    Often right where a fact ends (a grant, a certification, a sitting), and right before or after
    the ledger learns of an annulment.
    """
    rows = told.world.rows
    ends: dict[str, list[int]] = {"any": [rows[-1].occurred_at]}
    for row in rows:
        if row.until is not None:
            ends.setdefault(row.type, []).append(row.until)
    learns = [n for row in rows if row.annuls is not None for n in (row.position - 1, row.position)]
    for _ in range(count):
        asked = asking(random, told.world)
        if random.random() < 0.3:
            asked = asked._replace(as_of=random.choice(ends[random.choice([*ends])]))
        if learns and random.random() < 0.2:
            asked = asked._replace(known=random.choice(learns))
        yield asked._replace(known=told.position(asked.known))
