"""`doctor`: what is wrong with a ledger and all that belongs to it, and what to do about it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from attempt_ledger.access import Access
from attempt_ledger.doctor import facts, file, keys, server, surroundings, trust
from attempt_ledger.doctor.findings import USUAL, Bounds, Depth, Finding, State, Subject, found
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.store.server import Server

Check = Callable[[Subject], Iterator[Finding]]


class Named(NamedTuple):
    """A check and the name it goes by."""

    name: str
    check: Check
    reads: bool = True
    """It reads the ledger: there is no point in it where the ledger cannot be read."""


CHECKS: Final = (
    Named("sqlite", file.sqlite, reads=False),
    Named("file", file.file, reads=False),
    Named("integrity", file.integrity),
    Named("wal", file.wal),
    Named("durability", file.durability),
    Named("file-system", surroundings.file_system),
    Named("rights", surroundings.rights),
    Named("room", surroundings.room),
    Named("clock", surroundings.clock),
    Named("seal", trust.seal),
    Named("signing-key", trust.signing_key),
    Named("verification", trust.verification),
    Named("backup", trust.backup),
    Named("keys", keys.keys),
    Named("key-backup", keys.key_backup),
    Named("facts", facts.facts),
    Named("views", trust.views),
    Named("column-cache", trust.column_cache),
)


SERVER_CHECKS: Final = (
    Named("server", server.server, reads=False),
    Named("durability", server.durability, reads=False),
    Named("integrity", server.integrity),
    Named("connections", server.connections),
    Named("server-clock", server.server_clock),
    Named("clock", surroundings.clock),
    Named("seal", trust.seal),
    Named("signing-key", trust.signing_key),
    Named("verification", trust.verification),
    Named("archive", server.archive),
    Named("keys", keys.keys),
    Named("key-backup", keys.key_backup),
    Named("facts", facts.facts),
    Named("views", trust.views),
    Named("column-cache", trust.column_cache),
)
"""Those of a ledger on a server, in place of what concerns a file."""

_NEEDED: Final = ("file", "server")
"""Where one of these is wrong, the ledger cannot be read."""


def subject_of(
    access: Access, read_model: Path, bounds: Bounds = USUAL, depth: Depth = Depth.usual
) -> Subject:
    """Return a ledger and what belongs to it, to be examined; nothing is opened yet."""
    file = Path(os.path.realpath(access.path))
    path = access.path if isinstance(access.path, Server) else file
    keys = Path(f"{file}.keys") if access.keys is None else access.keys
    now = access.clock()
    return Subject(
        path, None, keys, access.signing_key, read_model, now, bounds, depth, access.clock
    )


def examine(subject: Subject) -> Iterator[Finding]:
    """Make every check that can be made; yield what each found as it is found.

    Raises nothing: what keeps a check from looking is a finding of its own.
    """
    with ExitStack() as stack:
        readable = True
        for named in SERVER_CHECKS if isinstance(subject.path, Server) else CHECKS:
            if named.reads and not readable:
                continue
            if named.reads and subject.ledger is None:
                try:
                    ledger = Ledger.open(
                        subject.path, clock=subject.clock, keys=subject.keys, read_only=True
                    )
                    subject = replace(subject, ledger=stack.enter_context(ledger))
                except LedgerProblem as problem:
                    yield _hindered(subject, named.name, problem)
                    readable = False
                    continue
            for finding in _checked(named, subject):
                yield finding
                if finding.state is State.wrong and named.name in _NEEDED:
                    readable = False
                if finding.code == "standby-missing":  # whoever reads waits for it, for ever
                    readable = False


def _checked(named: Named, subject: Subject) -> Iterator[Finding]:
    try:
        yield from map(subject.remedied, named.check(subject))
    except (LedgerProblem, OSError, sqlite3.Error, ValueError, TypeError, ArithmeticError) as error:
        # Whatever is in a damaged file, it is for the doctor to say so.
        yield _hindered(subject, named.name, error)


def _hindered(subject: Subject, name: str, error: Exception) -> Finding:
    reason = str(error) if isinstance(error, LedgerProblem) else f"{type(error).__name__}: {error}"
    finding = found("not-checked", f"this could not be looked at: {reason}")
    return subject.remedied(finding)._replace(check=name)
