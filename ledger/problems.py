"""What can go wrong with a ledger, each as one clear sentence; and hostile text in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_SHOWN = 60


def printable(text: str, *, keep: str = "") -> str:
    """Return text with every character escaped that is not printable and not in `keep`.

    What is not printable: control characters (escape, C1), line ends, half characters, and what
    turns the direction of writing. So no text of an input steers a terminal, or passes for a line
    of ours.

    >>> printable("C-1\\x1b[2J"), printable("a\\nb", keep="\\n")
    ('C-1\\\\x1b[2J', 'a\\nb')
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in keep else ascii(letter)[1:-1] for letter in text
    )


def shown(value: object) -> str:
    """Return how a value of an input is quoted in a message: printable, at most 60 characters.

    >>> shown("C-1\\n"), shown("x" * 99)[-5:], shown(10**5000)
    ("'C-1\\\\n'", 'xxxx…', 'a number of more than 1,000 digits')
    """
    if isinstance(value, int) and value.bit_length() > 3_400:  # repr() of it may be refused
        return "a number of more than 1,000 digits"
    if isinstance(value, str) and len(value) > _MOST_SHOWN:
        value = value[:_MOST_SHOWN]
    try:
        text = printable(repr(value))
    except ValueError:  # such a number in a list
        text = f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}…"


class LedgerProblem(Exception):
    """One sentence: what is wrong, where, and what would be accepted.

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


class NotDurable(LedgerProblem):
    """What was read is not durable yet, and was waited for as long as was to be."""


class StoreFull(LedgerProblem):
    """There is no room left to write to."""


class KeyFileProblem(LedgerProblem):
    """The key file is missing, damaged, or not the one this ledger remembers."""


class MalformedFact(LedgerProblem, ValueError):
    """The text or the object is not a fact the ledger can take."""

    faults: Sequence[tuple[str, str]] = ()
    """Each field of its data with a fault, and what that is; empty where it lies elsewhere."""


class RepeatedMember(MalformedFact):
    """An object of a JSON text names a member twice: readers disagree which of them counts."""


class LogProblem(LedgerProblem):
    """The log cannot be read, written or continued."""


class NotSealed(LogProblem):
    """There is no checkpoint yet, or none that covers the position that was asked for."""


class SigningKeyProblem(LogProblem):
    """The signing key is missing, of another log, readable by others, or not to be read."""


class Inconsistent(LogProblem):
    """Signing would contradict what was signed before: the ledger, or its log, was changed."""


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
