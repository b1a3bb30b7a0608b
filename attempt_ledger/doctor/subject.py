"""What the checks look at: one ledger, what belongs to it, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from ledger.appending import KEY_FILE
from ledger.instants import format_instant
from ledger.ledger import Head, Ledger
from ledger.tlog.checkpoint import LogPaths, SealState, log_paths, seal_state


class Depth(Enum):
    """How much of the file is read."""

    quick = "its ends"
    usual = "every row, if the file is not very large"
    full = "every row and every index"


@dataclass(frozen=True)
class Bounds:
    """From when on something is told of; ages in microseconds, room in bytes."""

    seal: int
    verification: int
    backup: int
    views: int
    free: int


@dataclass(frozen=True)
class Patient:
    """A ledger, by its path; `ledger` is None where it could not be opened."""

    path: Path
    ledger: Ledger | None
    keys: Path
    signing_key: Path | None
    views: Path
    now: int
    bounds: Bounds
    depth: Depth

    @property
    def opened(self) -> Ledger:
        """The ledger, of which a check has said that it needs it."""
        assert self.ledger is not None
        return self.ledger

    @cached_property
    def head(self) -> Head:
        """The last position and when it was recorded.

        The checkpoint is read before: what is written and sealed meanwhile is no sealing beyond it.
        """
        self.seal  # noqa: B018
        return self.opened.head()

    @cached_property
    def key_file(self) -> str | None:
        """The id of the key file that the ledger remembers; None if it never needed one."""
        return self.opened.about(KEY_FILE)

    @cached_property
    def paths(self) -> LogPaths:
        """Where its log lies."""
        return log_paths(self.path, self.signing_key)

    @cached_property
    def seal(self) -> SealState:
        """How it stands with its log."""
        return seal_state(self.paths)

    def recorded_at(self, position: int) -> int | None:
        """Return when a position was recorded."""
        for row in self.opened.read(position - 1, position):
            return row.recorded_at
        return None

    def age(self, instant: int) -> int:
        """Return how long ago an instant is, 0 for one to come."""
        return max(0, self.now - instant)

    def said(self, instant: int) -> str:
        """Write an instant."""
        return format_instant(instant)
