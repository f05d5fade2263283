"""The page about one person in Chromium: by mouse, by keys, and without a script."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from flask_engage._state import state_of
from flask_engage.store.enrichment import AvatarRow
from flask_engage.store.person import PersonRow, person_id_of
from tests.dashboard.test_browser import PICTURES, _failures, _serious

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from tests._clock import FakeClock
    from tests.dashboard.conftest import Desk, Town

pytestmark = pytest.mark.browser

STEPS = 130


@pytest.fixture
def long_story(town: Town, clock: FakeClock) -> str:
    """The address of somebody who did 130 things, many of them in the same instant."""
    with town.app.app_context():
        for number in range(STEPS):
            at = clock.now - timedelta(minutes=10 * (number // 40))
            town.engage.track(f"step {number}", user=str(town.ids[5]), at=at)
        town.engage.flush()
    return f"/engage/people/{town.public_id(5)}"


def _steps(page: Page) -> list[str]:
    names = page.locator(".happened-event a.name bdi").all_text_contents()
    return [name for name in names if name.startswith("step ")]


def _to_the_end(page: Page) -> None:
    page.mouse.wheel(0, 100_000)


def test_the_timeline_goes_on_as_one_scrolls(
    long_story: str, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 800})
    page = desk.open(f"{long_story}?kind=event")
    expect(page.locator(".happened")).to_have_count(50)
    page.mouse.move(500, 500)
    for count in (100, STEPS + 1):
        _to_the_end(page)
        expect(page.locator(".happened")).to_have_count(count)
    assert len(set(_steps(page))) == len(_steps(page)) == STEPS
    expect(page.locator("[data-earlier]")).to_have_count(0)
    expect(page.locator("[data-said]")).to_contain_text("This is where it began.")
    days = page.locator("[data-day]").all_text_contents()
    assert len(days) == len(set(days))
    assert _failures(desk) == []


def test_the_timeline_goes_on_by_keys_and_the_focus_goes_with_it(
    long_story: str, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 800})
    # As if nobody had scrolled: only a press may ask for more.
    desk.page.add_init_script(
        "window.IntersectionObserver = class { observe() {} disconnect() {} }"
    )
    page = desk.open(f"{long_story}?kind=event")
    link = page.get_by_role("link", name="Show earlier")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".happened")).to_have_count(100)
    assert page.evaluate(
        "document.activeElement === document.querySelectorAll('[data-entries] > *')[51]"
        " || document.activeElement.closest('[data-entries]') !== null"
    )
    expect(page.locator("[data-said]")).to_have_text("50 earlier entries")
    assert page.url.endswith("kind=event")


def test_where_more_can_not_be_loaded_that_is_told_and_tried_again(
    long_story: str, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 800})
    page = desk.page
    is_away = True

    def answer(route: Route) -> None:
        if is_away:
            route.abort()
        else:
            route.continue_()

    page.route("**/story**", answer)
    desk.open(f"{long_story}?kind=event")
    page.mouse.move(500, 500)
    _to_the_end(page)
    expect(page.get_by_text("could not be loaded")).to_be_visible()
    is_away = False
    page.get_by_role("link", name="Show earlier").click()
    expect(page.locator(".happened")).to_have_count(100)
    expect(page.get_by_text("could not be loaded")).to_be_hidden()


def test_the_whole_page_works_without_a_script(
    long_story: str, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 800}, java_script_enabled=False)
    page = desk.open(f"{long_story}?kind=event")
    seen = _steps(page)
    while page.get_by_role("link", name="Show earlier").count():
        page.get_by_role("link", name="Show earlier").click()
        seen += _steps(page)
    assert len(set(seen)) == len(seen) == STEPS
    page.get_by_role("link", name="Back to the newest").click()
    page.get_by_role("link", name="Change plan").click()
    page.get_by_label("Value").fill("gift")
    page.get_by_role("button", name="Save value").click()
    expect(page.locator(".held-data")).to_contain_text("set by hand")


def test_a_value_is_set_corrected_and_given_up(town: Town, make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open(f"/engage/people/{town.public_id(5)}")
    page.get_by_role("link", name="Set a value").click()
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("seats")
    page.get_by_label("Kind").select_option("Number")
    page.get_by_label("Value").fill("twelve")
    page.get_by_role("button", name="Save value").click()
    expect(page.locator("#f-held-wrong")).to_contain_text("This is no number")
    value = page.get_by_label("Value")
    expect(value).to_be_focused()
    expect(value).to_have_value("twelve")
    expect(page.get_by_label("Name")).to_have_value("seats")
    assert _serious(page) == []
    value.fill("1234")
    page.get_by_role("button", name="Save value").click()
    row = page.locator(".held-data > div", has_text="seats")
    expect(row).to_contain_text("1,234")
    expect(row).to_contain_text("set by hand")
    row.get_by_role("link", name="Change seats").click()
    page.get_by_role("button", name="Give this value up").click()
    expect(page.locator(".toast")).to_contain_text("Given up")
    expect(page.locator(".held-data > div", has_text="seats")).to_have_count(0)
    assert _failures(desk) == []


def test_somebody_is_viewed_exported_and_erased_from_the_menu(
    town: Town, make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    address = f"/engage/people/{town.public_id(5)}"
    page = desk.open(address)
    menu = page.locator("summary", has_text="More")
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="View as JSON").click()
    page.wait_for_url("**/json")
    page.wait_for_load_state("load")
    assert json.loads(page.locator("pre").text_content() or "")["person"]["name"]
    page.go_back()
    menu.click()
    with page.expect_download() as found:
        page.get_by_role("link", name="Export everything").click()
    found.value.save_as(tmp_path / "person.json")
    assert found.value.suggested_filename == f"person-{town.public_id(5)}.json"
    whole = json.loads((tmp_path / "person.json").read_text(encoding="utf-8"))
    assert whole["person"]["email"] == "person5@example.com"
    page.get_by_role("link", name="Erase…").click()
    page.keyboard.type("somebody else")
    page.keyboard.press("Enter")
    expect(page.locator("#f-who-wrong")).to_contain_text("Nothing was erased")
    assert _serious(page) == []
    page.get_by_label("To go on, type").fill("person5@example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="This person is erased").first).to_be_visible()
    page.goto(desk.url + address)
    expect(page.get_by_role("heading", name="There is no such person").first).to_be_visible()


def test_keys_go_on_in_the_list_that_one_came_from(
    town: Town, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people?sort=last_seen")
    names = page.locator("tbody a.person bdi.clip:not(.sub)").all_text_contents()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    heading = page.locator("main h1")
    expect(heading).to_have_text(names[0])
    for key, place in (("j", 1), ("j", 2), ("k", 1)):
        page.wait_for_load_state()  # with it the script that hears the keys
        page.keyboard.press(key)
        expect(heading).to_have_text(names[place])
    page.wait_for_load_state()
    note = page.get_by_placeholder("Add a note for your team")
    note.press_sequentially("jk")  # what is typed goes nowhere
    expect(note).to_have_value("jk")
    expect(heading).to_have_text(names[1])
    page.get_by_role("link", name="Person before in the list").click()
    expect(heading).to_have_text(names[0])
    page.wait_for_load_state()
    page.keyboard.press("k")
    expect(page.get_by_text("This is the first of the list.")).to_be_visible()
    assert _serious(page) == []
    page.locator("main .crumb").click()
    expect(page.locator("tbody a.person")).to_have_count(len(names))
    assert _failures(desk) == []


def test_a_picture_that_fails_leaves_the_initials(
    town: Town, make_desk: Callable[..., Desk]
) -> None:
    with state_of(town.app).ready.require().write() as session:
        person_id = person_id_of(session, str(town.ids[5]))
        assert person_id is not None
        session.add(_no_picture(session.get_one(PersonRow, person_id)))
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open(f"/engage/people/{town.public_id(5)}")
    picture = page.locator(".portrait img")
    expect(picture).to_have_count(1)
    assert picture.evaluate("one => one.complete && one.naturalWidth === 0")
    expect(page.locator(".portrait .face")).to_be_visible()
    assert picture.evaluate("one => one.getBoundingClientRect().width") in (0, 56)


def _no_picture(row: PersonRow) -> Any:
    return AvatarRow(
        person_id=row.id,
        provider="gravatar",
        url="https://pictures.example/1",
        content_type="image/png",
        content=b"no picture",
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_about_a_person_keeps_frame_and_rules_of_access(
    theme: Any, width: int, long_story: str, make_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900}, color_scheme=theme)
    town = desk.town
    with state_of(town.app).ready.require().write() as session:
        nobody = PersonRow(kind="lead", created_at=clock.now, updated_at=clock.now)
        session.add(nobody)
        person_id = person_id_of(session, str(town.ids[7]))
        assert person_id is not None
        gone = session.get_one(PersonRow, person_id)
        gone.gone_at = gone.unsubscribed_at = clock.now
        session.flush()
        nobody_id = nobody.public_id
    opened = re.search(
        rf"/engage/people/{town.public_id(5)}[^\"]*", desk.open("/engage/people").content()
    )
    assert opened
    pages = {
        "story": long_story,
        "listed": html.unescape(opened[0]),
        "edit": f"{long_story}?edit=plan",
        "new-value": f"{long_story}?edit=",
        "erase": f"{long_story}/erase",
        "hostile": f"/engage/people/{town.public_id(3)}",
        "long": f"/engage/people/{town.public_id(4)}",
        "rtl": f"/engage/people/{town.public_id(2)}",
        "gone": f"/engage/people/{town.public_id(7)}",
        "nothing": f"/engage/people/{nobody_id}",
        "no-notes": f"{long_story}?kind=note",
    }
    problems: list[str] = []
    for name, path in pages.items():
        page = desk.open(path)
        for summary in page.locator("main details:not([data-pop]) > summary").all():
            summary.click()
        if PICTURES:
            picture = Path(PICTURES) / f"person-{name}-{width}-{theme}.png"
            page.screenshot(path=picture, full_page=True)
        problems += [f"{name}: {text}" for text in _serious(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{name}: wider than the window")
        if width < 400:
            problems += [f"{name}: small target {one}" for one in page.evaluate(_SMALL)]
        problems += [f"{name}: {text}" for text in _failures(desk)]
        desk.complaints.clear()
    assert not problems, "\n".join(problems)


#: What one presses in the main part and is lower than 36 px. A tag's mark has a larger surface.
_SMALL = """
    [...document.querySelectorAll('main :is(button, summary, .btn, .seg a, select, textarea)')]
    .filter((one) => one.checkVisibility() && !one.closest('.tag'))
    .map((one) => [one, Math.round(one.getBoundingClientRect().height)])
    .filter(([, height]) => height < 36)
    .map(([one, height]) => `${height} px: ${one.className} ${one.textContent.trim().slice(0, 30)}`)
"""
