"""`upgrade`: a ledger of an earlier format becomes one of the format of new ledgers."""

from __future__ import annotations

import typer

from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.problems import DONE, REFUSED
from attempt_ledger.cli.progress import counting
from attempt_ledger.sealing import processes
from ledger.ledger import Ledger
from ledger.store.integrity import inspect, read_through
from ledger.tlog.checkpoint import log_paths, sealed_size, verifier_key
from ledger.tlog.verify import verify

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
        with read_through(call.path) as damages:
            findings = [*inspect(call.path, 0).findings, *damages()]
    else:
        with counting(f"verifying {when}", sealed_size(paths)) as told:
            verdict = verify(paths, key, full=True, processes=processes(), progress=told)
        findings = list(verdict.findings)
    for finding in findings[:_MOST]:
        say(finding.sentence)
    if len(findings) > _MOST:
        say(f"and {len(findings) - _MOST} more findings")
    return bool(findings)
