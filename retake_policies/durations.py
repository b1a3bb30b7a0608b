"""Read the durations that policies are written in: months, days or time, never a mixture."""

import re
from typing import Final, NamedTuple

TIME: Final = 0
DAYS: Final = 1
MONTHS: Final = 2

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

# A hundred years: longer than any rule, and far from where instants in 64 bits would overflow.
LONGEST_MONTHS: Final = 1_200
LONGEST_DAYS: Final = 36_525

ACCEPTED: Final = 'months ("P12M", "P1Y"), days ("P14D", "P2W") or time ("PT24H")'

_DURATION = re.compile(
    r"P(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)W)?(?:([0-9]+)D)?"
    r"(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)(?:\.([0-9]+))?S)?)?",
)
_LONGEST_TEXT = 64


class Duration(NamedTuple):
    """One length of one kind.

    `unit` is TIME (0: `amount` in microseconds), DAYS (1) or MONTHS (2). Which days these are
    (24 hours, or dates of a zone) is the policy's to say, so kinds are never converted.
    """

    unit: int
    amount: int


def parse_duration(text: str) -> Duration:
    """Read an ISO 8601 duration of one kind.

    `P1Y` and `P12M` are months, `P14D` and `P2W` days, `PT24H`, `PT1H30M` and `PT0S` time
    (seconds may have up to six decimals). Raises ValueError with one sentence that names the
    text and what would be accepted: for a mixture, a negative or fractional amount, anything
    over a hundred years.

    >>> parse_duration("P2W")
    Duration(unit=1, amount=14)
    """
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if match is None or text == "P":
        raise ValueError(_why_unreadable(text))
    years, months, weeks, days, hours, minutes, seconds, fraction = match.groups()
    kinds = [
        name
        for name, parts in (
            ("months", (years, months)),
            ("days", (weeks, days)),
            ("time", (hours, minutes, seconds)),
        )
        if any(part is not None for part in parts)
    ]
    if len(kinds) > 1:
        raise ValueError(f'"{text}" mixes {" and ".join(kinds)}; write one kind: {ACCEPTED}')
    if len((fraction or "").rstrip("0")) > 6:
        raise ValueError(f'"{text}" is finer than a microsecond; write at most six decimals')
    if kinds == ["months"]:
        return _bounded(text, MONTHS, 12 * int(years or 0) + int(months or 0), LONGEST_MONTHS)
    if kinds == ["days"]:
        return _bounded(text, DAYS, 7 * int(weeks or 0) + int(days or 0), LONGEST_DAYS)
    time = HOUR * int(hours or 0) + MINUTE * int(minutes or 0) + SECOND * int(seconds or 0)
    time += int((fraction or "").ljust(6, "0")[:6])
    return _bounded(text, TIME, time, LONGEST_DAYS * DAY)


def format_duration(duration: Duration) -> str:
    """Write a duration so that `parse_duration` reads the same again: `P12M`, `P14D`, `PT24H`.

    >>> format_duration(parse_duration("PT90M"))
    'PT1H30M'
    """
    unit, amount = duration
    if unit == MONTHS:
        return f"P{amount}M"
    if unit == DAYS:
        return f"P{amount}D"
    hours, rest = divmod(amount, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds, fraction = divmod(rest, SECOND)
    text = f"{hours}H" if hours else ""
    text += f"{minutes}M" if minutes else ""
    if fraction:
        text += f"{seconds}.{fraction:06d}".rstrip("0") + "S"
    elif seconds or not text:
        text += f"{seconds}S"
    return f"PT{text}"


def say_duration(duration: Duration) -> str:
    """Return a duration in words for a sentence: `24 hours`, `1 day`, `12 months`, `no time`.

    >>> say_duration(parse_duration("P1Y"))
    '12 months'
    """
    unit, amount = duration
    if amount == 0:
        return "no time"
    if unit != TIME:
        return _count(amount, "month" if unit == MONTHS else "day")
    hours, rest = divmod(amount, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds, fraction = divmod(rest, SECOND)
    words = [_count(n, name) for n, name in ((hours, "hour"), (minutes, "minute")) if n]
    if fraction:
        words.append(f"{seconds}.{fraction:06d}".rstrip("0") + " seconds")
    elif seconds:
        words.append(_count(seconds, "second"))
    return " ".join(words)


def _bounded(text: str, unit: int, amount: int, longest: int) -> Duration:
    if amount > longest:
        raise ValueError(f'"{text}" is longer than a hundred years; write at most "P100Y"')
    return Duration(unit, amount)


def _why_unreadable(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        if re.search(r"-\s*P?T?\s*[0-9]", text, re.IGNORECASE):
            return f'"{text}" is negative; write {ACCEPTED}, zero or more'
        nearly = text.strip().upper()
        if _DURATION.fullmatch(nearly) and nearly not in (text, "P"):
            return f'"{text}" is not quite a duration; write "{nearly}"'
        if re.search(r"[0-9][.,][0-9]", text):
            return f'"{text}" has a fraction; only seconds take one, as in "PT1.5S"'
    return f'"{text}" is not a duration; write {ACCEPTED}'


def _count(amount: int, name: str) -> str:
    return f"{amount} {name}" if amount == 1 else f"{amount} {name}s"
