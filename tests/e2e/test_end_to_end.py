"""The whole way, in a real browser: she works, an operator finds her and writes, she reads it.

Paperkite runs under gunicorn with two workers, so that no step may rest on one process's memory.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from example_app import demo
from tests.e2e.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SHOTS = os.environ.get("ENGAGE_SHOTS")
FACTS_ARRIVE_SECONDS = 60
"""A fact is in the database within about a second; a busy machine takes longer."""


@pytest.fixture(params=[1280, 390])
def width(request: pytest.FixtureRequest) -> int:
    """How wide the windows are, in CSS pixels."""
    return int(request.param)


@pytest.fixture
def open_page(browser: Browser, paperkite_site: Site, width: int) -> Iterator[Callable[[], Page]]:
    """Opens a browser of its own for somebody; whatever goes wrong in it fails the test."""
    problems: list[str] = []
    contexts = []

    def open_page() -> Page:
        context = browser.new_context(
            base_url=paperkite_site.url, viewport={"width": width, "height": 840}
        )
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: said.type == "error" and problems.append(said.text))
        page.on("response", lambda got: got.status >= 400 and problems.append(got.url))
        page.on("dialog", lambda box: problems.append(f"a box popped up: {box.message}"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
    assert paperkite_site.complaints() == []


def shoot(page: Page, width: int, step: str) -> None:
    """Keep pictures where ``ENGAGE_SHOTS`` names a folder; looking is done by people."""
    if not SHOTS:
        return
    Path(SHOTS).mkdir(parents=True, exist_ok=True)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=f"{SHOTS}/{step}-{width}-{scheme}.png", animations="disabled")


def fits(page: Page) -> bool:
    """Tell whether nothing makes the page wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def log_in(page: Page, account: demo.DemoAccount) -> None:
    page.goto("/login")
    page.get_by_label("Email").fill(account.email)
    page.get_by_label("Password").fill(demo.PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/newsletters/")


def write_newsletter(page: Page, title: str) -> None:
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("button", name="Quote").click()
    page.get_by_label("Text").fill("Say it once, and leave a margin.")
    page.get_by_role("button", name="Save section").click()
    page.get_by_text("Section saved.").wait_for()


def add_condition(page: Page, about: str, fill: Callable[[Page], None]) -> None:
    """Open one of the filter bar's forms, fill it in, apply it."""
    summary = page.locator("details.builder > summary")  # a small window shows only the sentence
    if summary.count() and not page.locator(".adders").is_visible():
        summary.click()
    page.locator(".adders summary", has_text=re.compile(rf"^\s*{about}\s*$")).click()
    fill(page)
    with page.expect_navigation(url="**/engage/people?*"):
        page.locator(".adders details[open]").get_by_role("button", name="Apply").click()


def reload_until(page: Page, holds: Callable[[], bool]) -> None:
    """Load the page again until `holds`; facts take a moment to arrive."""
    deadline = time.monotonic() + FACTS_ARRIVE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, page.locator("main").inner_text()
        page.reload()


def result(page: Page, label: str) -> str:
    """Return the number that a message's page shows under `label`."""
    box = page.locator("dl.sums > div", has=page.locator("dt", has_text=re.compile(f"^{label}$")))
    return box.locator("dd").first.inner_text()


def test_message_goes_from_an_operators_filter_to_her_screen_and_back(
    open_page: Callable[[], Page], width: int
) -> None:
    # She logs in and works.
    member = open_page()
    log_in(member, demo.MEMBER)
    write_newsletter(member, f"Letter at {width}")
    assert fits(member)
    shoot(member, width, "1-she-works")

    # An operator finds her by what she did and where her mail goes.
    operator = open_page()
    log_in(operator, demo.OPERATOR)
    operator.goto("/engage/")
    assert fits(operator)
    shoot(operator, width, "2-overview")
    operator.goto("/engage/people")
    shoot(operator, width, "3-everyone")
    find_her(operator)
    reload_until(operator, operator.get_by_text("1 person").first.is_visible)
    expect(operator.get_by_role("link", name=demo.MEMBER.name)).to_be_visible()
    assert fits(operator)
    shoot(operator, width, "4-found")

    # She is written to, by name.
    operator.get_by_role("link", name="Message 1").click()
    operator.get_by_label("Title").fill("Write with somebody")
    operator.get_by_label("Text", exact=True).fill(
        "Hello {{ name | default('there') }}, **two** pairs of eyes see more than one."
    )
    operator.get_by_label("Button 1").fill("Invite somebody")
    operator.get_by_label("Opens").first.fill("/team/")
    preview = operator.frame_locator("iframe")
    preview.get_by_text(f"Hello {demo.MEMBER.name}, two pairs").wait_for()
    assert fits(operator)
    shoot(operator, width, "5-written")
    operator.get_by_role("button", name="Send to 1").first.click()
    shoot(operator, width, "6-asked")
    operator.get_by_role("dialog").get_by_role("button", name="Send to 1").click()
    operator.wait_for_url("**/engage/messages/send*")
    operator.locator("dl.sums").wait_for()
    assert (result(operator, "For"), result(operator, "Opened")) == ("1", "0")
    shoot(operator, width, "7-sent")

    # It is on her next page, with her name; its button leads where it says.
    member.goto("/newsletters/")
    popup = member.get_by_role("dialog", name="Write with somebody")
    popup.wait_for()
    expect(popup).to_contain_text(f"Hello {demo.MEMBER.name}, two pairs of eyes")
    assert fits(member)
    shoot(member, width, "8-she-reads")
    popup.get_by_text("Invite somebody").click()
    member.wait_for_url("**/team/")
    expect(member.get_by_role("heading", name="Your team")).to_be_visible()

    # The operator sees what came of it; she is not asked again.
    reload_until(operator, lambda: result(operator, "Clicked") == "1")
    assert result(operator, "Opened") == "1"
    expect(operator.get_by_role("link", name=demo.MEMBER.name)).to_be_visible()
    expect(operator.locator("main").get_by_text(f"by {demo.OPERATOR.name}")).to_be_visible()
    shoot(operator, width, "9-read-and-clicked")
    with member.expect_response("**/engage/widget/inbox") as asked:
        member.goto("/newsletters/")
    assert asked.value.json()["message"] is None


def find_her(operator: Page) -> None:
    def made_a_section(page: Page) -> None:
        box = page.locator(".adders details[open]")
        box.get_by_label("Event").fill("created section")
        box.get_by_label("In the last …").fill("1")

    def has_her_address(page: Page) -> None:
        box = page.locator(".adders details[open]")
        box.get_by_label("About the person").select_option("email")
        box.get_by_label("Comparison").select_option(label="is")
        box.get_by_label("Value").fill(demo.MEMBER.email)

    add_condition(operator, "What they did", made_a_section)
    add_condition(operator, "Person", has_her_address)


def test_dashboard_is_not_there_for_a_member(open_page: Callable[[], Page], width: int) -> None:
    member = open_page()
    log_in(member, demo.MEMBER)
    for path in ("/engage/", "/engage/people", "/engage/messages", "/engage/rules"):
        assert member.request.get(path).status == 404
