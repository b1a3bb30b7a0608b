"""`what-if`: what a draft policy would have done, beside the one in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from attempt_ledger import clock
from attempt_ledger.cli.everybody import (
    CandidateFile,
    about,
    candidates_in,
    snapshot_of,
    write_table,
)
from attempt_ledger.cli.forms import form_of
from attempt_ledger.cli.on_engine import (
    ColumnsURL,
    EngineURL,
    Tasks,
    answering,
    check_options,
)
from attempt_ledger.cli.options import AsOf, ExamsOption, KnownAt, NoColumnCache, command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.cli.values import instant
from ledger.instants import format_instant
from ledger.intake.source import read_whole
from replay.formats import TABLE
from replay.what_if import Compared, Draft, totals
from retake_policies.schema import Policy, parse_policy


@command(
    "what-if",
    examples="""
    attempt-ledger what-if --policy seven-days.toml --since 2023-01-01
    attempt-ledger what-if --policy draft.toml --exam AZ-104 --sittings refused.csv
    attempt-ledger what-if --policy a.toml --policy b.toml --standings changed.parquet
    attempt-ledger what-if --policy draft.toml --engine sc://127.0.0.1:15002
    """,
)
def what_if(
    context: typer.Context,
    policies: Annotated[
        list[Path],
        typer.Option("--policy", metavar="FILE", help="A draft policy, TOML; repeatable."),
    ],
    as_of: AsOf = None,
    known_at: KnownAt = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T", help="Judge sittings from then on. Default: all."),
    ] = None,
    exams: ExamsOption = None,
    candidates: CandidateFile = None,
    no_column_cache: NoColumnCache = False,
    sittings: Annotated[
        Path | None,
        typer.Option(
            "--sittings",
            metavar="FILE",
            help="Write the sittings that would have been refused or allowed, in the form that the "
            "file's name says: .csv, .xlsx, .parquet …",
        ),
    ] = None,
    standings: Annotated[
        Path | None,
        typer.Option(
            "--standings", metavar="FILE", help="Write the standings at --as-of that would change."
        ),
    ] = None,
    engine: EngineURL = None,
    columns: ColumnsURL = None,
    tasks: Tasks = None,
) -> int:
    """Show what draft policies would have done.

    A draft counts as one more version of the policy of its id: from its effective_from on it takes
    the place of what is in force, until a version of a later day does. Every past sitting is judged
    at its start under both, with what is known; then everybody's standing at --as-of. The summary
    goes to standard output. With --engine both are folded by Apache Spark 4, or Sail: see `replay`.
    """
    check_options(engine, columns, None, tasks, output=None, no_column_cache=no_column_cache)
    sittings_form = form_of(TABLE, None, sittings, "--sittings")
    standings_form = form_of(TABLE, None, standings, "--standings")
    at = clock.now() if as_of is None else instant("--as-of", as_of)
    start = None if since is None else instant("--since", since)
    if start is not None and start > at:
        raise CallProblem("--since lies after --as-of: no sitting could be judged")
    named = candidates_in(candidates)
    drafts = [read_draft(path) for path in policies]
    everybody = answering(context, engine, columns, tasks)
    tried = [draft for draft, _ in drafts]

    with snapshot_of(context, as_of, known_at, no_column_cache=no_column_cache) as snapshot:
        scope = everybody.scope(snapshot, exams, named)
        compared = everybody.what_if(snapshot, tried, start, scope)
    for id in compared.idle:
        say(
            f"no exam follows a policy {id!r}, so its draft changes nothing: a draft has the id of "
            "the policy in whose place it is tried"
        )
    if sittings is not None:
        write_table(
            compared.sittings, sittings_form, sittings, about("Sittings under the draft", snapshot)
        )
    if standings is not None:
        write_table(
            compared.standings,
            standings_form,
            standings,
            about("Standings under the draft", snapshot),
        )
    put(
        "\n".join(summary(compared, [policy for _, policy in drafts], start, snapshot.as_of)) + "\n"
    )
    return DONE


def read_draft(path: Path) -> tuple[Draft, Policy]:
    """Read and check a draft; raises PolicyError, or OSError for a file that cannot be read."""
    text = read_whole(path)
    policy = parse_policy(text, str(path))
    return Draft(policy.id, text.decode()), policy


def summary(
    compared: Compared, drafts: Sequence[Policy], since: int | None, as_of: int
) -> Iterable[str]:
    """Summarize what would change, in total, by exam and by reason."""
    for policy, until in zip(drafts, compared.until, strict=True):
        yield f"Draft of {policy.id}, effective from {format_instant(policy.effective_from)}"
        if until is not None:
            yield f"  until {format_instant(until)}, from when another version is in force"
    changed = dict(totals(compared.sittings, ["change"]))
    window = f" since {format_instant(since)}" if since is not None else ""
    yield ""
    yield f"Sittings judged{window}: {compared.judged:,}"
    yield f"  would have been refused:       {changed.get('refused', 0):>12,}"
    yield f"  would have been newly allowed: {changed.get('allowed', 0):>12,}"
    if changed:
        yield from counted("by exam", totals(compared.sittings, ["exam", "change"]))
        yield from counted(
            "by reason, in force and under the draft",
            totals(compared.sittings, ["status", "status_draft"]),
        )
    yield ""
    yield (
        f"Standings as of {format_instant(as_of)}: {compared.stood:,}, of which "
        f"{compared.standings.num_rows:,} would change"
    )
    if compared.standings.num_rows:
        yield from counted("by exam", totals(compared.standings, ["exam"]))
        yield from counted(
            "by status, in force and under the draft",
            totals(compared.standings, ["status", "status_draft"]),
        )


def counted(title: str, rows: Sequence[tuple[Any, ...]], most: int = 12) -> Iterable[str]:
    """Show counts under a title, the largest first; the rest in one line."""
    yield f"  {title}"
    for *names, count in rows[:most]:
        yield f"    {'  '.join(f'{name:<16}' for name in names):<38} {count:>12,}"
    if len(rows) > most:
        rest = sum(row[-1] for row in rows[most:])
        yield f"    {f'{len(rows) - most} more':<38} {rest:>12,}"
