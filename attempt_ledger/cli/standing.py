"""`standing`: may this candidate sit this exam, why not, and from when."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, no_candidate
from attempt_ledger.cli.options import AsOf, Format, FormatOption, KnownAt, command
from attempt_ledger.cli.output import put
from attempt_ledger.cli.problems import DONE
from attempt_ledger.cli.values import instant, known, zone


@command(
    "standing",
    examples="""
    attempt-ledger standing C-1001 AZ-104
    attempt-ledger standing C-1001 AZ-104 --as-of 2021-03-15T08:59:59Z
    attempt-ledger standing C-1001 AZ-104 --as-of 2021-03-12 --known-at 2021-03-12
    attempt-ledger standing C-1001 AZ-104 --known-at @42 --format json
    attempt-ledger standing C-1001 --zone Europe/Berlin
    """,
)
def standing(
    context: typer.Context,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")],
    exam: Annotated[
        str | None,
        typer.Argument(
            metavar="EXAM", help="The exam's code. Left out: every exam with a sitting."
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    zone_name: Annotated[
        str | None,
        typer.Option(
            "--zone",
            metavar="ZONE",
            help="Write instants on this zone's clock, such as Europe/Berlin; in JSON those in "
            "sentences alone. Default: UTC.",
        ),
    ] = None,
    format: FormatOption = Format.text,
) -> int:
    """Show if a candidate may sit an exam, why not, and from when.

    The answer is for one valid time (--as-of) on the knowledge of one system time (--known-at).
    JSON is one object; without EXAM an array of them, sorted by exam.
    """
    now = clock.now()
    at = now if as_of is None else instant("--as-of", as_of)
    moment_known = known(known_at)
    shown = None if zone_name is None else zone(zone_name)

    from projections.sentences import IN_UTC, shown_in
    from replay.snapshot import snapshot_at

    show = IN_UTC if shown is None else shown_in(shown, str(zone_name))
    with call_of(context).open() as ledger:
        if not ledger.stream(f"candidate/{candidate}"):
            raise no_candidate(candidate, ledger)
        snapshot = snapshot_at(ledger, at, moment_known, now=now)
        if exam is None:
            answers = snapshot.standings(candidate, show=show)
        else:
            answers = (snapshot.standing(candidate, exam, show=show),)
        if format is Format.json:
            lines = [answer.model_dump_json() for answer in answers]
            put(f"{lines[0]}\n" if exam is not None else f"[{','.join(lines)}]\n")
            return DONE

        from attempt_ledger.cli.output import console
        from attempt_ledger.cli.standing_text import all_standings, one_standing

        catalogue = snapshot.catalogue
        if exam is None:
            page = all_standings(candidate, answers, catalogue, snapshot.moment, show)
        else:
            page = one_standing(answers[0], catalogue, show)
        console().print(page)
    return DONE
