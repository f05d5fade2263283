"""The script in Chromium: what people see, what they can do, what is reported."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.widget.conftest import Desk

pytestmark = pytest.mark.browser

SHOTS = os.environ.get("ENGAGE_SHOTS")
HOSTILE = '"><script>alert(1)</script>'


def message(style: str = "popup", **values: Any) -> dict[str, Any]:
    return {
        "delivery": "d1",
        "style": style,
        "title": "New: export" if style != "banner" else None,
        "html": "<p>Hello 美咲, a full issue now exports in about <strong>six seconds</strong>, "
        'vertical layouts included. <a href="/why">Why</a></p><p>Your issue 48 is ready.</p>',
        "buttons": [{"label": "Try it", "url": "/export"}, {"label": "Later", "url": None}],
        **values,
    }


def card(page: Page) -> Any:
    return page.locator("engage-message .card")


def shoot(page: Page, name: str) -> None:
    """Keep a picture where ``ENGAGE_SHOTS`` names a folder; looking is done by people."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png")


def accessibility_problems(page: Page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {node['html']}"
        for item in found
        for node in item["nodes"]
        if "engage-message" in str(node["target"])
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("style", ["popup", "banner", "note"])
def test_a_message_is_seen_in_full_and_reported_once(
    desk: Desk, open_page: Callable[..., Page], style: str, width: int, scheme: str
) -> None:
    desk.messages = [message(style)]
    page = open_page(viewport={"width": width, "height": 780}, color_scheme=scheme)
    card(page).wait_for()
    desk.wait_for("shown", "opened")
    box = card(page).bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for control in card(page).locator("button, .button").all():
        size = control.bounding_box()
        assert min(size["width"], size["height"]) >= 44
    shoot(page, f"{style}-{scheme}-{width}")
    page.mouse.move(0, 0)
    assert accessibility_problems(page) == []


def test_a_popup_keeps_the_focus_and_gives_it_back_on_escape(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.locator("#host-button").focus()
    desk.messages = [message()]
    page.evaluate("Engage.check()")
    card(page).wait_for()
    dialog = page.get_by_role("dialog", name="New: export")
    assert dialog.get_attribute("aria-modal") == "true"
    inside = "document.querySelector('engage-message').shadowRoot.activeElement?.textContent"
    stops = []
    for key in ["Tab"] * 5 + ["Shift+Tab"] * 3:
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.localName") == "engage-message"
        stops.append(page.evaluate(inside))
    assert stops == ["Why", "Try it", "Later", "", "Why", "", "Later", "Try it"]
    with pytest.raises(Exception, match=r"intercepts pointer events|Timeout"):
        page.locator("#host-button").click(timeout=300)
    page.keyboard.press("Escape")
    card(page).wait_for(state="detached")
    assert page.evaluate("document.activeElement.id") == "host-button"
    desk.wait_for("shown", "dismissed")


def test_the_hosts_shortcuts_do_not_hear_what_is_typed_in_a_popup(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    desk.messages = [message()]
    page = open_page()
    page.evaluate("heard = []; document.addEventListener('keydown', e => heard.push(e.key))")
    card(page).wait_for()
    page.wait_for_function(FOCUSED)
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    card(page).wait_for(state="detached")
    page.keyboard.press("k")
    assert page.evaluate("heard") == ["k"]


@pytest.mark.parametrize("style", ["banner", "note"])
def test_a_banner_and_a_note_leave_page_and_focus_alone(
    desk: Desk, open_page: Callable[..., Page], style: str
) -> None:
    page = open_page()
    top = page.locator("h1").bounding_box()["y"]
    page.locator("#search").focus()
    expect(page.locator("#search")).to_be_focused()
    desk.messages = [message(style)]
    page.evaluate("Engage.check()")
    card(page).wait_for()
    assert page.evaluate("document.activeElement.id") == "search"
    moved = page.locator("h1").bounding_box()["y"] - top
    assert moved == (card(page).bounding_box()["height"] if style == "banner" else 0)
    page.locator("engage-message [role=status]").filter(has_text="six seconds").wait_for(
        state="attached"
    )
    page.locator("#host-button").click()
    page.get_by_role("button", name="Close").click()
    card(page).wait_for(state="detached")
    wait_until(page, lambda: page.locator("h1").bounding_box()["y"] == top)
    desk.wait_for("shown", "dismissed")


@pytest.mark.parametrize("style", ["popup", "banner", "note"])
def test_a_button_leads_on_and_is_reported_before_the_page_is_left(
    desk: Desk, open_page: Callable[..., Page], style: str
) -> None:
    desk.messages = [message(style)]
    page = open_page()
    card(page).wait_for()
    desk.wait_for("shown")
    page.get_by_role("link", name="Try it").click()
    page.wait_for_url("**/export")
    desk.wait_for("shown", "clicked")
    assert {"delivery": "d1", "kind": "clicked", "button": 0} in desk.reports


def test_a_button_without_an_address_closes(desk: Desk, open_page: Callable[..., Page]) -> None:
    desk.messages = [message()]
    page = open_page()
    card(page).wait_for()
    desk.wait_for("shown")
    page.get_by_role("button", name="Later").click()
    card(page).wait_for(state="detached")
    desk.wait_for("shown", "dismissed")
    assert [report["button"] for report in desk.reports if "button" in report] == [1]
    assert page.url == desk.url


def test_a_link_in_the_text_is_reported(desk: Desk, open_page: Callable[..., Page]) -> None:
    desk.messages = [message()]
    page = open_page()
    card(page).wait_for()
    desk.wait_for("shown")
    page.get_by_role("link", name="Why").click()
    page.wait_for_url("**/why")
    desk.wait_for("shown", "clicked")
    assert {"delivery": "d1", "kind": "clicked"} in desk.reports


@pytest.mark.parametrize("style", ["popup", "banner", "note"])
def test_hostile_text_is_text(desk: Desk, open_page: Callable[..., Page], style: str) -> None:
    desk.policy = ""  # nothing but us stands in the way
    desk.messages = [
        message(
            style,
            title=HOSTILE,
            html="<p onclick=alert(1) style='position:fixed'>a<img src=x onerror=alert(1)>"
            "<script>alert(1)</script><svg onload=alert(1)><style>*{display:none}</style></svg>"
            "<iframe srcdoc='<script>alert(1)</script>'></iframe>"
            "<form action=//evil><b>b</b></form>"
            "<a href='java&#x0A;script:alert(1)'>c</a><a href='//evil.example/'>d</a>"
            "<math><mtext><img src onerror=alert(1)></mtext></math><base href=//evil></p>",
            buttons=[
                {"label": HOSTILE, "url": "javascript:alert(1)"},
                {"label": "e", "url": " \tjava\nscript:alert(1)"},
                {"label": "f", "url": "https://good@evil.example/"},
                {"label": "g", "url": "data:text/html,x"},
                {"label": "h", "url": "/\\evil.example"},
            ],
        )
    ]
    page = open_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    card(page).wait_for()
    inside = card(page).evaluate("card => card.outerHTML")
    for word in ("onclick", "onerror", "<svg", "<iframe", "<form", "<script", "style=", "<base"):
        assert word not in inside, word
    assert card(page).locator("a[href]").count() == 0
    assert card(page).locator("button").count() == 6
    assert card(page).locator(".title").text_content() == HOSTILE
    assert card(page).locator(".button").first.text_content() == HOSTILE
    card(page).locator(".button").first.click()
    card(page).wait_for(state="detached")
    assert dialogs == []


@pytest.mark.parametrize(
    "url",
    [
        "/export",
        "export?x=1#y",
        "?tab=2",
        "#part",
        "https://other.example/a",
        "HTTP://other.example",
    ],
)
def test_usual_addresses_are_links(desk: Desk, open_page: Callable[..., Page], url: str) -> None:
    desk.messages = [message(buttons=[{"label": "Go", "url": url}])]
    page = open_page()
    link = page.get_by_role("link", name="Go")
    link.wait_for()
    expected = page.evaluate("url => new URL(url, location.href).href", url)
    assert link.evaluate("link => link.href") == expected


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'",
        "default-src 'self'; require-trusted-types-for 'script'; trusted-types engage",
    ],
)
@pytest.mark.parametrize("style", ["popup", "banner", "note"])
def test_a_strict_policy_of_the_host_is_not_violated(
    desk: Desk, open_page: Callable[..., Page], style: str, policy: str
) -> None:
    desk.policy = policy
    desk.messages = [message(style)]
    page = open_page()
    card(page).wait_for()
    assert card(page).locator("strong", has_text="six seconds").count() == 1
    desk.wait_for("shown")
    page.get_by_role("button", name="Close").click()
    desk.wait_for("shown", "dismissed")


def test_where_parsing_is_forbidden_the_words_remain(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    desk.policy = "default-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
    desk.may_complain = True  # whether it is forbidden is known only by trying
    desk.messages = [message(html="<p>a &lt; b <strong>&amp; c</strong></p>")]
    page = open_page()
    card(page).wait_for()
    assert card(page).locator(".body").text_content().split() == ["a", "<", "b", "&", "c"]
    page.get_by_role("button", name="Close").click()
    assert page.evaluate("typeof Engage.check") == "function"


def test_right_to_left_words_mirror_the_message(desk: Desk, open_page: Callable[..., Page]) -> None:
    desk.messages = [message(title="مرحبا بك", html="<p>رسالة قصيرة</p><p>In English.</p>")]
    page = open_page()
    card(page).wait_for()
    box, cross = card(page).bounding_box(), page.get_by_role("button", name="Close").bounding_box()
    assert cross["x"] < box["x"] + box["width"] / 2
    shoot(page, "popup-rtl")


@pytest.mark.parametrize("style", ["popup", "note"])
def test_a_long_message_scrolls_inside_and_counts_as_opened(
    desk: Desk, open_page: Callable[..., Page], style: str
) -> None:
    desk.messages = [message(style, title="A" * 300, html="<p>Many words. </p>" * 200)]
    page = open_page(viewport={"width": 390, "height": 600})
    card(page).wait_for()
    scroll = page.locator("engage-message .scroll")
    scroll.focus()
    page.keyboard.press("End")
    desk.wait_for("shown", "opened")
    page.get_by_role("link", name="Try it").scroll_into_view_if_needed()
    for part in (card(page), page.get_by_role("button", name="Close")):
        box = part.bounding_box()
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 600
    shoot(page, f"{style}-long-390")
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Close").click()
    card(page).wait_for(state="detached")


def test_a_popup_waits_until_nobody_types(desk: Desk, open_page: Callable[..., Page]) -> None:
    page = with_clock(open_page, desk)
    page.locator("#search").press_sequentially("abc")
    desk.messages = [message()]
    page.evaluate("Engage.check()")
    # Two timers more: one for the next question, one for the message that waits.
    wait_until(page, lambda: page.evaluate("timers") == 3)
    page.clock.run_for(1500)
    page.keyboard.press("d")
    page.clock.run_for(1500)
    assert card(page).count() == 0
    page.clock.run_for(2000)
    card(page).wait_for()
    assert page.locator("#search").input_value() == "abcd"


def test_it_asks_every_half_minute_while_somebody_looks(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    page = with_clock(open_page, desk)
    for _ in range(3):
        pass_time(page, 34_000)
    assert desk.asked == 4
    desk.messages = [message("note")]
    pass_time(page, 34_000)
    card(page).wait_for()
    page.clock.run_for(120_000)
    assert desk.asked == 5  # not while a message is there


@pytest.mark.parametrize("status", [401, 403, 404])
def test_it_stops_where_it_is_not_wanted(
    desk: Desk, open_page: Callable[..., Page], status: int
) -> None:
    desk.status = status
    page = with_clock(open_page, desk)
    page.clock.run_for(600_000)
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.wait_for_timeout(100)
    assert desk.asked == 1


def test_it_asks_less_and_less_of_a_server_in_trouble(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    desk.status = 503
    page = with_clock(open_page, desk)
    for number, pause in enumerate((60_000, 120_000, 240_000), start=1):
        page.clock.run_for(pause - 1000)
        assert desk.asked == number
        pass_time(page, pause // 10 + 2000)


def test_an_anonymous_visitor_costs_one_question(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    desk.anonymous = True
    page = with_clock(open_page, desk)
    page.clock.run_for(600_000)
    assert desk.asked == 1
    page.evaluate("dispatchEvent(new Event('focus'))")
    wait_until(page, lambda: desk.asked == 2)


def test_an_answer_in_one_tab_closes_the_message_in_the_others(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    desk.messages = [message("note")]
    first = open_page()
    second = first.context.new_page()
    second.goto(desk.url)
    for page in (first, second):
        card(page).wait_for()
    second.get_by_role("button", name="Close").click()
    card(first).wait_for(state="detached")
    desk.wait_for("shown", "shown", "dismissed")


def test_a_host_that_swaps_its_body_keeps_the_message(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    desk.messages = [message("note")]
    page = open_page()
    card(page).wait_for()
    page.evaluate("document.body.replaceChildren('swapped')")
    expect(card(page)).to_be_visible()


def test_a_framed_page_of_the_same_host_stays_silent(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    desk.page = desk.page.replace("<main>", "<main><iframe src='/inner'></iframe>", 1)
    desk.messages = [message("note")]
    page = open_page()
    card(page).wait_for()
    page.frame_locator("iframe").locator("h1").wait_for()
    inner = page.frame(url="**/inner")
    assert inner is not None
    inner.wait_for_function("window.Engage && typeof Engage.track === 'function'")
    assert desk.asked == 1  # for no message of its own


def test_a_tag_met_twice_runs_once(desk: Desk, open_page: Callable[..., Page]) -> None:
    desk.page = desk.page.replace("TAG", "TAGTAG")
    desk.messages = [message("note")]
    page = open_page()
    card(page).wait_for()
    assert desk.asked == 1


FOCUSED = "document.activeElement.localName === 'engage-message'"

COUNT_TIMERS = """
window.timers = 0;
const set = window.setTimeout;
window.setTimeout = (...rest) => { window.timers += 1; return set(...rest); };
"""


def with_clock(open_page: Callable[..., Page], desk: Desk) -> Page:
    """Open the page with a clock that only the test moves, and let it ask once."""
    page = open_page()
    wait_until(page, lambda: desk.asked == 1)
    page.clock.install(time="2026-03-02T10:00:00Z")
    page.clock.pause_at("2026-03-02T10:00:01Z")
    page.add_init_script(COUNT_TIMERS)
    desk.asked = 0
    page.goto(desk.url)
    wait_until(page, lambda: desk.asked == 1)
    if desk.status in (200, 503) and not desk.anonymous:
        wait_until(page, lambda: page.evaluate("timers") == 1)
    return page


def pass_time(page: Page, milliseconds: int) -> None:
    """Let time pass in the page, until it has asked and has planned its next question."""
    before = page.evaluate("timers")
    page.clock.run_for(milliseconds)
    wait_until(page, lambda: page.evaluate("timers") > before)


def wait_until(page: Page, condition: Callable[[], bool], seconds: float = 60) -> None:
    for _ in range(int(seconds * 50)):
        if condition():
            return
        page.wait_for_timeout(20)
    assert condition()
