"""Everybody from the column cache, beside DuckDB's SQL and aggregates of eventsourcing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.data import fresh, ledger_of
from benchmarks.everyone import moment_of, opened, population, snapshot_of
from benchmarks.measure import FOLDER, Figure, Options, alternately, middle, seconds

if TYPE_CHECKING:
    import pyarrow as pa

    from benchmarks.peers.in_sql import Asked, InSql
    from ledger.ledger import Ledger
    from projections.standing import Moment

_SAMPLE = 2_000
_ASKED_RATE = 5_000_000


def figures(options: Options) -> Iterator[Figure]:
    """Replay warm: on a whole history alone, on a plain one in turn with what SQL can say."""
    whole = ledger_of(options.events)
    population(whole)  # makes the column cache, and compiles
    (mine,) = alternately(options.runs, lambda: options.events / seconds(lambda: population(whole)))
    yield Figure(
        "population", f"warm replay of {options.events:,} events", "/s", middle(mine),
        at_least=_ASKED_RATE, note="events a second, to a table in memory; ledger opened anew, "
        "columns checked", all={"ours": mine},
    )  # fmt: skip
    yield from _under_the_richest(options)
    yield from _beside_sql(options)
    yield from _beside_aggregates(options, whole, middle(mine))


RICHEST = """
id = "{id}"
effective_from = 2023-03-01T00:00:00Z
[wait]
after = ["PT24H", "P14D", "P1M", "P14D", "P2M"]
from = "end"
days = "clear"
zone = "Europe/Berlin"
within = "P2Y"
[[cap]]
sittings = 5
period = "P12M"
[[cap]]
sittings = 6
period = "P12M"
anchor = "rolling"
by = "date"
since = 2021-06-01T00:00:00Z
[[cap]]
sittings = 7
anchor = "calendar"
starts = ["01-01", "07-01"]
periods = 3
[[cap]]
sittings = 20
[pass]
retake = "after-expiry"
before_expiry = "P60D"
[authorization]
required = true
sittings = 3
[missed]
counts = true
[beta]
sittings = 1
counts = true
results_after_live = ["P7D", "P10D"]
overdue_after_live = "P14D"
[exception]
waives = ["wait", "cap", "passed"]
reasons = ["lab-crash"]
"""
"""A policy of every kind of rule that one policy can have."""


def _under_the_richest(options: Options) -> Iterator[Figure]:
    """Replay one history with every exam under `general`, then under the richest policy."""
    from replay.what_if import Draft, drafted_events
    from retake_policies import shipped

    general = dict(shipped())["general"].replace("2021-03-31T", "2023-03-01T", 1)
    head, _, tail = general.partition('id = "general"')
    programmes = [id for id, _ in shipped()]
    authorized = ledger_of(options.events, "authorized")

    def replayed(text: str) -> None:
        drafts = drafted_events([Draft(id, text.format(id=id)) for id in programmes])
        with opened(authorized) as ledger:
            snapshot_of(ledger).supposing(drafts).everybody()

    usual = f'{head}id = "{{id}}"{tail}'
    mine, others = alternately(
        options.runs,
        lambda: seconds(lambda: replayed(RICHEST)),
        lambda: seconds(lambda: replayed(usual)),
    )
    yield Figure(
        "population", "warm replay under the richest policy", "s", middle(mine), middle(others),
        "under general", at_most=1.5,
        note="every exam follows it: four caps, waits within two years, authorizations, a zone",
        all={"ours": mine, "peer": others},
    )  # fmt: skip


def _beside_sql(options: Options) -> Iterator[Figure]:
    plain = ledger_of(options.events, "plain")
    query, candidates, exams = in_sql(plain)
    agree(population(plain), query(), candidates, exams)
    mine, others = alternately(
        options.runs,
        lambda: options.events / seconds(lambda: population(plain)),
        lambda: options.events / seconds(query),
    )
    yield Figure(
        "population", "warm replay, live sittings under general", "/s", middle(mine),
        middle(others), "DuckDB", at_least=1.5,
        note="all rows agree; SQL over Parquet with list_reduce, candidates and exams as numbers, "
        "without certifications, grants and eligible_from", all={"ours": mine, "peer": others},
    )  # fmt: skip


def _beside_aggregates(options: Options, whole: Path, mine: float) -> Iterator[Figure]:
    from benchmarks.peers.aggregates import application, save_all

    folder = fresh(options.scratch / "population")
    app = application(folder / "aggregates.sqlite")
    known: dict[str, Any] = {}
    events = 0
    with opened(whole) as ledger:
        for number, name in enumerate(ledger.candidates()):
            if number == _SAMPLE:
                break
            rows = ledger.stream(f"candidate/{name}")
            events += len(rows) + 1
            save_all(app, rows, known)
    ids = [candidate.id for candidate in known.values()]

    def replayed() -> float:
        began = time.perf_counter()
        for id in ids:
            app.repository.get(id)
        return events / (time.perf_counter() - began)

    (others,) = alternately(options.runs, replayed)
    app.close()
    yield Figure(
        "population", "warm replay beside replaying aggregates", "/s", mine, middle(others),
        "eventsourcing", at_least=100, note=f"measured on {len(ids):,} candidates, an event each",
        all={"peer": others},
    )  # fmt: skip


def in_sql(ledger: Path) -> tuple[InSql, list[str], list[str]]:
    """Write a plain ledger's facts as Parquet and set up the query; names by number beside it."""
    from benchmarks.peers.in_sql import InSql, write_facts

    parquet = FOLDER / f"{ledger.stem}.parquet"
    names = parquet.with_suffix(".json")
    if not (parquet.exists() and names.exists()):
        names.write_text(json.dumps(write_facts(ledger, parquet)))
    candidates, exams = json.loads(names.read_text())
    with opened(ledger) as at_hand:
        asked = asked_at(at_hand, moment_of(at_hand))
    return InSql(parquet, exams, asked), candidates, exams


def asked_at(ledger: Ledger, moment: Moment) -> Asked:
    """Look up what the catalogue says at a moment: the SQL is told, not asked to find out."""
    from benchmarks.peers.in_sql import Asked
    from projections.catalogue import catalogue_of
    from projections.fold.catalogue import exam_dates, exam_definition
    from projections.fold.facts import NEVER
    from retake_policies.rules import Rules, version_in_force

    catalogue = catalogue_of(ledger.catalogue())
    versions, policy = catalogue.versions, catalogue.policies["general"]
    row = version_in_force(
        versions.effective_from, versions.position, versions.annulled,
        versions.lo[policy], versions.hi[policy], moment.as_of, moment.position,
    )  # fmt: skip
    rules: Rules = catalogue.published[row].rules
    # What the SQL takes for granted of the policy.
    if (rules.cap_sittings, rules.cap_anchor, rules.cap_amount) != ((5,), (0,), (12,)):
        raise RuntimeError("the query knows one cap alone: 5 sittings in 12 months from the first")
    exams = []
    for code, exam in catalogue.exams.items():
        at, known = moment.as_of, moment.position
        definition = exam_definition(catalogue.definitions, exam, at, known)
        dates = exam_dates(catalogue.definitions, catalogue.milestones, exam, definition, known)
        live, gone = (None if date == NEVER else date for date in (dates.live_at, dates.retires_at))
        exams.append((code, live, gone))
    # 24 hours are a day in UTC: the waits are all told in days.
    waits = [
        amount if unit == 1 else amount // 86_400_000_000
        for unit, amount in zip(rules.wait_unit, rules.wait_amount, strict=True)
    ]
    return Asked(moment.as_of, moment.position, waits, rules.cap_sittings[0], exams)


def agree(ours: pa.Table, theirs: pa.Table, candidates: list[str], exams: list[str]) -> None:
    """Raise RuntimeError unless both tables say the same of everybody, row for row."""
    import pyarrow as pa

    outcomes = pa.array(["pending", "passed", "failed", "revoked"])
    theirs = theirs.sort_by([("candidate", "ascending"), ("exam", "ascending")])
    instant = ours.schema.field("last_sitting_at").type
    said: Mapping[str, Any] = {
        "candidate": pa.array(candidates).take(theirs["candidate"].combine_chunks()),
        "exam": pa.array(exams).take(theirs["exam"].combine_chunks()),
        "status": theirs["status"],
        "sittings_in_series": theirs["sittings_in_series"].cast(pa.int32()),
        "period_ends_at": theirs["period_ends_at"].cast(instant),
        "last_sitting_at": theirs["last_sitting_at"].cast(instant),
        "last_outcome": outcomes.take(theirs["last_outcome"].combine_chunks()),
    }
    if ours.num_rows != theirs.num_rows:
        raise RuntimeError(f"ours has {ours.num_rows} rows, the SQL {theirs.num_rows}")
    for name, column in said.items():
        mine = ours[name].combine_chunks()
        other = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if not mine.equals(other.cast(mine.type)):
            row = next(
                row
                for row, (one, two) in enumerate(
                    zip(mine.to_pylist(), other.to_pylist(), strict=True)
                )
                if one != two
            )
            mine_row = ours.slice(row, 1).to_pylist()
            raise RuntimeError(f"{name} differs: ours {mine_row}, the SQL {other[row]}")
