"""`backup`: a copy of the ledger and its log, made beside writers and verified."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.progress import counting
from attempt_ledger.sealing import processes, seal_now
from ledger.backup.backup import BackedUp, CopyOptions, Note, back_up, keep_note, note_path
from ledger.problems import Inconsistent, Unsound
from ledger.tlog.checkpoint import log_paths


@command(
    "backup",
    examples="""
    attempt-ledger backup /backup/attempts-2023-12-31.ledger
    attempt-ledger --ledger sqlite:////var/lib/exams/attempts.ledger backup today.ledger
    """,
)
def backup(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The copy; beside it comes FILE.tlog, its log.")
    ],
) -> int:
    """Copy the ledger, verified, while others go on writing.

    Every event that was recorded when it begins is in it, with the transparency log up to there.
    Each is hashed again from the copy before the copy gets its name: FILE is a whole and verified
    backup, or it is not there. What is there already stays as it is: then the exit code is 2.

    Keys are not in it: neither the key file of personal fields (see `keys backup`) nor the signing
    key. `restore` puts it back. What was backed up last is noted in LEDGER.last-backup.
    """
    if file.name in ("", ".."):
        raise CallProblem(f"{file} is a folder: name the file that is to be made in it")
    call = call_of(context)
    with call.open() as ledger:
        paths = log_paths(ledger.path, call.signing_key)
        try:
            made = back_up(
                paths,
                file,
                lambda head: seal_now(call, ledger, head),
                CopyOptions(processes(), counting),
            )
        except (Unsound, Inconsistent) as problem:
            for sentence in getattr(problem, "findings", (str(problem),)):
                say(sentence)
            say(f"{file} was not created: {paths.ledger} was changed; `verify` says what and where")
            return REFUSED
        _report(file, made)
        _note(paths.file, file, made)
    _kept_apart(call)
    return DONE


def _report(file: Path, made: BackedUp) -> None:
    sealed = 0 if made.checkpoint is None else made.checkpoint.size
    if made.checkpoint is not None:
        root = base64.b64encode(made.checkpoint.root).decode()
        say(
            f"{file} holds positions 1 to {made.position:,}, verified against its checkpoint of "
            f"{sealed:,} events with root {root}"
        )
    else:
        say(
            f"{file} holds positions 1 to {made.position:,}, compared with the ledger's; it has no "
            "log to be verified against"
        )
    if sealed < made.position:
        why = "" if made.unsealed is None else f": {made.unsealed}"
        say(f"positions {sealed + 1:,} to {made.position:,} are in it, but not sealed yet{why}")


def _note(ledger: Path, file: Path, made: BackedUp) -> None:
    """Leave the note for `doctor`; that it cannot be left spoils no backup."""
    size, root = (0, b"") if made.checkpoint is None else made.checkpoint[1:]
    note = Note(
        clock.now(), made.position, os.path.abspath(file), size, base64.b64encode(root).decode()
    )
    try:
        keep_note(ledger, note)
    except OSError as error:
        say(f"{note_path(ledger)} cannot be written: {error.strerror}; the backup is there")


def _kept_apart(call: Access) -> None:

    keys = Path(f"{os.path.realpath(call.path)}.keys") if call.keys is None else call.keys
    signing = log_paths(call.path, call.signing_key).key
    say(
        f"no key is in it: neither {keys} (`keys backup` makes a short-lived copy of that) nor "
        f"{signing}"
    )
