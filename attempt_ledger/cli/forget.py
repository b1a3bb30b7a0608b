"""`forget`: a person's data made unreadable for good."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of, no_candidate
from attempt_ledger.cli.options import ACTOR, Actor, ReadModelFile, command, read_model_of
from attempt_ledger.cli.output import bytes_to, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import not_blank
from attempt_ledger.purging import purged
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.privacy.erasure import (
    ErasedEvent,
    Forgotten,
    NothingRecorded,
    certificate,
    erased_of,
    forgotten_at,
    reason_of,
)
from ledger.privacy.erasure import forget as forget_it
from ledger.problems import LogProblem
from ledger.tlog.checkpoint import log_paths


@command(
    "forget",
    examples="""
    attempt-ledger forget C-1001 --dry-run
    attempt-ledger forget C-1001 --reason "erasure asked for, ticket 4711"
    attempt-ledger forget C-1001 --reason "ticket 4711" --certificate C-1001.erasure
    attempt-ledger forget C-1001 --certificate C-1001.erasure
    """,
)
def forget(
    context: typer.Context,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")],
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason",
            metavar="TEXT",
            help="Why; not for personal data. Needed unless it was done before.",
        ),
    ] = None,
    actor: Actor = ACTOR,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            metavar="FILE",
            help="Write a signed statement of what was erased, which `verify-proof` checks.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Erase nothing; say what would be erased.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing on a terminal.")] = False,
    views: ReadModelFile = None,
) -> int:
    """Erase a candidate's personal data for good.

    The candidate's key is destroyed, and the ledger says so: names, e-mail address and description
    in whatever was recorded can no longer be read by anyone, in any copy of the ledger, and no new
    ones are taken. Sittings, results and decisions stay, under the candidate's id; so do reasons
    and actors. Every proof goes on holding. The read model and the column cache are removed, and
    built again when they are needed.

    Running it again changes nothing. Backups of keys must be destroyed by whoever has them:
    `keys restore` puts back no key of a forgotten candidate.
    """
    if reason is not None:
        not_blank("--reason", reason)
    call = call_of(context)
    if dry_run:
        with call.open() as ledger:
            return _dry_run(ledger, candidate)
    with call.open(to_write=True) as ledger:
        if reason is None and not ledger.is_forgotten(candidate):
            if not ledger.stream(f"candidate/{candidate}"):
                raise no_candidate(candidate, ledger)
            raise CallProblem(f"{candidate} is not forgotten yet: say why, with --reason")
        if not (yes or ledger.is_forgotten(candidate)) and on_a_terminal():
            _dry_run(ledger, candidate)
            if not typer.confirm("Erase it? It cannot be undone.", err=True):
                say("nothing was changed")
                return DONE
        try:
            done = forget_it(ledger, candidate, reason=reason or "", actor=actor, time=clock.now())
        except NothingRecorded:
            raise no_candidate(candidate, ledger) from None
        _tell(candidate, done)
        code = DONE
        for sentence, fine in purged(ledger, read_model_of(call.path, views)):
            say(sentence)
            code = code if fine else REFUSED
        _tell_backups(ledger, candidate)
        if certificate is not None:
            code = max(code, _certify(call, ledger, candidate, certificate))
    return code


def on_a_terminal() -> bool:
    """Return whether there is somebody to ask."""
    return sys.stdin.isatty()


def _dry_run(ledger: Ledger, candidate: str) -> int:
    """Describe what would be erased of a candidate, or was already."""
    rows = ledger.stream(f"candidate/{candidate}")
    if not rows:
        raise no_candidate(candidate, ledger)
    if ledger.is_forgotten(candidate):
        say(f"{candidate} was erased before: nothing would change")
        return DONE
    erased = erased_of(rows)
    say(f"of {candidate}, {_fields(erased) or 'nothing personal'} would be erased for good")
    for event in erased:
        say(f"event {event.position}, {event.source} {event.id}: {', '.join(event.fields)}")
    return DONE


def _tell(candidate: str, done: Forgotten) -> None:
    if done.already:
        again = "a key that had come back is destroyed" if done.destroyed else "nothing was changed"
        say(f"{candidate} was erased before (event {done.position}): {again}")
        return
    fields = _fields(done.erased)
    what = (
        f"{fields} can no longer be read by anyone"
        if fields
        else "nothing personal was recorded, and none will be"
    )
    say(f"{candidate} was erased (event {done.position}): {what}")


def _fields(erased: Sequence[ErasedEvent]) -> str:
    """Count the personal fields of events; empty if there are none."""
    count = sum(len(event.fields) for event in erased)
    events = f"{len(erased)} event{'s' * (len(erased) != 1)}"
    return f"{count} personal field{'s' * (count != 1)} of {events}" if count else ""


def _tell_backups(ledger: Ledger, candidate: str) -> None:
    """Remind of the backups that may hold the key, while they may be used."""
    event = forgotten_at(ledger.stream(f"candidate/{candidate}"))
    assert event is not None
    _, backups = reason_of(ledger, event)
    for backup in backups:
        if backup.until > clock.now():
            say(
                f"the backup of keys {backup.file} may hold the key, and be used before "
                f"{format_instant(backup.until)}: destroy it, and make another"
            )


def _certify(call: Access, ledger: Ledger, candidate: str, path: Path) -> int:

    call.seal_after(ledger)
    try:
        signed = certificate(ledger, log_paths(ledger.path, call.signing_key), candidate)
    except LogProblem as problem:
        say(f"the erasure stands, but there is no certificate: {problem}")
        return REFUSED
    with bytes_to(path) as file:
        file.write(signed)
    say(f"{path} certifies it")
    return DONE
