"""`restore`: a ledger put back from a backup, verified and compared before it has its name."""

from __future__ import annotations

import base64
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of, cores
from attempt_ledger.cli.options import ACTOR, command, read_model_of
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, REFUSED
from attempt_ledger.cli.progress import counting
from attempt_ledger.cli.seal import Against, Key, kept_file, key_of
from attempt_ledger.places import cache_folder
from attempt_ledger.sealing import processes
from ledger.backup.backup import CopyOptions
from ledger.backup.restore import Kept, Restored, finish, verifier_of
from ledger.backup.restore import restore as copy_and_verify
from ledger.backup.staging import Draft, drafting
from ledger.extras import NotInstalled
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.privacy.erasure import destroy_again, forget_again, forgotten_elsewhere
from ledger.privacy.vault import KEY_FILE, open_keys
from ledger.problems import LedgerProblem, Stale, Unsound
from ledger.store.server import Address
from ledger.tlog.checkpoint import LogPaths, last_signed, log_paths
from ledger.tlog.note import last_signed_path
from ledger.tlog.verify_proof import ProofProblem, VerifierKey, open_checkpoint
from replay.many import many
from replay.snapshot import Engine, snapshot_at


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
        Path, typer.Argument(metavar="NEW", help="The ledger to create; nothing may be there.")
    ],
    against: Against = None,
    key: Key = None,
    stale_ok: Annotated[
        bool,
        typer.Option(
            "--stale-ok", help="Make it although events that were signed are missing from it."
        ),
    ] = False,
) -> int:
    """Put a ledger back from a backup, verified.

    Every event is hashed again, and compared with the checkpoint of the backup, of --against,
    and the last one that the signing key signed, where that is. Everybody's standing is computed
    from the backup and from what was restored, and compared; views are built. NEW is there wholly,
    or not at all: then the exit code is 1 if the backup is damaged, another, or older than what was
    signed, and standard error says what is missing.

    The keys come from elsewhere: the key file from NEW.keys, the signing key from NEW.signing-key,
    or where --keys and --signing-key say. Whoever was forgotten is forgotten again. --ledger is not
    looked at.
    """
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
        say(f"{new} was not created: {backup} is not what was signed, or is damaged")
        return REFUSED
    except Stale as problem:
        for sentence in str(problem).splitlines():
            say(sentence)
        say(f"{new} was not created: look for a later backup, or keep this one with --stale-ok")
        return REFUSED
    _report(new, restored)
    is_whole = complete(call, is_stale=bool(restored.stale))
    return DONE if is_whole and not restored.stale else REFUSED


def _report(new: Path, restored: Restored) -> None:
    size = restored.checkpoint.size
    say(
        f"Created {new}: positions 1 to {min(size, restored.head):,} are as they were signed, "
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


def copied(
    call: Access,
    backup: Path,
    draft: Draft,
    against: Path | None,
    key: str | None,
    stale_ok: bool,
) -> Restored:
    """Copy the backup into the draft, compared with every checkpoint that is known here."""
    kept = [] if against is None else [Kept(against, kept_file(against))]
    verifier = verifier_of(backup) if key is None else key_of(key, log_paths(backup))
    signed = _signed_last(log_paths(call.path, call.signing_key), verifier, bool(kept))
    options = CopyOptions(processes(), counting)
    return copy_and_verify(backup, draft, verifier, [*kept, *signed], options, stale_ok=stale_ok)


def _signed_last(paths: LogPaths, key: VerifierKey, is_held: bool) -> list[Kept]:
    """Return the last checkpoint that the signing key signed, if that is known here.

    A key must not sign a log that contradicts what it signed before; where it lies without its
    memory, nothing here can tell.
    """
    note, where = last_signed(paths), last_signed_path(paths.key)
    if note is None:
        if paths.key.exists() and not is_held:
            say(
                f"there is no {where}: whether {paths.key} signed more than is in the backup "
                "is not known; --against a checkpoint that was kept elsewhere can"
            )
        return []
    try:
        open_checkpoint(note, key)
    except ProofProblem as problem:
        say(f"{where} is passed over: {problem}")
        return []
    return [Kept(where, note)]


def forget_again_in(call: Access, draft: Draft) -> None:
    """Destroy, in the key file that is there, the keys of all who were forgotten."""
    keys = keys_of(call)
    with Ledger.open(draft.paths.ledger, clock=clock.now, keys=keys) as ledger:
        if ledger.vault.is_there():
            with ledger.vault.reading():
                pass  # or it is another's
            gone = destroy_again(ledger)
            if gone:
                say(f"destroyed again, the keys of {len(gone):,} who were forgotten")
        elif ledger.about(KEY_FILE) is not None:
            say(
                f"personal fields stay closed: there is no key file at {keys}; put it there, or "
                "call `keys restore`"
            )


def keys_of(call: Access) -> Address:
    """Return where the keys of the ledger are, or are to be."""
    return Path(f"{os.path.realpath(call.path)}.keys") if call.keys is None else call.keys


def compare(backup: Path, draft: Draft) -> None:
    """Compute everybody's standing from the backup and from the copy; raises Unsound.

    Where the extra for that is not installed, this is said: every event was hashed all the same.
    """
    now = clock.now()
    try:
        digest_of = many("digest_of")
    except NotInstalled as problem:
        say(f"the standings of both were not computed and compared: {problem}")
        return
    answers = []
    for path in (backup, draft.paths.ledger):
        with (
            Ledger.open(path, clock=clock.now, read_only=True) as ledger,
            counting("answering", ledger.head().position) as progress,
        ):
            # From the file itself, which is what is asked about.
            engine = Engine(cache_folder(say), cores(), keep_columns=False, progress=progress)
            table = snapshot_at(ledger, now, now=now, engine=engine).everybody()
            answers.append((table.num_rows, digest_of(table)))
    if answers[0] != answers[1]:
        raise Unsound([f"the copy of {backup} answers otherwise than {backup} itself"])
    rows, sha256 = answers[0]
    say(f"as of {format_instant(now)} both give the same {rows:,} standings (SHA-256 {sha256})")


def complete(call: Access, *, is_stale: bool) -> bool:
    """Do what a ledger in use needs: the forgotten named again, sealed, with views.

    To a stale one nothing is added: the events that are missing may yet come back, and theirs are
    the next positions. The ledger stands whatever becomes of its views: False if they could not be
    built.
    """
    with closing(open_keys(keys_of(call))) as keys:
        has_keys = keys.exists()
    if is_stale:
        with call.open() as ledger:
            if has_keys and (gone := forgotten_elsewhere(ledger)):
                say(
                    f"{len(gone):,} were forgotten after the backup was made, which is among what "
                    "is missing: their keys stay destroyed; `doctor` names them"
                )
    else:
        with call.open(to_write=True) as ledger:  # which seals, if there is anything to
            if has_keys and (gone := forget_again(ledger, actor=ACTOR, time=clock.now())):
                say(f"recorded again, that {len(gone):,} were forgotten after the backup was made")
    path = read_model_of(call.path, None)
    try:
        with call.open() as ledger:
            engine = Engine(cache_folder(say), say=say)
            many("rebuild")(ledger, path, many("options_of")(engine, counting), lambda _: None)
    except NotInstalled as problem:
        say(f"the ledger stands, without a read model: {problem}")
        return True
    except LedgerProblem as problem:
        say(f"the ledger stands, without its views: {problem}; `rebuild` builds them")
        return False
    say(f"{path} is built")
    return True
