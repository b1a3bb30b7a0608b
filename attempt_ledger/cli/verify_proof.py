"""`verify-proof`: does a proof hold? The same as the file that is handed to auditors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger.cli.checkpoint import Against, Key, kept_file, key_of
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, REFUSED
from ledger.tlog.checkpoint import log_paths
from ledger.tlog.verify_proof import ProofProblem, check_proof, open_checkpoint, shown, signed_by


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
