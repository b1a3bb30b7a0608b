"""`policy explain`: a policy in plain English, and what it does to one candidate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Annotated

import typer

from attempt_ledger.cli.options import Format, FormatOption, command
from attempt_ledger.cli.output import put
from attempt_ledger.cli.pages import HEAD, QUIET, Part, Stack, block, columns, page, text
from attempt_ledger.cli.pages import show as show_page
from attempt_ledger.cli.policy import read_policy_file
from attempt_ledger.cli.problems import DONE
from ledger.instants import format_instant
from projections.sentences import Show, shown_in
from replay.example_calendar import Row, example_calendar
from retake_policies.schema import Policy, parse_policy
from retake_policies.wording import rules_in_sentences
from retake_policies.zones import load_zone


@command(
    "policy explain",
    examples="""
    attempt-ledger policy explain our-rules.toml
    attempt-ledger policy explain examples/programmes/google-cloud.toml
    attempt-ledger policy explain general --format json
    """,
)
def explain(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A policy file, 16 MB at most, or the name of a shipped one: general, mta-mce, "
            "mos.",
        ),
    ],
    format: FormatOption = Format.text,
) -> int:
    """Explain a policy in plain English, with an example calendar.

    The calendar is what the fold answers to a candidate who fails on 1 March and tries again as
    soon as they may, at 9 o'clock in the policy's zone; then what it answers to one who passes. Its
    reasons are the sentences that answers have.
    """
    _, source = read_policy_file(file)
    policy = parse_policy(source, file)
    rows = list(example_calendar(source, file))
    if format is Format.json:
        put(json.dumps(as_json(policy, rows), ensure_ascii=False) + "\n")
        return DONE
    in_zone = shown_in(load_zone(policy.wait.zone), "")
    title = f"{policy.title or policy.id}, in force from {format_instant(policy.effective_from)}"
    rules = rules_in_sentences(policy).items()
    stories = groupby(rows, lambda row: row.story)
    show_page(
        page(
            text(title),
            text(f"source: {policy.source}") if policy.source else None,
            *(block(heading, *map(text, sentences)) for heading, sentences in rules),
            text(f"An example, of an exam X, in the time of {policy.wait.zone}", HEAD),
            *(columns(cells(story, in_zone), whole=(0,)) for _, story in stories),
        )
    )
    return DONE


def cells(rows: Iterable[Row], in_zone: Show) -> Iterator[tuple[str | Part, ...]]:
    """Yield the cells of each row: when, what happens, and below one another until when and why."""
    for row in rows:
        then = free(row, in_zone)
        yield in_zone(row.at).rstrip(), row.happens, page_of(then, row.why)


def page_of(then: str, why: str) -> Part:
    """Put the reason below the instant."""
    return Stack(text(then), *([text(why, QUIET)] if why else []))


def free(row: Row, show: Show) -> str:
    """Write when a candidate is free."""
    if row.free_from == row.at:
        return "free at once"
    return "not free" if row.free_from is None else f"free from {show(row.free_from).rstrip()}"


def as_json(policy: Policy, rows: list[Row]) -> dict[str, object]:
    """Return rules and calendar as JSON values."""
    return {
        "id": policy.id,
        "title": policy.title,
        "source": policy.source,
        "effective_from": format_instant(policy.effective_from),
        "zone": policy.wait.zone,
        "rules": rules_in_sentences(policy),
        "calendar": [
            {
                "story": row.story,
                "at": format_instant(row.at),
                "happens": row.happens,
                "free_from": None if row.free_from is None else format_instant(row.free_from),
                "why": row.why,
            }
            for row in rows
        ],
    }
