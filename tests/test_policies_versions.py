"""Which version of a policy is in force, at any day and as known at any position."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.extending import register_jitable

from retake_policies.rules import first_after, in_force, version_in_force

CASES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "cases/policy_versions.toml").read_text()
)["case"]
NO_ANNULMENT = 1 << 62


class Version(NamedTuple):
    """One published version, as the columns hold it."""

    effective_from: int
    time: int
    position: int
    annulled: int


def columns(versions: list[Version]) -> tuple[list[int], list[int], list[int]]:
    """Turn rows into the parallel columns that version_in_force reads."""
    return tuple([version[n] for version in versions] for n in (0, 2, 3))  # type: ignore[return-value]


def microseconds(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_version_in_force(case: dict[str, Any]) -> None:
    """Each case asks the instant before, at and after what it is named for."""
    versions = [
        Version(
            microseconds(row["effective_from"]),
            microseconds(row["time"]),
            row["position"],
            row.get("annulled", NO_ANNULMENT),
        )
        for row in case["versions"]
    ]
    versions.sort()
    for ask in case["asks"]:
        row = version_in_force(
            *columns(versions), 0, len(versions), microseconds(ask["at"]), ask["known"]
        )
        assert (versions[row].position if row >= 0 else 0) == ask["expect"], ask


small = st.integers(0, 4)
some_versions = st.lists(st.builds(Version, small, small, small, st.integers(1, 12)), max_size=7)


def told_in_words(versions: list[Version], lo: int, hi: int, at: int, known: int) -> Version | None:
    """The rule again, as the contract puts it, with sorting instead of a loop."""
    rows = [row for row in versions[lo:hi] if row.position <= known < row.annulled]
    begun = [row for row in rows if row.effective_from <= at]
    if begun:
        return max(begun, key=lambda row: row[:3])
    if not rows:
        return None
    first = min(row.effective_from for row in rows)
    return max((row for row in rows if row.effective_from == first), key=lambda row: row[:3])


@settings(deadline=None)
@given(some_versions, st.data())
def test_the_loop_says_what_the_rule_says(versions: list[Version], data: st.DataObject) -> None:
    """Over any versions and any slice of them; the catalogue sorts them."""
    versions.sort()
    lo = data.draw(st.integers(0, len(versions)))
    hi = data.draw(st.integers(lo, len(versions)))
    at, known = data.draw(st.integers(-1, 5)), data.draw(st.integers(-1, 12))
    row = version_in_force(*columns(versions), lo, hi, at, known)
    expected = told_in_words(versions, lo, hi, at, known)
    if expected is None:
        assert row == -1
    else:
        assert lo <= row < hi
        assert versions[row][:3] == expected[:3]


def test_compiled_it_is_the_same_function() -> None:
    """numba compiles it as it stands, over int64 columns, and answers alike."""
    register_jitable(first_after)
    register_jitable(in_force)
    compiled: Any = numba.njit(version_in_force)
    random = np.random.default_rng(7)
    for _ in range(300):
        size = int(random.integers(0, 8))
        table = random.integers(0, 6, size=(3, size), dtype=np.int64)
        table[0].sort()
        table[2] += 3
        from_, position, annulled = table.tolist()
        for at in range(-1, 7):
            known = int(random.integers(0, 8))
            expected = version_in_force(from_, position, annulled, 0, size, at, known)
            assert compiled(*table, 0, size, at, known) == expected
