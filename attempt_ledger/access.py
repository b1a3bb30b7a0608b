"""How every door opens a ledger: its file, its keys, the wait for others, and the sealing after."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from attempt_ledger import clock
from ledger.instants import AHEAD, format_instant
from ledger.ledger import Clock, Ledger
from ledger.problems import NoLedger
from ledger.store.locks import PATIENCE, PRIVATE, Waiting
from ledger.store.server import Address, Role, Server
from ledger.store.stores import check_store

if TYPE_CHECKING:
    from ledger.facts import Fact

Say: TypeAlias = Callable[[str], object]
Counting: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Made of what is counted and how many there are; called with how many more are done."""


def uncounted(what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Count nothing."""
    return nullcontext(lambda more: None)


@dataclass(frozen=True)
class Access:
    """The ledger and the keys that a door is about, and how it speaks meanwhile."""

    path: Address
    keys: Address | None = None
    """The keys of personal fields; None: a file of the ledger's own name with ``.keys``."""
    signing_key: Path | None = None
    """The key that signs checkpoints; None: the ledger's own name with ``.signing-key``."""
    wait: float = PATIENCE
    """How many seconds to wait for another program that is writing."""
    homes: Path | None = None
    """The folder of what belongs to ledgers on servers; None: among this account's data."""
    say: Say = lambda sentence: None
    """Called with what is worth knowing and hinders nothing, a sentence each."""
    counting: Counting = uncounted
    clock: Clock = lambda: clock.now()

    def __post_init__(self) -> None:
        """Have whoever is handed an address wait, and say so, as this door does."""
        for name in ("path", "keys"):
            if isinstance(address := getattr(self, name), Server):
                object.__setattr__(self, name, address.with_waiting(self.waiting))

    @property
    def waiting(self) -> Waiting:
        """How long to wait for others that write; what is waited for is said."""
        return Waiting(self.wait, self.say)

    def check(self) -> None:
        """Raise LedgerProblem unless there is a ledger that can be read."""
        check_store(self.path, self.waiting)

    @contextmanager
    def open(self, *, to_write: bool = False) -> Iterator[Ledger]:
        """Open the ledger, for reading unless `to_write`; raises LedgerProblem.

        What was written is sealed at the end, whatever ended it.
        """
        self.make_home()
        with Ledger.open(
            self.path,
            clock=self.clock,
            keys=self.keys,
            read_only=not to_write,
            waiting=self.waiting,
        ) as ledger:
            if not to_write:
                yield ledger
                return
            self._compare_clocks(ledger)
            try:
                yield ledger
            finally:
                self.seal_after(ledger)

    @contextmanager
    def open_or_none(self, may_miss: bool) -> Iterator[Ledger | None]:
        """Open the ledger to write or, if it may be missing, to read if there is one."""
        if may_miss and not self.is_there():
            yield None
            return
        with self.open(to_write=not may_miss) as ledger:
            yield ledger

    @contextmanager
    def create(
        self,
        first: Sequence[Fact] = (),
        mode: int = PRIVATE,
        roles: Sequence[tuple[str, Role]] = (),
    ) -> Iterator[Ledger]:
        """Make the ledger, with the facts that are `first` in it, and its signing key.

        Killed on the way it leaves no ledger, or one with all of them. What is written is sealed at
        the end. A file has a `mode`, and a server `roles` that are let in. Raises LedgerProblem if
        something is there already.
        """
        self.make_home()
        _sealing().check_unused(self)
        with Ledger.create(
            self.path,
            clock=self.clock,
            keys=self.keys,
            first=first,
            mode=mode,
            roles=roles,
            waiting=self.waiting,
        ) as ledger:
            _sealing().make_key_for(self, ledger)
            yield ledger
            self.seal_after(ledger)

    def seal_after(self, ledger: Ledger) -> None:
        """Seal what was appended, if anything was; never fails."""
        _sealing().seal_after(self, ledger)

    def is_there(self) -> bool:
        """Return whether something is there already; of a server, whether there is a ledger."""
        if not isinstance(self.path, Server):
            return os.path.lexists(self.path)
        try:
            self.check()
        except NoLedger:
            return False
        return True

    def make_home(self) -> None:
        """Make the folder in which this machine keeps what belongs to a ledger on a server."""
        if isinstance(self.path, Server):
            folder = self.path.home.parent
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                self.say(f"{folder} cannot be made ({error.strerror}): name another with --home")

    def _compare_clocks(self, ledger: Ledger) -> None:
        """Warn when the clock is behind what was recorded last: a time left out would be wrong."""
        now, last = self.clock(), ledger.head().recorded_at
        if now < last - AHEAD:
            self.say(
                f"the clock of this machine is behind: it says {format_instant(now)}, and the last "
                f"event was recorded at {format_instant(last)}; set it, `doctor` says more"
            )


def _sealing() -> ModuleType:
    # Here, since whoever only reads need not pay for the log and its signatures (20 ms).
    from attempt_ledger import sealing

    return sealing
