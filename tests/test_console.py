"""The console: pages through time in a real browser, over a real server and a real ledger."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import PHONE, WIDE, Heard, follow, send, shown
from example_ledger import HISTORY, NOW, facts, ledger_of
from playwright.sync_api import Browser, Page, expect
from serving import COMMAND, ENVIRONMENT, Served, event, example, served

from attempt_ledger.console.address import Address
from attempt_ledger.console.app import PAGES
from attempt_ledger.console.sheet import sheet_of
from attempt_ledger.console.visits import POLICY
from ledger.cloudevents import parse_line
from projections.fold.facts import LAST, NEVER
from projections.reports.registry import REPORTS
from replay.snapshot import Known, snapshot_at
from replay.stretches import stretches_of

HERE = Path(__file__).resolve().parent
BACK = "as_of=2022-03-12&known_at=2022-03-12"
ASKED = {
    "/search": "q=C-10",
    "/candidate": "id=C-1004",
    "/event": "source=urn:onvue&id=R-10042/attempted",
    "/exam": "code=AZ-104",
    "/exception": "candidate=C-1006&exam=DP-203&request_id=X-3001",
    "/exception/new": "candidate=C-1004&exam=MS-900",
    "/report": "name=volumes&month=2022-03",
    "/policy": "id=general",
    "/audit/query": "name=events&exam=MS-900",
    "/diff": "candidate=C-1004",
}
"""What a page needs besides its path."""
ADDRESSES = [f"{page.path}?{ASKED.get(page.path, '')}" for page in PAGES]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the same where there are tokens."""
    path = tmp_path_factory.mktemp("guarded") / "attempts.ledger"
    for words in (["init", "--bare"], ["import", "--keep-recorded-at", str(HISTORY)]):
        subprocess.run(
            [COMMAND, "--ledger", str(path), *words], check=True, capture_output=True,
            env=ENVIRONMENT,
        )  # fmt: skip
    with served(path, "--rate", "0") as it:
        it.token("officer", "support")
        yield it


# -- every page


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_is_there_at_any_moment_with_one_policy_of_content(
    server: Served, address: str
) -> None:
    """Now and looking back; it names no other host, and no script or style stands in it."""
    for at in (address, f"{address}&{BACK}&zone=Europe/Berlin"):
        answer = server.client.get(at)
        assert answer.status_code in (200, 404), answer.text
        assert answer.headers["content-security-policy"] == POLICY
        assert len(answer.content) <= 150_000
        assert "<title>" in answer.text
        ours = re.sub(r"<td[^>]*>\{.*?</td>", "", answer.text)  # all but what was recorded
        assert "`" not in ours, "what a terminal has between backticks is code on a page"
        assert not re.search(
            r"<script(?! src=\"/static/)|<style| style=|https?://(?!www\.w3)", answer.text
        )


def test_the_page_says_what_the_answer_says(server: Served) -> None:
    """For every candidate of the example's stories: the same status, and the same date."""
    found = 0
    for n in range(1001, 1016):
        for at in ({}, {"as_of": "2022-03-12", "known_at": "2022-03-12"}):
            answers = server.get("/v1/standing", candidate=f"C-{n}", **at).json()
            page = server.client.get("/candidate", params={"id": f"C-{n}", **at}).text
            assert re.findall(r'<span class="chip ([a-z-]+)">', page).count("eligible") == sum(
                each["status"] == "eligible" for each in answers
            )
            for each in answers:
                assert f'<span class="chip {each["status"]}">{each["status"]}</span>' in page
                for reason in each["reasons"]:
                    assert _escaped(reason["text"]) in page
                    found += 1
    assert found > 5
    page = server.client.get("/candidate", params={"id": "C-1004"}).text
    assert "R-10042: failed, corrected on 2022-03-17 by exam-desk: passed" in page
    assert "m365-fundamentals: earned 2022-03-18 02:00 UTC, does not expire" in page


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("'", "&#39;").replace('"', "&#34;")


def test_ten_thousand_events_of_one_candidate_make_no_page_large(tmp_path: Path) -> None:
    """At any moment: where little was known yet, and where hundreds of events are the reason."""
    first = datetime(2015, 1, 1, tzinfo=UTC)
    batch = [
        event(n, subject="S", time=f"{first + timedelta(hours=9 * n):%Y-%m-%dT%H:%M:%SZ}")
        for n in range(10_000)
    ]
    headers = {"content-type": "application/cloudevents-batch+json"}
    with served(example(tmp_path)) as it:
        it.ask("POST", "/v1/events", by="recorder", json=batch, headers=headers)
        cookie = it.client.post("/log-in", data={"token": it.token("support")}).headers[
            "set-cookie"
        ]
        known = {"cookie": cookie.partition(";")[0]}
        for at in ("", "&as_of=2018-01-01", "&known_at=@1000", "&page=200", "&day=2019-05-01"):
            page = it.client.get(f"/candidate?id=S{at}", headers=known)
            assert page.status_code == 200, page.text
            assert "10,000" in page.text
            assert len(page.content) <= 150_000, at


def test_what_cannot_be_shown_is_a_page_with_a_sentence(server: Served) -> None:
    """A moment that is none, a zone that is none, a position not reached, a report that is not."""
    for address, status, words in (
        ("/candidate?id=C-1&as_of=soon", 400, "no instant and no date"),
        ("/candidate?id=C-1&zone=Nowhere", 400, "no time zone"),
        ("/candidate?id=C-1&known_at=@99999", 400, "not reached yet"),
        ("/candidate?id=C-1&page=minus", 200, "C-1"),
        ("/report?name=nothing", 404, "no report"),
        ("/audit/query?name=nothing", 404, "no audit"),
        ("/exception?candidate=C-1&request_id=X", 404, "no such request"),
        ("/policy?id=nothing", 404, "nothing"),
        ("/candidate?candidate=C-1", 404, "Type how the id of a candidate"),
        ("/report?name=volumes&exam=AZ-1O4", 400, "nothing is known of an exam"),
        ("/report?name=blocked&month=2021-04", 400, "blocked is about one moment"),
        ("/report?name=volumes&month=2021-04&to=2021-05-01", 400, "month is short for from"),
        ("/report?name=volumes&published=1&known_at=@9", 400, "exclude each other"),
        ("/report?name=expiring&exam=AZ-104", 400, "expiring is of no single exam"),
        ("/report?name=volumes&from=2021-05-01&to=2021-04-01", 400, 'value="2021-05-01"'),
        ("/audit/query?name=events&recorded_from=soon", 400, 'value="soon"'),
    ):
        answer = server.client.get(address)
        assert (answer.status_code, words in answer.text) == (status, True), address
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("as_of", ["0001-01-01", "9999-12-31T23:59:59.999999Z"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_time_has_two_ends_on_every_clock(server: Served, as_of: str, zone: str) -> None:
    """The steps, the pictures and the fields of a page stay between them."""
    for address in ("/candidate?id=C-1004", "/exams?", "/exam?code=AZ-104", "/violations?"):
        answer = server.client.get(f"{address}&as_of={as_of}&zone={zone}")
        if answer.status_code == 400:  # on that clock it is earlier
            assert "lies outside the years 1 to 9999" in answer.text
        else:
            assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", REPORTS)
def test_every_number_of_a_report_obeys_its_filters(server: Served, name: str) -> None:
    """The rows and the sentence of the picture are those of the API, for each choice."""
    found = 0
    for choice in (
        {"month": "2022-03"}, {"from": "2021-03-01", "to": "2021-06-01"}, {"exam": "AZ-104"},
        {"month": "2022-03", "published": "1"}, {"as_of": "2022-06-01", "known_at": "@700"},
        {"month": "2022-03", "published": "1", "as_of": "2022-06-01"},
    ):  # fmt: skip
        asked = {"as_published" if key == "published" else key: choice[key] for key in choice}
        answer = server.get(f"/v1/reports/{name}", **asked)
        page = server.client.get("/report", params={"name": name, **choice})
        assert page.status_code == answer.status_code
        if answer.status_code == 400:
            continue
        rows = answer.text.count("\n") - 1
        shown = re.findall(r"([\d,]+) rows?\b", page.text)
        assert [int(each.replace(",", "")) for each in shown[-1:]] == ([rows] if rows else [])
        picture = server.client.get("/report.svg", params={"name": name, **choice}).text
        line = re.findall(r'<p class="answer">(.*?)</p>', page.text)[0]
        assert line.partition(";")[0][:60] in picture
        found += 1
    assert found >= 1


def test_an_address_without_a_page_is_a_page_to_a_browser(server: Served) -> None:
    """And a problem to a program, and below the API."""
    page = server.client.get("/nowhere", headers={"accept": "text/html"})
    assert (page.status_code, "There is no page at this address" in page.text) == (404, True)
    server.problem(server.client.get("/nowhere"), 404, "unknown")
    below = server.client.get("/v1/nowhere", headers={"accept": "text/html"})
    server.problem(below, 404, "unknown")


# -- in the browser


def test_pages_have_no_barrier_that_axe_finds_in_light_and_dark(
    server: Served, browser: Browser
) -> None:
    """WCAG 2.2 AA, as far as a program can tell."""
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport=WIDE, color_scheme=scheme, bypass_csp=True)
        context.set_default_timeout(30_000)
        page = context.new_page()
        for address in ADDRESSES:
            page.goto(f"{server.address}{address}")
            found = Axe().run(
                page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
            )
            assert found.violations_count == 0, f"{address} {scheme}: {found.generate_report()}"
        context.close()


def test_pages_fit_a_phone(server: Served, browser: Browser) -> None:
    """Nothing is wider than the screen, but what scrolls in a frame of its own."""
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    for address in ADDRESSES:
        page.goto(f"{server.address}{address}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address
    for name in REPORTS:  # with their pictures
        page.goto(f"{server.address}/report?name={name}")
        assert page.evaluate("document.querySelector('.chart img').naturalWidth") > 0
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
    context.close()


def test_both_sliders_travel_by_key_and_by_mouse(server: Served, heard: Heard) -> None:
    """The address follows, the answer follows, Back goes back, and a link shows the same page."""
    page = heard.page
    page.goto(f"{server.address}/candidate?id=C-1004")
    assert "Passed" in page.inner_text(".answer")
    slider = page.locator("#known_at-slider")
    last = slider.get_attribute("aria-valuetext") or ""
    for _ in range(2):
        follow(page)
        slider.press("ArrowLeft")
        shown(page)
    assert "known_at=%40" in page.url
    text = slider.get_attribute("aria-valuetext") or ""
    assert text != last
    assert text.startswith("@")
    assert "pending" in page.inner_text(".answer")
    assert "You are looking back" in page.inner_text("#hint")
    assert "passed" in page.inner_text("#hint")
    link = page.url
    box = page.locator("#as_of-slider").bounding_box()
    assert box is not None
    follow(page)
    page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2)
    shown(page)
    assert "as_of=2022-03-07T" in page.url
    page.go_back()
    page.wait_for_url(link)
    page.goto(link)
    assert "pending" in page.inner_text(".answer")


DRAG = """(values) => {
  const slider = document.getElementById("known_at-slider");
  for (const value of values) {
    slider.value = value;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
  }
  slider.dispatchEvent(new Event("change", {bubbles: true}));
}"""


def test_a_drag_is_one_page_of_the_history_and_asks_for_one_page_at_a_time(
    server: Served, heard: Heard
) -> None:
    """Steps that were passed meanwhile are not asked for; Back goes to where the drag began."""
    page = heard.page
    page.goto(f"{server.address}/candidate?id=C-1004")
    begun = page.url
    asked: list[str] = []
    page.on("request", lambda each: "/candidate?" in each.url and asked.append(each.url))
    steps = json.loads(page.get_attribute("#known_at-slider", "data-steps") or "")
    page.evaluate(DRAG, [4, 3, 2, 1])
    page.wait_for_url(f"**known_at={quote(steps[1][0])}")
    assert [each.rpartition("=")[2] for each in asked] == [quote(steps[i][0]) for i in (4, 1)]
    page.go_back()
    page.wait_for_url(begun)
    expect(page.locator(".answer")).to_contain_text("Passed")


def test_keys_move_the_page_and_the_lock_moves_both(server: Served, heard: Heard) -> None:
    """Previous and next change, both axes at once, now, the list of keys, the search."""
    page = heard.page
    page.goto(f"{server.address}/candidate?id=C-1004")
    for key, words in (("[", "as_of="), ("{", "known_at=")):
        follow(page)
        page.keyboard.press(key)
        shown(page)
        assert words in page.url
    follow(page)
    page.keyboard.press("n")
    shown(page)
    assert page.url.endswith("/candidate?id=C-1004")
    follow(page)
    page.keyboard.press("l")
    shown(page)
    follow(page)
    page.keyboard.press("[")
    shown(page)
    assert "as_of=" in page.url
    assert "known_at=20" in page.url
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("C-1004")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?**")
    assert "C-1004" in page.inner_text("main")


def test_a_field_takes_a_date_and_a_position(server: Served, heard: Heard) -> None:
    """And an area of what was known leads to its moment."""
    page = heard.page
    page.goto(f"{server.address}/candidate?id=C-1004&zone=Europe/Berlin")
    for name, text in (("as_of", "2022-03-12"), ("known_at", "@348")):
        follow(page)
        page.fill(f"#{name}", text)
        page.locator(f"#{name}").press("Enter")
        shown(page)
    assert "Wednesday 23 March 2022, 11:00" in page.inner_text(".answer")
    follow(page)
    page.locator(".known a").first.click()
    shown(page)
    assert "known_at=%40" in page.url


def test_a_lost_connection_keeps_what_is_there(server: Served, heard: Heard) -> None:
    """Never blank: the page stays, and says what happened."""
    page = heard.page
    page.goto(f"{server.address}/candidate?id=C-1004")
    page.route("**/candidate?**", lambda route: route.abort())
    page.locator("#known_at-slider").press("ArrowLeft")
    page.locator("#lost", has_text="connection is lost").wait_for()
    assert "connection is lost" in page.inner_text("#lost")
    assert "C-1004" in page.inner_text("h1")
    heard.said.clear()  # the browser itself writes that the request failed


def test_a_form_that_cannot_be_sent_keeps_what_was_typed(guarded: Served, heard: Heard) -> None:
    """While the service, or the ledger behind it, is away; then it is sent as it stands."""
    page = heard.page
    page.goto(f"{guarded.address}/exception/new?candidate=C-1004&exam=MS-900")
    log_in(page, guarded, "officer support")
    page.fill("#f-request_id", "X-9003")
    page.fill("#f-description", "the lab crashed")
    for answer, words in (
        (lambda route: route.abort(), "connection is lost"),
        (lambda route: route.fulfill(status=503), "ledger cannot be used"),
    ):
        page.route("**/readyz", answer)
        page.click('text="Request"')
        page.locator("#lost", has_text=words).wait_for()
        assert page.input_value("#f-description") == "the lab crashed"
        page.unroute("**/readyz")
    send(page, 'text="Request"')
    assert "vue case number is required" in page.inner_text("main")
    assert page.input_value("#f-description") == "the lab crashed"
    heard.said.clear()  # the browser itself writes that the requests failed


def test_an_address_that_cannot_be_shown_is_mended_where_it_is_said(
    server: Served, heard: Heard
) -> None:
    """All that was asked for stands in fields, whatever page it is; a diff names both sides."""
    page = heard.page
    page.goto(f"{server.address}/diff?as_of=2022-01-01&to_as_of=soon&candidate=&zone=Asia/Tokyo")
    assert "no instant and no date" in page.inner_text("main [role=alert]")
    fields = {
        each.get_attribute("name"): each.input_value() for each in page.locator("main input").all()
    }
    assert fields == {
        "as_of": "2022-01-01", "to_as_of": "soon", "candidate": "", "zone": "Asia/Tokyo"
    }  # fmt: skip
    page.fill("main [name=to_as_of]", "2022-02-01")
    with page.expect_navigation():
        page.press("main [name=to_as_of]", "Enter")
    assert "zone=Asia%2FTokyo" in page.url
    assert page.locator("main th").all_inner_texts()[:5] == [
        "candidate", "exam", "from status", "to status", "cause"
    ]  # fmt: skip
    heard.said.clear()  # that a page came with status 400 is written by the browser


def test_pages_work_without_script(server: Served, browser: Browser) -> None:
    """A date is a form, a change is a link."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server.address}/candidate?id=C-1004")
    page.fill("#known_at", "@348")
    page.fill("#as_of", "")
    page.locator("[data-axis=known_at] .go").click()
    assert "known_at=%40348" in page.url
    page.locator("[data-axis=known_at] .go").click()  # the field takes what it shows
    assert "C-1004" in page.inner_text("h1")
    page.locator("[data-axis=known_at] [data-step=before]").click()
    assert "known_at=%40347" in page.url
    context.close()


# -- who may


def log_in(page: Page, server: Served, roles: str) -> None:
    """Log in with a token of some roles."""
    page.fill("#token", server.token(*roles.split()))
    send(page, "main button.main")


def test_the_desk_from_the_request_to_the_grant(
    guarded: Served, heard: Heard, tmp_path: Path
) -> None:
    """What is missing stands beside its field; typed text is kept; the actor is the identity.

    Who read personal fields there stands in one list with who read them at the command line.
    """
    page = heard.page
    page.goto(f"{guarded.address}/exception/new?candidate=C-1004&exam=MS-900")
    assert "/log-in?next=" in page.url
    assert "`" not in page.inner_text("main")
    log_in(page, guarded, "officer support")
    page.wait_for_url("**/exception/new?**")
    page.fill("#f-first_name", "Ada")
    send(page, 'text="Request"')
    assert "request id is required" in page.inner_text("main")
    page.fill("#f-request_id", "X-9001")
    send(page, 'text="Request"')
    assert "vue case number is required" in page.inner_text("main")
    assert page.get_attribute("#f-vue_case_number", "aria-describedby") == "w-vue_case_number"
    assert page.inner_text("#w-vue_case_number") == "vue case number is required"
    assert page.input_value("#f-first_name") == "Ada"
    for name, text in (("last_name", "Byron"), ("email", "ada@example.org"),
                       ("description", "the lab crashed"), ("vue_case_number", "V-1")):  # fmt: skip
        page.fill(f"#f-{name}", text)
    send(page, 'text="Request"')
    page.wait_for_url("**/exception?**")
    assert "open" in page.inner_text("h1")
    assert "Ada" not in page.content()
    send(page, 'text="Show personal fields"')
    assert "Ada" in page.inner_text("main")
    guarded.call("subject-access", "C-1004", "--output", str(tmp_path / "C-1004"))
    console, command = json.loads(guarded.call("audit", "access", "--format", "json"))
    assert console["identity"] == "officer-support"
    assert console["page"] == "console: request X-9001"
    assert command["page"] == "subject-access"
    for access in (console, command):
        assert access["candidate"] == "C-1004"
        assert set(access["fields"]) == {"first_name", "last_name", "email", "description"}
    page.goto(page.url)
    assert "Ada" not in page.content()
    page.uncheck("[name=waives_cap]")
    for until in ("soon", "2020-01-01"):
        page.fill("#until", until)
        send(page, 'text="Grant"')
        assert until in page.inner_text("#w-valid_until")
        assert page.input_value("#until") == until
        assert not page.is_checked("[name=waives_cap]")
    page.fill("#until", "")
    page.uncheck("[name=waives_wait]")
    send(page, 'text="Grant"')
    assert page.inner_text("#w-waives") == "a grant waives something: accepted is wait and cap"
    page.check("[name=waives_wait]")
    send(page, 'text="Grant"')
    page.wait_for_url("**/exception?**")
    assert "granted" in page.inner_text("h1")
    heard.said.clear()  # that a form came back with status 400 is written by the browser
    found = guarded.call("exception", "list", "C-1004", "--format", "json")
    assert '"state":"granted"' in found
    assert '"waives":["wait"]' in found
    events = guarded.get("/v1/history", by="officer support", candidate="C-1004").text
    assert '"actor":"officer-support"' in events


def test_an_erasure_needs_two_people_in_the_browser(guarded: Served, browser: Browser) -> None:
    """Proposed by one, approved by another: `actor` names both; who proposed cannot approve.

    The pages have no barrier and fit a phone, with their forms too.
    """
    people = {}
    for name, roles in (("proposer", "officer admin"), ("approver", "admin support")):
        token = guarded.call(
            "token", "create", name, *(w for role in roles.split() for w in ("--role", role))
        ).strip()
        context = browser.new_context(viewport=PHONE, bypass_csp=True, color_scheme="dark")
        context.set_default_timeout(20_000)
        people[name] = context.new_page()
        people[name].goto(f"{guarded.address}/candidate?id=C-1006")
        people[name].fill("#token", token)
        send(people[name], "main button.main")
    one, other = people["proposer"], people["approver"]
    one.click('text="Propose an erasure"')
    assert one.input_value("#forget-candidate") == "C-1006"
    one.fill("#forget-candidate", "nobody")
    one.fill("#forget-reason", "asked for it")
    send(one, "details[open] button.main")
    assert "No candidate 'nobody'" in one.inner_text("main [role=alert]")
    assert one.input_value("#forget-reason") == "asked for it"
    one.fill("#forget-candidate", "C-1006")
    send(one, "details[open] button.main")
    one.wait_for_url("**/proposals?state=open")
    assert "Somebody else has to approve it" in one.inner_text("main")
    assert one.locator('text="Approve: erase for good"').count() == 0
    for page in (one, other):
        page.goto(f"{guarded.address}/proposals?candidate=C-1006")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()
    send(other, 'text="Approve: erase for good"')
    other.wait_for_url("**/proposals?state=all")
    text = other.inner_text("main")
    for words in ("approved", "proposer", "approver", "recorded as"):
        assert words in text
    events = guarded.get("/v1/history", by="support", candidate="C-1006").text
    assert '"actor":"proposer + approver"' in events
    assert '"type":"CandidateForgotten"' in events
    for page in people.values():
        page.context.close()


def test_a_policy_is_proposed_with_what_it_would_change_and_shown_beside_the_one_before(
    guarded: Served,
) -> None:
    """A bad file is refused with its key; approved, both versions stand side by side."""
    toml = (HERE.parent / "retake_policies" / "data" / "general.toml").read_text()
    new = toml.replace("effective_from = 2021-03-31", "effective_from = 2031-01-01")
    new = new.replace("sittings = 5", "sittings = 4")
    assert new.count("sittings = 4") == 1
    people = []
    for name in ("publisher", "second"):
        token = guarded.call("token", "create", name, "--role", "admin").strip()
        client = httpx.Client(base_url=guarded.address)
        cookie = client.post("/log-in", data={"token": token}).headers["set-cookie"]
        client.headers["cookie"] = cookie.partition(";")[0]
        page = client.get("/proposals").text
        csrf = re.findall(r'name="csrf" value="([^"]+)"', page)[0]
        people.append((client, csrf))
    (one, csrf), (other, their) = people
    form = {"csrf": csrf, "decision": "propose", "kind": "publish"}
    for text, words in ((new.replace("PT24H", "soon"), "wait.after"), ("", "toml is required")):
        wrong = one.post("/proposals", data={**form, "toml": text})
        assert (wrong.status_code, words in wrong.text) == (400, True), wrong.text
    done = one.post("/proposals", data={**form, "toml": new})
    assert done.status_code == 200
    assert "What it would change" in done.text
    page = other.get("/proposals").text
    assert "Publish the policy general <small>in force from 1 January 2031</small>" in page
    (id,) = re.findall(r'name="id" value="([0-9a-f]{16})"', page)
    sent = other.post("/proposals", data={"csrf": their, "decision": "approve", "id": id})
    assert sent.status_code == 303
    sides = one.get(
        "/policy",
        params={"id": "general", "version": "2031-01-01T00:00:00Z", "with": "2021-03-31T00:00:00Z"},
    ).text
    assert "<del>at most 5 sittings" in sides
    assert "<ins>at most 4 sittings" in sides
    for client, _ in people:
        client.close()


def test_a_draft_that_is_pasted_is_tried(server: Served, heard: Heard) -> None:
    """Whose answers differ, as the API says; what is wrong with it, and it stays in its place."""
    page = heard.page
    page.goto(f"{server.address}/policy?id=general&as_of=2022-03-12")
    draft = page.input_value("#toml").replace("P14D", "P30D")
    page.fill("#toml", draft)
    send(page, 'text="Try it"')
    said = server.ask("POST", "/v1/what-if", json={"policies": [draft], "as_of": "2022-03-12"})
    assert said.json()["changed"] > 0
    assert f"Answers that would differ {said.json()['changed']}" in page.inner_text("main")
    page.fill("#toml", draft.replace("PT24H", "soon"))
    send(page, 'text="Try it again"')
    assert "wait.after" in page.inner_text("main [role=alert]")
    assert '"soon"' in page.input_value("#toml")
    page.click("a.now")
    page.wait_for_url("**/policy?id=general")
    heard.said.clear()  # that a page came with status 422 is written by the browser


def test_an_ended_session_keeps_what_was_typed(guarded: Served, heard: Heard) -> None:
    """It is said, the text is shown, and sent once somebody logged in and says so.

    What another site sends is not kept.
    """
    page = heard.page
    page.goto(f"{guarded.address}/exception/new?candidate=C-1004&exam=MS-900")
    log_in(page, guarded, "officer support")
    page.wait_for_url("**/exception/new?**")
    page.fill("#f-request_id", "X-9002")
    page.fill("#f-description", "the lab <b>crashed</b>")
    page.context.clear_cookies()
    send(page, 'text="Request"')
    assert "Your session has ended" in page.inner_text("main [role=alert]")
    page.fill("#token", "atl_mistyped")
    send(page, "main button.main")
    assert "The token is not valid" in page.inner_text("main [role=alert]")
    assert "the lab <b>crashed</b>" in page.inner_text("main")
    log_in(page, guarded, "officer support")
    assert "nothing was sent yet" in page.inner_text("h1")
    send(page, 'text="Send"')
    assert "vue case number is required" in page.inner_text("main")
    assert page.input_value("#f-description") == "the lab <b>crashed</b>"
    heard.said.clear()  # that pages came with status 400 and 401 is written by the browser
    for site in ("cross-site", "same-site", "none"):
        headers = {"sec-fetch-site": site}
        form = {"description": "from elsewhere"}
        answer = guarded.client.post("/exception/new", data=form, headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (
            303, "/log-in?next=%2Fexception%2Fnew",
        )  # fmt: skip


def test_what_one_may_not_decide_is_refused_whatever_is_sent(guarded: Served) -> None:
    """A form that no page shows is refused by the table that the API has."""
    with httpx.Client(base_url=guarded.address) as client:
        cookie = client.post("/log-in", data={"token": guarded.token("auditor")}).headers[
            "set-cookie"
        ]
        headers = {"cookie": cookie.partition(";")[0]}
        page = client.get("/proposals", headers=headers)
        assert page.status_code == 200
        assert "Propose</h2>" not in page.text
        csrf = re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]
        for decision in ("propose", "approve", "withdraw", "nothing"):
            form = {"csrf": csrf, "decision": decision, "kind": "forget", "candidate": "C-1001"}
            assert client.post("/proposals", headers=headers, data=form).status_code == 403
        assert client.post("/proposals", headers=headers, data={"csrf": "x"}).status_code == 403


def test_a_session_ends_with_its_token_and_everywhere(guarded: Served) -> None:
    """A cookie of this host alone; a form needs the session's own word."""
    token = guarded.call("token", "create", "leaver", "--role", "support").strip()
    with httpx.Client(base_url=guarded.address) as client:

        def log_in_again() -> dict[str, str]:
            answer = client.post("/log-in", data={"token": token, "next": "//evil.example/"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-")
            for word in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
                assert word in cookie
            assert "Domain" not in cookie
            return {"cookie": cookie.partition(";")[0]}

        one, other = log_in_again(), log_in_again()
        page = client.get("/", headers=one)
        assert page.status_code == 200
        csrf = re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]
        assert client.post("/log-out", headers=one, data={"csrf": "x"}).status_code == 403
        assert client.post("/log-out", headers=one, data={"everywhere": "1"}).status_code == 403
        assert client.get("/", headers=other).status_code == 200
        sent = client.post("/log-out", headers=one, data={"csrf": csrf, "everywhere": "1"})
        assert sent.status_code == 303
        for headers in (one, other, {"cookie": "__Host-attempt-ledger=guess"}, {}):
            assert client.get("/", headers=headers).status_code == 303
        again = log_in_again()
        assert client.get("/", headers=again).status_code == 200
        guarded.call("token", "revoke", "leaver")
        assert client.get("/", headers=again).status_code == 303
        wrong = client.post("/log-in", data={"token": token})
        assert wrong.status_code == 401
        assert token not in wrong.text


def test_a_proof_is_one_click_away_for_who_logged_in(guarded: Served, heard: Heard) -> None:
    """A browser has a session, and no token: what it is led to is for sessions."""
    page = heard.page
    page.goto(f"{guarded.address}/candidate?id=C-1004")
    log_in(page, guarded, "officer support")
    page.wait_for_url("**/candidate?**")
    assert "/v1/" not in "".join(re.findall(r'href="([^"]*)"', page.content()))
    page.click('main .why >> text="proof"')
    assert page.inner_text("body").startswith("attempt-ledger proof v1")
    asked = {"source": "urn:onvue", "id": "R-10042/attempted"}
    assert guarded.client.get("/proof", params=asked).status_code == 303
    missing = page.goto(f"{guarded.address}/proof?source=urn:onvue&id=nothing")
    assert missing is not None
    assert missing.status == 404
    heard.said.clear()  # which is written by the browser


def test_a_printed_page_tells_its_moment(server: Served, heard: Heard) -> None:
    """Now too: whoever reads it reads it later; and after the page has followed."""
    page = heard.page
    page.goto(f"{server.address}/candidate?id=C-1004")
    assert not page.is_visible(".printed")
    follow(page)
    page.keyboard.press("{")
    shown(page)
    page.emulate_media(media="print")
    known = page.url.partition("known_at=%40")[2]
    assert re.search(rf"As of 20\d\d-.* UTC, known at @{known} · 20", page.inner_text(".printed"))
    assert not page.is_visible("#as_of")
    page.emulate_media(media="screen")


def test_pages_take_of_the_rate_of_their_identity(tmp_path: Path) -> None:
    """Together with the API; who asks too often is told so on a page."""
    with served(example(tmp_path), "--rate", "0.5") as it:
        answers = [it.client.get("/policies") for _ in range(20)]
    assert {each.status_code for each in answers} == {200, 429}
    refused = next(each for each in answers if each.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert "nobody sends more than 0.5 times a second" in refused.text


def test_a_role_sees_its_own_pages_alone(guarded: Served) -> None:
    """By the table that the API has too."""
    with httpx.Client(base_url=guarded.address) as client:
        token = guarded.token("recorder")
        cookie = client.post("/log-in", data={"token": token}).headers["set-cookie"]
        headers = {"cookie": cookie.partition(";")[0]}
        for page in PAGES:
            answer = client.get(page.path, headers=headers)
            assert answer.status_code == 403, page.path
            assert "not for recorder" in answer.text


# -- what is drawn


def test_the_stretches_of_a_picture_are_the_answers_of_the_fold(tmp_path: Path) -> None:
    """Without a gap, and at both ends of each the standing of that instant says the same."""
    found = 0
    with ledger_of(tmp_path / "attempts.ledger", facts()) as ledger:
        for position in (ledger.head().position, 400):
            snapshot = snapshot_at(ledger, NOW, Known(position=position), now=NOW)
            for candidate in [f"C-{n}" for n in range(1001, 1030)]:
                history = snapshot.history(candidate)
                for exam in history.runs:
                    before = None
                    for each in stretches_of(history, snapshot.catalogue, exam, position):
                        assert before in (None, each.valid_from)
                        before = each.valid_to
                        for at in (each.valid_from, min(each.valid_to - 1, LAST)):
                            moment = snapshot.moment._replace(as_of=at)
                            standing = snapshot.at(moment).standing(candidate, exam)
                            says = standing.status, standing.eligible_from
                            assert says == (each.status, each.eligible_from)
                            found += 1
                    assert before in (None, NEVER)
    assert found > 200


def test_hostile_data_in_every_field_runs_nothing(tmp_path: Path, browser: Browser) -> None:
    """Texts of events, policies and requests, and every parameter of an address."""
    path = tmp_path / "attempts.ledger"
    bad = "</script><script>window.canary=1</script><img src=x onerror=window.canary=1>'\"`{{7*7}}"
    code = "X&<b>\"'`{{7*7}}"
    lines = [
        {"type": "ExamAnnounced", "subject": code, "data": {"title": bad, "policy": "general",
         "live_at": "2021-01-01T00:00:00Z"}},
        {"type": "ExamAttempted", "subject": code, "data": {"exam": code, "registration_id": code,
         "delivery": "live"}},
        {"type": "ExamFailed", "subject": code, "data": {"exam": code, "registration_id": code}},
        {"type": "ResultRevoked", "subject": code, "data": {"exam": code, "registration_id": code,
         "reason": bad}},
        {"type": "ExceptionGranted", "subject": code, "data": {"request_id": code, "exam": code,
         "waives": ["wait"]}},
        {"type": "ExceptionRevoked", "subject": code, "data": {"request_id": code, "exam": code,
         "reason": bad}},
    ]  # fmt: skip
    made = [
        json.dumps({"specversion": "1.0", "id": f"{n}{code}", "source": "urn:x",
                    "time": f"2022-03-0{n + 1}T09:00:00Z",
                    "recordedtime": f"2024-01-0{n + 1}T09:00:00Z", **line})
        for n, line in enumerate(lines)
    ]  # fmt: skip
    ledger = ledger_of(path, [*facts()[:12], *(parse_line(line) for line in made)])
    ledger.close()
    context = browser.new_context(viewport=WIDE)
    heard = Heard(context)
    with served(path, "--rate", "0") as server:
        named = urlencode({"id": code, "code": code, "q": code, "candidate": code, "exam": code,
                           "request_id": code, "order": bad, "source": bad})  # fmt: skip
        for page in PAGES:
            heard.page.goto(f"{server.address}{page.path}?{named}&name=volumes")
            assert heard.page.evaluate("window.canary") is None, page.path
            assert "`49" not in heard.page.inner_text("main"), page.path
        heard.page.goto(f"{server.address}/candidate?id={quote(code)}")
        assert heard.page.inner_text("h1").startswith(code)
        assert bad in heard.page.inner_text("main")
    assert [said for said in heard.said if "Failed to load resource" not in said] == []
    context.close()


def test_lengths_of_time_are_shown_as_such() -> None:
    """In their largest unit, to the hundredth of a second where it is pointed at."""
    lengths = pa.table({"early_seconds": [27_874_800.0, -0.5, -7_200.0, None]})
    sheet = sheet_of(lengths, Address("/violations", {}), 1)
    assert [each.name for each in sheet.headings] == ["early"]
    assert [cell.text for (cell,) in sheet.rows] == [
        "322 days", "less than a second", "−2 hours", "",
    ]  # fmt: skip
    assert sheet.rows[0][0].title == "27,874,800.00 seconds"
