"""Bookings as the tab-separated file that Pearson's authorization imports take."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import IO, Final

from replay.bookings import Row

COLUMNS: Final = (
    "AuthorizationTransactionType", "ClientAuthorizationID", "ClientCandidateID",
    "ExamAuthorizationCount", "ExamSeriesCode", "Modules", "Accommodations",
    "EligibilityApptDateFirst", "EligibilityApptDateLast", "LastUpdate",
)  # fmt: skip
"""As in public code that writes such files."""

_TRANSACTIONS: Final = {"add": "Add", "update": "Update", "delete": "Delete"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_DATE: Final = "%Y/%m/%d"
_FOR_EVER: Final = "2999/12/31"


def write_pearson(rows: Iterable[Row], file: IO[str], at: int, zone: tzinfo = UTC) -> int:
    """Write rows as they were at an instant, with a header; return how many.

    Dates are those of a zone, and whole: the first on which somebody is eligible all day, and the
    last. An end that is open is written 2999/12/31. A booking without such a date is a deletion,
    and no row where it would have been added.
    """
    count = 0
    file.write("\t".join(COLUMNS) + "\n")
    for transaction, booking in rows:
        first = _first(booking.eligible_from, zone)
        last = _FOR_EVER
        if booking.eligible_until is not None:
            last = (_local(booking.eligible_until, zone) - _DAY).strftime(_DATE)
        if first > last and transaction == "add":
            continue
        cells = (
            "Delete" if first > last else _TRANSACTIONS[transaction],
            booking.id,
            booking.candidate,
            "1",
            booking.exam,
            "",
            "",
            first,
            max(first, last),
            _local(at, zone).strftime(f"{_DATE} %H:%M:%S"),
        )
        file.write("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in cells) + "\n")
        count += 1
    return count


def _first(instant: int, zone: tzinfo) -> str:
    """Return the first date that lies wholly at or after an instant."""
    local = _local(instant, zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return (local if local == midnight else local + _DAY).strftime(_DATE)


def _local(instant: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone)
