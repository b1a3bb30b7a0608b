"""The steps of a restore: what it is held against, who is forgotten again, answers and views."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from attempt_ledger import clock
from attempt_ledger.cli.context import Call
from attempt_ledger.cli.options import ACTOR
from attempt_ledger.cli.output import say
from attempt_ledger.cli.verify import kept_file, key_of

if TYPE_CHECKING:
    from ledger.backup.restore import Kept, Restored
    from ledger.backup.staging import Draft
    from ledger.tlog.checkpoint import LogPaths
    from ledger.tlog.verify_proof import VerifierKey


def copied(
    call: Call,
    backup: Path,
    draft: Draft,
    against: Path | None,
    key: str | None,
    stale_ok: bool,
) -> Restored:
    """Copy the backup into the draft, held against every checkpoint that is known here."""
    from attempt_ledger.cli.progress import counting
    from attempt_ledger.cli.sealing import processes
    from ledger.backup.backup import CopyOptions
    from ledger.backup.restore import Kept, restore, verifier_of
    from ledger.tlog.checkpoint import log_paths

    kept = [] if against is None else [Kept(against, kept_file(against))]
    verifier = verifier_of(backup) if key is None else key_of(key, log_paths(backup))
    signed = _signed_last(log_paths(call.path, call.signing_key), verifier, bool(kept))
    ways = CopyOptions(processes(), counting)
    return restore(backup, draft, verifier, [*kept, *signed], ways, stale_ok=stale_ok)


def _signed_last(paths: LogPaths, key: VerifierKey, is_held: bool) -> list[Kept]:
    """Return the last checkpoint that the signing key signed, if that is known here.

    A key must not sign a log that contradicts what it signed before; where it lies without its
    memory, nothing here can tell.
    """
    from ledger.backup.restore import Kept
    from ledger.tlog.checkpoint import last_signed
    from ledger.tlog.note import last_signed_path
    from ledger.tlog.verify_proof import ProofProblem, open_checkpoint

    note, where = last_signed(paths), last_signed_path(paths.key)
    if note is None:
        if paths.key.exists() and not is_held:
            say(
                f"there is no {where}: whether {paths.key} signed more than is in the backup "
                "cannot be told; --against a checkpoint that was kept elsewhere can"
            )
        return []
    try:
        open_checkpoint(note, key)
    except ProofProblem as problem:
        say(f"{where} is passed over: {problem}")
        return []
    return [Kept(where, note)]


def forget_again_in(call: Call, draft: Draft) -> None:
    """Destroy, in the key file that is there, the keys of all who were forgotten."""
    from ledger.ledger import Ledger
    from ledger.privacy.erasure import destroy_again
    from ledger.privacy.vault import KEY_FILE

    keys = keys_of(call)
    with Ledger.open(draft.paths.ledger, clock=clock.now, keys=keys) as ledger:
        if keys.exists():
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


def keys_of(call: Call) -> Path:
    """Return where the key file of the ledger lies, or is to lie."""
    return Path(f"{os.path.realpath(call.path)}.keys") if call.keys is None else call.keys


def compare(backup: Path, draft: Draft) -> None:
    """Compute everybody's standing from the backup and from the copy; raises Unsound."""
    from attempt_ledger.cli.everybody import cores
    from attempt_ledger.cli.progress import counting
    from attempt_ledger.cli.viewing import compiled
    from attempt_ledger.places import cache_folder
    from ledger.instants import format_instant
    from ledger.ledger import Ledger
    from ledger.problems import Unsound
    from replay.same_answers import answers_of
    from replay.snapshot import HEAD, snapshot_at

    now = clock.now()
    compiled()
    answers = []
    for path in (backup, draft.paths.ledger):
        with (
            Ledger.open(path, clock=clock.now, read_only=True) as ledger,
            counting("answering", ledger.head().position) as told,
        ):
            moment = snapshot_at(ledger, now, HEAD, now=now).moment
            answers.append(
                answers_of(ledger, moment, cache=cache_folder(say), workers=cores(), progress=told)
            )
    if answers[0] != answers[1]:
        raise Unsound([f"the copy of {backup} answers otherwise than {backup} itself"])
    say(
        f"as of {format_instant(now)} both give the same {answers[0].rows:,} standings "
        f"(SHA-256 {answers[0].sha256})"
    )


def complete(call: Call, *, is_stale: bool) -> bool:
    """Do what a ledger in use needs: the forgotten named again, sealed, with views.

    To a stale one nothing is added: the events that are missing may yet come back, and theirs are
    the next positions. The ledger stands whatever becomes of its views: False if they could not be
    built.
    """
    from attempt_ledger.cli.viewing import views_of, ways
    from ledger.privacy.erasure import forget_again, forgotten_elsewhere
    from ledger.problems import LedgerProblem
    from replay.read_model.rebuild import rebuild

    has_keys = keys_of(call).exists()
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
    path = views_of(call, None)
    try:
        with call.open() as ledger:
            rebuild(ledger, path, ways(), lambda difference: None)
    except LedgerProblem as problem:
        say(f"the ledger stands, without its views: {problem}; `rebuild` builds them")
        return False
    say(f"{path} is built")
    return True
