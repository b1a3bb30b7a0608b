"""The drill of a power cut can fail: with a step of the protocol left out, it does."""

from __future__ import annotations

from postgres import NEWEST

from drills.postgres import LEFT_OUT, cut, expected
from drills.postgres_keys import cut_keys, unflushed


def test_events_are_lost_that_nobody_flushed_before_they_were_acknowledged() -> None:
    """And the drill says so."""
    (left,) = (each for each in LEFT_OUT if each.name == "the flush before acknowledging")
    with left.out():
        found = cut("cuts", NEWEST, 30, 1, until_found=True)
    assert not found.sound
    # Gone when it is looked at, or recorded anew, elsewhere, by a writer that came before that.
    lost = ("gone after a cut", "acknowledged at two positions")
    assert any(each in problem for problem in found.problems for each in lost)
    assert expected(found).sound


def test_a_key_store_is_cut_and_keys_that_nobody_flushed_are_lost() -> None:
    """Nothing is lost as it is, nor does a key come back; without the flush the drill says so."""
    sound = cut_keys("cuts of a key store", NEWEST, 4, 1)
    assert sound.sound, sound.line()
    assert sound.acknowledged
    with unflushed():
        found = cut_keys("cuts", NEWEST, 30, 1, until_found=True, delay_us=30_000)
    assert not found.sound
    assert expected(found).sound
