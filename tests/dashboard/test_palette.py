"""Ctrl-K leads to anything that has a name, by keys alone, and never to a broken page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from flask_engage import Operator, person
from flask_engage._state import state_of
from flask_engage.errors import NotReady
from flask_engage.segments import finding
from tests.dashboard._town import HOSTILE, LONG, NAMES
from tests.dashboard.test_browser import _failures, _serious

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from playwright.sync_api import Locator, Page, Route

    from flask_engage import Engage
    from tests._clock import FakeClock
    from tests.dashboard.conftest import Desk, Town


def _found(client: FlaskClient, text: str) -> list[str]:
    answer = client.get("/engage/find", query_string={"q": text})
    assert answer.status_code == 200
    assert answer.json is not None
    return [one["label"] for one in answer.json["people"]]


@pytest.mark.parametrize("role", ["read", "edit", "admin"])
def test_whoever_may_look_finds_people_by_name_address_and_id(
    role: Any, town: Town, engage: Engage, client: FlaskClient
) -> None:
    engage._registry.operator = lambda: Operator("7", name="Olga", role=role)
    assert _found(client, "müller") == [NAMES[1]]
    assert _found(client, "person5@example.com") == [NAMES[5]]
    assert NAMES[0] in _found(client, str(town.ids[0]))
    assert _found(client, town.public_id(7)) == [NAMES[7]]
    assert _found(client, "محمد") == [NAMES[2]]
    assert _found(client, HOSTILE) == [HOSTILE]
    assert _found(client, "nobody is called that") == []
    assert _found(client, "") == []


def test_nobody_else_learns_that_there_is_anybody_to_find(town: Town, client: FlaskClient) -> None:
    assert client.get("/engage/find?q=zo").status_code == 404


def test_few_are_found_at_a_time_whoever_has_the_very_id_first(
    town: Town, operator: FlaskClient, clock: FakeClock
) -> None:
    assert len(_found(operator, "example.com")) == 8
    # Somebody seen just now has the text as a part of the address.
    mine, other = town.ids[5], 5 + 1
    assert str(mine) in f"person{other}@example.com"
    with town.app.app_context():
        town.engage.seen(str(town.ids[other]), at=clock.now)
        town.engage.flush()
    assert _found(operator, str(mine))[:2] == [NAMES[5], NAMES[other]]


@pytest.mark.parametrize("text", ["\0", "%", "_", "\\", "'; --", "\ud83d", "x" * 5000, "  "])
def test_whatever_is_typed_is_only_text(text: str, town: Town, operator: FlaskClient) -> None:
    raw = quote(text.encode("utf-8", "surrogatepass"))
    answer = operator.get(f"/engage/find?q={raw}")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["people"] == []


def test_a_search_that_takes_too_long_is_ended_and_says_so(
    town: Town, engage: Engage, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = engage.people(person.sessions >= 0)
    assert whole.find("example.com", limit=3).is_complete
    # No time at all: whoever has it as an address is found by an index all the same.
    monkeypatch.setattr(finding, "try_to_list", lambda *_given: None)
    found = whole.find("person1@example.com", limit=3)
    assert [one.name for one in found.people] == [NAMES[1]]
    assert not found.is_complete


# --- in Chromium, by keys alone ----------------------------------------------------------------

browser = pytest.mark.browser


def _open(page: Page) -> Locator:
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Go to")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("combobox")).to_be_focused()
    return dialog


def _chosen(dialog: Locator) -> Locator:
    """Return the option that assistive technology is told of."""
    active = dialog.get_by_role("combobox").get_attribute("aria-activedescendant")
    assert active
    found = dialog.locator(f"#{active}")
    expect(found).to_have_attribute("aria-selected", "true")
    expect(dialog.locator("[aria-selected=true]")).to_have_count(1)
    return found


def _settled(dialog: Locator) -> None:
    expect(dialog.get_by_role("listbox")).to_have_attribute("aria-busy", "false")


@browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_person_a_page_and_a_segment_are_reached_by_keys(
    width: int, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": width, "height": 800})
    desk.town.engage.segment("power users", person.sessions >= 3)
    page = desk.open("/engage/")
    _open(page)
    page.keyboard.type("zoe mull")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    dialog = _open(page)
    expect(dialog.get_by_role("combobox")).to_have_value("")
    page.keyboard.type("müller")
    expect(dialog.get_by_role("option", name=NAMES[1])).to_be_visible()
    _settled(dialog)
    expect(_chosen(dialog)).to_contain_text(NAMES[1])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/engage/people/{desk.town.public_id(1)}")

    dialog = _open(page)
    page.keyboard.type("héalth")  # marks make no difference to pages
    _settled(dialog)
    expect(_chosen(dialog)).to_contain_text("Health")
    page.keyboard.press("Enter")
    page.wait_for_url("**/engage/health")

    dialog = _open(page)
    page.keyboard.type("power")
    _settled(dialog)
    expect(_chosen(dialog)).to_contain_text("power users")
    page.keyboard.press("Enter")
    page.wait_for_url("**/engage/people?filter=**")
    expect(page.get_by_role("heading", level=1)).to_have_text("power users")

    # What was opened stands first the next time.
    dialog = _open(page)
    group = dialog.get_by_role("group", name="Recent")
    expect(group.get_by_role("option")).to_have_count(3)
    expect(_chosen(dialog)).to_contain_text("power users")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    if width == 390:
        for row in dialog.get_by_role("option").all():
            assert row.bounding_box()["height"] >= 36  # type: ignore[index]
    assert not _failures(desk)


@browser
def test_arrows_go_round_and_home_and_end_to_the_ends(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 800})
    page = desk.open("/engage/people")
    dialog = _open(page)
    options = dialog.get_by_role("option")
    count = options.count()
    assert 6 < count <= 20

    def at() -> int:
        chosen = _chosen(dialog).get_attribute("id")
        return [one.get_attribute("id") for one in options.all()].index(chosen)

    assert at() == 0
    for key, place in (
        ("ArrowDown", 1),
        ("ArrowDown", 2),
        ("ArrowUp", 1),
        ("End", count - 1),
        ("ArrowDown", 0),
        ("ArrowUp", count - 1),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert at() == place, key
        expect(_chosen(dialog)).to_be_in_viewport()
    # j, k and x are letters here, whatever they do to the list behind.
    page.keyboard.type("jkx")
    expect(dialog.get_by_role("combobox")).to_have_value("jkx")
    page.keyboard.press("Control+k")
    expect(dialog).to_be_hidden()


@browser
def test_names_of_every_kind_are_shown_as_they_are(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = desk.open("/engage/")
    dialog = _open(page)
    for text, name in (("script", HOSTILE), ("wolfe", LONG), ("محمد", NAMES[2])):
        page.keyboard.press("Control+a")
        page.keyboard.type(text)
        option = dialog.get_by_role("option", name=name, exact=False).first
        expect(option).to_be_visible()
        expect(option.locator("bdi").first).to_have_text(name)
        box = dialog.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    _settled(dialog)
    assert not _serious(page)
    assert not _failures(desk)


@browser
def test_nothing_found_leads_to_the_list_and_a_failure_is_told(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 800})
    page = desk.open("/engage/")
    dialog = _open(page)
    said = dialog.get_by_role("status").last
    expect(said).to_have_text(re.compile("^Type a name"))
    page.keyboard.type("qqqq")
    expect(said).to_have_text("Nobody and nothing here is called “qqqq”.")
    page.keyboard.press("Enter")
    page.wait_for_url("**/engage/people?q=qqqq")

    dialog = _open(page)
    ready = state_of(desk.town.app).ready

    def away() -> Any:
        raise NotReady("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(ready), "require", lambda _self: away())
        page.keyboard.type("he")
        said = dialog.get_by_role("status").last
        expect(said).to_have_text(re.compile("^People can’t be looked up"))
        # Pages are found all the same.
        expect(dialog.get_by_role("option", name="Health")).to_be_visible()
    page.keyboard.type("a")
    expect(said).to_have_text(re.compile(r"^\d+ found\.$"))


@browser
def test_an_answer_that_is_no_longer_wanted_changes_nothing(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 800})
    page = desk.open("/engage/")
    held: list[Route] = []
    asked: list[str] = []

    def hold(route: Route) -> None:
        asked.append(route.request.url.rpartition("q=")[2])
        if asked[-1] == "person1":
            held.append(route)
        else:
            route.continue_()

    page.route("**/engage/find?**", hold)
    dialog = _open(page)
    page.keyboard.type("person1")
    with page.expect_request("**/engage/find?q=person1"):
        pass
    expect(dialog.get_by_text("Searching…").last).to_be_visible()
    expect(dialog.locator(".awaited-bone").first).to_be_visible()
    with page.expect_event("requestfailed"):
        page.keyboard.type("5@")
    expect(dialog.get_by_role("option", name=NAMES[15])).to_be_visible()
    _settled(dialog)
    expect(dialog.get_by_role("group", name="People").get_by_role("option")).to_have_count(1)
    # Seven letters in a row were one question.
    assert asked == ["person1", "person15%40"]
    assert held


@browser
def test_the_button_says_what_it_is_and_opens_the_same(make_desk: Callable[..., Desk]) -> None:
    for width in (1280, 390):
        desk = make_desk(viewport={"width": width, "height": 800})
        page = desk.open("/engage/health")
        button = page.get_by_role("button", name="Go to…")
        expect(button).to_have_count(1)
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= (36 if width == 390 else 28)
        button.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="Go to")).to_be_visible()
        assert not _serious(page)
        page.keyboard.press("Escape")
        expect(button).to_be_focused()
