"""A draft policy beside the one in force, over everybody: how many warm replays that takes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.data import ledger_of
from benchmarks.everyone import opened, population, snapshot_of
from benchmarks.measure import Figure, Options, alternately, middle, seconds

_SINCE = "2023-03-01T"
"""From when the draft holds: it takes the place of the newest version published."""


def figures(options: Options) -> Iterator[Figure]:
    """Judge every sitting and every standing under waits of seven days."""
    from replay.what_if import Draft
    from retake_policies import shipped

    path = ledger_of(options.events)
    general = dict(shipped())["general"].replace('"P14D"', '"P7D"', 3)
    draft = Draft("general", general.replace("2021-03-31T", _SINCE, 1))
    told = {}

    def drafted() -> None:
        with opened(path) as ledger:
            told["compared"] = snapshot_of(ledger).what_if([draft])

    mine, replays = alternately(
        options.runs, lambda: seconds(drafted), lambda: seconds(lambda: population(path))
    )
    compared = told["compared"]
    rows = population(path)
    each = compared.judged / max(1, len(rows["candidate"].unique()))
    yield Figure(
        "what_if", f"what-if over {options.events:,} events", "s", middle(mine), middle(replays),
        "one warm replay", at_most=5,
        note=f"{compared.judged:,} sittings judged, {each:.1f} a candidate; "
        f"{compared.stood:,} standings compared; {compared.sittings.num_rows:,} and "
        f"{compared.standings.num_rows:,} differ", all={"ours": mine, "peer": replays},
    )  # fmt: skip
