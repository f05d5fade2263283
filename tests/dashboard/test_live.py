"""Pages that follow what happens by themselves, in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from flask_engage._state import state_of
from flask_engage.errors import NotReady
from flask_engage.store.provider import ProviderRow
from tests.dashboard._town import HOSTILE
from tests.dashboard.test_browser import _failures, _serious

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests._clock import FakeClock
    from tests.dashboard.conftest import Desk

pytestmark = pytest.mark.browser

SLOW = 60_000
"""Milliseconds that something on a busy machine may take."""


def _do(desk: Desk, name: str, times: int = 1, **properties: str | int) -> None:
    """Let somebody do something now."""
    town = desk.town
    with town.app.app_context():
        for _ in range(times):
            assert town.engage.track(name, properties, user=str(town.ids[0]))
        town.engage.flush()


def _rows(page: Page, name: str) -> int:
    return page.locator("[data-rows] tr", has_text=name).count()


def test_what_happens_appears_by_itself_and_moves_nothing_that_one_reads(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 600})
    page = desk.open("/engage/events")
    assert _rows(page, "paid") == 0
    _do(desk, "paid", amount=3)
    page.locator("[data-rows] tr", has_text="paid").first.wait_for(timeout=SLOW)
    expect(page.locator("[data-rows] tr").first.locator("time")).to_have_text("just now")
    expect(page.locator("[role=status][data-said]")).to_have_text("1 new event")
    assert page.evaluate("scrollY") == 0
    # Further down the new ones wait behind a button.
    page.evaluate("scrollTo(0, 400)")
    before = page.locator("[data-rows] tr").nth(15).bounding_box()
    _do(desk, "paid", times=2, amount=4)
    button = page.get_by_role("button", name="2 new events")
    button.wait_for(timeout=SLOW)
    assert _rows(page, "paid") == 1
    assert page.locator("[data-rows] tr").nth(15).bounding_box() == before
    button.click()
    expect(page.locator("[data-rows] tr", has_text="paid")).to_have_count(3)
    page.wait_for_function("scrollY === 0")
    assert _serious(page) == []
    assert _failures(desk) == []


def test_an_opened_row_stays_open_and_focus_stays_where_it_is(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/events")
    summary = page.locator("[data-rows] summary").first
    summary.focus()
    page.keyboard.press("Enter")
    page.locator("[data-rows] details[open]").wait_for()
    opened = page.locator("[data-rows] details[open]").bounding_box()
    _do(desk, "paid")
    page.get_by_role("button", name="1 new event").wait_for(timeout=SLOW)
    assert page.locator("[data-rows] details[open]").bounding_box() == opened
    assert summary.evaluate("e => e === document.activeElement")


def test_a_paused_page_asks_for_nothing(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/events")
    asked: list[str] = []
    page.get_by_role("button", name="Pause").click()
    page.on("request", lambda request: asked.append(request.url))
    _do(desk, "paid")
    page.wait_for_timeout(4000)  # more than one look
    assert asked == []
    expect(page.locator("[data-state]")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    page.locator("[data-rows] tr", has_text="paid").wait_for(timeout=SLOW)


def test_the_list_stays_while_the_database_is_away(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/events")
    count = page.locator("[data-rows] tr").count()

    def require() -> None:
        raise NotReady("The database is away.")

    with monkeypatch.context() as patch:
        patch.setattr(type(state_of(desk.town.app).ready), "require", lambda self: require())
        page.get_by_text("The database does not answer").wait_for(timeout=SLOW)
        expect(page.locator("[data-state]")).to_have_text("not reached")
        assert page.locator("[data-rows] tr").count() == count
    page.get_by_text("The database does not answer").wait_for(state="hidden", timeout=SLOW)
    expect(page.locator("[data-state]")).to_have_text("live")


def test_a_long_refresh_shows_its_progress_by_itself(
    make_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    desk = make_desk(viewport={"width": 390, "height": 800})

    @desk.town.engage.attribute("letters")
    def letters(user: object) -> int:
        return 3

    _run(desk, clock, done=20)
    page = desk.open("/engage/data")
    bar = page.get_by_role("progressbar", name="Progress of letters")
    expect(bar).to_have_js_property("value", 0.2)
    _run(desk, clock, done=60)
    page.get_by_text("60 of 100").wait_for(timeout=SLOW)
    expect(bar).to_have_js_property("value", 0.6)
    assert _serious(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    _run(desk, clock, done=100, is_over=True)
    page.get_by_text("up to date").wait_for(timeout=SLOW)
    expect(bar).to_have_count(0)
    assert _failures(desk) == []


def _run(desk: Desk, clock: FakeClock, done: int, *, is_over: bool = False) -> None:
    """Write down how far a run of the provider is, as the process at work does."""
    now = clock.now
    with state_of(desk.town.app).ready.require().write() as session:
        session.merge(
            ProviderRow(
                name="letters",
                started_at=now - timedelta(seconds=30),
                heard_at=now,
                finished_at=now if is_over else None,
                succeeded_at=now if is_over else None,
                held_until=None if is_over else now + timedelta(minutes=1),
                seconds=30.0,
                done=done,
                total=100,
                changed=0,
                failed=0,
            )
        )


def test_the_tail_is_filtered_and_hostile_words_are_only_words(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900}, java_script_enabled=False)
    page = desk.open("/engage/events")
    page.get_by_label("Event", exact=True).fill("exported")
    page.get_by_label("Property").fill(f"kind = {HOSTILE}")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("[data-rows] tr")).to_have_count(8)
    expect(page.locator(".held .is").nth(1)).to_contain_text(HOSTILE)
    page.get_by_label("Person: name").fill("Zo")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("main")).to_contain_text("Nothing like this has happened")
    page.get_by_role("link", name="the person").click()
    expect(page.locator("[data-rows] tr")).to_have_count(8)
    # An event of any name has a page of its own.
    page = desk.open("/engage/events")
    page.get_by_role("link", name="'-alert(1)-'").first.click()
    expect(page.locator("h1")).to_have_text("'-alert(1)-'")
    assert _failures(desk) == []
