"""What somebody has just answered is not shown to them again, however late the report arrives."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.widget.test_browser import card, message, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.widget.conftest import Desk

pytestmark = pytest.mark.browser

KEPT = "sessionStorage.getItem('engage-answers')"
REFUSED = """
Object.defineProperty(window, 'sessionStorage', {
  get() { throw new DOMException('refused', 'SecurityError'); }
});
"""
FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }"


def press(page: Page, name: str) -> None:
    """Use a control of the message, or the key that dismisses it."""
    if name == "Escape":
        page.keyboard.press("Escape")
    else:
        card(page).get_by_text(name).or_(card(page).get_by_label(name)).click()


def second(**values: Any) -> dict[str, Any]:
    return message("note", delivery="d2", title="The next", **values)


@pytest.mark.parametrize(
    ("style", "control"),
    [
        *product(["popup", "banner", "note"], ["Try it", "Later", "Why", "Close"]),
        ("popup", "Escape"),  # only a dialog closes by a key
    ],
)
def test_a_page_that_asks_before_the_answer_has_arrived_does_not_show_it_again(
    desk: Desk, open_page: Callable[..., Page], style: str, control: str
) -> None:
    desk.messages = [message(style), second()]
    desk.on_answer.clear()
    page = open_page()
    card(page).wait_for()
    desk.wait_for("shown")
    with page.expect_response("**/inbox") as asked:
        press(page, control)
        if control not in ("Try it", "Why"):
            page.goto(desk.url + "next")
    assert asked.value.json()["message"]["delivery"] == "d1", "the report was not late"
    asked.value.finished()
    desk.on_answer.set()
    desk.wait_for("shown", "clicked" if control in ("Try it", "Why") else "dismissed")
    # A page that showed the first message again would not ask for another now.
    page.evaluate("Engage.check()")
    expect(card(page)).to_contain_text("The next")
    expect(card(page)).to_have_count(1)
    wait_until(page, lambda: len(desk.kinds()) == 3)
    shown = [report["delivery"] for report in desk.reports if report["kind"] == "shown"]
    assert shown == ["d1", "d2"]


@pytest.mark.parametrize("leaves", [True, False])
def test_an_answer_that_got_lost_is_told_again(
    desk: Desk, open_page: Callable[..., Page], leaves: bool
) -> None:
    desk.lost = 1
    page = open_page()
    wait_until(page, lambda: desk.asked == 1)  # else this page, too, shows what comes now
    page.clock.install()
    desk.messages = [message("note"), second()]
    page.goto(desk.url)
    card(page).wait_for()
    desk.wait_for("shown")
    with page.expect_response(lambda told: told.url.endswith("/seen") and told.status == 503):
        page.get_by_role("button", name="Later").click()
    expect(card(page)).to_have_count(0)
    if leaves:
        with page.expect_response("**/inbox"):
            page.goto(desk.url + "next")
    page.clock.run_for(34_000)  # the next look, and maybe the one in which the next is shown
    told = {"delivery": "d1", "kind": "dismissed", "button": 1}
    wait_until(page, lambda: told in desk.reports)
    page.evaluate("Engage.check()")
    expect(card(page)).to_contain_text("The next")
    of_first = [report["kind"] for report in desk.reports if report["delivery"] == "d1"]
    assert [kind for kind in of_first if kind != "opened"] == ["shown", "dismissed"]


def test_somebody_else_in_the_same_tab_gets_their_own_messages(
    desk: Desk, open_page: Callable[..., Page]
) -> None:
    # A delivery is one message to one person: the same words to two have two of them.
    desk.messages = [message("note")]
    page = open_page()
    page.get_by_role("button", name="Close").click()
    desk.wait_for("shown", "dismissed")
    desk.messages = [message("note", delivery="d-of-the-other")]
    page.goto(desk.url)
    card(page).wait_for()
    desk.wait_for("shown", "dismissed", "shown")
    assert desk.reports[-1]["delivery"] == "d-of-the-other"


@pytest.mark.parametrize("trouble", [REFUSED, FULL])
def test_where_nothing_can_be_stored_messages_are_shown_and_answered(
    desk: Desk, open_page: Callable[..., Page], trouble: str
) -> None:
    page = open_page()
    wait_until(page, lambda: desk.asked == 1)
    page.add_init_script(trouble)
    desk.messages = [message("note")]
    page.goto(desk.url)
    page.get_by_role("button", name="Close").click()
    expect(card(page)).to_have_count(0)
    desk.wait_for("shown", "dismissed")


@pytest.mark.parametrize(
    "kept", ["nonsense", "null", '{"delivery": "d1"}', "[null, 1, {}, []]", '"d1"']
)
def test_what_others_wrote_there_breaks_nothing(
    desk: Desk, open_page: Callable[..., Page], kept: str
) -> None:
    page = open_page()
    wait_until(page, lambda: desk.asked == 1)
    page.evaluate("kept => sessionStorage.setItem('engage-answers', kept)", kept)
    desk.messages = [message("note")]
    page.goto(desk.url)
    page.get_by_role("button", name="Close").click()
    expect(card(page)).to_have_count(0)
    desk.wait_for("shown", "dismissed")
    assert json.loads(page.evaluate(KEPT))[-1]["delivery"] == "d1"


def test_only_the_newest_answers_are_kept(desk: Desk, open_page: Callable[..., Page]) -> None:
    page = open_page()
    assert page.evaluate(KEPT) is None
    for number in range(23):
        desk.messages = [message("note", delivery=f"d{number}")]
        page.evaluate("Engage.check()")
        page.get_by_role("button", name="Close").click()
        expect(card(page)).to_have_count(0)
    kept = json.loads(page.evaluate(KEPT))
    assert [given["delivery"] for given in kept] == [f"d{number}" for number in range(3, 23)]
    assert all(set(given) == {"delivery", "kind", "at"} for given in kept)
