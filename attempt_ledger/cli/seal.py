"""`seal` and `checkpoint`: sign what was appended, once or all the while; write the last word."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import Output, command
from attempt_ledger.cli.output import bytes_to, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.sealing import seal_now
from ledger.ledger import Ledger
from ledger.problems import Inconsistent, LedgerProblem
from ledger.store.sealing import only_sealer
from ledger.tlog.checkpoint import LogPaths, log_paths, need_verifier_key
from ledger.tlog.follower import follow
from ledger.tlog.proof import signed_head
from ledger.tlog.sealer import make_key, renew_key
from ledger.tlog.verify_proof import ProofProblem, VerifierKey, read_file, read_key

Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="VKEY",
        help="The log's verifier key, or a file that holds it. An outsider has it from somebody "
        "trusted. Default: the one beside the ledger.",
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against",
        metavar="CHECKPOINT-FILE",
        help="A checkpoint that was kept elsewhere, to compare with too: finds what was cut off, "
        "put back from an old copy, or signed anew.",
    ),
]


@command(
    "checkpoint",
    examples="""
    attempt-ledger checkpoint > kept-2023-12-31.checkpoint
    attempt-ledger checkpoint --key
    """,
)
def checkpoint(
    context: typer.Context,
    key: Annotated[
        bool, typer.Option("--key", help="The log's verifier key instead, which checks proofs.")
    ] = False,
    output: Output = None,
) -> int:
    """Write the last signed checkpoint, for others to keep.

    Whoever keeps one can find out later whether anything up to it was changed, cut off or put back:
    `verify --against` it. It says the log's name, how many events it holds and the root of the tree
    over them, in the format of c2sp.org/tlog-checkpoint.
    """
    call = call_of(context)
    call.check()
    paths = log_paths(call.path, call.signing_key)
    verifier = need_verifier_key(paths)
    content = f"{verifier}\n".encode() if key else signed_head(paths, verifier).note
    with bytes_to(output) as file:
        file.write(content)
    return DONE


def key_of(text: str | None, paths: LogPaths) -> VerifierKey:
    """Read the verifier key that a call names, or else the one beside the ledger."""
    if text is None:
        return need_verifier_key(paths)
    try:
        return read_key(text)
    except ProofProblem as problem:
        raise CallProblem(f"--key: {problem}") from None


def kept_file(path: Path) -> bytes:
    """Read a checkpoint or proof that a call names; raises OSError, CallProblem above 16 MB."""
    try:
        return read_file(path)
    except ProofProblem as problem:
        raise CallProblem(str(problem)) from None


@command(
    "seal",
    examples="""
    attempt-ledger seal
    attempt-ledger --signing-key /secure/attempts.signing-key seal --follow
    attempt-ledger seal --new-key
    """,
)
def seal(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on sealing, at most a second behind, until Ctrl-C.")
    ] = False,
    new_key: Annotated[
        bool,
        typer.Option(
            "--new-key",
            help="Make a signing key where there is none: for a ledger without one, or whose key "
            "was lost. Whoever checks proofs needs the new verifier key.",
        ),
    ] = False,
) -> int:
    """Hash what was appended, and sign a new checkpoint.

    What came since the last checkpoint is hashed. Commands that write seal before they end; this
    one is for what else writes, and for what could not be sealed then. Nothing is signed that
    contradicts what was signed before: then the exit code is 1, and `verify` says what is wrong.
    """
    call = call_of(context)
    with call.open() as ledger:
        paths = log_paths(ledger.path, call.signing_key)
        try:
            if new_key:
                _make_key(ledger, paths)
            if follow:
                return _follow(call, ledger, paths)
            sealed = seal_now(call, ledger, ledger.head().position)
        except Inconsistent as problem:
            say(str(problem))
            return REFUSED
    more = sealed.checkpoint.size - sealed.before
    say(f"{ledger.path} is sealed up to position {sealed.checkpoint.size:,}, {more:,} of them now")
    return DONE


def _make_key(ledger: Ledger, paths: LogPaths) -> None:

    make = renew_key if paths.checkpoint.exists() else make_key
    key = make(paths, str(ledger.about("ledger")))
    say(f"Created {paths.key}; its verifier key is {key.verifier}")


def _follow(call: Access, ledger: Ledger, paths: LogPaths) -> int:
    """Seal whenever somebody has written; what hinders is said once, and tried again."""
    earlier: set[str] = set()

    def wait(seconds: float) -> bool:
        check()
        time.sleep(seconds)
        return False

    def troubled(problem: LedgerProblem) -> None:
        if str(problem) not in earlier:
            earlier.add(str(problem))
            say(f"not sealed, and tried again: {problem}")

    id = str(ledger.about("ledger"))
    with suppress(KeyboardInterrupt), only_sealer(ledger.path, id, say) as check:
        seal_now(call, ledger, ledger.head().position)  # many at once, with a bar
        follow(paths, id, wait=wait, troubled=troubled)
    return DONE
