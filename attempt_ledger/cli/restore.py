"""`restore`: a ledger put back from a backup, verified and compared before it has its name."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, REFUSED
from attempt_ledger.cli.restoring import compare, complete, copied, forget_again_in
from attempt_ledger.cli.verify import Key

if TYPE_CHECKING:
    from ledger.backup.restore import Restored


@command(
    "restore",
    examples="""
    attempt-ledger restore /backup/attempts-2023-12-31.ledger attempts.ledger
    attempt-ledger restore today.ledger drill.ledger --against kept.checkpoint --key log.vkey
    """,
)
def restore(
    context: typer.Context,
    backup: Annotated[
        Path,
        typer.Argument(
            metavar="BACKUP", help="What `backup` made, with BACKUP.tlog beside it; or any ledger."
        ),
    ],
    new: Annotated[
        Path, typer.Argument(metavar="NEW", help="The ledger that is made; nothing may be there.")
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="CHECKPOINT-FILE",
            help="A checkpoint that was kept elsewhere: tells whether the backup is older than "
            "that, or another.",
        ),
    ] = None,
    key: Key = None,
    stale_ok: Annotated[
        bool,
        typer.Option(
            "--stale-ok", help="Make it although events that were signed are missing from it."
        ),
    ] = False,
) -> int:
    """Put a ledger back from a backup, verified.

    Every event is hashed again and held against the checkpoint of the backup, the one of --against,
    and the last one that the signing key signed, where that is. Everybody's standing is computed
    from the backup and from what was restored, and compared; views are built. NEW is there wholly,
    or not at all: then the exit code is 1 if the backup is damaged, another, or older than what was
    signed, and standard error says what is missing.

    The keys come from elsewhere: the key file from NEW.keys, the signing key from NEW.signing-key,
    or where --keys and --signing-key say. Whoever was forgotten is forgotten again. --ledger is not
    looked at.
    """
    from ledger.backup.restore import finish
    from ledger.backup.staging import drafting
    from ledger.problems import Stale, Unsound

    call = replace(call_of(context), path=Path(os.path.abspath(new)))
    try:
        with drafting(new) as draft:
            restored = copied(call, backup, draft, against, key, stale_ok)
            forget_again_in(call, draft)
            compare(backup, draft)
            finish(draft)
    except Unsound as problem:
        for sentence in problem.findings:
            say(sentence)
        say(f"{new} is not made: {backup} is not what was signed, or is damaged")
        return REFUSED
    except Stale as problem:
        for sentence in str(problem).splitlines():
            say(sentence)
        say(f"{new} is not made: look for a later backup, or keep this one with --stale-ok")
        return REFUSED
    _told(new, restored)
    is_whole = complete(call, is_stale=bool(restored.stale))
    return DONE if is_whole and not restored.stale else REFUSED


def _told(new: Path, restored: Restored) -> None:
    size = restored.checkpoint.size
    say(
        f"{new} is made: positions 1 to {min(size, restored.head):,} are as they were signed, "
        f"root {base64.b64encode(restored.checkpoint.root).decode()}"
    )
    if size < restored.head:
        say(
            f"positions {size + 1:,} to {restored.head:,} are in it, but no checkpoint that is "
            "here covers them"
        )
    for sentence in restored.stale:
        say(sentence)
    if restored.stale:
        say(
            "what is missing is lost here: a signing key that signed it will sign nothing that "
            "contradicts it; docs/operations.md says how to go on"
        )
