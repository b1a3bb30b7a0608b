"""`verify`: is every event still what was signed?"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.progress import counting
from attempt_ledger.cli.seal import Against, Key, kept_file, key_of
from attempt_ledger.places import cache_folder
from attempt_ledger.sealing import processes
from ledger.extras import NotInstalled
from ledger.own_folder import NotOurs
from ledger.tlog.checkpoint import last_verified, log_paths, sealed_size
from ledger.tlog.verify import Verdict
from ledger.tlog.verify import verify as verify_log
from replay.columns.folder import FOREIGN, folder_of
from replay.many import many
from replay.snapshot import Engine

_MOST_SAID = 20


@command(
    "verify",
    examples="""
    attempt-ledger verify
    attempt-ledger verify --new
    attempt-ledger verify --against kept-2023-12-31.checkpoint --key log.vkey
    """,
)
def verify(
    context: typer.Context,
    new: Annotated[
        bool,
        typer.Option(
            "--new",
            help="Quick: only what came since the last verification that found nothing. What was "
            "changed in an older event since is not found.",
        ),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="All of it, as without options; the opposite of --new.")
    ] = False,
    against: Against = None,
    key: Key = None,
) -> int:
    """Compare every stored event with what was signed.

    Every event is hashed again from its stored row, whatever was verified before, and every page
    and index of the file is read. Exit code 1: something was changed, moved, put in or taken out,
    and standard error says what, and at which position. --new reads only what was not verified
    yet, and names what it did not read again.

    A column cache beside the ledger is then computed anew from the rows, and removed if it differs:
    it makes answers quick, and proves nothing. That is said, with exit code 1 unless no answer
    would have been made from it, as beside a copy of a ledger.
    """
    if new and (full or against is not None):
        raise CallProblem(
            "--new reads only what is new, --full and --against all: give one of them"
        )
    call = call_of(context)
    call.check()
    paths = log_paths(call.path, call.signing_key)
    verifier = key_of(key, paths)
    note = None if against is None else kept_file(against)
    rows = sealed_size(paths)
    if new and (before := last_verified(paths, verifier)) is not None:
        rows = max(0, rows - before.size)
    with counting("verifying", rows) as progress:
        verdict = verify_log(
            paths, verifier, full=not new, against=note, processes=processes(), progress=progress
        )
    code = _report(verdict)
    return max(code, _check_columns(call)) if code == DONE else code


def _check_columns(call: Access) -> int:
    """Compare the column cache with the rows, which are as they were signed; return the exit code.

    Another account's, or a linked one, is not used by this account, and left as it is.
    """
    if not os.path.lexists(f"{os.path.realpath(call.path)}.columns"):
        return DONE
    with call.open() as ledger, counting("comparing", ledger.head().position) as progress:
        folder = folder_of(ledger.path)
        try:
            engine = Engine(cache_folder(say), processes(), say=say, progress=progress)
            problem = many("ColumnCache")(ledger, engine).check()
        except (NotInstalled, NotOurs, OSError) as hindrance:
            say(f"the column cache in {folder} was not looked at: {hindrance}")
            return DONE
    if problem is None:
        return DONE
    say(f"the column cache in {folder} was removed: {problem}")
    return DONE if problem == FOREIGN else REFUSED


def _report(verdict: Verdict) -> int:
    for finding in verdict.findings[:_MOST_SAID]:
        say(finding.sentence)
    if len(verdict.findings) > _MOST_SAID:
        say(f"and {len(verdict.findings) - _MOST_SAID} more findings")
    if verdict.findings or verdict.checkpoint is None:
        return REFUSED
    size, before = verdict.checkpoint.size, verdict.after
    if before < size:
        put(f"positions {before + 1:,} to {size:,} are as they were signed\n")
    if before:
        put(
            f"positions 1 to {before:,} were verified before and not read again: a change of them "
            "since is found by `verify` without --new\n"
        )
    if not size:
        put("nothing is sealed yet, and nothing is wrong\n")
    if verdict.head > size:
        put(f"positions {size + 1:,} to {verdict.head:,} are not sealed yet\n")
    return DONE
