"""Zone tables: the same offsets as zoneinfo, as integers."""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retake_policies.zones import BEFORE_ALL, load_zone, zone_table

CHANGES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "cases/zone_changes.toml").read_text()
)["change"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ZONES = sorted(
    name for name in available_timezones() if name not in ("localtime", "Factory", "posixrules")
)


def offset_at(name: str, instant: int) -> int:
    """Look up an offset the way the fold does."""
    instants, offsets = zone_table(name)
    return offsets[bisect_right(instants, instant) - 1]


def microseconds(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND


def zoneinfo_offset(name: str, instant: datetime) -> int:
    offset = instant.astimezone(ZoneInfo(name)).utcoffset()
    assert offset is not None
    return offset // MICROSECOND


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change["name"])
def test_an_offset_changes_at_its_instant(change: dict[str, Any]) -> None:
    """The microsecond before a change the old offset holds, at it the new one."""
    at = microseconds(change["at"])
    assert at in zone_table(change["zone"])[0]
    assert offset_at(change["zone"], at - 1) == change["before"] * 1_000_000
    assert offset_at(change["zone"], at) == change["after"] * 1_000_000


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.lists(
        st.datetimes(datetime(1900, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
        min_size=20,
        max_size=60,
    ),
)
def test_a_table_agrees_with_zoneinfo(name: str, moments: list[datetime]) -> None:
    """At any instant of 1900 to 2200, and around each change, of any zone."""
    instants, _ = zone_table(name)
    changes = [EPOCH + instant * MICROSECOND for instant in instants[1:]]
    for moment in (*moments, *changes, *(change - MICROSECOND for change in changes)):
        assert offset_at(name, microseconds(moment)) == zoneinfo_offset(name, moment)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(ZONES))
def test_a_table_is_in_order_and_says_nothing_twice(name: str) -> None:
    """Instants rise from before all time, parallel to offsets that differ from their neighbours."""
    instants, offsets = zone_table(name)
    assert instants[0] == BEFORE_ALL
    assert len(instants) == len(offsets)
    assert list(instants) == sorted(set(instants))
    assert all(before != after for before, after in pairwise(offsets))


def test_utc_is_one_entry() -> None:
    """The default zone costs nothing."""
    assert zone_table("UTC") == ((BEFORE_ALL,), (0,))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("berlin", "Europe/Berlin"),
        ("Europa/Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("utc", "UTC"),
        ("", "Europe/Berlin"),
        ("a\0b", "Europe/Berlin"),
        ("/etc/localtime", "Europe/Berlin"),
        ("right/Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_an_unknown_zone_is_refused_with_a_near_one(name: str, near: str) -> None:
    """A zone that is not on the list is a sentence that shows what to write."""
    with pytest.raises(ValueError) as refusal:
        load_zone(name)
    assert str(refusal.value).startswith(f'"{name}" is no time zone known here')
    assert f'such as "{near}"' in str(refusal.value)
