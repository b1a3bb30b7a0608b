"""Turn a named time zone into a table of offsets, so that calendar days are arithmetic on ints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

BEFORE_ALL: Final = -(1 << 62)

_FIRST = datetime(1900, 1, 1, tzinfo=UTC)
_LAST = datetime(2201, 1, 1, tzinfo=UTC)
# No two changes of an offset since 1900 are closer than Freetown's four days of 1939.
_STEP = timedelta(days=2)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Names that mean another zone on another machine, or that count leap seconds.
_NOT_ONE_ZONE = ("localtime", "posixrules", "posix/", "right/")


@cache
def zone_table(name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tabulate a zone: (instants, offsets), both in microseconds, parallel, never empty.

    From instants[i] (UTC, inclusive) until instants[i + 1] the zone is offsets[i] east of UTC.
    The first instant is BEFORE_ALL. The table agrees with zoneinfo from 1900 to 2200 inclusive;
    earlier the offset of 1900 holds, later the last one. UTC is one entry. Raises ValueError with
    one sentence for a name that zoneinfo does not know.
    """
    zone = load_zone(name)
    if zone is UTC:
        return (BEFORE_ALL,), (0,)
    instants, offsets = [BEFORE_ALL], [_offset(_FIRST, zone)]
    moment = _FIRST
    while moment < _LAST:
        following = moment + _STEP
        offset = _offset(following, zone)
        if offset != offsets[-1]:
            instants.append(_microseconds(_change_between(moment, following, zone)))
            offsets.append(offset)
        moment = following
    return tuple(instants), tuple(offsets)


def load_zone(name: str) -> tzinfo:
    """Return the zone of this name, or raise ValueError with one sentence that names a near one."""
    if name == "UTC":
        return UTC  # always at hand, whatever zone data the machine has
    try:
        if name.startswith(_NOT_ONE_ZONE):
            raise ValueError(name)
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError) as error:
        near = _nearest(name)
        raise ValueError(
            f'"{name}" is no time zone known here; write a name of the IANA list, '
            f'such as "{near or "Europe/Berlin"}"'
        ) from error


def zone_names() -> list[str]:
    """Return the names that a policy may write, as this machine's zone data has them, sorted."""
    known = (zone for zone in available_timezones() if not zone.startswith(_NOT_ONE_ZONE))
    return sorted({"UTC", *known})


def _nearest(name: str) -> str | None:
    known = {zone.lower(): zone for zone in zone_names()}
    last_parts = {zone.rpartition("/")[2]: zone for zone in sorted(known, reverse=True)}
    wanted = name.strip().lower().replace(" ", "_")
    for names in (known, {part: known[zone] for part, zone in last_parts.items()}):
        near = get_close_matches(wanted, names, n=1, cutoff=0.75)
        if near:
            return names[near[0]]
    return None


def _change_between(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Bisect to the first whole second with the offset of `after`."""
    low, high = 0, (after - before) // _SECOND
    old = _offset(before, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(before + middle * _SECOND, zone) == old:
            low = middle
        else:
            high = middle
    return before + high * _SECOND


def _offset(moment: datetime, zone: tzinfo) -> int:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // _MICROSECOND


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
