"""Instants: whole microseconds since 1970-01-01T00:00:00Z, with text only at the doors."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from ledger.problems import LedgerProblem

SECOND = 1_000_000
DAY = 86_400 * SECOND
AHEAD = 5 * 60 * SECOND
"""How far a fact's time may lie after its recording: clocks differ a little, facts do not."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive arithmetic is UTC here, and faster
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_TYPED = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)? ?(UTC|[Zz]|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_ZONED = re.compile(
    r"(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ([A-Za-z]{2,}(?:[/_+-][\w+-]+)*)",
    re.ASCII,
)
_WITHOUT = "is a time without a zone: give it an offset, such as 2021-03-15T09:00:00Z"
_ACCEPTED = "an RFC 3339 instant such as 2021-03-15T09:00:00Z"

MIN_INSTANT = -62_135_596_800 * SECOND
"""0001-01-01T00:00:00Z."""
MAX_INSTANT = 253_402_300_800 * SECOND - 1
"""9999-12-31T23:59:59.999999Z."""


class Period(NamedTuple):
    """From when, inclusive, until when, exclusive; microseconds UTC, None for no bound."""

    start: int | None = None
    end: int | None = None


class NoZone(ValueError):
    """A time says neither its offset nor its zone, and nothing else does."""


def as_typed(text: str) -> str:
    """Return an instant as people type and copy it as RFC 3339 has it; other text as it is.

    >>> as_typed("2021-03-15 09:00 UTC"), as_typed("2021-03-15T09:00+01:00"), as_typed("soon")
    ('2021-03-15T09:00:00Z', '2021-03-15T09:00:00+01:00', 'soon')
    """
    if len(text) == 20 and text[19] == "Z":  # as nearly every feed writes it
        return text
    match = _TYPED.fullmatch(text)
    if match is None:
        return text
    day, minute, second, offset = match.groups()
    return f"{day}T{minute}{second or ':00'}{'Z' if offset == 'UTC' else offset or ''}"


def zone_of(text: str) -> tuple[str, str | None]:
    """Return an instant, and the name of the zone that stands behind it; None for none.

    As answers show them: the zone's own clock, and its name.

    >>> zone_of("2021-03-01 10:00 Europe/Berlin"), zone_of("2021-03-01 10:00 UTC")
    (('2021-03-01 10:00', 'Europe/Berlin'), ('2021-03-01 10:00 UTC', None))
    """
    if len(text) == 20 and text[19] == "Z":  # as nearly every feed writes it
        return text, None
    match = _ZONED.fullmatch(text)
    return (text, None) if match is None or match[2] == "UTC" else (match[1], match[2])


def instant_of(time: datetime, zone: tzinfo | None) -> int:
    """Return a datetime as microseconds UTC; one without a zone is on the clock of `zone`.

    Raises NoZone where there is none, ValueError outside the years 1 to 9999 of UTC.
    """
    if time.tzinfo is None and zone is None:
        raise NoZone(f"'{time}' {_WITHOUT}")
    # fold=0 is what spec section 3 asks for, in a gap and in an overlap.
    since = (time if time.tzinfo is not None else time.replace(tzinfo=zone)) - _EPOCH_UTC
    instant = (since.days * 86_400 + since.seconds) * SECOND + since.microseconds
    if not MIN_INSTANT <= instant <= MAX_INSTANT:
        raise ValueError(f"'{time}' lies outside the years 1 to 9999 of UTC")
    return instant


def parse_instant(text: str, *, zone: tzinfo | None = None) -> int:
    """Read an RFC 3339 instant as microseconds since 1970 (UTC).

    A time without an offset is refused, unless `zone` says whose wall clock it is; a wall-clock
    time that the zone skips is moved forward by the gap, of one that comes twice the first is
    meant (spec section 3). Raises ValueError, with one sentence, for anything else that is not
    RFC 3339, is finer than a microsecond, or lies outside the years 1 to 9999.

    >>> parse_instant("1970-01-01T01:00:00.000001+01:00")
    1
    """
    instant = plain_instant(text)
    return _parse_any(text, zone) if instant is None else instant


def plain_instant(text: str) -> int | None:
    """Read an instant as `format_instant` writes it, whole seconds; None for any other text.

    That is the form nearly every feed sends. Without the regular expression it is a third of the
    time.

    >>> plain_instant("1970-01-01T00:00:01Z"), plain_instant("1970-01-01 00:00:01Z")
    (1000000, None)
    """
    if (
        len(text) == 20
        and text[19] == "Z"
        and text[4] == "-" == text[7]
        and text[10] == "T"
        and text[13] == ":" == text[16]
        and text[11:13] != "24"
    ):
        try:
            since = datetime.fromisoformat(text[:19]) - _EPOCH
        except ValueError:
            return None
        return (since.days * 86_400 + since.seconds) * 1_000_000
    return None


def _parse_any(text: str, zone: tzinfo | None) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(_not_an_instant(text))
    date, hour, rest, fraction, offset = match.groups()
    fraction = (fraction or "").rstrip("0")
    if len(fraction) > 6:
        raise ValueError(f"{text!r} is finer than a microsecond: give at most six decimals")
    if offset is None and zone is None:
        raise NoZone(f"{text!r} {_WITHOUT}")
    try:
        if hour == "24":  # Python 3.13 takes it for the next day, RFC 3339 knows no such hour
            raise ValueError
        wall = datetime.fromisoformat(f"{date}T{hour}:{rest}")
        if offset is None:
            # fold=0 is what spec section 3 asks for, in a gap and in an overlap.
            since = wall.replace(tzinfo=zone) - _EPOCH_UTC
        else:
            since = wall - _EPOCH - _offset(offset)
    except (ValueError, OverflowError):
        raise ValueError(_not_an_instant(text)) from None
    instant = (since.days * 86_400 + since.seconds) * SECOND + int(fraction.ljust(6, "0") or 0)
    if not MIN_INSTANT <= instant <= MAX_INSTANT:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999 of UTC")
    return instant


def _offset(text: str) -> timedelta:
    if text in ("Z", "z"):
        return timedelta()
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if text[0] == "-" else ahead


def _not_an_instant(text: str) -> str:
    match = _RFC3339.fullmatch(text)
    if match is not None:
        year, month, day = match[1].split("-")
        if match[3].endswith(":60"):
            return f"{text!r} is a leap second, which no clock here knows: write second 59"
        if (month, day) == ("02", "29") and year != "0000":
            return f"{text!r} is no day: {year} is no leap year, its February has 28 days"
    return f"{text!r} is not {_ACCEPTED}"


def month_of(text: str) -> tuple[int, int]:
    """Return when a month such as ``2021-03`` begins and when the next one does, in UTC.

    Raises ValueError, one sentence.
    """
    try:
        begin = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        after = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
    except ValueError:
        raise ValueError(f"{text!r} is not a month such as '2021-03'") from None
    return (begin - _EPOCH_UTC).days * DAY, (after - _EPOCH_UTC).days * DAY


def format_instant(instant: int) -> str:
    """Write microseconds since 1970 as RFC 3339 with ``Z``.

    Six decimals only when the microseconds are not zero. Raises LedgerProblem outside the years
    1 to 9999, which a computed instant may leave.

    >>> format_instant(0), format_instant(1)
    ('1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000001Z')
    """
    # A population has many more instants than days: the date is the costly part, and is kept.
    day, rest = divmod(instant, DAY)
    second, fraction = divmod(rest, SECOND)
    minute, second = divmod(second, 60)
    if fraction:
        return f"{_day(day)}{_MINUTES[minute]}{second:02d}.{fraction:06d}Z"
    return _day(day) + _MINUTES[minute] + _SECONDS[second]


_TWO_DIGITS = tuple(f"{number:02d}" for number in range(60))
_MINUTES = tuple(f"{hour}:{minute}:" for hour in _TWO_DIGITS[:24] for minute in _TWO_DIGITS)
_SECONDS = tuple(f"{second}Z" for second in _TWO_DIGITS)


@lru_cache(maxsize=1 << 14)
def _day(day: int) -> str:
    try:
        return (_EPOCH + timedelta(day)).isoformat()[:11]
    except OverflowError:
        raise LedgerProblem(
            "an instant of the answer lies outside the years 1 to 9999, which cannot be written"
        ) from None
