"""A real browser, and what its pages say: for the tests of the console."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 800}


class Heard:
    """A page, and whatever it said on its console."""

    def __init__(self, context: BrowserContext) -> None:
        context.set_default_timeout(20_000)
        self.page: Page = context.new_page()
        self.said: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))

    def _hear(self, message: ConsoleMessage) -> None:
        if not message.text.startswith("[DOM]"):  # advice to whoever makes the page
            self.said.append(message.text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Open a real browser."""
    with sync_playwright() as play:
        yield play.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )


@pytest.fixture
def heard(browser: Browser) -> Iterator[Heard]:
    """Open a page on a wide screen; it must have said nothing in the end."""
    context = browser.new_context(viewport=WIDE)
    it = Heard(context)
    yield it
    assert it.said == []
    context.close()


def shown(page: Page) -> None:
    """Wait until the page has followed."""
    page.evaluate("window.followed")


def follow(page: Page) -> None:
    """Begin to listen for the page having followed."""
    page.evaluate(
        "void (window.followed = new Promise((done, late) => {"
        " document.addEventListener('shown', done, {once: true}); setTimeout(late, 15000); }))"
    )


def send(page: Page, button: str) -> None:
    """Press a button of a form that changes something, and wait for what is answered."""
    with page.expect_navigation():
        page.click(button)
