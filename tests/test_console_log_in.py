"""Logging in to the console at an OIDC provider, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import PHONE, Heard, send
from oidc_provider import Provider, running
from playwright.sync_api import Browser
from serving import Served, example, served


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """Run a small real provider."""
    with running() as it:
        yield it


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Served]:
    """Serve the example to who logs in there."""
    words = ("--oidc-issuer", provider.url, "--oidc-audience", "ledger")
    with served(
        example(tmp_path_factory.mktemp("log-in")), *words, "--oidc-client", "console"
    ) as it:
        yield it


def test_somebody_logs_in_and_out_everywhere(
    it: Served, provider: Provider, browser: Browser, heard: Heard
) -> None:
    """By PKCE, back to the page that was wanted; two browsers, both ended by one."""
    page = heard.page
    page.goto(f"{it.address}/exceptions?state=open")
    assert "/log-in?next=" in page.url
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()
    page.click("main a.button")
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    assert asked["redirect_uri"] == [f"{it.address}/log-in/callback"]
    page.click("#robin")
    page.wait_for_url("**/exceptions?state=open")
    assert "oidc:robin" in page.inner_text("header")
    assert "client_secret" not in provider.requests[-1]
    names = {each["name"] for each in page.context.cookies()}
    assert names == {"__Host-attempt-ledger"}
    other = browser.new_context(viewport=PHONE)
    second = other.new_page()
    second.goto(f"{it.address}/")
    second.click("main a.button")
    second.click("#robin")
    second.wait_for_url(f"{it.address}/")
    send(page, 'text="everywhere"')
    page.wait_for_url("**/log-in?state=*")
    assert provider.ended[-1]["client_id"] == "console"
    assert provider.ended[-1]["post_logout_redirect_uri"] == f"{it.address}/log-in"
    assert page.context.cookies() == []
    for each in (page, second):
        each.goto(f"{it.address}/exceptions")
        assert "/log-in?next=" in each.url
    other.close()


def test_what_was_typed_waits_for_who_logs_in_there(it: Served, heard: Heard) -> None:
    """In the browser alone: it may be personal. It is sent when somebody says so."""
    page = heard.page
    page.goto(f"{it.address}/exception/new?candidate=C-1004&exam=MS-900")
    page.click("main a.button")
    page.click("#robin")
    page.wait_for_url("**/exception/new?**")
    page.fill("#f-first_name", "Ada")
    page.context.clear_cookies()
    send(page, 'text="Request"')
    assert "Your session has ended" in page.inner_text("main [role=alert]")
    send(page, 'text="I have logged in there"')
    assert "You are not logged in yet" in page.inner_text("main [role=alert]")
    with page.expect_popup() as opened:
        page.click("main a.button")
    opened.value.click("#robin")
    opened.value.wait_for_url(f"{it.address}/exception/new")
    opened.value.close()
    send(page, 'text="I have logged in there"')
    assert "nothing was sent yet" in page.inner_text("h1")
    send(page, 'text="Send"')
    assert "request id is required" in page.inner_text("main")
    assert page.input_value("#f-first_name") == "Ada"
    assert b"Ada" not in it.path.with_name(f"{it.path.name}.tokens").read_bytes()
    heard.said.clear()  # that pages came with status 400 and 401 is written by the browser


def test_somebody_logs_out_here_where_the_provider_cannot_be_logged_out_of(
    tmp_path: Path, provider: Provider, browser: Browser
) -> None:
    """And whoever came with a token of ours has no session there."""
    provider.ends = False
    words = ("--oidc-issuer", provider.url, "--oidc-audience", "ledger")
    with served(example(tmp_path), *words, "--oidc-client", "console") as here:
        token, ended = here.token("support"), len(provider.ended)
        page = browser.new_context().new_page()
        for how in ("provider", "token"):
            page.goto(f"{here.address}/policies")
            if how == "provider":
                page.click("main a.button")
                page.click("#robin")
            else:
                page.fill("#token", token)
                send(page, "main button.main")
            page.wait_for_url("**/policies")
            send(page, 'text="Log out"')
            page.wait_for_url(f"{here.address}/log-in")
        page.context.close()
    provider.ends = True
    assert len(provider.ended) == ended


@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",), ("10.0.0.7",)])
def test_forwarded_headers_are_believed_of_listed_proxies_alone(
    tmp_path: Path, provider: Provider, proxies: tuple[str, ...]
) -> None:
    """The scheme that a browser is sent back to; the host is never another's."""
    words = ("--oidc-issuer", provider.url, "--oidc-audience", "ledger", "--oidc-client", "console")
    named = [word for each in proxies for word in ("--proxy", each)]
    headers = {
        "x-forwarded-proto": "https", "x-forwarded-host": "evil.example",
        "x-forwarded-for": "10.0.0.7", "forwarded": "host=evil.example;proto=https",
    }  # fmt: skip
    with served(example(tmp_path), *words, *named) as here:
        sent = here.ask("GET", "/log-in/provider", headers=headers)
        back = parse_qs(urlsplit(sent.headers["location"]).query)["redirect_uri"][0]
    address = here.address.removeprefix("http://")
    scheme = "https" if proxies == ("127.0.0.1",) else "http"
    assert back == f"{scheme}://{address}/log-in/callback"


def test_roles_are_those_that_the_provider_says(it: Served, browser: Browser) -> None:
    """An admin does not see the audits of an officer alone; a guest sees nothing."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{it.address}/audit")
    page.click("main a.button")
    page.click("#robin")
    page.wait_for_url("**/audit")
    assert "not for officer, support" in page.inner_text("main")
    context.clear_cookies()
    page.goto(f"{it.address}/audit")
    page.click("main a.button")
    page.click("#guest")
    page.wait_for_url("**/log-in/callback?**")
    assert "oidc:guest has no role here" in page.inner_text("main")
    page.goto(f"{it.address}/audit")
    assert "/log-in?next=" in page.url
    context.close()


def come_back(it: Served, provider: Provider) -> tuple[httpx.Client, str]:
    """Begin to log in; return the browser, and the address that the provider sends it back to."""
    client = httpx.Client(base_url=it.address)
    sent = client.get("/log-in/provider", params={"next": "//evil.example"})
    assert sent.status_code == 302
    cookie = sent.headers["set-cookie"]
    for word in ("__Host-attempt-ledger-pending=", "Secure", "HttpOnly", "SameSite=lax"):
        assert word in cookie
    client.headers["cookie"] = cookie.partition(";")[0]
    back = httpx.get(f"{sent.headers['location']}&who=robin").headers["location"]
    assert back.startswith(it.address)
    return client, back


def test_only_the_browser_that_began_comes_back_and_once(it: Served, provider: Provider) -> None:
    """State is bound to the browser: a link made by somebody else logs nobody in."""
    mine, back = come_back(it, provider)
    other, other_back = come_back(it, provider)
    assert httpx.get(back).status_code == 400
    assert other.get(back).status_code == 401
    assert other.get(other_back).status_code == 400  # what it had was used up
    done = mine.get(back)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert mine.get(back).status_code == 400
    for client in (mine, other):
        client.close()


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        ({"nonce": "another"}, {}),
        ({"iss": ["http://127.0.0.1"]}, {}),
        ({"aud": "ledger"}, {}),
        ({"exp": 1}, {}),
        ({"sub": ""}, {}),
        ({}, {"crit": ["b64"], "b64": True}),
    ],
)
def test_an_id_token_is_checked_as_every_token_is(
    it: Served, provider: Provider, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    """Nonce, issuer, audience, end, subject, and a header that asks for more."""
    provider.claims, provider.header = claims, header
    try:
        client, back = come_back(it, provider)
        answer = client.get(back)
    finally:
        provider.claims, provider.header = {}, {}
    assert answer.status_code == 401
    assert "did not log you in" in answer.text
    assert "code=" not in answer.text
    assert not re.search("__Host-attempt-ledger=", answer.headers.get("set-cookie", ""))
    client.close()


def test_what_is_pending_is_no_session(it: Served, provider: Provider) -> None:
    """Its cookie under the session's name opens nothing."""
    client, _ = come_back(it, provider)
    value = client.headers["cookie"].partition("=")[2]
    client.headers["cookie"] = f"__Host-attempt-ledger={value}"
    assert client.get("/").status_code == 303
    client.close()
