"""The dashboard in Chromium: nothing complains, everybody can use it, and it works end to end."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from flask_engage import did, person
from tests.dashboard._town import EVENT

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from tests.dashboard.conftest import Desk

pytestmark = pytest.mark.browser

#: Where to put pictures of every page, for people to look at; none are made without it.
PICTURES = os.environ.get("ENGAGE_TEST_PICTURES")

WHOLE = (
    (person.sessions >= 3)
    & ~did("exported").within(days=10)
    & (did("exported") | person.email.is_set())
)


def _pages(desk: Desk) -> dict[str, str]:
    town = desk.town
    return {
        "overview": "/engage/",
        "people": "/engage/people?c=plan&c=invites sent",
        "people-filtered": f"/engage/people?filter={quote(json.dumps(WHOLE.to_json()))}",
        "people-nobody": "/engage/people?q=nobody is called that",
        "people-bad": "/engage/people?filter=%7B",
        "person-hostile": f"/engage/people/{town.public_id(3)}",
        "person-long": f"/engage/people/{town.public_id(4)}",
        "person-rtl": f"/engage/people/{town.public_id(2)}",
        "person-gone": "/engage/people/nobody",
        "events": "/engage/events",
        "events-filtered": "/engage/events?name=exported&person=person",
        "events-nothing": "/engage/events?name=never&property=kind",
        "catalogue": "/engage/catalogue",
        "event-hostile": f"/engage/event?name={quote(EVENT)}",
        "data": "/engage/data",
        "messages": "/engage/messages",
        "message": "/engage/messages/send:launch-1",
        "compose": f"/engage/messages/new?to={town.public_id(3)}",
        "compose-whom": "/engage/messages/new",
        "rules": "/engage/rules",
        "rule": "/engage/rules/come back",
        "transfers": "/engage/transfers",
        "health": "/engage/health",
    }


def _serious(page: Page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node['any'][:1]}"
        for one in found
        if one["impact"] != "minor"
        for node in one["nodes"]
    ]


def _failures(desk: Desk) -> list[str]:
    """Return what the browser complained of, but for answers that are meant to be errors."""
    return [text for text in desk.complaints if "Failed to load resource" not in text]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_breaks_the_policy_the_frame_or_the_rules_of_access(
    theme: Any, width: int, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900}, color_scheme=theme)
    problems: list[str] = []
    for name, path in _pages(desk).items():
        page = desk.open(path)
        if name == "compose":
            _write(page, "Hello {{ name }}, <script>alert(1)</script>")
            page.locator("iframe").scroll_into_view_if_needed()
        if PICTURES:
            picture = Path(PICTURES) / f"{name}-{width}-{theme}.png"
            page.screenshot(path=picture, full_page=name != "compose")
        problems += [f"{name}: {text}" for text in _serious(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{name}: wider than the window")
        problems += [f"{name}: {text}" for text in _failures(desk)]
        desk.complaints.clear()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_opens_over_the_page_keeps_the_rules_of_access(
    theme: Any, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900}, color_scheme=theme)
    page = desk.open(_pages(desk)["people-filtered"])
    page.locator(".chip summary", has_text="who did not do “exported”").click()
    expect(page.get_by_label("Event").first).to_be_visible()
    problems = _serious(page)
    desk.open(_pages(desk)["compose"])
    _write(page, "Hello")
    page.get_by_role("button", name="Send to 1…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    problems += _serious(page)
    problems += _failures(desk)
    assert not problems, "\n".join(problems)


def test_a_message_is_written_seen_before_and_sent(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    page.get_by_role("checkbox", name="Choose Zoë").check()
    page.get_by_role("checkbox", name="Choose Олена").check()
    page.get_by_role("button", name="Message", exact=True).click()
    expect(page.get_by_text("2 people").first).to_be_visible()
    _write(page, "Hello **{{ name | default('there') }}**", title="New: export")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="New: export")).to_be_visible()
    expect(frame.locator("strong").first).to_have_text(
        re.compile("^(Zoë Müller-Lüdenscheidt|Олена Шевченко)$")
    )
    # The frame's own stylesheet is there, although no cookie goes with it.
    expect(frame.locator(".message")).to_have_css("border-radius", "12px")
    page.get_by_role("button", name="Send to 2…").click()
    page.get_by_role("dialog").get_by_role("button", name="Send to 2").click()
    page.wait_for_url("**/engage/messages/send:**")
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^\s*Sent\."))
    expect(page.locator("a.person")).to_have_count(2)
    assert _failures(desk) == []


def test_what_is_filled_in_before_the_scripts_are_there_counts(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.page
    pages = _pages(desk)
    held: list[Route] = []

    def begin(path: str, label: str, words: str) -> None:
        """Fill a field in while a script is still on its way."""
        with page.expect_request("**/static/early.js"):
            page.goto(desk.url + path, wait_until="commit")
        page.get_by_label(label).first.fill(words)
        held.pop().continue_()

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/static/early.js", hold)
    with page.expect_response("**/engage/messages/preview"):
        begin(pages["compose"], "Text", "Hello **you**")
    expect(page.frame_locator("iframe").locator("strong")).to_have_text("you")
    begin("/engage/people", "Search", "Олена")
    expect(page.locator("tbody a.person")).to_have_count(1)
    assert _failures(desk) == []


def test_a_mistake_is_told_while_it_is_written(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open(_pages(desk)["compose"])
    page.get_by_label("Text").fill("One\n{{ nme }}")
    told = page.locator("#f-body-wrong")
    told.wait_for()
    expect(told).to_contain_text("Line 2")
    page.get_by_label("Text").fill("One\n{{ name }}")
    told.wait_for(state="detached")


def test_a_filter_is_built_by_hand(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    page.locator("summary", has_text="Person").click()
    page.get_by_label("About the person").first.select_option("sessions")
    offered = page.evaluate(
        "[...document.getElementById('add-p-op').options]"
        ".filter(o => !o.parentElement.disabled).map(o => o.value)"
    )
    assert set(offered) == {"eq", "ne", "lt", "le", "gt", "ge", "in", "set", "unset"}
    page.get_by_label("Comparison").first.select_option("is at least")
    page.get_by_label("Value").first.fill("9")
    page.get_by_role("button", name="Apply").first.click()
    page.wait_for_url("**filter=**")
    says = page.locator(".says").first
    expect(says).to_contain_text("whose number of sessions is at least 9")
    page.get_by_role("link", name="Turn into the opposite").first.click()
    expect(says).to_contain_text("is not one that is at least 9")
    page.get_by_role("link", name="Remove: ").first.click()
    expect(page.locator(".says")).to_have_text(re.compile(r"^\s*Everyone"))
    assert _failures(desk) == []


def test_the_list_is_used_by_keys(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("tbody .check:checked")).to_have_count(1)
    page.keyboard.press("k")
    expect(page.locator("a.person").first).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.goto(desk.url + "/engage/people")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).not_to_have_css("box-shadow", "none")


def test_everything_works_without_a_script(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900}, java_script_enabled=False)
    page = desk.open("/engage/people")
    page.locator("summary", has_text="What they did").click()
    page.locator("#add-d-event").fill("exported")
    page.locator("form:has(#add-d-event) button").click()
    expect(page.locator(".says").first).to_contain_text("who did “exported”")
    page.locator("tbody .check").first.check()
    page.locator(".select-bar .btn-main").click()
    page.locator("#f-body").fill("Hello {{ name | default('there') }}")
    page.locator("button[value=preview]").last.click()
    expect(page.frame_locator("iframe").locator(".words")).to_contain_text("Hello")
    page.locator("button[value=review]").click()
    page.locator(".ask button[value=send]").click()
    page.wait_for_url("**/engage/messages/send:**")
    expect(page.locator("a.person")).to_have_count(1)


def test_the_menu_opens_on_a_small_screen(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 390, "height": 800})
    page = desk.open("/engage/")
    rules = page.get_by_role("navigation", name="Dashboard").get_by_role("link", name="Rules")
    expect(rules).to_be_hidden()
    page.locator("summary", has_text="Menu").click()
    rules.click()
    page.wait_for_url("**/engage/rules")
    expect(rules).to_be_hidden()


def test_a_theme_that_was_chosen_stays(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = desk.open("/engage/")
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page = desk.open("/engage/people")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).colorScheme || 'dark'") in (
        "dark",
        "normal",
    )


def test_the_dashboard_mirrors_for_scripts_from_right_to_left(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    for name, path in _pages(desk).items():
        page = desk.open(path)
        page.evaluate("document.documentElement.dir = 'rtl'")
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), (
            f"{name} is wider than the window"
        )
        if PICTURES and name in ("people-filtered", "person-rtl", "compose"):
            page.screenshot(path=Path(PICTURES) / f"{name}-mirrored.png")


def _write(page: Page, body: str, title: str = "") -> None:
    """Fill the form in and wait for the preview."""
    page.get_by_label("Title").fill(title)
    with page.expect_response("**/engage/messages/preview"):
        page.get_by_label("Text").fill(body)
    page.frame_locator("iframe").locator(".words").wait_for()
