"""The console while the page follows: what leads on from it, the lock, the scale, the clock."""

from __future__ import annotations

import pytest
from browsing import Heard, follow, shown
from serving import Served


def test_all_that_leads_on_leads_from_the_moment_that_is_shown(
    server: Served, heard: Heard
) -> None:
    """The rooms, the search and the clock, after the page has followed."""
    page = heard.page
    page.goto(f"{server.address}/candidate?id=C-1004")
    follow(page)
    page.keyboard.press("{")
    shown(page)
    known = page.url.partition("known_at=")[2]
    assert known.startswith("%40")
    for link in page.locator("header nav a").all():
        assert f"known_at={known}" in (link.get_attribute("href") or "")
    kept = page.locator("header form.search [name=known_at]").get_attribute("value") or ""
    assert kept == known.replace("%40", "@")
    page.select_option("#zone", "Asia/Tokyo")
    page.wait_for_url("**zone=Asia**")
    assert f"known_at={known}" in page.url


def test_another_clock_shows_the_same_moment(server: Served, heard: Heard) -> None:
    """What was typed on one clock would be another moment on the other."""
    page = heard.page
    page.goto(
        f"{server.address}/candidate?id=C-1004&zone=Europe/Berlin&as_of=2022-03-23 10:30"
        "&known_at=@348"
    )
    assert "Must wait" in page.inner_text(".answer")
    page.select_option("#zone", "Asia/Tokyo")
    page.wait_for_url("**zone=Asia**")
    assert "as_of=2022-03-23T09%3A30%3A00Z" in page.url
    assert "known_at=%40348" in page.url
    assert page.input_value("#as_of") == "2022-03-23 18:30"


@pytest.mark.parametrize("address", ["/candidate?id=C-1004", "/exams?", "/report?name=volumes&"])
def test_the_lock_moves_both_to_the_microsecond(server: Served, heard: Heard, address: str) -> None:
    """On pages without sliders too: what was recorded at that instant was known by then."""
    page = heard.page
    page.goto(f"{server.address}{address}")
    follow(page)
    page.keyboard.press("l")
    shown(page)
    assert page.get_attribute("[data-mode=lock]", "aria-pressed") == "true"
    for _ in range(2):
        follow(page)
        page.keyboard.press("{")
        shown(page)
    position = int(page.url.partition("known_at=%40")[2].partition("&")[0])
    (event,) = server.get("/v1/events", after=position - 1, limit=1).text.splitlines()
    recorded = event.partition('"recordedtime":"')[2].partition('"')[0]
    assert "." in recorded or "candidate" not in address
    assert f"as_of={recorded.replace(':', '%3A')}" in page.url


def test_the_lock_and_the_scale_are_in_the_address(server: Served, heard: Heard) -> None:
    """A link shows a colleague the same page; a button does what the key does."""
    page = heard.page
    page.goto(f"{server.address}/candidate?id=C-1004")
    steps = page.get_attribute("#as_of-slider", "max")
    follow(page)
    page.click("[data-mode=scale]")
    shown(page)
    assert page.url.endswith("&scale=1")
    page.goto(page.url)
    assert page.get_attribute("#as_of-slider", "max") == "1000"
    assert page.get_attribute("[data-mode=scale]", "aria-pressed") == "true"
    assert "scale=1" in (page.locator("header nav a").first.get_attribute("href") or "")
    follow(page)
    page.keyboard.press("s")
    shown(page)
    assert page.url.endswith("/candidate?id=C-1004")
    assert page.get_attribute("#as_of-slider", "max") == steps


def test_a_field_that_is_not_understood_says_so_and_keeps_what_was_typed(
    server: Served, heard: Heard
) -> None:
    """One sentence above the page, which stays."""
    page = heard.page
    page.goto(f"{server.address}/candidate?id=C-1004")
    page.fill("#as_of", "tomorrow")
    page.press("#as_of", "Enter")
    page.wait_for_function("() => !document.getElementById('lost').hidden")
    assert page.inner_text("#lost").startswith("as_of: 'tomorrow' is no instant")
    assert page.input_value("#as_of") == "tomorrow"
    assert "C-1004" in page.inner_text("h1")
    heard.said.clear()  # the browser itself writes that the request failed


def test_what_has_the_focus_is_not_behind_the_moment(server: Served, heard: Heard) -> None:
    """Who walks up a page by keyboard sees where he is (WCAG 2.2, 2.4.11)."""
    page = heard.page
    page.set_viewport_size({"width": 1280, "height": 420})
    page.goto(f"{server.address}/candidate?id=C-1004")
    links = page.locator("main a, main summary")
    for i in reversed(range(links.count())):
        links.nth(i).focus()
        box, bar = links.nth(i).bounding_box(), page.locator("#time").bounding_box()
        assert box is not None
        assert bar is not None
        assert box["y"] >= bar["y"] + bar["height"]
