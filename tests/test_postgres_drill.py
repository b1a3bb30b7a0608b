"""The drill of a power cut can fail: with a step of the protocol left out, it does."""

from __future__ import annotations

from postgres import NEWEST

from drills.postgres import LEFT_OUT, cut, expected


def test_events_are_lost_that_nobody_flushed_before_they_were_acknowledged() -> None:
    """And the drill says so."""
    (left,) = (each for each in LEFT_OUT if each.name == "the flush before acknowledging")
    with left.out():
        found = cut("cuts", NEWEST, 30, 1, until_found=True)
    assert not found.sound
    assert any("gone after a cut" in each for each in found.problems)
    assert expected(found).sound
