"""The kinds of value that a policy file holds, each refusing what it is not in its own words."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from retake_policies.durations import (
    DAY,
    DAYS,
    MONTHS,
    TIME,
    Duration,
    format_duration,
    parse_duration,
)
from retake_policies.zones import load_zone

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EARLIEST: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LATEST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND

_KINDS: Final = {
    TIME: ("time", 'time ("PT24H")'),
    DAYS: ("days", 'days ("P14D", "P2W")'),
    MONTHS: ("months", 'months ("P12M", "P1Y")'),
}
_LENGTH: Final = {TIME: 1, DAYS: DAY, MONTHS: 30 * DAY}  # near enough to tell which comes first
_STARTS: Final = 'days of the year ("07-01") or dates ("2022-12-07")'
_PAIR: Final = 'the earliest, then the latest, such as ["P7D", "P10D"]'


def refused(predicate: str) -> PydanticCustomError:
    """Make a validation error whose message is the given predicate, as it stands.

    It follows `key = value` in a sentence: `mixes months and days; write …`.
    """
    return PydanticCustomError("policy", "{predicate}", {"predicate": predicate})


def format_instant(microseconds: int) -> str:
    """Print an instant as `2021-03-31T00:00:00Z`, six decimals only when they are not zero."""
    return (_EPOCH + microseconds * _MICROSECOND).isoformat().replace("+00:00", "Z")


def _instant(value: Any) -> int:
    """Turn a TOML offset date-time into microseconds since 1970-01-01T00:00Z."""
    if isinstance(value, datetime) and value.utcoffset() is not None:
        microseconds = (value - _EPOCH) // _MICROSECOND
        if not _EARLIEST <= microseconds <= _LATEST:
            raise refused("lies outside the years 1 to 9999 in UTC; write an instant within them")
        return microseconds
    if isinstance(value, datetime):
        raise refused(f"has no offset from UTC; write {value.isoformat()}Z if UTC is meant")
    if isinstance(value, date):
        raise refused(f"is a date without a time; write {value.isoformat()}T00:00:00Z")
    if isinstance(value, time):
        raise refused("is a time without a date; write an instant such as 2021-03-31T00:00:00Z")
    if isinstance(value, str):
        raise refused("is a text; write the instant without quotes: 2021-03-31T00:00:00Z")
    raise refused("is no instant; write one such as 2021-03-31T00:00:00Z")


def _duration(*units: int, least: int = 0) -> PlainValidator:
    """Accept duration texts of these kinds, of at least `least` of their unit."""
    accepted = " or ".join(_KINDS[unit][1] for unit in units)

    def read(value: Any) -> Duration:
        if not isinstance(value, str):
            raise refused(f"is not a duration; write {accepted}")
        try:
            duration = parse_duration(value)
        except ValueError as error:
            raise refused(_after_value(error, value)) from None
        if duration.unit not in units:
            raise refused(f"is in {_KINDS[duration.unit][0]}; write {accepted}")
        if duration.amount < least:
            raise refused(f"is no time at all; write {accepted}, {least} or more")
        return duration

    return PlainValidator(read)


def _in_order(values: tuple[Duration, ...]) -> tuple[Duration, ...]:
    if len(values) != 2:
        raise refused(f"is not a pair; write {_PAIR}")
    earliest, latest = (duration.amount * _LENGTH[duration.unit] for duration in values)
    if earliest > latest:
        raise refused(f"is out of order; write {_PAIR}")
    return values


def _each_once(values: tuple[T, ...]) -> tuple[T, ...]:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise refused(f'names "{twice[0]}" twice; write each once')
    return values


def _day_of_year(value: str) -> bool:
    """Return whether a start is a day of the year; raises what is wrong with one that is none."""
    yearly = re.fullmatch(r"[0-9]{2}-[0-9]{2}", value) is not None
    if not yearly and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is None:
        raise refused(f'names "{value}", which is no day; write {_STARTS}')
    if value == "02-29":
        raise refused('names "02-29", which most years have not; write "02-28" or "03-01"')
    try:
        date.fromisoformat(f"2001-{value}" if yearly else value)
    except ValueError:
        raise refused(f'names "{value}", which no calendar has; write {_STARTS}') from None
    return yearly


def _rising(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise refused(f"is empty; write {_STARTS}")
    if len({_day_of_year(value) for value in values}) > 1:
        raise refused(f"mixes days of the year and dates; write {_STARTS}")
    for before, value in pairwise(values):
        if before >= value:
            raise refused(f'has "{value}" after "{before}"; write each once, the earliest first')
    return values


def _name(value: str) -> str:
    if re.fullmatch(r"\w[\w.:-]{0,99}", value) is None:
        raise refused("is not a name; write a letter or digit, then letters, digits or . _ : -")
    return value


def _line(value: str) -> str:
    if not value.isprintable():
        raise refused("holds a line break or control character; write one line of plain text")
    return value


def _zone(value: str) -> str:
    try:
        load_zone(value)
    except ValueError as error:
        raise refused(_after_value(error, value)) from None
    return value


def _after_value(error: ValueError, value: str) -> str:
    """Keep the predicate of a sentence that begins with the value, which ours shows already."""
    return str(error).removeprefix(f'"{value}" ')


_as_text: Final = PlainSerializer(format_duration, return_type=str, when_used="json")

_PERIOD: Final = r"P(?=[0-9])(([0-9]+Y)?([0-9]+M)?|([0-9]+W)?([0-9]+D)?)"
_TIME: Final = r"PT(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+(\.[0-9]{1,6}0*)?S)?"
_NOTHING: Final = {"pattern": r"^P(0+[YMWD])+$"}
_DURATION_SCHEMA: Final = {"type": "string", "pattern": f"^({_PERIOD}|{_TIME})$"}
_ASCII_BUT: Final = r"\x00-,/;-@\[-^`{-\x7f"
"""What of ASCII is no letter, digit, dot, colon, hyphen or underscore."""
# A letter beyond ASCII is one to a name; ECMA's \w, by which editors check, knows no such letter.
_NAME_SCHEMA: Final = {
    "type": "string",
    "pattern": rf"^[^.:\-{_ASCII_BUT}][^{_ASCII_BUT}]{{0,99}}$",
}

Instant = Annotated[
    int,
    PlainValidator(_instant),
    PlainSerializer(format_instant, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+([Zz]|[+-][0-9]{2}:[0-9]{2})$",
        }
    ),
]
Period = Annotated[
    Duration,
    _duration(MONTHS, DAYS, least=1),
    _as_text,
    WithJsonSchema({"type": "string", "pattern": f"^{_PERIOD}$", "not": _NOTHING}),
]
AnyDuration = Annotated[
    Duration, _duration(DAYS, MONTHS, TIME), _as_text, WithJsonSchema(_DURATION_SCHEMA)
]
Name = Annotated[str, AfterValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
Line = Annotated[
    str,
    AfterValidator(_line),
    WithJsonSchema({"type": "string", "pattern": r"^[^\x00-\x1f\x7f]*$"}),
]
Zone = Annotated[str, AfterValidator(_zone)]

# A list of the file is no tuple to a strict model; the items stay strict.
Listed = Annotated[tuple[T, ...], Field(strict=False)]
Distinct = Annotated[
    tuple[T, ...],
    Field(strict=False, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_each_once),
]
_YEARLY: Final = (
    "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    "|02-(0[1-9]|1[0-9]|2[0-8])"
)
Starts = Annotated[
    tuple[str, ...],
    Field(strict=False),
    AfterValidator(_rising),
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "anyOf": [
                {"items": {"type": "string", "pattern": f"^({_YEARLY})$"}},
                {"items": {"type": "string", "format": "date", "pattern": "^[0-9]{4}-"}},
            ],
        }
    ),
]
Pair = Annotated[
    tuple[AnyDuration, ...],
    Field(strict=False),
    AfterValidator(_in_order),
    WithJsonSchema({"type": "array", "items": _DURATION_SCHEMA, "minItems": 2, "maxItems": 2}),
]
