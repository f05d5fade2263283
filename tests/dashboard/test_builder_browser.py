"""The builder in Chromium: by mouse, by keys alone, on a small screen, and as one types."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import expect

from flask_engage import Filter, attr, did, person, prop, visited
from tests.dashboard import _town

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.dashboard.conftest import Desk

pytestmark = pytest.mark.browser

PICTURES = os.environ.get("ENGAGE_TEST_PICTURES")

DEEP = (person.sessions >= 3) & (
    did("exported").at_least(1).where(prop("pages") >= 0).within(days=30)
    | (person.email.is_set() & ~(visited().exactly(0) | (attr("plan") == _town.HOSTILE)))
)


def _address(wanted: Filter, **more: str) -> str:
    rest = "".join(f"&{name}={quote(text)}" for name, text in more.items())
    return f"/engage/people?filter={quote(json.dumps(wanted.to_json()))}{rest}"


def _shown(page: Page) -> Filter:
    """Return the filter that the address of the page carries."""
    return Filter.from_json(json.loads(parse_qs(urlsplit(page.url).query)["filter"][0]))


def _serious(page: Page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] != "minor"
        for node in one["nodes"]
    ]


def _failures(desk: Desk) -> list[str]:
    """Return what the browser complained of, but for answers that are meant to be errors."""
    return [text for text in desk.complaints if "Failed to load resource" not in text]


def _adder(page: Page, words: str) -> Locator:
    pop = page.locator(".adders details", has=page.locator(f"summary:text-is('{words}')"))
    pop.locator("summary").first.click()
    return pop.locator("form")


def _apply(page: Page, form: Locator) -> None:
    with page.expect_navigation():
        form.get_by_role("button", name="Apply").click()


def test_conditions_are_added_grouped_nested_and_turned_round_by_mouse(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    form = _adder(page, "What they did")
    form.get_by_label("Event", exact=True).fill("exported")
    form.locator("summary", has_text="Only events with").click()
    form.get_by_label("Property").first.fill("pages")
    form.locator("[name=op-1]").select_option("n:ge")
    form.locator("[name=value-1]").fill("4")
    form.get_by_role("button", name="One more condition").click()
    form.locator("[name=prop-2]").fill("kind")
    form.locator("[name=op-2]").select_option("s:ne")
    form.locator("[name=value-2]").fill("7")
    _apply(page, form)
    first = did("exported").where(prop("pages") >= 4, prop("kind") != "7")
    assert _shown(page) == first

    form = _adder(page, "Visits")
    form.get_by_label("Times").fill("2")
    _apply(page, form)
    second = visited().at_least(2)
    assert _shown(page) == first & second

    page.get_by_role("link", name="Group with another condition: who visited").click()
    form = _adder(page, "Custom data")
    form.get_by_label("Custom data").fill("plan")
    form.get_by_label("Value").fill("pro")
    _apply(page, form)
    third = attr("plan") == "pro"
    assert _shown(page) == first & (second | third)

    page.get_by_role("link", name="Turn round").click()
    expect(page.locator(".group").first).to_contain_text("none of")
    assert _shown(page) == first & ~(second | third)

    form = _adder(page, "Segment")
    form.get_by_label("Segment").select_option("Active")
    _apply(page, form)
    page.get_by_role("checkbox", name="Choose: who did").check()
    page.get_by_role("checkbox", name="Choose: who are in the segment").check()
    with page.expect_navigation():
        page.get_by_role("button", name="Any of them").click()
    made = _shown(page)
    assert made.describe().startswith("People (who did “exported” with")
    page.locator(".chip summary", has_text="whose “plan” is").click()
    form = page.locator(".chip form:visible")
    form.get_by_label("Value").fill("free")
    _apply(page, form)
    assert "whose “plan” is “free”" in _shown(page).describe()
    assert _failures(desk) == []


def test_the_sentence_and_the_number_follow_what_one_types(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    form = _adder(page, "Custom data")
    found, wrong = form.locator("[data-found-now]"), form.locator("[data-wrong]")
    expect(found).to_have_attribute("aria-live", "polite")
    form.get_by_label("Custom data").fill("invites sent")
    form.get_by_label("Comparison").select_option("n:ge")
    form.get_by_label("Value").fill("1")
    with desk.town.app.app_context():
        count = len(list(desk.town.engage.people(attr("invites sent") >= 1)))
    expect(found).to_have_text(f"People whose “invites sent” is at least 1 – {count} people")
    form.get_by_label("Comparison").select_option("n:in")
    form.get_by_label("Value").fill("1, many")
    expect(wrong).to_contain_text("'many' is no number; write it as 3 or 2.5.")
    expect(form.get_by_label("Value")).to_have_attribute("aria-invalid", "true")
    expect(found).to_have_text("")
    form.get_by_label("Value").fill("1, 7")
    expect(wrong).to_be_hidden()
    expect(found).to_contain_text("is one of [1, 7]")
    assert _failures(desk) == []


def test_an_answer_that_is_overtaken_is_not_shown(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    held: list[Any] = []

    def hold(route: Any) -> None:
        if "value=a&" in route.request.url:
            held.append(route)  # answered never: the next question ends it
        else:
            route.continue_()

    page.route("**/engage/filter-preview*", hold)
    form = _adder(page, "Person")
    form.get_by_label("About the person").select_option("country")
    form.get_by_label("Comparison").select_option("eq")
    with page.expect_request("**/filter-preview*value=a&*") as asked:
        form.get_by_label("Value").fill("a")
    with page.expect_event("requestfailed", lambda request: request == asked.value):
        form.get_by_label("Value").fill("ab")
    expect(form.locator("[data-found-now]")).to_contain_text("whose country is “ab”")
    assert held
    assert _failures(desk) == []


def test_the_values_that_exist_are_offered(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    form = _adder(page, "Custom data")
    form.get_by_label("Custom data").fill("plan")
    form.get_by_label("Value").focus()
    assert _offered(page, form.get_by_label("Value"), 3) == {
        "free": "free · 6",
        "pro": "pro · 5",
        "team": "team · 5",
    }
    form.get_by_label("Comparison").select_option("s:in")
    form.get_by_label("Value").fill("free, p")
    assert set(_offered(page, form.get_by_label("Value"), 1)) == {"free, pro"}
    form = _adder(page, "What they did")
    form.get_by_label("Event", exact=True).focus()
    assert _offered(page, form.get_by_label("Event", exact=True), 2)["exported"] == "exported · 8"
    form.get_by_label("Event", exact=True).fill("exported")
    form.locator("summary", has_text="Only events with").click()
    form.get_by_label("Property").first.focus()
    assert set(_offered(page, form.get_by_label("Property").first, 2)) == {"pages", "kind"}
    form.get_by_label("Property").first.fill("kind")
    form.locator("[name=value-1]").focus()
    assert _offered(page, form.locator("[name=value-1]"), 1) == {
        _town.HOSTILE: f"{_town.HOSTILE} · 8"
    }
    assert _failures(desk) == []


def _offered(page: Page, field: Locator, number: int) -> dict[str, str]:
    expect(page.locator(f"[id='{field.get_attribute('id')}-offered'] option")).to_have_count(number)
    found: dict[str, str] = field.evaluate(
        "field => Object.fromEntries([...field.list.options].map(one => [one.value, one.label]))"
    )
    return found


def test_a_filter_is_built_by_keys_alone(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/people")
    page.locator(".adders summary").first.focus()
    page.keyboard.press("Enter")
    subject = page.get_by_label("About the person").first
    expect(subject).to_be_focused()
    page.keyboard.type("Sess")
    expect(subject).to_have_value("sessions")
    page.keyboard.press("Tab")
    page.keyboard.type("is at l")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("9")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert _shown(page) == (person.sessions >= 9)
    # One goes on where one was: at the filter.
    expect(page.locator("[data-builder] > summary")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".chip summary").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".chip form").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".chip form").first).to_be_hidden()
    expect(page.locator(".chip summary").first).to_be_focused()
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")  # “or…”
    expect(page.locator("#beside")).to_be_focused()
    for _step in ("Not now", "Person", "Custom data", "What they did"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    event = page.locator("#beside [name=event]")
    expect(page.locator("#beside [name=did]")).to_be_focused()
    page.keyboard.press("Tab")
    expect(event).to_be_focused()
    page.keyboard.type("exported")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert _shown(page) == (person.sessions >= 9) | did("exported")
    assert _failures(desk) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_deep_filter_fits_the_screen_and_keeps_the_rules_of_access(
    width: int, theme: Any, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = desk.open(_address(DEEP, into="1.1.1", join="any"))
    page.locator(".written summary").click()
    expect(page.locator(".written pre").first).to_be_visible()
    _picture(page, f"builder-{width}-{theme}")
    problems = _serious(page)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        problems.append("wider than the window")
    page.locator(".chip summary", has_text="who did “exported”").click()
    _picture(page, f"builder-form-{width}-{theme}")
    problems += _serious(page)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        problems.append("wider than the window with a form")
    small = page.evaluate(
        "[...document.querySelectorAll('.chip-acts > a, .group .btn, .beside summary,"
        " .tests summary, .written summary, .pick-part')]"
        ".filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 24)"
        ".map(e => e.outerHTML.slice(0, 100))"
    )
    assert not problems + small, "\n".join(problems + small)
    assert _failures(desk) == []


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_small_screen_what_removes_a_condition_stays_at_its_end(
    width: int, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open(_address(DEEP))
    _unfold(page)
    astray = page.evaluate(
        """() => [...document.querySelectorAll('.chip-acts, .group-acts')].flatMap((acts) => {
          const box = acts.closest('.chip, .group-head').getBoundingClientRect();
          const all = [...acts.children].map((one) => one.getBoundingClientRect());
          const last = all.at(-1);
          const isBroken = all.some((one) => Math.abs(one.top - last.top) > 2);
          return isBroken || box.right - last.right > 2 ? [acts.parentElement.innerText] : [];
        })"""
    )
    assert page.locator(".chip-acts:visible").count() > 3
    assert astray == []


def _unfold(page: Page) -> None:
    # Once the script has folded it: a click before that would fold it as well.
    expect(page.locator("[data-builder]")).not_to_have_attribute("open", "")
    page.locator("[data-builder] > summary").click()


def test_a_filter_is_built_on_a_small_screen(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 390, "height": 800}, has_touch=True)
    page = desk.open("/engage/people")
    _unfold(page)  # it begins with its sentence
    form = _adder(page, "Person")
    form.get_by_label("About the person").select_option("last_seen")
    form.get_by_label("Comparison").select_option("newer")
    form.get_by_label("Value").fill("36")
    form.get_by_label("Unit of time").select_option("hours")
    _apply(page, form)
    assert _shown(page).describe() == "People who were last seen less than 1 day 12 hours ago"
    _unfold(page)
    page.get_by_role("link", name="Group with another condition").click()
    expect(page.locator("#beside")).to_be_focused()
    form = _adder(page, "Tag")
    form.get_by_label("Value").fill("vip")
    _apply(page, form)
    whole = "who were last seen less than 1 day 12 hours ago or who have the tag “vip”"
    assert _shown(page).describe() == f"People {whole}"
    _unfold(page)
    page.get_by_role("link", name="Remove: who have the tag").click()
    _unfold(page)
    page.get_by_role("link", name="Remove: ").click()
    expect(page.locator(".says").first).to_contain_text("Everyone")
    assert _failures(desk) == []


def test_what_is_wrong_is_said_at_the_field_and_typed_words_stay(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open(
        "/engage/people/filter?about=did&event=exported&prop-1=pages&op-1=n%3Age&value-1=lots"
    )
    field = page.locator("[name=value-1]:visible")
    expect(field).to_have_value("lots")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-wrong]:visible")).to_contain_text("is no number")
    field.fill("3")
    expect(page.locator("[data-wrong]:visible")).to_have_count(0)
    _apply(page, page.locator("form:has([name=value-1]:visible)"))
    assert _shown(page) == did("exported").where(prop("pages") >= 3)


def test_the_filter_is_copied_as_python(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(
        viewport={"width": 1280, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = desk.open(_address(DEEP))
    page.locator(".written summary").click()
    page.get_by_role("button", name="Copy Python").click()
    expect(page.locator("[data-copy-told]")).to_have_text("Copied")
    made: dict[str, Any] = {}
    exec(page.evaluate("navigator.clipboard.readText()"), made)
    assert made["wanted"] == DEEP
    assert _failures(desk) == []


def test_a_group_is_made_without_a_script(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900}, java_script_enabled=False)
    page = desk.open(_address((person.sessions >= 1) & did("exported") & person.email.is_set()))
    page.locator("[name=pick]").nth(0).check()
    page.locator("[name=pick]").nth(2).check()
    page.get_by_role("button", name="Any of them").click()
    wanted = ((person.sessions >= 1) | person.email.is_set()) & did("exported")
    assert _shown(page) == wanted
    page.locator("a[href*='into=1']").click()
    page.locator("#beside summary", has_text="Visits").first.click()
    form = page.locator("#beside form:visible")
    form.locator("[name=bound]").select_option("at_most")
    form.locator("[name=count]").fill("0")
    form.locator("summary").click()
    form.locator("[name=prop-1]").select_option("device")
    form.locator("[name=value-1]").fill("mobile")
    form.get_by_role("button", name="Apply").click()
    first = (person.sessions >= 1) | person.email.is_set()
    assert _shown(page) == first & (did("exported") | visited().at_most(0).where(device="mobile"))


def _picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
