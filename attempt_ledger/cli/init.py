"""`init` and `upgrade`: make a ledger, or bring one to the format of new ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import ACTOR, Actor, command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.progress import counting
from attempt_ledger.sealing import processes
from ledger.intake.catalogue import policy_facts
from ledger.ledger import Ledger
from ledger.store.locks import PRIVATE
from ledger.store.sealing import inspection_of
from ledger.store.server import Role, Server
from ledger.tlog.checkpoint import log_paths, sealed_size, verifier_key
from ledger.tlog.verify import verify
from retake_policies import shipped


@command(
    "init",
    examples="""
    attempt-ledger init
    attempt-ledger --ledger sqlite:////var/lib/exams/attempts.ledger init
    attempt-ledger init --bare && attempt-ledger import --keep-recorded-at history.jsonl
    """,
)
def init(
    context: typer.Context,
    bare: Annotated[
        bool, typer.Option("--bare", help="Without the shipped policies, to move a history in.")
    ] = False,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="Which accounts may open the ledger, as for chmod: 660, say, for its group too.",
        ),
    ] = f"{PRIVATE:o}",
    writer: Annotated[
        list[str] | None,
        typer.Option(
            "--writer", metavar="ROLE", help="A role of the server that may append. Repeatable."
        ),
    ] = None,
    reader: Annotated[
        list[str] | None,
        typer.Option(
            "--reader", metavar="ROLE", help="A role of the server that may read. Repeatable."
        ),
    ] = None,
    sealer: Annotated[
        list[str] | None,
        typer.Option(
            "--sealer", metavar="ROLE", help="A role of the server that may seal. Repeatable."
        ),
    ] = None,
    actor: Actor = ACTOR,
) -> int:
    """Create an empty ledger, with the shipped policies.

    The ledger and the files beside it can be opened by this account alone, whatever the umask:
    who can read them can also lock them, and so stop all writing. Other accounts read a copy
    (`backup`), or --mode lets them in. On a server --writer, --reader and --sealer let roles in
    that are there already; nobody but the owner can change what is in it. A role that does both
    is named twice.

    What is there already stays as it is: then nothing is made, and the exit code is 2.
    """
    call, bits = call_of(context), _mode(mode)
    roles: list[tuple[str, Role]] = [(each, "writer") for each in writer or ()]
    roles += [(each, "reader") for each in reader or ()]
    roles += [(each, "sealer") for each in sealer or ()]
    _check_others(call, bits, roles)
    texts = () if bare else shipped()
    entries = policy_facts(texts, known=lambda stream: [], now=clock.now(), actor=actor)
    with call.create(entries.facts, bits, roles) as ledger:
        policies = ", ".join(id for id, _ in texts)
        holds = f"with the policies {policies}" if policies else "empty"
        say(f"Created {ledger.path}, {holds}.")
        if bits & 0o077:
            say(
                f"other accounts can open {ledger.path} (mode {bits:o}): who can read it can lock "
                "it, and so stop all writing"
            )
    return DONE


def _check_others(call: Access, bits: int, roles: Sequence[tuple[str, Role]]) -> None:
    """Raise CallProblem unless others are let in as the ledger's store can do it."""
    if roles and not isinstance(call.path, Server):
        raise CallProblem(
            f"--writer and --reader name roles of a server, and {call.path} is a file: --mode says "
            "which accounts may open one"
        )
    if bits & 0o077 and isinstance(call.path, Server):
        raise CallProblem(
            f"--mode is for a file, and {call.path} is on a server: --writer ROLE and --reader "
            "ROLE let others in"
        )


def _mode(text: str) -> int:
    """Read a mode of three octal digits; raises CallProblem."""
    if re.fullmatch("6[046][046]", text) is None:
        raise CallProblem(
            f"--mode {text!r} is no mode of a ledger: accepted are three digits as for chmod, 6 "
            "(this account reads and writes), then 0, 4 or 6 for its group and for all others"
        )
    return int(text, 8)


_MOST = 20


@command(
    "upgrade",
    examples="""
    attempt-ledger upgrade
    """,
)
def upgrade(context: typer.Context) -> int:
    """Bring a ledger of an earlier release to the format of new ones.

    A ledger of an earlier format is read and written as ever; only a fact that it cannot keep is
    refused, such as one with extension attributes. An upgrade adds what is missing in one
    transaction, however large the ledger is: killed at any step it leaves the old format or the
    new one. Events, hashes, checkpoints and proofs stay as they are. Every event is verified
    before and after; if anything is wrong before, nothing is changed, and the exit code is 1.
    """
    call = call_of(context)
    with Ledger.open(call.path, clock=call.clock, waiting=call.waiting) as ledger:
        if ledger.store.keeps_extensions:
            put(f"{call.path} is of the format of new ledgers already: nothing was changed\n")
            return DONE
        if _are_wrong(call, "before"):
            say(f"{call.path} was not upgraded: nothing was changed")
            return REFUSED
        ledger.store.upgrade()
        if _are_wrong(call, "after"):
            return REFUSED
    put(f"{call.path} was upgraded; releases before this one open it no longer\n")
    return DONE


def _are_wrong(call: Access, when: str) -> bool:
    """Verify every event; say what is wrong, and return whether anything is."""
    paths = log_paths(call.path, call.signing_key)
    key = verifier_key(paths)
    if key is None:
        store = inspection_of(call.path)
        with store.read_through(call.path) as damages:
            findings = [*store.inspect(call.path, 0).findings, *damages()]
    else:
        with counting(f"verifying {when}", sealed_size(paths)) as progress:
            verdict = verify(paths, key, full=True, processes=processes(), progress=progress)
        findings = list(verdict.findings)
    for finding in findings[:_MOST]:
        say(finding.sentence)
    if len(findings) > _MOST:
        say(f"and {len(findings) - _MOST} more findings")
    return bool(findings)
