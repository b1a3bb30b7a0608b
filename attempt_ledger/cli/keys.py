"""`keys`: the keys of personal fields, backed up for a short time and put back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import ACTOR, Actor, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, REFUSED
from ledger.instants import format_instant
from ledger.privacy.key_backups import back_up
from ledger.privacy.key_backups import restore as put_back
from ledger.privacy.vault import create_keys

_DAY = 86_400_000_000


@command(
    "keys create",
    examples="""
    attempt-ledger keys create
    attempt-ledger --keys postgresql://exam_keys@db/exams keys create --keeper desk
    """,
)
def create(
    context: typer.Context,
    keeper: Annotated[
        list[str] | None,
        typer.Option(
            "--keeper",
            metavar="ROLE",
            help="A role of the server that may read and keep keys. Repeatable.",
        ),
    ] = None,
) -> int:
    """Create an empty key file, or a key store on a server.

    Needed only to let roles of a server in: else the first personal field does it. A keeper can
    read keys, add new ones and destroy them, and neither change one nor bring one back.

    What is there already stays as it is: then nothing is made, and the exit code is 2.
    """
    call = call_of(context)
    place = Path(f"{os.fspath(call.path)}.keys") if call.keys is None else call.keys
    create_keys(place, [(each, "keeper") for each in keeper or ()])
    say(f"Created {place}, empty.")
    return DONE


@command(
    "keys backup",
    examples="""
    attempt-ledger keys backup /mnt/safe/attempts.keys-backup
    attempt-ledger keys backup /mnt/safe/attempts.keys-backup --days 7
    """,
)
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; mode 600.")],
    days: Annotated[
        int,
        typer.Option("--days", metavar="N", min=1, max=366, help="It may be used for so long."),
    ] = 30,
) -> int:
    """Copy the keys to a file, to be used for some days.

    The file says until when; after that `keys restore` refuses it. `forget` reminds of the copies
    that may hold the key it destroys.
    """
    now = clock.now()
    with call_of(context).open(to_write=True) as ledger:
        made = back_up(ledger, file, now=now, until=now + days * _DAY)
    say(f"{file} holds the keys, to be used before {format_instant(made.until)}: destroy it then")
    return DONE


@command(
    "keys restore",
    examples="""
    attempt-ledger keys restore /mnt/safe/attempts.keys-backup
    attempt-ledger --ledger sqlite:///restored.ledger keys restore attempts.keys-backup --expired
    """,
)
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `keys backup` wrote.")],
    expired: Annotated[bool, typer.Option("--expired", help="Even if its time is over.")] = False,
    actor: Actor = ACTOR,
) -> int:
    """Put back the keys of everybody who was not forgotten.

    Keys that are there stay as they are. Whoever was forgotten since the backup was made has no key
    afterwards either: by the word of the ledger, of the keys that are there, and of the backup. A
    candidate of whom only the keys know that is recorded as forgotten in the ledger, too.

    Exit code 1: a candidate has another key here than in the backup; the one here is kept.
    """
    with call_of(context).open(to_write=True) as ledger:
        done = put_back(ledger, file, now=clock.now(), expired=expired, actor=actor)
        say(f"{ledger.vault.path}: {done.back:,} key{'s' * (done.back != 1)} put back")
    if done.again:
        say(f"forgotten, so their keys are destroyed again: {_named(done.again)}")
    if done.forgotten_now:
        say(
            "the ledger did not know, and says now that they were forgotten: "
            f"{_named(done.forgotten_now)}"
        )
    if done.other:
        say(f"these have another key here, which is kept: {_named(done.other)}")
        return REFUSED
    return DONE


def _named(candidates: Sequence[str], most: int = 20) -> str:
    more = len(candidates) - most
    return ", ".join(candidates[:most]) + (f" and {more:,} more" if more > 0 else "")
