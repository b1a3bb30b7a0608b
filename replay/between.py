"""The difference between two moments, for programs that follow standings.

Who follows keeps a cursor, the moment that it knows of, and learns what differs now.
So nothing is remembered for it here, and what was missed comes with the next answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from ledger.instants import MAX_INSTANT, MIN_INSTANT
from ledger.ledger import Ledger
from projections.standing import Moment
from replay.snapshot import Snapshot, recorded_at, scope_of

STEP: Final = 10_000
"""So many events, at most, lie between two moments that are compared in one answer of a feed."""

STATE: Final = (
    "status", "eligible_from", "sittings_in_series", "period_ends_at", "last_sitting_at",
    "last_outcome",
)  # fmt: skip
"""What a change says of a standing, before and after."""

_CURSOR: Final = re.compile(r"(-?\d{1,18})\.(\d{1,18})\.([0-9a-f]{12})", re.ASCII)
_NONE: Final = "the cursor is none that was given here: leave it out to begin"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class NotACursor(ValueError):
    """A text is no cursor of this program; str() is one sentence."""


class WasReset(Exception):
    """Another event stands where a cursor ends: the ledger was restored; str() is one sentence."""


def write_cursor(moment: Moment, ledger: Ledger) -> str:
    """Write the moment that somebody knows of; opaque, and bound to what the ledger held."""
    return _packed(f"{moment.as_of}.{moment.position}.{_mark(ledger, moment.position)}")


def _packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str, ledger: Ledger) -> Moment:
    """Read a cursor; raises NotACursor, and WasReset where the ledger is another one by now."""
    try:
        packed = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        found = _CURSOR.fullmatch(packed.decode())
    except (ValueError, binascii.Error):
        found = None
    # As it was written, to the letter: the decoder passes over what it does not know.
    if found is None or text != _packed(f"{int(found[1])}.{int(found[2])}.{found[3]}"):
        raise NotACursor(_NONE)
    if not MIN_INSTANT <= int(found[1]) <= MAX_INSTANT:
        raise NotACursor(_NONE)
    moment, mark = Moment(int(found[1]), None, int(found[2])), found[3]
    if moment.position > ledger.head().position or _mark(ledger, moment.position) != mark:
        raise WasReset(
            f"at position {moment.position} stands another event, or none: the ledger was put back "
            "to an earlier day, or it is another one; begin without a cursor"
        )
    return moment._replace(known_at=recorded_at(ledger, moment.position))


def _mark(ledger: Ledger, position: int) -> str:
    event = ledger.event(position)
    key = "" if event is None else f"{event.source}\0{event.id}"
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def beginning(ledger: Ledger) -> Moment:
    """Return the moment before anything was known."""
    first = ledger.event(1)
    return Moment(0 if first is None else first.recorded_at, None, 0)


def next_moment(ledger: Ledger, before: Moment, now: int) -> Moment:
    """Return the moment to compare with: now, or an earlier one where too much lies in between."""
    head = ledger.head()
    if head.position - before.position <= STEP:
        return Moment(max(now, before.as_of), head.recorded_at or None, head.position)
    position = before.position + STEP
    at = recorded_at(ledger, position) or now
    return Moment(max(at, before.as_of), at, position)


class Change(NamedTuple):
    """A standing that differs, and since when; instants are microseconds UTC."""

    candidate: str
    exam: str
    before: dict[str, Any] | None
    """By the names of STATE; None where there was no standing."""
    after: dict[str, Any] | None
    at: int
    """When it changed: by the clock, or when the last of its events was known and true."""
    cause: str
    """``events``, ``catalogue``, ``policy`` or ``clock``."""
    because: tuple[tuple[str, str], ...]
    """(source, id) of the events; empty for the clock."""


def changes(before: Snapshot, after: Snapshot, exam: str | None = None) -> list[Change]:
    """Return whose standing differs between two moments, by when it changed, candidate and exam."""
    table = before.diff(after, scope_of(exam))
    found = []
    for row in table.to_pylist():
        events = [(each["source"], each["id"]) for each in row["events"]]
        found.append(
            Change(
                row["candidate"],
                row["exam"],
                _state(row, "from_"),
                _state(row, "to_"),
                _changed_at(before, after, row["candidate"], row["exam"], events),
                row["cause"],
                tuple(events),
            )
        )
    return sorted(found, key=lambda each: (each.at, each.candidate, each.exam))


def _state(row: dict[str, Any], side: str) -> dict[str, Any] | None:
    if row[f"{side}status"] is None:
        return None
    return {name: _number(row[f"{side}{name}"]) for name in STATE}


def _number(value: Any) -> Any:
    """Return an instant of a table as microseconds UTC, anything else as it is."""
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value


def _changed_at(
    before: Snapshot,
    after: Snapshot,
    candidate: str,
    exam: str,
    events: Sequence[tuple[str, str]],
) -> int:
    rows = [before.ledger.find(*each) for each in events]
    if made := [max(row.recorded_at, row.occurred_at) for row in rows if row is not None]:
        return min(max(made), after.as_of)
    changes = before.standing(candidate, exam).next_change_at
    return after.as_of if changes is None else min(changes, after.as_of)
