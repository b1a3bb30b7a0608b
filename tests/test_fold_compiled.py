"""The compiled fold over columns says of everybody what the interpreted fold says of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from example_ledger import CACHE, bound, one_by_one, row_of
from hypothesis import HealthCheck, given, settings
from plain_reading import Reading
from plain_values import at, rows_of
from random_ledger import Told, questions, random_ledger, seeded_worlds
from strategies import World, randomness, world
from test_cases import assert_reads_now

from ledger.ledger import Ledger
from ledger.models import EVENT_TYPES
from projections.answers import Standing
from projections.fold.facts import OUTCOMES
from projections.fold.rules import STATUSES
from projections.standing import Moment
from replay.columns import build
from replay.columns import cache as snapshot
from replay.population import Scope
from replay.snapshot import Engine, Snapshot
from retake_policies.durations import DAYS, MONTHS, TIME
from retake_policies.schema import (
    AuthorizationTable,
    BetaTable,
    Cap,
    MissedTable,
    PassTable,
    Policy,
    WaitTable,
)

WORLDS, PEOPLE, QUESTIONS = 650, 5, 8
ENOUGH = 100
TABLED = range(at("1901-01-01"), at("2190-01-01"))
"""Where an offset is that of the zone's own data, however far ahead a rule looks."""


class Both:
    """Asks both folds about the same candidates at the same moment."""

    def __init__(self, ledger: Ledger) -> None:
        head = ledger.head().position
        self.head = Snapshot(ledger, Moment(0, None, head))
        self.everybody = Snapshot(
            ledger, Moment(0, None, head), Engine(CACHE, keep_columns=False, small=0)
        )
        self.policies = {
            version.policy.sha256: version.policy for version in self.head.catalogue.published
        }

    def agree(self, names: Iterable[str], moment: Moment) -> list[Standing]:
        """Hold the rows of some candidates equal, and give the standings they came from."""
        names = sorted(names)
        snapshot = self.head.at(moment)
        standings = [each for who in names for each in snapshot.standings(who)]
        assert self.everybody.columns  # of the head: they serve every moment before
        table = self.everybody.at(moment).everybody(Scope(candidates=frozenset(names)))
        assert list(rows_of(table)) == [row_of(standing) for standing in standings], moment
        return standings


# --- what is met on the way ------------------------------------------------------------------


def of_policy(policy: Policy) -> Iterator[str]:
    """Name the keys and values of a policy."""
    wait, beta = policy.wait, policy.beta
    yield f"wait.from = {wait.from_}"
    yield f"wait.days = {wait.days}"
    yield f"wait.zone: {'UTC' if wait.zone == 'UTC' else 'with daylight saving time'}"
    yield f"wait.after: {min(len(wait.after), 2)}"
    yield from {f"wait.after: {UNITS[each.unit]}" for each in wait.after}
    yield f"wait.within: {UNITS[wait.within.unit] if wait.within else 'none'}"
    yield f"cap: {min(len(policy.cap), 2)}"
    for cap in policy.cap:
        yield "cap for life" if cap.for_life else f"cap.anchor = {cap.anchor}"
        yield from {f"cap.period: {UNITS[period.unit]}" for period in [cap.period] if period}
        if cap.anchor == "rolling":
            yield f"cap.by = {cap.by}"
        if cap.starts:
            yield f"cap.starts: {'days of the year' if len(cap.starts[0]) == 5 else 'dates'}"
            yield f"cap.periods: {min(cap.periods, 3)}"
        if cap.since is not None:
            yield f"cap.since: {'for life' if cap.for_life else cap.anchor}"
    passes = policy.pass_
    yield f"pass.retake = {passes.retake}"
    yield f"pass.after: {UNITS[passes.after.unit] if passes.after else 'none'}"
    early = passes.before_expiry
    yield f"pass.before_expiry: {UNITS[early.unit] if early else 'none'}"
    yield f"authorization.required = {policy.authorization.required}"
    if policy.authorization.required:
        yield f"authorization.sittings: {min(policy.authorization.sittings or 0, 2)}"
    yield f"missed.counts = {policy.missed.counts}"
    yield f"beta.sittings: {min(beta.sittings, 2)}"
    yield f"beta.counts = {beta.counts}"
    yield f"beta.results_after_live: {'some' if beta.results_after_live else 'none'}"
    overdue = beta.overdue_after_live
    yield f"beta.overdue_after_live: {UNITS[overdue.unit] if overdue else 'none'}"
    yield f"exception: {'some' if policy.exception.waives else 'none'}"


UNITS = {TIME: "time", DAYS: "days", MONTHS: "months"}


def choices(table: type, key: str) -> Iterator[str]:
    """Yield the words that a key of a policy accepts."""
    field: Any = table.model_fields[key]  # type: ignore[attr-defined]
    yield from field.annotation.__args__


def to_be_met() -> list[str]:
    """Name everything that must occur often: it follows from the schema, not from the generator."""
    return [
        *(f"event {type}" for type in EVENT_TYPES),
        *(f"status {status}" for status in STATUSES),
        *(f"reason {code}" for code in STATUSES[1:]),
        *(f"outcome {outcome}" for outcome in OUTCOMES),
        "waived waiting",
        "waived cap-reached",
        "waived passed",
        *(f"wait.from = {word}" for word in choices(WaitTable, "from_")),
        *(f"wait.days = {word}" for word in choices(WaitTable, "days")),
        *(f"wait.zone: {kind}" for kind in ("UTC", "with daylight saving time")),
        *(f"wait.after: {entries}" for entries in (0, 1, 2, *UNITS.values())),
        *(f"wait.within: {kind}" for kind in ("none", "days", "months")),
        *(f"cap: {caps}" for caps in (0, 1, 2)),
        *(f"cap.anchor = {word}" for word in choices(Cap, "anchor")),
        "cap for life",
        "cap.period: days",
        "cap.period: months",
        *(f"cap.by = {word}" for word in choices(Cap, "by")),
        *(f"cap.starts: {kind}" for kind in ("days of the year", "dates")),
        *(f"cap.periods: {periods}" for periods in (1, 2, 3)),
        *(f"cap.since: {kind}" for kind in ("rolling", "calendar", "calendar-year", "for life")),
        *(f"pass.retake = {word}" for word in choices(PassTable, "retake")),
        *(f"pass.after: {kind}" for kind in ("none", "days", "months")),
        *(f"pass.before_expiry: {kind}" for kind in ("none", "days", "months")),
        *(f"authorization.required = {required}" for required in (False, True)),
        *(f"authorization.sittings: {most}" for most in (0, 1, 2)),
        *(f"missed.counts = {counts}" for counts in (False, True)),
        *(f"beta.sittings: {allowed}" for allowed in (0, 1, 2)),
        "beta.counts = False",
        "beta.counts = True",
        *(f"beta.results_after_live: {kind}" for kind in ("none", "some")),
        *(f"beta.overdue_after_live: {kind}" for kind in ("none", *UNITS.values())),
        *(f"exception: {kind}" for kind in ("none", "some")),
        "policy assumed",
        "not all known",
        "ahead of the last fact",
    ]


def test_every_table_of_a_policy_is_counted() -> None:
    """A key that is new in the schema is not forgotten here."""
    policy = {"id", "title", "source", "effective_from"}  # say nothing of any sitting
    tables = {
        "wait": WaitTable,
        "cap": Cap,
        "pass_": PassTable,
        "authorization": AuthorizationTable,
        "missed": MissedTable,
        "beta": BetaTable,
    }
    assert set(Policy.model_fields) == policy | set(tables) | {"exception"}
    keys = {
        f"{table.rstrip('_')}.{field.alias or name}"
        for table, schema in tables.items()
        for name, field in schema.model_fields.items()  # type: ignore[attr-defined]
    }
    assert {key for key in keys if not any(key in met for met in to_be_met())} == {"cap.sittings"}


def counted(both: Both, moment: Moment, standings: Iterable[Standing], told: Told) -> Counter[str]:
    """Count what occurs in the rows that were compared."""
    seen: Counter[str] = Counter()
    for standing in standings:
        seen[f"status {standing.status}"] += 1
        seen.update(f"reason {reason.code}" for reason in standing.reasons)
        seen.update(f"waived {reason.code}" for reason in standing.waived)
        seen[f"outcome {standing.sittings[-1].outcome}"] += 1
        seen["not all known"] += moment.position < told.positions[-1]
        seen["ahead of the last fact"] += moment.as_of > max(
            row.occurred_at for row in told.world.rows
        )
        if standing.policy is not None:
            seen["policy assumed"] += standing.policy.assumed
            seen.update(of_policy(both.policies[standing.policy.sha256]))
    return seen


def in_columns(cells: list[str], across: int = 3) -> Iterator[str]:
    """Lay cells out in columns, to be read downwards."""
    down = -(-len(cells) // across)
    for i in range(down):
        yield "".join(f"{cell:<46}" for cell in cells[i::down]).rstrip()


# --- the laws --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, list[Told]]]:
    """Yield a ledger of thousands of candidates under hundreds of policies."""
    path = tmp_path_factory.mktemp("throng") / "a.ledger"
    ledger, told = random_ledger(path, seeded_worlds(WORLDS, PEOPLE), Random(1))
    with ledger:
        yield ledger, told


def test_thousands_of_candidates_are_told_the_same_by_both_folds(
    crowded: tuple[Ledger, list[Told]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Row for row, each world at instants and positions of its own; nothing of the rules is rare.

    And the same by the second reading of the contract, which knows neither of them.
    Every event type is in the ledger, and every policy key and reason code in the rows compared,
    at least a hundred times.
    """
    ledger, every = crowded
    both, random = Both(ledger), Random(2)
    events = [*ledger.read()]
    seen = Counter(f"event {row.type}" for row in events)
    rows = read = 0
    for told in every:
        of_world = World([events[position - 1] for position in told.positions], told.names)
        for asked in questions(told, random, QUESTIONS):
            moment = Moment(asked.as_of, None, asked.known)
            standings = both.agree(told.names, moment)
            rows += len(standings)
            for standing in standings if moment.as_of in TABLED else ():
                read += 1
                bearing = [*of_world.catalogue, *of_world.of(standing.candidate)]
                named = standing.exam, moment.as_of, moment.position, standing.candidate
                assert_reads_now(Reading(bearing, *named), standing)
            seen += counted(both, moment, standings, told)
    with capsys.disabled():
        print(f"\n{rows:,} rows of {WORLDS * PEOPLE:,} candidates, the same by both folds,")
        print(f"{read:,} of them as the contract is read plainly:")
        print("\n".join(in_columns([f"{n:>6,} {name}" for name, n in sorted(seen.items())])))
    assert read >= 20_000
    assert {name: seen[name] for name in to_be_met() if seen[name] < ENOUGH} == {}


def test_all_of_them_come_out_sorted_from_parts_and_a_delta(
    crowded: tuple[Ledger, list[Told]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot in many parts, brought up to date: one table, whoever's facts lie where."""
    ledger, _ = crowded
    monkeypatch.setattr(build, "PART_ROWS", 4_000)
    monkeypatch.setattr(snapshot, "_SMALL", 10_000)
    head = ledger.head().position
    assert bound(ledger, keep_columns=True).at(Moment(0, None, head - 800)).columns
    everyone = bound(ledger, keep_columns=True)
    columns = everyone.at(Moment(0, None, head)).columns
    assert len(columns.base) > 5
    assert columns.delta is not None
    assert 100 < len(columns.delta.candidates) < 2_000
    moment = Moment(1_640_000_000_000_000, None, head)
    assert list(rows_of(everyone.at(moment).everybody())) == list(one_by_one(ledger, moment))


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(randomness())
def test_whatever_the_world_both_folds_say_the_same(random: Random) -> None:
    """Any policies, catalogue and histories, in a file of their own, asked on every boundary."""
    with TemporaryDirectory() as folder:
        ledger, [told] = random_ledger(Path(folder) / "a.ledger", [world(random, 3)], random)
        with ledger:
            both = Both(ledger)
            for asked in questions(told, random, 4):
                both.agree(told.names, Moment(asked.as_of, None, asked.known))
