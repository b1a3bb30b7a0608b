"""Who read personal data in clear text: written down beside the tokens, not in the ledger.

The ledger is append-only, and an access changes nothing of what is true of a candidate.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from attempt_ledger.api.register import Register


class Seen(NamedTuple):
    """One reading of personal data in clear text."""

    at: int
    """Microseconds UTC."""
    identity: str
    """Who read it: of the service an identity, of the command line an account of the machine."""
    candidate: str
    fields: tuple[str, ...]
    """The personal fields that were shown."""
    page: str
    """Where: a route, or a command."""


def account() -> str:
    """Return the account that runs this program, as an identity."""
    try:
        return f"account {getpass.getuser()}"
    except (KeyError, OSError):  # an account that has no name here
        return "account without a name"


def note(register: Register, seen: Seen) -> None:
    """Write an access down, before anything is shown; raises LedgerProblem if that cannot be."""
    with register.writing() as connection:
        connection.execute(
            "INSERT INTO accesses VALUES (?, ?, ?, ?, ?)",
            (seen.at, seen.identity, seen.candidate, " ".join(seen.fields), seen.page),
        )


def noted(register: Register, candidate: str | None = None) -> Iterator[Seen]:
    """Yield the accesses, of one candidate or of all, as they came."""
    where: tuple[str, Sequence[str]] = ("", ()) if candidate is None else (
        " WHERE candidate = ?", (candidate,)
    )  # fmt: skip
    names = ", ".join(Seen._fields)
    for at, identity, whom, fields, page in register.rows(
        f"SELECT {names} FROM accesses{where[0]} ORDER BY rowid", where[1]
    ):
        yield Seen(at, identity, whom, tuple(fields.split()), page)
