"""Instants and positions as people and programs write them, at every door."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from ledger.instants import parse_instant
from replay.snapshot import HEAD, Known

When = date | str
"""An instant of a Python program: a datetime with a zone, a date (its 00:00 UTC), or text."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_POSITION = re.compile(r"@(\d{1,18})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(value: When, name: str) -> int:
    """Return an instant as microseconds UTC: text, a date, which means its 00:00, or a datetime.

    Raises ValueError, one sentence that begins with `name`, for other text and for a datetime
    without a zone; TypeError for anything else.
    """
    if isinstance(value, str):
        return _read(value, name)
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(
                f"{name}: {value!r} is without a zone: give it one, such as tzinfo=datetime.UTC"
            )
        return (value - _EPOCH) // _MICROSECOND
    if isinstance(value, date):
        return (datetime(value.year, value.month, value.day, tzinfo=UTC) - _EPOCH) // _MICROSECOND
    raise TypeError(
        f"{name} should be a datetime with a zone, a date, or text such as "
        f"'2021-03-15T09:00:00Z', not {value!r}"
    )


def _read(text: str, name: str) -> int:
    try:
        return parse_instant(whole(text))
    except ValueError as error:
        if _DATE.fullmatch(text):
            raise ValueError(f"{name}: {text} is no day of the calendar") from None
        raise ValueError(f"{name}: {error}, or a date such as 2021-03-15") from None


def whole(text: str) -> str:
    """Write a date as the instant it means, 00:00 UTC; leave any other text as it is."""
    return f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text


def known(value: When | None, name: str = "known_at") -> Known:
    """Return a known_at: an instant, ``"@42"`` for a position, None for the head."""
    if value is None:
        return HEAD
    if isinstance(value, str) and value.startswith("@"):
        return Known(position=position(value, name))
    return Known(instant=micros(value, name))


def position(text: str, name: str) -> int:
    """Read a position such as ``@42``; raises ValueError, one sentence that begins with `name`."""
    match = _POSITION.fullmatch(text)
    if match is None:
        raise ValueError(f"{name}: {text!r} is no position: write one such as @42")
    return int(match[1])


def utc(instant: int) -> datetime:
    """Return microseconds UTC as a datetime with its zone."""
    return _EPOCH + instant * _MICROSECOND
