"""No room, and much to say: pages at 320 px, and long values, names and words, in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard._person import address
from tests.dashboard.test_browser import _failures

if TYPE_CHECKING:
    from tests.dashboard.conftest import Desk, Town

pytestmark = pytest.mark.browser

PAGES = (
    "/engage/",
    "/engage/people",
    "/engage/people?q=nobody",
    "/engage/people?filter=%7B%22version%22%3A1%2C%22filter%22%3A%7B%22segment%22%3A%22Active%22%7D%7D",
    "/engage/events",
    "/engage/event?name=exported",
    "/engage/catalogue",
    "/engage/data",
    "/engage/messages",
    "/engage/messages/new",
    "/engage/rules",
    "/engage/transfers",
    "/engage/health",
    "/engage/design",
)

VALUES = {
    "notes from sales": "She asked for a longer trial, and for a call before the team is back. "
    * 3,
    "token": "a1b2c3" * 60,
    "ملاحظة": "هذا نص طويل باللغة العربية يصف ما تريده الزبونة من المنتج في الأشهر القادمة",
    "言語": "日本語の長い文章がここにあり空白なしで続いていくので" * 3,
    "a_name_without_any_space_that_goes_on_for_sixty_four_characters_": "x",
    "a name of several words that goes on until there are sixty-four.": "y" * 200,
    "plan": "pro",
}


def test_no_page_scrolls_sideways_in_320_pixels(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 320, "height": 800})
    wide = []
    for path in (*PAGES, *(address(desk.town, place) for place in (3, 4, 5))):
        page = desk.open(path)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 320:
            wide.append(f"{path}: {width}")
    assert not wide, "\n".join(wide)
    assert _failures(desk) == []


def test_nothing_that_opens_over_a_page_goes_beyond_320_pixels(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 320, "height": 800})
    wide, opened = [], 0
    for path in (*PAGES, address(desk.town, 5)):
        page = desk.open(path)
        for one in page.locator("details[data-pop] > summary").all():
            if not one.is_visible():
                continue
            one.click()
            opened += 1
            box = page.locator("details[data-pop][open] > .pop-box").first.bounding_box()
            assert box is not None
            scrolled = page.evaluate("document.documentElement.scrollWidth")
            if box["x"] < 0 or box["x"] + box["width"] > 320 or scrolled > 320:
                wide.append(f"{path}: {one.inner_text()}: {box}, {scrolled}")
            page.keyboard.press("Escape")
    assert opened > 5
    assert not wide, "\n".join(wide)
    assert _failures(desk) == []


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_a_long_value_leaves_its_name_room_to_be_read(
    width: int, town: Town, make_desk: Callable[..., Desk]
) -> None:
    with town.app.app_context():
        held: dict[str, Any] = dict(VALUES)
        town.engage.set_attributes(held, user=str(town.ids[5]))
        town.engage.flush()
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open(address(town))
    card = page.locator(".card:has(.held-data)").bounding_box()
    assert card is not None
    rows = page.locator(".held-data > div")
    seen = {}
    for row in rows.all():
        name = row.locator("dt").inner_text()
        dt, dd = row.locator("dt"), row.locator("dd").first
        # A name is broken where there is no room for it, and not for the sake of the value.
        lines = dt.evaluate("one => Math.round(one.offsetHeight / 20)")
        seen[name] = lines
        for part in (dt, dd):
            box = part.bounding_box()
            assert box is not None
            assert box["x"] >= card["x"], name
            assert box["x"] + box["width"] <= card["x"] + card["width"], name
            assert part.evaluate("one => one.scrollWidth <= one.clientWidth"), name
    assert set(VALUES) <= set(seen)
    most = 2 if width < 390 else 1
    assert [name for name, lines in seen.items() if lines > (4 if len(name) > 40 else most)] == []


def test_the_usual_columns_of_the_list_are_not_cut_off_at_any_width(
    many: Town, make_desk: Callable[..., Desk]
) -> None:
    with many.app.app_context():
        many.engage.refresh("relationship")  # hearts are one column more
    desk = make_desk(viewport={"width": 1600, "height": 800})
    page = desk.open("/engage/people")
    cut = []
    for width in (1600, 1440, 1408, 1400, 1280, 1270, 1168, 1160, 1030, 1020, 840, 830, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        table = "document.querySelector('.folk').parentElement"
        if page.evaluate(f"{table}.scrollWidth > {table}.clientWidth"):
            cut.append(width)
    assert not cut
    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.locator("thead th:visible").count() == 9
    # What one has asked for is there, and scrolls.
    wanted = "&".join(f"c={key}" for key in ("", "email", "attr:plan", "attr:invites sent"))
    desk.open(f"/engage/people?{wanted}")
    page.set_viewport_size({"width": 840, "height": 800})
    assert page.locator("thead th:visible").count() >= 4
