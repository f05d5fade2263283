"""Times are told, and taken, in the zone of whoever looks; days of reports are cut in one."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_engage import Filter, person
from flask_engage._state import state_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.dashboard.conftest import Desk, Town

KOLKATA = "Asia/Kolkata"  # half an hour off, all the year
LATE = datetime(2026, 3, 31, 22, 15, tzinfo=UTC)  # there it is the first of April, 03:45


def _live_in(operator: FlaskClient, zone: str) -> None:
    operator.set_cookie("engage_zone", zone, path="/engage")


def _text(wanted: Filter) -> str:
    return json.dumps(wanted.to_json())


def test_moments_are_told_in_the_zone_of_who_looks(town: Town, operator: FlaskClient) -> None:
    with town.app.app_context():
        town.engage.set_attributes({"renews": LATE}, user=town.ids[1])
        town.engage.flush()
    address = f"/engage/people/{town.public_id(1)}"
    assert "31 Mar 2026, 22:15:00 UTC" in operator.get(address).text
    _live_in(operator, KOLKATA)
    assert "1 Apr 2026, 03:45:00 IST" in operator.get(address).text
    wanted = person.signed_up < LATE
    page = operator.get("/engage/people", query_string={"filter": _text(wanted)})
    assert f"before 1 April 2026 03:45 {KOLKATA}" in page.text


def test_a_date_in_a_form_is_one_where_it_was_typed(town: Town, operator: FlaskClient) -> None:
    _live_in(operator, KOLKATA)
    form = {"about": "person", "field": "signed_up", "op": "before", "value": "2026-04-01"}
    answer = operator.get("/engage/people/filter", query_string=form)
    assert answer.status_code == 303
    found = Filter.from_json(json.loads(parse_qs(urlsplit(answer.location).query)["filter"][0]))
    assert found == (person.signed_up < datetime(2026, 3, 31, 18, 30, tzinfo=UTC))
    page = operator.get(answer.location)
    assert 'value="2026-04-01"' in page.text, "and the form says the same again"
    preview = operator.get("/engage/filter-preview", query_string=form)
    assert preview.json is not None
    assert preview.json["sentence"] == f"People who signed up before 1 April 2026 {KOLKATA}"


def test_a_time_set_by_hand_is_one_where_it_was_typed(
    town: Town, operator: FlaskClient, token_of: Callable[..., str]
) -> None:
    _live_in(operator, KOLKATA)
    address = f"/engage/people/{town.public_id(1)}"
    page = operator.get(address, query_string={"edit": "renews"})
    assert f"({KOLKATA})" in html.unescape(page.text)
    form = {"action": "set", "name": "renews", "kind": "t", "value": "2026-04-01 03:45"}
    answer = operator.post(f"{address}/attributes", data={**form, "csrf_token": token_of(page)})
    assert answer.status_code == 303
    with town.app.app_context():
        held = next(iter(town.engage.people().narrowed(public_ids=[town.public_id(1)])))
    assert held.attrs["renews"] == LATE


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Nowhere/Here",
        "../../etc/passwd",
        "/etc/localtime",
        "right/UTC",
        "A" * 400,
        "🎉",
        "UTC\x00",
    ],
)
def test_what_is_no_zone_is_as_if_it_were_unknown(
    town: Town, operator: FlaskClient, zone: str
) -> None:
    address = f"/engage/people/{town.public_id(1)}"
    before = operator.get(address)
    _live_in(operator, zone.encode("ascii", "replace").decode().replace("\x00", "%00"))
    answer = operator.get(address)
    assert answer.status_code == 200
    assert _body(answer.text) == _body(before.text)


def test_days_of_reports_stay_cut_where_they_are(town: Town, operator: FlaskClient) -> None:
    before = operator.get("/engage/")
    _live_in(operator, "Pacific/Kiritimati")  # fourteen hours ahead
    after = operator.get("/engage/")
    assert _svg(after.text) == _svg(before.text)


def _svg(text: str) -> list[str]:
    return re.findall(r"<svg class=\"chart.*?</svg>", text, re.DOTALL)


def _body(text: str) -> str:
    return re.sub(r'name="(csrf_token|key)" value="[^"]*"', "", text)


def test_the_browser_says_where_it_is(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(timezone_id=KOLKATA)
    with desk.town.app.app_context():
        desk.town.engage.set_attributes({"renews": LATE}, user=desk.town.ids[1])
        desk.town.engage.flush()
    page = desk.open(f"/engage/people/{desk.town.public_id(1)}")
    page.get_by_text("1 Apr 2026, 03:45:00 IST").first.wait_for(state="attached")
    assert page.evaluate("performance.getEntriesByType('navigation')[0].type") == "reload"
    page = desk.open("/engage/people")
    page.wait_for_load_state()
    assert page.evaluate("performance.getEntriesByType('navigation')[0].type") == "navigate"
    assert not desk.complaints


def test_a_browser_that_keeps_no_cookie_is_not_sent_in_circles(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(timezone_id=KOLKATA)
    desk.page.add_init_script(
        "Object.defineProperty(document, 'cookie', { get: () => '', set: () => {} })"
    )
    page = desk.open("/engage/people")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("performance.getEntriesByType('navigation')[0].type") == "navigate"
    assert state_of(desk.town.app).settings.TIMEZONE == "UTC"
