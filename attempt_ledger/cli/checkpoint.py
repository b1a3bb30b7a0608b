"""`checkpoint`: the last signed word on how many events there are, and which."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import Output, command
from attempt_ledger.cli.output import bytes_to
from attempt_ledger.cli.problems import DONE, CallProblem
from ledger.tlog.checkpoint import LogPaths, log_paths, need_verifier_key
from ledger.tlog.proof import signed_head
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
