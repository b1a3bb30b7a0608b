"""What was sent to a booking system and is not confirmed: it is sent again until it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any, Final, Literal, NamedTuple, TypeAlias

from attempt_ledger.api.register import Register
from ledger.instants import format_instant
from replay.between import beginning, read_cursor, write_cursor
from replay.bookings import FEW, Booking, Row, booking_id, bookings, difference
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

    rows: Iterator[Row]
    """By candidate and exam; found as they are read, and read once."""
    at: int
    """The moment they are of, microseconds UTC."""
    position: int
    cursor: str

    def write_json(self, file: IO[str]) -> int:
        """Write it as JSON, row by row; return how many there are."""
        begin = {
            "as_of": format_instant(self.at), "position": self.position, "cursor": self.cursor,
        }  # fmt: skip
        file.write(f'{_json(begin)[:-1]},"rows":[')
        count = 0
        for row in self.rows:
            file.write(f"{',' if count else ''}{_json(values_of(row, self.at))}")
            count += 1
        file.write("]}")
        return count


def undelivered(snapshot: Snapshot, since: str | None, register: Register | None) -> Delivery:
    """Return what differs since a cursor, and what was not confirmed of earlier times.

    With a register what is returned is remembered there, before it is read, until it is confirmed.
    In flat memory, however much it is. Raises NotACursor and WasReset.
    """
    ledger = snapshot.ledger
    before = beginning(ledger) if since is None else read_cursor(since, ledger)
    rows = difference(snapshot.at(before), snapshot)
    if register is not None:
        rows = _remembered(_with_unconfirmed(rows, register, snapshot), register, snapshot.as_of)
    return Delivery(rows, snapshot.as_of, snapshot.position, write_cursor(snapshot.moment, ledger))


_UNCONFIRMED: Final = (
    "SELECT row FROM confirmations "
    "ORDER BY json_extract(row, '$.candidate'), json_extract(row, '$.exam')"
)


def _with_unconfirmed(rows: Iterator[Row], register: Register, snapshot: Snapshot) -> Iterator[Row]:
    """Yield rows with what was sent before and not confirmed, as it is now, in their order."""
    ((count,),) = register.rows("SELECT count(*) FROM confirmations") or [(0,)]
    whom = None
    if count <= FEW:
        found = register.rows("SELECT json_extract(row, '$.candidate') FROM confirmations")
        whom = {candidate for (candidate,) in found}
    present, changed = bookings(snapshot, whom), next(rows, None)
    now = next(present, None)
    for (text,) in register.copied(_UNCONFIRMED):
        sent = json.loads(text)
        was = Booking(sent["candidate"], sent["exam"], sent["from"], sent["until"])
        while changed is not None and changed.booking[:2] <= was[:2]:
            if changed.booking[:2] < was[:2]:
                yield changed
            changed = next(rows, None)
        while now is not None and now[:2] < was[:2]:
            now = next(present, None)
        if now is None or now[:2] != was[:2]:
            yield Row("delete", was)
        else:
            # What was not confirmed may not be there: then an update of it would fail.
            yield Row("update" if sent["transaction"] == "update" else "add", now)
    if changed is not None:
        yield changed
        yield from rows


_TOGETHER: Final = 10_000
"""So many rows are remembered in one transaction, before the first of them is sent."""


def _remembered(rows: Iterator[Row], register: Register, at: int) -> Iterator[Row]:
    while some := list(islice(rows, _TOGETHER)):
        values = [(row.booking.id, _kept(row), at) for row in some]
        with register.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO confirmations VALUES (?, ?, ?)", values)
        yield from some


def _kept(row: Row) -> str:
    candidate, exam, start, until = row.booking
    named = {"transaction": row.transaction, "candidate": candidate, "exam": exam}
    return _json(named | {"from": start, "until": until})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


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
