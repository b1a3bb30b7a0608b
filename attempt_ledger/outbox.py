"""What was sent to a booking system and is not confirmed: it is sent again until it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from attempt_ledger.api.register import Register
from ledger.instants import format_instant
from replay.between import (
    Booking,
    Bookings,
    Row,
    beginning,
    booking_id,
    difference,
    read_cursor,
    write_cursor,
)
from replay.snapshot import Snapshot

Status: TypeAlias = Literal["accepted", "error"]


class Confirmed(NamedTuple):
    """What confirmations came to."""

    accepted: int
    errors: int
    unknown: tuple[str, ...]
    """Ids that were not sent, or were confirmed before."""


class Delivery(NamedTuple):
    """What a booking system is to do, and the cursor for the next time."""

    rows: list[Row]
    at: int
    """The moment they are of, microseconds UTC."""
    position: int
    cursor: str

    def to_json(self) -> str:
        """Write it as JSON."""
        values = {
            "as_of": format_instant(self.at),
            "position": self.position,
            "cursor": self.cursor,
            "rows": [values_of(row, self.at) for row in self.rows],
        }
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def undelivered(snapshot: Snapshot, since: str | None, register: Register | None) -> Delivery:
    """Return what differs since a cursor, and what was not confirmed of earlier times.

    With a register what is returned is remembered there until it is confirmed. Raises NotACursor
    and WasReset.
    """
    ledger = snapshot.ledger
    before = beginning(ledger) if since is None else read_cursor(since, ledger)
    rows = {row.booking.id: row for row in difference(snapshot.at(before), snapshot)}
    if register is not None:
        rows = dict(_with_unconfirmed(rows, register, snapshot))
        _remember(register, rows.values(), snapshot.as_of)
    ordered = sorted(rows.values(), key=lambda row: (row.booking.candidate, row.booking.exam))
    cursor = write_cursor(snapshot.moment, ledger)
    return Delivery(ordered, snapshot.as_of, snapshot.position, cursor)


def _with_unconfirmed(
    rows: Mapping[str, Row], register: Register, snapshot: Snapshot
) -> Iterable[tuple[str, Row]]:
    """Yield rows with what was sent before and not confirmed, as it is now."""
    bookings = Bookings(snapshot)
    pending = {
        id: json.loads(row) for id, row in register.rows("SELECT id, row FROM confirmations")
    }
    for id, sent in pending.items():
        now = bookings.of(sent["candidate"]).get(sent["exam"])
        if now is None:
            yield id, Row("delete", _booking(sent))
        else:
            # What was not confirmed may not be there: then an update of it would fail.
            yield id, Row("update" if sent["transaction"] == "update" else "add", now)
    yield from ((id, row) for id, row in rows.items() if id not in pending)


def _booking(sent: Mapping[str, Any]) -> Booking:
    return Booking(sent["candidate"], sent["exam"], sent["from"], sent["until"])


def _remember(register: Register, rows: Iterable[Row], at: int) -> None:
    values = [
        (
            row.booking.id,
            json.dumps(
                {
                    "transaction": row.transaction,
                    "candidate": row.booking.candidate,
                    "exam": row.booking.exam,
                    "from": row.booking.eligible_from,
                    "until": row.booking.eligible_until,
                },
                ensure_ascii=False,
            ),
            at,
        )
        for row in rows
    ]
    if values:
        with register.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO confirmations VALUES (?, ?, ?)", values)


def confirm(register: Register, confirmations: Iterable[tuple[str, Status]]) -> Confirmed:
    """Read what became of rows that were sent: what was accepted is not sent again."""
    accepted = errors = 0
    unknown = []
    with register.writing() as connection:
        for id, status in confirmations:
            known = connection.execute("SELECT 1 FROM confirmations WHERE id = ?", (id,)).fetchone()
            if known is None:
                unknown.append(id)
            elif status == "accepted":
                connection.execute("DELETE FROM confirmations WHERE id = ?", (id,))
                accepted += 1
            else:
                errors += 1
    return Confirmed(accepted, errors, tuple(unknown))


def values_of(row: Row, at: int) -> dict[str, Any]:
    """Return a row as JSON values."""
    booking = row.booking
    until = booking.eligible_until
    return {
        "id": booking_id(booking.candidate, booking.exam),
        "transaction": row.transaction,
        "candidate": booking.candidate,
        "exam": booking.exam,
        "eligible_from": format_instant(booking.eligible_from),
        "eligible_until": None if until is None else format_instant(until),
        "last_update": format_instant(at),
    }
