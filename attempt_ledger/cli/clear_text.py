"""Clear text is written down before it is shown: who read which personal fields of whom."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path

from attempt_ledger import clock
from attempt_ledger.api.register import Access, Register, register_path
from attempt_ledger.cli.options import ACTOR
from attempt_ledger.cli.problems import CallProblem
from ledger.problems import LedgerProblem
from ledger.store.server import Address


def note_accesses(
    ledger: Address,
    shown: Mapping[str, Sequence[str]],
    command: str,
    tokens: Path | None,
    actor: str,
) -> Register:
    """Write down that fields of candidates are shown in clear, and return the register.

    `shown` maps candidates to the names of their fields; one without fields is written down too.
    Raises CallProblem where it cannot be: then nothing may be shown.
    """
    now, account = clock.now(), _account()
    identity = account if actor == ACTOR else f"{actor}, {account}"
    register = Register(register_path(ledger, tokens))
    accesses = [
        Access(now, identity, candidate, tuple(fields), command)
        for candidate, fields in shown.items()
    ]
    try:
        register.note_accesses(accesses)
    except (LedgerProblem, OSError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise CallProblem(
            f"nothing is shown in clear text, since the access cannot be written down in "
            f"{register.path}: {reason}; name another file with --tokens"
        ) from None
    return register


def _account() -> str:
    """Return the account that runs this program, as an identity."""
    try:
        return f"account {getpass.getuser()}"
    except (KeyError, OSError):  # an account that has no name here
        return "account without a name"
