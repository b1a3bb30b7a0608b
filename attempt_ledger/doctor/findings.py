"""What checks look at, and what one comes to: a state, a code that stays, a sentence, a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from ledger.instants import DAY, SECOND, format_instant
from ledger.ledger import Head, Ledger
from ledger.privacy.vault import KEY_FILE
from ledger.tlog.checkpoint import LogPaths, SealState, log_paths, seal_state


class State(StrEnum):
    """How bad it is: `wrong` makes the exit code 1, the others do not."""

    ok = "ok"
    warning = "warning"
    wrong = "wrong"


Figure = int | str | bool | None


class Finding(NamedTuple):
    """What one check found."""

    check: str
    state: State
    code: str | None
    """One of CODES, for programs; None where everything is as it should be."""
    sentence: str
    remedy: str | None
    figures: Mapping[str, Figure]
    """What the sentence says, as values: instants as RFC 3339, the rest as the name says."""


MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
WARNING, WRONG = State.warning, State.wrong

CODES: Final[Mapping[str, tuple[str, State]]] = {
    "wal-reset-bug": ("sqlite", WARNING),
    "no-ledger": ("file", WRONG),
    "unreadable": ("file", WRONG),
    "damaged": ("integrity", WRONG),
    "redefined": ("integrity", WRONG),
    "position-missing": ("integrity", WRONG),
    "recorded-at-falls": ("integrity", WRONG),
    "wal-large": ("wal", WARNING),
    "not-wal": ("durability", WRONG),
    "not-synced": ("durability", WRONG),
    "network-file-system": ("file-system", WRONG),
    "memory-file-system": ("file-system", WARNING),
    "container-layer": ("file-system", WARNING),
    "everyone-may-write": ("rights", WRONG),
    "open-to-others": ("rights", WARNING),
    "lock-unusable": ("rights", WRONG),
    "disk-full": ("room", WRONG),
    "disk-low": ("room", WARNING),
    "files-low": ("room", WARNING),
    "clock-behind": ("clock", WRONG),
    "clock-implausible": ("clock", WRONG),
    "never-sealed": ("seal", WARNING),
    "unsealed": ("seal", WRONG),
    "cut-off": ("seal", WRONG),
    "checkpoint-fails": ("seal", WRONG),
    "tiles-damaged": ("seal", WRONG),
    "no-signing-key": ("signing-key", WARNING),
    "signing-key-unusable": ("signing-key", WRONG),
    "signing-key-of-another": ("signing-key", WRONG),
    "last-signed-apart": ("signing-key", WARNING),
    "last-signed-contradicts": ("signing-key", WRONG),
    "never-verified": ("verification", WARNING),
    "verification-old": ("verification", WARNING),
    "no-backup": ("backup", WARNING),
    "backup-old": ("backup", WRONG),
    "backup-unreadable": ("backup", WARNING),
    "no-key-file": ("keys", WRONG),
    "key-file-unreadable": ("keys", WRONG),
    "key-file-of-another": ("keys", WRONG),
    "key-file-open": ("keys", WRONG),
    "key-came-back": ("keys", WRONG),
    "forgotten-elsewhere": ("keys", WRONG),
    "no-key-backup": ("key-backup", WARNING),
    "key-backup-kept": ("key-backup", WARNING),
    "views-damaged": ("views", WRONG),
    "views-of-another": ("views", WARNING),
    "views-behind": ("views", WARNING),
    "views-stale": ("views", WARNING),
    "column-cache-damaged": ("column-cache", WARNING),
    "column-cache-unused": ("column-cache", WARNING),
    "not-checked": ("", WRONG),
}
"""Every code, the check it comes from and how bad it is, in the order in which they are told.

`not-checked` may come from any check: something kept it from looking.
"""


def found(code: str, sentence: str, remedy: str, **figures: Figure) -> Finding:
    """Return what is not as it should be, and what to do."""
    check, state = CODES[code]
    return Finding(check, state, code, sentence, remedy, figures)


def fine(check: str, sentence: str, **figures: Figure) -> Finding:
    """Say that all is as it should be, with the figure that shows it."""
    return Finding(check, State.ok, None, sentence, None, figures)


def worst(findings: list[Finding]) -> State:
    """Return the worst state of all."""
    states = {finding.state for finding in findings}
    return next(state for state in (WRONG, WARNING, State.ok) if state in states or state == "ok")


def span(microseconds: int) -> str:
    """Write a length of time as a person would: its two largest units, at most."""
    left = abs(microseconds)
    if left < SECOND:
        return "less than a second"
    parts = []
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second")):
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count:,} {name}{'s' * (count != 1)}")
        elif parts:
            break
    return " and ".join(parts[:2])


def size(count: int) -> str:
    """Write a number of bytes: 512 bytes, 1.5 MB, 20 GB."""
    amount = float(count)
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:,.0f} {unit}" if amount >= 10 or unit == "bytes" else f"{amount:.1f} {unit}"


# -- what the checks look at


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
class Subject:
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
        row = self.opened.event(position)
        return None if row is None else row.recorded_at

    def age(self, instant: int) -> int:
        """Return how long ago an instant is, 0 for one to come."""
        return max(0, self.now - instant)

    def said(self, instant: int) -> str:
        """Write an instant."""
        return format_instant(instant)
