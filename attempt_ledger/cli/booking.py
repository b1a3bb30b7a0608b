"""`booking`: who may sit what, from when until when, since a booking system last asked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.api.register import Register, register_path
from attempt_ledger.cli.context import call_of, engine_of
from attempt_ledger.cli.options import Output, TokenFile, command
from attempt_ledger.cli.output import put, say, text_to
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import zone
from attempt_ledger.outbox import Status, confirm, undelivered
from ledger.fields import parse_json
from ledger.intake.source import read_whole
from replay.between import NotACursor, WasReset
from replay.formats.pearson import write_pearson
from replay.snapshot import snapshot_at


class BookingFormat(StrEnum):
    """How bookings are written."""

    json = "json"
    tsv = "tsv"


@command(
    "booking",
    examples="""
    attempt-ledger booking --format tsv --output authorizations.txt
    attempt-ledger booking --since MTc5NTg5NDgxOTQxMTUxMS43MjAuNGY --format json
    attempt-ledger booking --confirmations confirmations.tsv
    """,
)
def booking(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="CURSOR", help="The cursor of the last call. Default: everything."
        ),
    ] = None,
    confirmations: Annotated[
        Path | None,
        typer.Option(
            "--confirmations",
            metavar="FILE",
            help="Read what became of rows instead: tab-separated or CSV with the columns id (or "
            "ClientAuthorizationID) and status, or JSON lines; status is accepted or error.",
        ),
    ] = None,
    zone_name: Annotated[
        str | None,
        typer.Option("--zone", metavar="ZONE", help="Whose dates the file has. Default: UTC."),
    ] = None,
    format: Annotated[
        BookingFormat, typer.Option("--format", help="json, or tsv as Pearson's imports take it.")
    ] = BookingFormat.json,
    output: Output = None,
    tokens: TokenFile = None,
) -> int:
    """List what differs for a booking system since a cursor.

    One row for each candidate and exam with a sitting, a grant or an authorization whose dates of
    eligibility differ: add, update or delete, with an id that stays. The cursor for the next call
    is in the JSON, and on standard error. What was sent is remembered beside the tokens until it is
    confirmed (--confirmations), and comes again until then. The exit code is 1 where a confirmation
    is an error, or of a row that was not sent.
    """
    call = call_of(context)
    call.check()
    register = Register(register_path(call.path, tokens))
    if confirmations is not None:
        return _confirmed(register, confirmations)
    clock_of = UTC if zone_name is None else zone(zone_name)
    now = clock.now()
    with engine_of(call) as (ledger, engine):
        snapshot = snapshot_at(ledger, now, now=now, engine=engine)
        try:
            found = undelivered(snapshot, since, register)
        except (NotACursor, WasReset) as problem:
            raise CallProblem(f"--since: {problem}") from None
        with text_to(output) as file:
            if format is BookingFormat.tsv:
                rows = write_pearson(found.rows, file, found.at, clock_of)
            else:
                rows = found.write_json(file)
                file.write("\n")
    say(f"{rows:,} row{'' if rows == 1 else 's'}; the next call: --since {found.cursor}")
    return DONE


def _confirmed(register: Register, path: Path) -> int:
    done = confirm(register, list(_read(path)))
    put(f"{done.accepted} accepted, {done.errors} with an error, which come again\n")
    for id in done.unknown[:5]:
        say(f"{id} was not sent, or was confirmed before")
    if len(done.unknown) > 5:
        say(f"and {len(done.unknown) - 5:,} more")
    return REFUSED if done.errors or done.unknown else DONE


def _read(path: Path) -> Iterator[tuple[str, Status]]:
    """Read confirmations; raises CallProblem."""
    try:
        text = read_whole(path).decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            rows = [parse_json(line) for line in text.split("\n") if line.strip()]
        else:
            first = text.partition("\n")[0]
            rows = list(csv.DictReader(io.StringIO(text), delimiter="\t" if "\t" in first else ","))
    except (ValueError, csv.Error) as error:
        raise CallProblem(f"{path} cannot be read: {error}") from None
    for number, row in enumerate(rows, 1):
        values = row if isinstance(row, dict) else {}
        id = values.get("id") or values.get("ClientAuthorizationID")
        status = str(values.get("status") or "").lower()
        if not isinstance(id, str) or status not in ("accepted", "error"):
            raise CallProblem(
                f"{path}, row {number}: accepted is an id, and a status: accepted or error"
            )
        yield id, "accepted" if status == "accepted" else "error"
