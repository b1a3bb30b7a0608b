"""What checks look at, and what one comes to: a state, a code that stays, a sentence, a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.instants import DAY, SECOND
from ledger.ledger import Clock, Ledger
from ledger.privacy.vault import KEY_FILE
from ledger.store.interface import Head
from ledger.store.server import Address, postgres_module
from ledger.tlog.checkpoint import LogPaths, SealState, log_paths, seal_state, sealed_elsewhere

if TYPE_CHECKING:
    from ledger.store.postgres_state import ServerState


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
    text: str
    """One sentence."""
    remedy: str | None
    figures: Mapping[str, Figure]
    """What the sentence says, as values: instants as RFC 3339, the rest as the name says."""


MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
WARNING, WRONG = State.warning, State.wrong

_TABLE: Final = """
wal-reset-bug | sqlite | warning | use a Python whose SQLite is 3.51.3 or later, or 3.50.7, or
    3.44.6; until then let nothing but attempt-ledger checkpoint the ledger (no litestream, no
    sqlite3 shell): it does so only in the connection that holds the write lock, or when the last
    closes
no-ledger | file | wrong | name the ledger with --ledger; if it was here, put back a backup with
    `restore`
unreadable | file | wrong | {mend}
damaged | integrity | wrong | {mend}
redefined | integrity | wrong | somebody changed the file past the ledger: find out who; `export`
    it and `import --keep-recorded-at` that into a new one, or put back a backup
position-missing | integrity | wrong | `verify` says what was taken out or put in; {mend}
recorded-at-falls | integrity | wrong | `verify` says whether it was changed; if so, {mend}
wal-large | wal | warning | end the program that has been reading for so long (`fuser` names it),
    then append anything; do not remove the -wal file, it holds events
not-wal | durability | wrong | stop what uses it, then: sqlite3 {ledger} 'PRAGMA journal_mode =
    WAL'
not-synced | durability | wrong | use a Python whose SQLite is built to sync
network-file-system | file-system | wrong | keep the ledger on a disk of the machine that writes
    it, and let others ask that machine, or copies of it
memory-file-system | file-system | warning | keep the ledger on a disk
container-layer | file-system | warning | keep the ledger on a volume
everyone-may-write | rights | wrong | chmod 600 {ledger}, then `verify`
open-to-others | rights | warning |
lock-unusable | rights | wrong | give the account the right to write {ledger}.lock, as it has for
    the ledger; remove it only while nothing writes
disk-full | room | wrong | make room, or move the ledger to a larger disk; a full disk refuses
    events but damages none
disk-low | room | warning | make room, back up to another disk, and name another with --views
files-low | room | warning | remove files that are not needed, or move the ledger to a disk with
    more inodes
clock-behind | clock | wrong | set the clock, best by NTP. If it is the ledger that is ahead: what
    is appended is recorded a microsecond after the last until the clock has come by, and no time
    of an event is taken that lies more than 5 minutes after that
clock-implausible | clock | wrong | set the clock, best by NTP, before anything is recorded:
    recorded_at never goes back
never-sealed | seal | warning | `seal --new-key`
unsealed | seal | wrong | `seal`; what kept it from being done, it says. If something other than
    attempt-ledger writes all the while, let `seal --follow` run
cut-off | seal | wrong | put back the last backup that reaches further, and find out who did this
checkpoint-fails | seal | wrong | put the log back as it was (`checkpoint`s that were given away
    tell what it was), move the file away that fails, and `seal`; then `verify --against` a
    checkpoint that was kept elsewhere
tiles-damaged | seal | wrong | `verify`; if it says that the rows are as they were signed,
    remove the folder `tile` there and `seal`
no-signing-key | signing-key | warning | if it is kept elsewhere, name it with --signing-key, or
    call this where it is; if it is lost, `seal --new-key` and give out the new verifier key
signing-key-unusable | signing-key | wrong | chmod 600 {key}; if others may have read it, move it
    away and `seal --new-key`
signing-key-of-another | signing-key | wrong | put the right one back, or name it with
    --signing-key
last-signed-apart | signing-key | warning | `seal`, which compares them and mends it
last-signed-contradicts | signing-key | wrong | keep both files: the key signed two histories, or
    one was changed. `verify --against` a checkpoint that was kept elsewhere says which is right;
    then move the other away and `seal`
never-verified | verification | warning | `verify`
verification-old | verification | warning | `verify`
no-backup | backup | warning | `backup FILE` on another disk, on a timer; or replicate the file
    (docs/operations.md)
backup-old | backup | wrong | `backup FILE`, and look why the timer did not
backup-unreadable | backup | warning | `backup FILE`, which writes it anew
no-key-file | keys | wrong | put it back, name it with --keys, or `keys restore` a backup of it
key-file-unreadable | keys | wrong | `keys restore` a backup of it
key-file-of-another | keys | wrong | put the right one back, or name it with --keys
key-file-open | keys | wrong | chmod 600 {keys}
key-came-back | keys | wrong |
forgotten-elsewhere | keys | wrong |
no-key-backup | key-backup | warning | `keys backup FILE`, on another disk than the ledger's
    backups, and again before its time is over
key-backup-kept | key-backup | warning | destroy it: the keys of whoever was forgotten since may
    be in it
unknown-exam | facts | warning | announce it with `catalogue`; or `annul` what names it and record
    that again under the right code
unresolved-entry | facts | warning | publish or announce what is missing; or correct the entry, by
    `catalogue`
sources-disagree | facts | warning | `audit disagreements` says who says what; `annul` what is wrong
twin-ids | facts | warning | find out whether they are one person; if so, `annul` what was recorded
    under one of them and record it again under the other
result-before-sitting | facts | warning | `standing` of the candidate names them under problems;
    `annul` what is wrong
long-sitting | facts | warning | `standing` of the candidate names them under problems; `annul` what
    is wrong
late-result | facts | warning | `audit backdated --by P30D` lists them; if they are true, nothing is
    to be done
views-damaged | views | wrong | `rebuild`
views-of-another | views | warning | `project`
views-behind | views | warning | `project`, or let `project --follow` run
views-stale | views | warning | `project`, which goes on with it
column-cache-damaged | column-cache | warning | `verify` removes what differs from the
    ledger's rows, and the next `replay` makes it anew
column-cache-unused | column-cache | warning | where another account made it, that one alone uses
    it; else remove the folder
not-checked | - | wrong | if `integrity` finds the file damaged, that is why; else mend what the
    sentence names
"""
"""code | check | state | what to do, where that is always the same; in the order of the doctor."""
_SERVER_TABLE: Final = """
server-standby | server | warning | name the primary with --ledger to record anything
schema-redefined | integrity | wrong | somebody changed the schema past the ledger: find out who;
    `export` it and `import --keep-recorded-at` that into a new one, or put back a backup
not-flushed | durability | wrong | set it to on, in postgresql.conf, and reload
standby-missing | durability | wrong | start the standby, or take its name out of
    synchronous_standby_names
standby-asynchronous | durability | warning | name one in synchronous_standby_names
connections-few | connections | warning | raise max_connections, or end programs that keep many
clocks-apart | server-clock | warning | set both by NTP
no-archive | archive | warning | archive what is written, and make base backups or dumps
    (docs/postgresql.md)
archive-fails | archive | wrong | the server's log says why; nothing newer than the last segment
    can be put back
"""
"""The same of a ledger on a server."""
MEND: Final = (
    "stop what writes, keep the file as it is, and put back the last backup that verifies "
    "(docs/operations.md); what was recorded since comes from `export` of this one, as far as it "
    "reads, and from the sources"
)


class Code(NamedTuple):
    """What a code stands for."""

    check: str
    """The check it comes from; empty: any."""
    state: State
    remedy: str
    """With {ledger}, {key} and {keys} for the paths of the file and its keys, and {mend}."""


def _codes(table: str) -> Mapping[str, Code]:
    rows = [row.split(" |", 3) for row in table.strip().replace("\n    ", " ").split("\n")]
    return {
        code: Code(check.strip(" -"), State(state.strip()), remedy.strip())
        for code, check, state, remedy in rows
    }


CODES: Final = _codes(_TABLE)
"""Every code that a finding may have; `not-checked`: something kept a check from looking."""
SERVER_CODES: Final = _codes(_SERVER_TABLE)
"""Those that only a ledger on a server may have."""
_ALL: Final = {**CODES, **SERVER_CODES}


def found(code: str, sentence: str, remedy: str | None = None, /, **figures: Figure) -> Finding:
    """Return what is not as it should be; without a remedy, what to do is said by its code."""
    return Finding(_ALL[code].check, _ALL[code].state, code, sentence, remedy, figures)


def fine(check: str, sentence: str, **figures: Figure) -> Finding:
    """Report that all is as it should be, with the figure that shows it."""
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
    """From when on something is a finding; ages in microseconds, room in bytes."""

    seal: int = 15 * MINUTE
    verification: int = 8 * DAY
    backup: int = 25 * HOUR
    views: int = HOUR
    free: int = 500_000_000


USUAL: Final = Bounds()


@dataclass(frozen=True)
class Subject:
    """A ledger, by its address; `ledger` is None where it could not be opened."""

    path: Address
    ledger: Ledger | None
    keys: Address
    signing_key: Path | None
    views: Path
    now: int
    bounds: Bounds
    depth: Depth

    clock: Clock

    @property
    def file(self) -> Path:
        """The ledger's file: for checks of files alone."""
        return Path(self.path)

    @cached_property
    def server_state(self) -> ServerState:
        """How the server is set up that keeps the ledger; raises LedgerProblem."""
        state: ServerState = postgres_module("store.postgres_state").state_of(self.path)
        return state

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

    @cached_property
    def sealed_elsewhere(self) -> int | None:
        """How many events other machines have sealed, if they alone seal it."""
        return sealed_elsewhere(self.paths) if self.signing_key is None else None

    def recorded_at(self, position: int) -> int | None:
        """Return when a position was recorded."""
        row = self.opened.event(position)
        return None if row is None else row.recorded_at

    def age(self, instant: int) -> int:
        """Return how long ago an instant is, 0 for one to come."""
        return max(0, self.now - instant)

    def remedied(self, finding: Finding) -> Finding:
        """Return a finding with what its code says is to be done, unless it says so itself."""
        if finding.code is None or finding.remedy is not None:
            return finding
        usual = _ALL[finding.code].remedy
        paths = {"ledger": self.path, "key": self.paths.key, "keys": self.keys}
        return finding._replace(remedy=usual.format(mend=MEND, **paths))
