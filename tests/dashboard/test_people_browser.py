"""The list of people in Chromium: by mouse, by keys, on a slow server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from flask_engage import person
from flask_engage._state import state_of
from flask_engage.store.segment_member import SegmentDayRow, SegmentWatchRow
from tests.dashboard._people_list import bar, problems, tagged

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from tests._clock import FakeClock
    from tests.dashboard.conftest import Desk, Town

pytestmark = pytest.mark.browser

WIDTHS = pytest.mark.parametrize("width", [1280, 390])
MakeDesk = Callable[..., "Desk"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@WIDTHS
def test_the_list_in_each_of_its_states_keeps_the_rules_of_access(
    width: int, theme: Any, many: Town, make_desk: MakeDesk
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = desk.open("/engage/people?c=&c=relationship&c=tags&c=last_seen&c=attr:plan")
    page.get_by_role("checkbox", name="Choose all on this page").check()
    expect(bar(page).get_by_text("All 76 that match")).to_be_visible()
    found = problems(desk, "chosen")
    for action in ("Tag", "Export", "Delete"):
        bar(page).get_by_role("button", name=action, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        found += problems(desk, f"ask-{action}")
        page.keyboard.press("Escape")
    page.locator("[data-columns] > summary").click()
    found += problems(desk, "columns")
    page.keyboard.press("Escape")
    page.route("**part=list**", lambda route: route.fulfill(status=503))
    page.locator("#q").fill("nobody")
    expect(page.get_by_role("alert").filter(has_text="could not be loaded")).to_be_visible()
    found += problems(desk, "failed")
    page.unroute("**part=list**")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Nobody has “nobody”")).to_be_visible()
    found += problems(desk, "no-match")
    found += [text for text in desk.complaints if "Failed to load resource" not in text]
    assert not found, "\n".join(found)


def test_the_list_follows_what_is_typed_and_the_way_back_leads_through_it(
    many: Town, make_desk: MakeDesk
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people?c=email&sort=email&dir=asc")
    rows, found = page.locator("tbody tr"), page.locator("[data-found]")
    expect(rows).to_have_count(50)
    page.locator("#q").press_sequentially("reader 01")
    expect(rows).to_have_count(11)
    expect(found).to_have_text("11 people")
    expect(found).to_have_attribute("aria-live", "polite")
    expect(page).to_have_url(re.compile(r"q=reader(\+|%20)01"))
    expect(page.locator("thead th[aria-sort=ascending]")).to_contain_text("Email")
    expect(page.locator("#q")).to_be_focused()
    # A condition that is added now keeps what was searched.
    page.locator("summary", has_text="Person").click()
    page.get_by_label("About the person").first.select_option("email")
    page.get_by_label("Comparison").first.select_option("set")
    page.get_by_role("button", name="Apply").first.click()
    page.wait_for_url("**filter=**")
    expect(rows).to_have_count(11)
    page.go_back()
    expect(page.locator("#q")).to_have_value("reader 01")
    expect(rows).to_have_count(11)
    page.go_back()
    expect(rows).to_have_count(50)
    expect(page.locator("#q")).to_have_value("")
    expect(found).to_have_text("")


def test_a_list_that_takes_long_shows_the_shape_of_what_comes(
    many: Town, make_desk: MakeDesk
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    held: list[Route] = []
    page.route("**part=list**", lambda route: held.append(route))  # noqa: PLW0108  (a method of C has no attributes)
    page.locator("#q").fill("reader 01")
    expect(page.locator(".skeleton")).to_be_visible()
    expect(page.locator("[data-list]")).to_have_attribute("aria-busy", "true")
    expect(page.locator("tbody tr").first).to_be_hidden()
    held[0].continue_()
    expect(page.locator("tbody tr")).to_have_count(11)
    expect(page.locator(".skeleton")).to_have_count(0)
    # An order that has to be made of everybody is on its way as visibly: until its page is there,
    # which here never comes, and no longer once one has gone back.
    page.evaluate("addEventListener('click', (event) => event.preventDefault(), { once: true })")
    page.get_by_role("link", name="Signed up").click()
    expect(page.locator(".skeleton")).to_be_visible()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(page.locator("tbody tr").first).to_be_visible()


@WIDTHS
def test_people_are_chosen_across_pages_and_searches_and_written_to(
    width: int, many: Town, make_desk: MakeDesk
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open("/engage/people")
    page.get_by_role("checkbox", name="Choose Zoë").check()
    expect(bar(page)).to_contain_text("1 chosen")
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**after=**")
    expect(bar(page)).to_contain_text("1 chosen")
    expect(bar(page)).to_contain_text("1 of them not on this page")
    page.locator("tbody .check").first.check()
    page.locator("#q").fill("reader 003")
    page.get_by_role("checkbox", name="Choose Reader 003").check()
    expect(bar(page)).to_contain_text("3 chosen")
    expect(bar(page)).to_contain_text("2 of them not in this list")
    bar(page).get_by_role("button", name="Message").click()
    page.wait_for_url("**/messages/new**")
    expect(page.get_by_text("3 people").first).to_be_visible()
    # Another list is another choice.
    wanted = quote(json.dumps((person.sessions >= 1).to_json()))
    desk.open(f"/engage/people?filter={wanted}")
    expect(bar(page)).to_be_hidden()


@WIDTHS
def test_while_one_searches_the_page_speaks_of_those_found(
    width: int, many: Town, make_desk: MakeDesk
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open("/engage/people")
    says, main = page.locator(".says").first, page.locator(".head .btn-main:visible")
    expect(says).to_have_text(re.compile(r"^Everyone – 76 people$"), use_inner_text=True)
    expect(main).to_have_text("Message everyone")
    page.locator("#q").fill("reader 01")
    expect(says).to_have_text("Found by “reader 01” – 11 people", use_inner_text=True)
    expect(main).to_have_text("Message all 11 found")
    assert problems(desk, "found") == []
    page.locator("#q").fill("reader 011")
    expect(main).to_have_text("Message the one found")
    page.locator("#q").fill("zzz")
    expect(says).to_have_text("Found by “zzz” – 0 people", use_inner_text=True)
    expect(main).to_have_count(0)
    page.locator("#q").fill("reader")
    expect(says).to_have_text("Found by “reader” – 60 people", use_inner_text=True)
    expect(main).to_have_text("Message all 60 found")
    main.click()
    page.wait_for_url(re.compile("/people/bulk|/messages/new"))
    expect(page.get_by_text("60 people").first).to_be_visible()
    page.goto(f"{desk.url}/engage/people?q=reader")
    page.locator("#q").fill("")
    expect(says).to_have_text("Everyone – 76 people", use_inner_text=True)
    expect(main).to_have_text("Message everyone")
    wanted = quote(json.dumps((person.email.is_set()).to_json()))
    desk.open(f"/engage/people?filter={wanted}&q=reader 00")
    expect(says).to_contain_text("whose email is known, found by “reader 00” – 10 people")
    expect(main).to_have_text("Message all 10 found")
    assert [text for text in desk.complaints if "Failed to load resource" not in text] == []


@WIDTHS
def test_those_chosen_whom_one_does_not_see_are_told_of_and_can_be_left_out(
    width: int, many: Town, make_desk: MakeDesk
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open("/engage/people")
    page.get_by_role("checkbox", name="Choose Zoë").check()
    page.get_by_role("checkbox", name="Choose Олена").check()
    drop = bar(page).get_by_role("button", name="Leave them out")
    expect(drop).to_be_hidden()
    page.locator("#q").fill("reader 00")
    page.get_by_role("checkbox", name="Choose Reader 003").check()
    expect(bar(page)).to_contain_text("2 of them not in this list")
    assert problems(desk, "chosen-elsewhere") == []
    bar(page).get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete 3 people for good")
    expect(dialog).to_contain_text("2 of the 3 chosen are not in the list that is shown.")
    expect(dialog).to_contain_text("Zoë")
    assert problems(desk, "delete-elsewhere") == []
    # It is still told after a mistake.
    dialog.get_by_label("Type “delete 3”").fill("no")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Nobody was deleted")).to_be_visible()
    expect(dialog).to_contain_text("2 of the 3 chosen are not in the list that is shown.")
    page.keyboard.press("Escape")
    drop.click()
    expect(bar(page)).to_contain_text("1 chosen")
    expect(drop).to_be_hidden()
    bar(page).get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete 1 person for good")
    expect(page.get_by_role("dialog")).not_to_contain_text("in the list that is shown")


def test_all_that_match_are_tagged_by_mouse_and_it_is_undone(
    many: Town, make_desk: MakeDesk
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    page.locator("#q").fill("reader")
    expect(page.locator("[data-found]")).to_have_text("60 people")
    whole = page.get_by_role("checkbox", name="All 60 found")
    expect(whole).to_be_hidden()
    page.get_by_role("checkbox", name="Choose all on this page").check()
    expect(bar(page)).to_contain_text("50 chosen")
    whole.check()
    expect(bar(page)).to_contain_text("60 chosen")
    bar(page).get_by_role("button", name="Tag", exact=True).click()
    dialog = page.get_by_role("dialog", name="Tag 60 people")
    dialog.get_by_label("Tag").fill("beta")
    dialog.get_by_role("button", name="Tag").click()
    toast = page.get_by_role("status").filter(has_text="Tagged 60 people “beta”.")
    expect(toast).to_be_visible()
    expect(page.locator("#q")).to_have_value("reader")
    expect(bar(page)).to_be_hidden()
    expect(page).not_to_have_url(re.compile("outcome"))
    assert tagged(many, "beta") == 60
    toast.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").filter(has_text="is off 60 people again")).to_be_visible()
    assert tagged(many, "beta") == 0


def test_leaving_one_out_of_all_is_no_longer_all(many: Town, make_desk: MakeDesk) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    page.get_by_role("checkbox", name="Choose all on this page").check()
    page.get_by_role("checkbox", name="All 76 that match").check()
    page.locator("tbody .check").nth(4).uncheck()
    expect(bar(page)).to_contain_text("49 chosen")
    page.get_by_role("button", name="Choose nobody").click()
    expect(bar(page)).to_be_hidden()
    expect(page.locator("tbody .check:checked")).to_have_count(0)


@WIDTHS
def test_everything_is_done_by_keys_alone(width: int, many: Town, make_desk: MakeDesk) -> None:
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open("/engage/people?sort=name&dir=asc&q=reader")
    press = page.keyboard.press
    for key in ("j", "x", "j", "j", "x", "k", "x", "x"):
        press(key)
    expect(bar(page)).to_contain_text("2 chosen")
    press("Escape")
    expect(bar(page)).to_be_hidden()
    for key in ("x", "j", "x", "a", "Tab"):
        press(key)
    expect(bar(page).get_by_role("button", name="Tag", exact=True)).to_be_focused()
    press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Tag")).to_be_focused()
    page.keyboard.type("by hand")
    press("Enter")
    expect(page.get_by_role("status").filter(has_text="Tagged 2 people")).to_be_visible()
    assert tagged(many, "by hand") == 2
    expect(page).not_to_have_url(re.compile("outcome"))  # the script is there
    press("u")
    expect(page.get_by_role("status").filter(has_text="is off 2 people")).to_be_visible()
    assert tagged(many, "by hand") == 0
    expect(page).not_to_have_url(re.compile("outcome"))
    press("/")
    expect(page.locator("#q")).to_be_focused()
    press("ControlOrMeta+a")
    page.keyboard.type("reader 007")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("#q").blur()
    press("j")
    press("Enter")
    page.wait_for_url(re.compile(r"/engage/people/[0-9a-f]+\?"))
    expect(page.get_by_role("heading", name="Reader 007").first).to_be_visible()


def test_deleting_by_keys_needs_the_words_typed(many: Town, make_desk: MakeDesk) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people?q=reader 00")
    expect(page.locator("tbody tr")).to_have_count(10)
    page.keyboard.press("j")
    page.keyboard.press("x")
    bar(page).get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Type “delete 1”")).to_be_focused()
    page.keyboard.type("delete")
    page.keyboard.press("Enter")
    # It is told where it was typed, and one types on.
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_label("Type “delete 1”")
    expect(dialog.get_by_text("Nobody was deleted")).to_be_visible()
    expect(field).to_be_focused()
    expect(field).to_have_value("delete")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert page.url.endswith("/engage/people?q=reader%2000"), page.url
    page.keyboard.type(" 2")
    page.keyboard.press("Enter")
    expect(field).to_have_value("delete 2")
    expect(field).to_be_focused()
    expect(dialog.get_by_role("button", name="Delete for good")).not_to_have_attribute(
        "aria-busy", "true"
    )
    page.keyboard.press("Backspace")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Deleted 1 person.")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(9)


@WIDTHS
def test_columns_are_chosen_and_moved_by_mouse_and_by_keys(
    width: int, many: Town, make_desk: MakeDesk
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open("/engage/people?c=&c=email&c=last_seen&c=country")
    box = page.locator("[data-columns]")
    box.locator("> summary").click()
    box.get_by_label("Find a column").fill("pla")
    box.get_by_role("checkbox", name="plan").check()
    box.get_by_label("Find a column").fill("")
    first = box.get_by_role("button", name="Country further to the front")
    first.click()
    first.press("Enter")
    expect(first).to_be_focused()
    expect(box.get_by_role("status")).to_have_text("Country is number 1 now")
    box.get_by_role("button", name="Apply").click()
    page.wait_for_url("**attr%3Aplan**")
    headings = page.locator("thead th[scope=col]:not(.tight)")
    assert [text.strip() for text in headings.all_text_contents()] == [
        "Name",
        "Country",
        "Email",
        "Last seen",
        "plan",
    ]


def test_a_file_comes_and_the_page_stays(many: Town, make_desk: MakeDesk) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = desk.open("/engage/people?q=reader")
    for kind in ("CSV", "JSON Lines"):  # twice: the form is not used up
        page.locator(".tools").get_by_role("button", name="Export").click()
        dialog = page.get_by_role("dialog", name="Export 60 people")
        dialog.get_by_text(kind).click()
        with page.expect_download() as coming:
            dialog.get_by_role("button", name="Export").click()
        text = Path(coming.value.path()).read_text(encoding="utf-8")
        assert len(text.splitlines()) == (61 if kind == "CSV" else 60)
        expect(dialog).to_be_hidden()


@WIDTHS
def test_each_segment_has_its_number_and_its_last_thirty_days(
    width: int, town: Town, make_desk: MakeDesk, clock: FakeClock
) -> None:
    from datetime import timedelta

    with state_of(town.app).ready.require().write() as session:
        watch = session.scalar(select(SegmentWatchRow).where(SegmentWatchRow.key == "code:Active"))
        if watch is None:
            watch = SegmentWatchRow(key="code:Active", name="Active")
            session.add(watch)
            session.flush()
        for back in (20, 10, 1):
            day = clock.now.date() - timedelta(days=back)
            session.merge(SegmentDayRow(segment_id=watch.id, day=day, people=30 - back))
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open("/engage/people")
    if width < 500:
        page.locator("[data-menu] > summary").click()
    link = page.get_by_role("navigation", name="Segments").get_by_role("link", name="Active")
    expect(
        link.get_by_role("img", name=re.compile(r"^10 on .*, \d+ at the last count$"))
    ).to_be_visible()
    expect(link.locator("[data-segment]")).to_have_text("16")
