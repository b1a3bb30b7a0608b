"""What the commands about everybody share: the options, the scope, the snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, engine_of
from attempt_ledger.cli.output import bytes_to, say
from attempt_ledger.cli.problems import CallProblem
from attempt_ledger.cli.values import instant, known
from ledger.intake.source import read_whole
from ledger.problems import shown
from replay.formats import About
from replay.formats.rows import write_rows
from replay.population import Scope
from replay.receipts import moment_text
from replay.snapshot import Snapshot, snapshot_at

CandidateFile = Annotated[
    Path | None,
    typer.Option(
        "--candidate-file",
        metavar="FILE",
        help="Of the candidates in this file alone, one a line; 16 MB at most.",
    ),
]


@contextmanager
def snapshot_of(
    context: typer.Context,
    as_of: str | None,
    known_at: str | None,
    *,
    no_column_cache: bool = False,
) -> Iterator[Snapshot]:
    """Open the ledger and bind it at the moment that the options name, by default now.

    A bar shows how its facts are read. Raises CallProblem, before anything is opened.
    """
    now = clock.now()
    at = now if as_of is None else instant("--as-of", as_of)
    moment_known = known(known_at)
    with engine_of(call_of(context), no_column_cache=no_column_cache) as (ledger, engine):
        yield snapshot_at(ledger, at, moment_known, now=now, engine=engine)


def candidates_in(path: Path | None) -> dict[str, int] | None:
    """Read the candidates of a file, one a line, each with its line; None without a file.

    Raises OSError for a file that cannot be read, CallProblem for one that is not UTF-8.
    """
    if path is None:
        return None
    try:
        # With or without a byte order mark; ids may hold what Python too takes for a line's end.
        lines = read_whole(path).decode("utf-8-sig").split("\n")
    except UnicodeError:
        raise CallProblem(f"{path} is not UTF-8: accepted is one candidate a line") from None
    return {line.strip(): number for number, line in enumerate(lines, 1) if line.strip()}


def scope_of(
    snapshot: Snapshot, exams: Sequence[str] | None, candidates: Mapping[str, int] | None
) -> Scope:
    """Return the scope that the options name; say of which exams and candidates there is nothing.

    `candidates` are those of a file, each with its line.
    """
    for exam in exams or ():
        if not snapshot.ledger.stream(f"exam/{exam}") and exam not in snapshot.columns.exams:
            say(f"nothing is recorded of an exam {exam!r}")
    if candidates is None:
        return named_scope(exams, None)
    columns = snapshot.columns
    unknown = set(candidates)
    for part in (*columns.base, *([columns.delta] if columns.delta else [])):
        wanted = pc.is_in(part.candidates, value_set=pa.array(sorted(unknown), pa.string()))
        unknown -= set(part.candidates.filter(wanted).to_pylist())
    if unknown:
        first = sorted(unknown, key=candidates.__getitem__)
        named = ", ".join(f"{shown(name)} (line {candidates[name]})" for name in first[:_NAMED])
        more = f" and {len(first) - _NAMED:,} more" if len(first) > _NAMED else ""
        say(
            f"{len(first):,} of {len(candidates):,} candidates of the file are not in this ledger: "
            f"{named}{more}"
        )
    return named_scope(exams, candidates)


_NAMED = 5
"""How many candidates that are not there are named."""


def named_scope(exams: Sequence[str] | None, candidates: Collection[str] | None) -> Scope:
    """Return the scope that the options name; whether there is any of it is not looked up."""
    return Scope(
        frozenset(exams) if exams else None, None if candidates is None else frozenset(candidates)
    )


def about(title: str, *snapshots: Snapshot) -> About:
    """Return what stands above a table of one moment, or of two."""
    return About(title, [moment_text(*each.moment) for each in snapshots])


def write_table(table: pa.Table, form: str, output: Path | None, about: About) -> None:
    """Write a table to standard output or a file, and say how long it is."""
    with bytes_to(output) as file:
        write_rows(table, form, file, about)
    if output is not None:
        say(f"{output}: {table.num_rows:,} row{'' if table.num_rows == 1 else 's'}")
