"""`columns build`: everybody's facts as parts that an engine's workers read."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger.cli.context import call_of, engine_of
from attempt_ledger.cli.on_engine import built
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE


@command(
    "columns build",
    examples="""
    attempt-ledger columns build
    attempt-ledger columns build --part-rows 500000 --to parts
    """,
)
def build(
    context: typer.Context,
    part_rows: Annotated[
        int | None,
        typer.Option(
            "--part-rows",
            metavar="N",
            min=1,
            help="About how many rows of sittings a part has. Default: as many as in the build "
            "that is there, else 1,000,000.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="URL",
            help="Where to: a folder that workers reach by the same path, or a URL of s3, gs, abfs "
            "or hdfs. Default: the ledger's own name with .parts.",
        ),
    ] = None,
) -> int:
    """Build columns of everything, which an engine's workers read.

    For `replay --engine`. Parts are ranges of candidates, each read by one worker at a time. The
    manifest, which is written last, names them with their digests and is signed by the ledger's
    signing key. Nothing is done where it is up to the ledger already. No personal field is in any
    part.
    """
    call = call_of(context)
    with engine_of(call) as (ledger, engine):
        place, published = built(call, ledger, engine, to, part_rows)
    rows = sum(part.rows for part in published.parts)
    parts = len(published.parts)
    say(
        f"{place.url}: {rows:,} row{'' if rows == 1 else 's'} in {parts:,} "
        f"part{'' if parts == 1 else 's'}, up to position {published.position:,}"
    )
    return DONE
