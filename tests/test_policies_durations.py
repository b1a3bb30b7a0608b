"""Durations: one kind each, exactly."""

from __future__ import annotations

import doctest
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retake_policies.durations
import retake_policies.wording
from retake_policies.durations import (
    DAY,
    DAYS,
    LONGEST_DAYS,
    LONGEST_MONTHS,
    MONTHS,
    TIME,
    Duration,
    format_duration,
    parse_duration,
    say_duration,
)

CASES: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parent / "cases/durations.toml").read_text()
)


@pytest.mark.parametrize("case", CASES["reads"], ids=lambda case: case["text"])
def test_a_duration_is_months_days_or_time(case: dict[str, Any]) -> None:
    """A text means one amount of one kind, and is said in that kind."""
    duration = parse_duration(case["text"])
    assert duration == Duration(case["unit"], case["amount"])
    assert say_duration(duration) == case["says"]


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: repr(case["text"]))
def test_what_is_no_duration_is_refused_by_name(case: dict[str, Any]) -> None:
    """The sentence shows the text and what would be accepted."""
    with pytest.raises(ValueError) as refusal:
        parse_duration(case["text"])
    assert f'"{case["text"]}" {case["words"]}' in str(refusal.value) or (
        case["words"].startswith("write") and case["words"] in str(refusal.value)
    )


@pytest.mark.parametrize("text", ["P" + "1" * 1_000_000 + "D", "-" + " " * 1_000_000])
def test_a_megabyte_is_no_duration(text: str) -> None:
    """However long, a text is refused at once."""
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


durations = st.one_of(
    st.builds(Duration, st.just(TIME), st.integers(0, LONGEST_DAYS * DAY)),
    st.builds(Duration, st.just(DAYS), st.integers(0, LONGEST_DAYS)),
    st.builds(Duration, st.just(MONTHS), st.integers(0, LONGEST_MONTHS)),
)


@settings(deadline=None)
@given(durations)
def test_writing_a_duration_and_reading_it_gives_the_same(duration: Duration) -> None:
    """format_duration and parse_duration are inverse, to the microsecond."""
    assert parse_duration(format_duration(duration)) == duration


@settings(deadline=None)
@given(st.text("PT0123456789YMWDHS.-", max_size=12))
def test_any_text_is_a_duration_or_a_sentence(text: str) -> None:
    """Whatever stands there is read within bounds or refused with ValueError."""
    try:
        unit, amount = parse_duration(text)
    except ValueError:
        return
    assert unit in (TIME, DAYS, MONTHS)
    assert 0 <= amount <= LONGEST_DAYS * DAY


@pytest.mark.parametrize("module", [retake_policies.durations, retake_policies.wording])
def test_the_examples_in_the_docstrings_hold(module: Any) -> None:
    """Each docstring's example gives what it shows."""
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
