"""What a call says before its command: which ledger is meant, and which keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from attempt_ledger import clock
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import CallProblem
from attempt_ledger.cli.sealing import check_unused, make_key_for, seal_after
from ledger.store.locks import PATIENCE, PRIVATE, Waiting

if TYPE_CHECKING:
    from ledger.events import Fact
    from ledger.ledger import Ledger

DEFAULT_URL = "sqlite:///attempts.ledger"
_ACCEPTED = (
    "accepted is sqlite:///path/to/file, with a fourth slash for an absolute path "
    "(sqlite:////var/lib/attempts.ledger)"
)


@dataclass(frozen=True)
class Call:
    """The ledger and the keys that a call is about."""

    path: Path
    keys: Path | None = None
    signing_key: Path | None = None
    wait: float = PATIENCE

    @property
    def waiting(self) -> Waiting:
        """How long to wait for others that write, said on standard error."""
        return Waiting(self.wait, say)

    @contextmanager
    def open(self, *, to_write: bool = False) -> Iterator[Ledger]:
        """Open the ledger, for reading unless `to_write`; raises LedgerProblem.

        What was written is sealed at the end, whatever ended it.
        """
        from ledger.ledger import Ledger

        with Ledger.open(
            self.path,
            clock=clock.now,
            keys=self.keys,
            read_only=not to_write,
            waiting=self.waiting,
        ) as ledger:
            if not to_write:
                yield ledger
                return
            _tell_of_clock(ledger)
            try:
                yield ledger
            finally:
                seal_after(ledger, self.signing_key)

    def check(self) -> None:
        """Look whether there is a ledger that can be read; raises LedgerProblem."""
        from ledger.store.file import check_file

        check_file(self.path)

    @contextmanager
    def open_or_none(self, may_miss: bool) -> Iterator[Ledger | None]:
        """Open the ledger to write or, if it may be missing, to read if there is one."""
        if may_miss and not self.path.exists():
            yield None
            return
        with self.open(to_write=not may_miss) as ledger:
            yield ledger

    @contextmanager
    def create(self, first: Sequence[Fact] = (), mode: int = PRIVATE) -> Iterator[Ledger]:
        """Make the ledger, with the facts that are `first` in it, and its signing key.

        Killed on the way it leaves no ledger, or one with all of them. What is written is sealed at
        the end. Raises LedgerProblem if something is there already.
        """
        from ledger.ledger import Ledger

        check_unused(self.path, self.signing_key)
        with Ledger.create(
            self.path,
            clock=clock.now,
            keys=self.keys,
            first=first,
            mode=mode,
            waiting=self.waiting,
        ) as ledger:
            make_key_for(ledger, self.signing_key)
            yield ledger
            seal_after(ledger, self.signing_key)


def _tell_of_clock(ledger: Ledger) -> None:
    """Say so when the clock is behind what was recorded last: a time that is not given is wrong."""
    from ledger.appending import AHEAD
    from ledger.instants import format_instant

    now, last = clock.now(), ledger.head().recorded_at
    if now < last - AHEAD:
        say(
            f"the clock of this machine is behind: it says {format_instant(now)}, and the last "
            f"event was recorded at {format_instant(last)}; set it, `doctor` says more"
        )


def no_candidate(candidate: str, ledger: Ledger) -> CallProblem:
    """Say that there is nobody of that id."""
    return CallProblem(
        f"nothing is recorded of a candidate {candidate!r} in {ledger.path}: `search` finds "
        "candidates by the beginning of an id"
    )


def call_of(context: typer.Context) -> Call:
    """Return what the call says before its command."""
    call = context.find_root().obj
    assert isinstance(call, Call)
    return call


def ledger_path(url: str) -> Path:
    """Read a ledger's URL as the path of its file; raises CallProblem for any other.

    What follows ``sqlite:///`` is the path to the letter: nothing in it is decoded.
    """
    scheme, colon, rest = url.partition(":")
    if scheme in ("postgresql", "postgres") and colon:
        raise CallProblem(
            f"--ledger {scheme}://…: this build keeps ledgers in SQLite files only; {_ACCEPTED}"
        )
    if scheme != "sqlite" or not colon:
        hint = "" if "://" in url or not url else f": do you mean sqlite:///{url}?"
        raise CallProblem(f"--ledger {url!r} is no URL of a ledger{hint}; {_ACCEPTED}")
    path = rest.removeprefix("///")
    if path == rest or not path or "\0" in path:
        raise CallProblem(f"--ledger {url!r} names no file; {_ACCEPTED}")
    return Path(path)
