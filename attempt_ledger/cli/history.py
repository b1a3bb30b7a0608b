"""`history`: everything recorded of a candidate."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, no_candidate
from attempt_ledger.cli.options import Format, FormatOption, KnownAt, command
from attempt_ledger.cli.output import put
from attempt_ledger.cli.problems import DONE
from attempt_ledger.cli.values import known


@command(
    "history",
    examples="""
    attempt-ledger history C-1001
    attempt-ledger history C-1001 --known-at 2022-03-12
    attempt-ledger history C-1001 --format json
    attempt-ledger --keys /secure/attempts.keys history C-1001 --clear
    """,
)
def history(
    context: typer.Context,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")],
    known_at: KnownAt = None,
    clear: Annotated[
        bool,
        typer.Option(
            "--clear", help="Personal fields in clear text, read with the key file; or left out."
        ),
    ] = False,
    format: FormatOption = Format.text,
) -> int:
    """Show everything recorded of a candidate.

    Annulled events too. Text is a table in the order in which things were true; JSON an array of
    CloudEvents in the order in which they were recorded, personal fields as ciphertext. Where
    those of a forgotten candidate would be shown it says `erased`: {"erased": true} in JSON.
    """
    from ledger.cloudevents import to_cloudevent
    from ledger.privacy.vault import ERASED
    from replay.snapshot import snapshot_at

    now = clock.now()
    with call_of(context).open() as ledger:
        stream = f"candidate/{candidate}"
        moment = snapshot_at(ledger, now, known(known_at), now=now).moment
        events = ledger.stream(stream, upto=moment.position)
        if not events and not ledger.stream(stream):
            raise no_candidate(candidate, ledger)
        show = clear or (format is Format.text and ledger.is_forgotten(candidate))
        revealed = {
            event.position: ledger.vault.reveal(event, erased=ERASED) for event in events if show
        }
    if format is Format.json:
        lines = [to_cloudevent(event) for event in events]
        if clear:
            lines = [
                _with_data(line, revealed[event.position])
                for line, event in zip(lines, events, strict=True)
            ]
        put(f"[{','.join(lines)}]\n")
    else:
        from attempt_ledger.cli.history_text import history_page
        from attempt_ledger.cli.output import console

        console().print(history_page(candidate, events, moment, revealed))
    return DONE


def _with_data(line: str, data: object) -> str:
    envelope = json.loads(line)
    envelope["data"] = data
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
