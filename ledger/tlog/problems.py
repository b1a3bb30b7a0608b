"""What can be wrong with a transparency log, beside what `verify` finds."""

from __future__ import annotations

from ledger.problems import LedgerProblem


class LogProblem(LedgerProblem):
    """The log cannot be read, written or continued."""


class NotSealed(LogProblem):
    """There is no checkpoint yet, or none that covers the position that was asked for."""


class SigningKeyProblem(LogProblem):
    """The signing key is missing, of another log, readable by others, or not to be read."""


class Inconsistent(LogProblem):
    """Signing would contradict what was signed before: the ledger, or its log, was changed."""
