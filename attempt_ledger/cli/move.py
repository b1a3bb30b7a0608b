"""`move`: a ledger into another store, with its log and its keys."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.progress import counting
from attempt_ledger.places import ledger_address
from attempt_ledger.sealing import processes
from ledger.ledger import Ledger
from ledger.moving import copy_events, copy_file, copy_folder, differing
from ledger.privacy.vault import KEY_FILE
from ledger.problems import LedgerProblem
from ledger.store.stores import create_store
from ledger.tlog.checkpoint import LogPaths, log_paths, verifier_key
from ledger.tlog.note import last_signed_path
from ledger.tlog.verify import verify

_MOST = 20


@command(
    "move",
    examples="""
    attempt-ledger move attempts.ledger postgresql://exams@db/exams
    attempt-ledger move postgresql://exams@db/exams sqlite:///copy.ledger
    """,
)
def move(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The ledger, as for --ledger.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Where it goes, as for --ledger.")],
) -> int:
    """Move a ledger into another store, with its log and its keys.

    Every event keeps its position, its times and its hash, so the log goes on where it was, and
    proofs hold. TO is made if it is not there. Interrupted, the same call goes on. At the end every
    event of both is compared, and TO is verified: exit code 1 where anything differs.

    FROM stays as it is: let nothing write to it meanwhile, and remove it, with its keys, once TO is
    in use. --ledger, --keys and --signing-key are not looked at.
    """
    call = call_of(context)
    one, other = _access(call, source, "FROM"), _access(call, target, "TO")
    if os.fspath(one.path) == os.fspath(other.path):
        raise CallProblem("FROM and TO are one ledger")
    with one.open() as ours:
        id = str(ours.about("ledger"))
        if not other.is_there():
            other.make_home()
            create_store(other.path, id)
        with Ledger.open(other.path, clock=other.clock, waiting=other.waiting) as theirs:
            if theirs.about("ledger") != id:
                raise CallProblem(f"{other.path} is another ledger: it was left as it is")
            _copy_keys(ours, theirs)
            head = ours.head().position
            with counting("moving", head) as progress:
                last = copy_events(ours.store, theirs.store, progress)
            paths = log_paths(ours.path), log_paths(theirs.path)
            _copy_log(*paths)
            with counting("comparing", last) as progress:
                position = differing(ours.store, theirs.store, last, progress)
            if position is not None:
                say(f"position {position} differs in {other.path}: it was not moved as it is")
                return REFUSED
            written = ours.head().position - last
    if not _verified(paths[1]):
        return REFUSED
    put(f"{one.path} was moved to {other.path}: {last:,} events, each as it was\n")
    if written:
        say(f"{written:,} events were appended to {one.path} meanwhile: call it again")
    return DONE


def _access(call: Access, url: str, name: str) -> Access:
    try:
        path = ledger_address(url, call.homes)
    except ValueError as problem:
        raise CallProblem(f"{name} {problem}") from None
    return replace(call, path=path, keys=None, signing_key=None)


def _copy_keys(ours: Ledger, theirs: Ledger) -> None:
    """Copy the key file, and have the other ledger remember it as its own.

    Keys that are elsewhere stay there, and are remembered as well.
    """
    id = ours.about(KEY_FILE)
    if copy_file(Path(ours.vault.path), Path(theirs.vault.path)):
        with theirs.appending() as appending:
            appending.keyring.adopt()
    elif id is not None:
        if theirs.about(KEY_FILE) is None:
            with theirs.store.writing() as writing:
                writing.remember(KEY_FILE, id)
        say(
            f"there is no key file {ours.vault.path}: the keys stay where they are, name them "
            "with --keys"
        )


def _copy_log(ours: LogPaths, theirs: LogPaths) -> None:
    copy_folder(ours.folder, theirs.folder)
    for path, place in (
        (ours.key, theirs.key),
        (last_signed_path(ours.key), last_signed_path(theirs.key)),
    ):
        if path.name.endswith(".last"):
            Path(place).unlink(missing_ok=True)
        copy_file(path, place)


def _verified(paths: LogPaths) -> bool:
    """Verify what was moved, if there is a log; say what is wrong."""
    try:
        key = verifier_key(paths)
    except LedgerProblem as problem:
        say(str(problem))
        return False
    if key is None:
        return True
    verdict = verify(paths, key, full=True, processes=processes())
    for finding in verdict.findings[:_MOST]:
        say(finding.sentence)
    return not verdict.findings
