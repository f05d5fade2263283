"""Work on many people in Chromium: it goes on by itself, is interrupted, and offered again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from flask_engage.dashboard import people_work
from flask_engage.segments import in_bulk
from tests.dashboard._people_list import bar, problems, tagged

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from tests._hosts import Host
    from tests.dashboard.conftest import Desk, Town

pytestmark = pytest.mark.browser

WIDTHS = pytest.mark.parametrize("width", [1280, 390])
MakeDesk = Callable[..., "Desk"]


def test_long_work_goes_on_by_itself_and_can_be_stopped_and_undone(
    many: Town, make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_work, "_SECONDS", 0.0)
    monkeypatch.setattr(in_bulk, "BATCH", 10)
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    held: list[Route] = []
    page.get_by_role("checkbox", name="Choose all on this page").check()
    page.get_by_role("checkbox", name="All 76 that match").check()
    bar(page).get_by_role("button", name="Tag", exact=True).click()
    page.get_by_role("dialog").get_by_label("Tag").fill("long")

    def hold(route: Route) -> None:
        if "application/json" in route.request.headers.get("accept", "") and len(held) < 1:
            held.append(route)
        else:
            route.continue_()

    page.route("**/people/bulk", hold)
    page.get_by_role("dialog").get_by_role("button", name="Tag").click()
    expect(page.get_by_role("status").filter(has_text="10 of 76 people so far")).to_be_visible()
    assert problems(desk, "work") == []
    expect(page.get_by_role("button", name="Go on")).to_be_hidden()
    assert [text for text in desk.complaints if "Failed to load resource" not in text] == []
    page.get_by_role("link", name="Stop here").click()
    held[0].continue_()
    expect(page.get_by_role("status").filter(has_text="Tagged 20 people")).to_be_visible()
    assert tagged(many, "long") == 20
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").filter(has_text="is off 20 people")).to_be_visible()
    assert tagged(many, "long") == 0


@WIDTHS
def test_work_whose_page_was_closed_is_offered_by_the_list_and_goes_on(
    width: int,
    many: Town,
    make_desk: MakeDesk,
    app_host: Host,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(people_work, "_SECONDS", 0.0)
    monkeypatch.setattr(in_bulk, "BATCH", 10)
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open("/engage/people?sort=name&dir=asc")
    offer = page.locator("[data-unfinished]")
    expect(offer).to_be_hidden()
    page.get_by_role("checkbox", name="Choose all on this page").check()
    page.get_by_role("checkbox", name="All 76 that match").check()
    bar(page).get_by_role("button", name="Tag", exact=True).click()
    page.get_by_role("dialog").get_by_label("Tag").fill("long")
    held: list[Route] = []

    def hold(route: Route) -> None:
        json_wanted = "application/json" in route.request.headers.get("accept", "")
        if json_wanted and len(held) < 2:
            held.append(route)
            if len(held) == 1:
                route.continue_()
        else:
            route.continue_()

    page.route("**/people/bulk", hold)
    page.get_by_role("dialog").get_by_role("button", name="Tag").click()
    expect(page.get_by_role("status").filter(has_text="20 of 76 people so far")).to_be_visible()
    # While it is at work, another window offers nothing.
    other = page.context.new_page()
    other.goto(f"{desk.url}/engage/people")
    expect(other.locator("[data-unfinished]")).to_be_hidden()
    page.close()
    expect(other.locator("[data-unfinished]")).to_be_visible()
    # Nor does the list offer to somebody else what is not theirs.
    app_host.add_user(many.app, "ben@example.com", name="Ben", is_admin=True)
    desk.page = other
    other.reload()
    offer = other.locator("[data-unfinished]")
    expect(offer).to_contain_text("Tagging was interrupted: 20 of 76 people so far.")
    assert problems(desk, f"unfinished-{width}") == []
    offer.get_by_role("button", name="Go on").click()
    expect(other.get_by_role("status").filter(has_text="Tagged 76 people")).to_be_visible()
    assert "sort=name" in other.url
    assert tagged(many, "long") == 76
    expect(offer).to_be_hidden()
    other.reload()
    expect(offer).to_be_hidden()
    assert [text for text in desk.complaints if "Failed to load resource" not in text] == []


def _tag_all_and_hear_nothing(page: Page) -> None:
    """Tag all 76 as `long`; after the first part the app answers no more."""
    page.get_by_role("checkbox", name="Choose all on this page").check()
    page.get_by_role("checkbox", name="All 76 that match").check()
    bar(page).get_by_role("button", name="Tag", exact=True).click()
    page.get_by_role("dialog").get_by_label("Tag").fill("long")

    def fail(route: Route) -> None:
        if "application/json" in route.request.headers.get("accept", ""):
            route.abort()
        else:
            route.continue_()

    page.route("**/people/bulk", fail)
    page.get_by_role("dialog").get_by_role("button", name="Tag").click()
    # What the words alone can't tell: they are visible as well while the sheet that hides them
    # is still on its way. The page's script puts the focus there once it has given up.
    expect(page.get_by_role("button", name="Go on")).to_be_focused()


def test_interrupted_work_is_another_operators_or_old_or_forgotten(
    many: Town, make_desk: MakeDesk, app_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_work, "_SECONDS", 0.0)
    monkeypatch.setattr(in_bulk, "BATCH", 10)
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    _tag_all_and_hear_nothing(page)
    expect(page.get_by_text("The app does not answer.")).to_be_visible()
    kept = "JSON.stringify({...localStorage})"
    assert page.evaluate("JSON.parse(Object.values(localStorage)[0]).action") == "tag"
    page.goto(f"{desk.url}/engage/people")
    offer = page.locator("[data-unfinished]")
    expect(offer, page.evaluate(kept)).to_be_visible()
    ben = app_host.add_user(many.app, "ben@example.com", name="Ben", is_admin=True)
    mine = page.evaluate(kept)
    # Another window goes on with it, and is closed again.
    page.evaluate("localStorage.clear()")
    expect(offer).to_be_hidden()
    page.evaluate("kept => Object.assign(localStorage, JSON.parse(kept))", mine)
    expect(offer).to_be_visible()
    page.context.clear_cookies()
    page.goto(f"{desk.url}/login/{ben}")
    page.goto(f"{desk.url}/engage/people")
    expect(page.locator("tbody a.person").first).to_be_visible()
    expect(offer).to_be_hidden()
    # Put under his name by hand it is offered, and refused.
    owner = offer.get_attribute("data-unfinished")
    page.evaluate(
        "([mine, owner]) => localStorage.setItem(`engage-work-${owner}`,"
        " Object.values(JSON.parse(mine))[0])",
        [mine, owner],
    )
    page.reload()
    offer.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("This form was not made for you")).to_be_visible()
    page.goto(f"{desk.url}/engage/people")
    expect(offer).to_be_hidden()
    assert tagged(many, "long") == 10
    # His own, forgotten; and one that is a day old.
    for said, is_offered in (({"until": 9e15}, True), ({"until": 1}, False)):
        page.evaluate(
            "([owner, more]) => localStorage.setItem(`engage-work-${owner}`, JSON.stringify("
            "{ work: 'w', action: 'tag', fields: [], words: '1 of 2', whom: '', seen: 0, ...more"
            " }))",
            [owner, said],
        )
        page.reload()
        expect(page.locator("tbody a.person").first).to_be_visible()
        if is_offered:
            offer.get_by_role("button", name="Forget").click()
        expect(offer).to_be_hidden()
        assert page.evaluate("o => localStorage.getItem(`engage-work-${o}`)", owner) is None


def test_an_answer_that_does_not_come_is_told_and_gone_on_with(
    many: Town, make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_work, "_SECONDS", 0.0)
    monkeypatch.setattr(in_bulk, "BATCH", 40)
    desk = make_desk(viewport={"width": 390, "height": 900})
    page = desk.open("/engage/people")
    _tag_all_and_hear_nothing(page)
    expect(page.get_by_role("alert").filter(has_text="does not answer")).to_be_visible()
    assert tagged(many, "long") == 40
    page.unroute("**/people/bulk")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("status").filter(has_text="Tagged 76 people")).to_be_visible()
    assert tagged(many, "long") == 76


def test_all_that_match_are_tagged_and_deleted_without_a_script(
    many: Town, make_desk: MakeDesk
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900}, java_script_enabled=False)
    page = desk.open("/engage/people?q=reader")
    page.locator("tbody .check").first.check()
    bar(page).get_by_label("All found").check()
    bar(page).get_by_role("button", name="Tag", exact=True).click()
    page.get_by_label("Tag", exact=True).fill("plain")
    page.get_by_role("main").get_by_role("button", name="Tag").click()
    expect(page.get_by_text("Tagged 60 people “plain”.")).to_be_visible()
    assert tagged(many, "plain") == 60
    page.locator("tbody .check").first.check()
    bar(page).get_by_role("button", name="Delete").click()
    field = page.get_by_label("Type “delete 1”")
    field.fill("delete one")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("Nobody was deleted.")).to_be_visible()
    expect(field).to_have_value("delete one")
    expect(field).to_be_focused()
    field.fill("delete 1")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("Deleted 1 person.")).to_be_visible()
    page.locator("[data-columns] > summary").click()
    page.get_by_role("button", name="Email further to the back").click()
    expect(page.locator("thead")).to_contain_text(re.compile(r"Last seen\s+Email", re.S))
