"""What can be wrong with a backup, beside what hinders any reading or writing."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.problems import LedgerProblem


class BackupProblem(LedgerProblem):
    """The backup cannot be made, or restored, here."""


class Unsound(LedgerProblem):
    """What was copied is not what was signed, or is damaged; `findings` say what, each a sentence.

    What was copied was thrown away.
    """

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("; ".join(findings))
        self.findings = tuple(findings)


class Stale(LedgerProblem):
    """The backup ends before something that is known to have been signed."""
