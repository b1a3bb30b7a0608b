"""`prove` and `verify-proof`: files that show an outsider what is in the log, and their check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import Output, command
from attempt_ledger.cli.output import bytes_to, put, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.seal import Against, Key, kept_file, key_of
from attempt_ledger.cli.values import position
from ledger.events import Recorded
from ledger.ledger import Ledger
from ledger.tlog.checkpoint import log_paths, need_verifier_key
from ledger.tlog.proof import Unprovable, prove_between, prove_event
from ledger.tlog.verify_proof import (
    ProofProblem,
    VerifierKey,
    check_proof,
    open_checkpoint,
    shown,
    signed_by,
)


@command(
    "verify-proof",
    examples="""
    attempt-ledger verify-proof R-77.proof --key log.vkey
    attempt-ledger verify-proof 2022-to-2023.proof --against kept-2022.checkpoint
    attempt-ledger verify-proof C-1001.erasure --key log.vkey
    """,
)
def verify_proof(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `prove` or `forget` wrote.")],
    key: Key = None,
    against: Against = None,
) -> int:
    """Check a proof, and show what it proves.

    No ledger is needed when --key names the log's verifier key. Nor is this program: the file
    ledger/tlog/verify_proof.py of it does the same and needs only Python and its library
    `cryptography`. Exit code 1: the proof does not hold, and standard error says why.
    """
    call = call_of(context)
    verifier = key_of(key, log_paths(call.path, call.signing_key))
    proof = kept_file(file)
    note = None if against is None else kept_file(against)
    where = against
    try:
        kept = None if note is None else open_checkpoint(note, verifier)
        where = file
        proved = check_proof(proof, verifier, kept)
    except ProofProblem as problem:
        say(f"{where} does not hold: {problem}")
        return REFUSED
    put(f"{file} holds: {signed_by(verifier)}\n\n{shown(proved)}")
    return DONE


@command(
    "prove",
    examples="""
    attempt-ledger prove urn:vue R-77/result --output R-77.proof
    attempt-ledger prove @42 > position-42.proof
    attempt-ledger prove --between kept-2022.checkpoint kept-2023.checkpoint
    attempt-ledger prove --between @1200 @1500
    """,
)
def prove(
    context: typer.Context,
    event: Annotated[
        list[str] | None, typer.Argument(metavar="EVENT", help="SOURCE ID, or @POSITION.")
    ] = None,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--between",
            metavar="A B",
            help="Prove that the log of B events continues the one of A: each a checkpoint's "
            "file, or @POSITION, the last of its events.",
        ),
    ] = None,
    output: Output = None,
) -> int:
    """Prove that an event is in the log, or a log continues.

    The proof is a text file that stands alone: `verify-proof` checks it, or the one Python file
    that is handed to auditors, with the log's verifier key (`checkpoint --key`). Personal fields
    are in it as ciphertext. Exit code 1: the ledger is not as it was signed.
    """
    if (event is None) == (between is None):
        raise CallProblem("prove takes an EVENT (SOURCE ID, or @POSITION), or --between A B")
    call = call_of(context)
    with call.open() as ledger:
        paths = log_paths(ledger.path, call.signing_key)
        key = need_verifier_key(paths)
        try:
            if between is None:
                proof = prove_event(paths, key, _event(ledger, event or []))
            else:
                old, new = sorted(_size(word, key) for word in between)
                proof = prove_between(paths, key, (old, new))
        except Unprovable as problem:
            say(str(problem))
            return REFUSED
    with bytes_to(output) as file:
        file.write(proof)
    return DONE


def _event(ledger: Ledger, words: list[str]) -> Recorded:
    if len(words) == 1 and words[0].startswith("@"):
        at = position("EVENT", words[0])
        if (found := ledger.event(at)) is not None:
            return found
        raise CallProblem(
            f"there is no position {at} in {ledger.path}: it ends at {ledger.head().position}"
        )
    if len(words) != 2:
        raise CallProblem("an EVENT is named by two words, SOURCE ID, or by one, @POSITION")
    named = ledger.find(*words)
    if named is None:
        raise CallProblem(f"there is no event {words[1]!r} of {words[0]!r} in {ledger.path}")
    return named


def _size(word: str, key: VerifierKey) -> int:
    """Read the size of a log: of a checkpoint's, which must be this log's, or a position."""
    if word.startswith("@"):
        return position("--between", word)
    note = kept_file(Path(word))
    try:
        return open_checkpoint(note, key).size
    except ProofProblem as problem:
        raise Unprovable(f"{word}: {problem}") from None
