"""What can go wrong with a ledger, each as one clear sentence."""

from __future__ import annotations


class LedgerProblem(Exception):
    """Say in one sentence what is wrong, where, and what would be accepted.

    ``str(problem)`` is that sentence. Whenever one is raised, nothing was changed.
    """


class NoLedger(LedgerProblem):
    """There is no file where a ledger was to be opened."""


class NotALedger(LedgerProblem):
    """The file is there, but it is not a ledger of ours."""


class NewerSchema(LedgerProblem):
    """The ledger was written by a later release than this one."""


class Redefined(LedgerProblem):
    """The file defines other objects than a ledger does: somebody changed it past the ledger."""


class ReadOnly(LedgerProblem):
    """The ledger cannot be written here."""


class Locked(LedgerProblem):
    """Others keep a lock for longer than was to be waited for."""


class StoreFull(LedgerProblem):
    """There is no room left to write to."""


class KeyFileProblem(LedgerProblem):
    """The key file is missing, damaged, or not the one this ledger remembers."""


class MalformedFact(LedgerProblem, ValueError):
    """The text or the object is not a fact the ledger can take."""
