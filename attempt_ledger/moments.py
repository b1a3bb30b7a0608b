"""Instants and positions as people and programs write them, at every door."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

from ledger.instants import parse_instant, zone_of
from replay.snapshot import HEAD, Known
from retake_policies.zones import load_zone

When = date | str
"""An instant of a Python program: a datetime with a zone, a date (its 00:00 UTC), or text."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile("[0-9]{1,18}")
_TYPED = re.compile(
    r"(\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)? ?(UTC|[Zz]|[+-]\d{2}:\d{2})?)?",
    re.ASCII,
)
_SUCH = "such as 2021-03-15T09:00:00Z or 2021-03-15"
_POSITION = re.compile(r"@(\d{1,18})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(value: When, name: str, zone: tzinfo | None = None) -> int:
    """Return an instant as microseconds UTC: text, a date, which means its 00:00, or a datetime.

    Text may have a blank for the T, and UTC for the Z. Without an offset it is on the clock of
    `zone`; where none is named a date is on that of UTC, and a time is refused.

    Raises ValueError, one sentence that begins with `name`, for other text and for a datetime
    without a zone; TypeError for anything else.
    """
    if isinstance(value, str):
        return _read(value, name, zone)
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


def _read(text: str, name: str, zone: tzinfo | None) -> int:
    text, named = zone_of(text)
    if named is not None:
        try:
            zone = load_zone(named)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    match = _TYPED.fullmatch(text)
    if match is None:
        hint = f"; a position is written @{text}" if _NUMBER.fullmatch(text) else ""
        raise ValueError(f"{name}: {text!r} is no instant and no date, {_SUCH}{hint}")
    day, minute, second, offset = match.groups()
    if second and second.startswith(":60"):
        raise ValueError(f"{name}: {text} is a leap second: write the second before it")
    if minute and not offset and zone is None:
        raise ValueError(
            f"{name}: {text} does not say its zone: write {day}T{minute}{second or ''}Z, or an "
            "offset such as +02:00"
        )
    whole = f"{day}T{minute or '00:00'}{second or ':00'}"
    if zone is None or offset:
        whole += "Z" if offset in (None, "UTC", "z") else offset
    try:
        return parse_instant(whole, zone=zone)
    except ValueError as error:
        leap = f": {day[:4]} has no 29 February" if day.endswith("-02-29") else ""
        if leap or not minute:
            raise ValueError(f"{name}: {text} is no day of the calendar{leap}") from None
        raise ValueError(f"{name}: {error}") from None


def whole(text: str) -> str:
    """Write a date as the instant it means, 00:00 UTC; leave any other text as it is."""
    return f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text


def known(value: When | None, name: str = "known_at", zone: tzinfo | None = None) -> Known:
    """Return a known_at: an instant, ``"@42"`` for a position, None for the head."""
    if value is None:
        return HEAD
    if isinstance(value, str) and value.startswith("@"):
        return Known(position=position(value, name))
    return Known(instant=micros(value, name, zone))


def position(text: str, name: str) -> int:
    """Read a position such as ``@42``; raises ValueError, one sentence that begins with `name`."""
    match = _POSITION.fullmatch(text)
    if match is None:
        raise ValueError(f"{name}: {text!r} is no position: write one such as @42")
    return int(match[1])


def utc(instant: int) -> datetime:
    """Return microseconds UTC as a datetime with its zone."""
    return _EPOCH + instant * _MICROSECOND
