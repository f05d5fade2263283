"""Segments that operators save from the list of people."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from flask_engage import Operator, in_segment, person
from flask_engage._state import state_of
from flask_engage.store.operator import AuditRow
from flask_engage.store.segment_member import SegmentDayRow, SegmentWatchRow
from tests.dashboard._town import HOSTILE

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from flask_engage import Engage
    from tests.dashboard.conftest import Town

Change = Callable[..., "TestResponse"]

MANY = person.sessions >= 3
TEXT = json.dumps(MANY.to_json())


@pytest.fixture
def change(town: Town, operator: FlaskClient, token_of: Callable[[TestResponse], str]) -> Change:
    """Sends the form that changes segments: ``change(action=..., name=...)``."""
    token = token_of(operator.get(f"/engage/people?filter={quote(TEXT)}"))

    def send(**form: Any) -> TestResponse:
        return operator.post("/engage/segments", data={"csrf_token": token, **form})

    return send


def _audit(town: Town) -> list[tuple[str, str]]:
    with state_of(town.app).ready.require().read() as session:
        rows = session.execute(select(AuditRow.action, AuditRow.target).order_by(AuditRow.id))
        return [(action, target) for action, target in rows]


def test_a_saved_segment_is_shown_counted_and_usable_everywhere(
    town: Town, operator: FlaskClient, change: Change
) -> None:
    answer = change(action="save", name="regulars", filter=TEXT)
    assert answer.status_code == 303
    shown = operator.get(answer.location).text
    assert '<bdi title="regulars">regulars</bdi></h1>' in shown
    with town.app.app_context():
        expected = town.engage.people(MANY).count()
        assert town.engage.people(in_segment("regulars")).count() == expected
    counts = operator.get("/engage/segment-counts").json
    assert counts is not None
    assert counts["regulars"] == [expected, True]
    assert {"New", "Active", "Slipping away", "Lost", "Never returned"} <= set(counts)
    assert ("save segment", "regulars") in _audit(town)


def test_a_segment_is_changed_renamed_and_deleted(
    town: Town, operator: FlaskClient, change: Change
) -> None:
    change(action="save", name="regulars", filter=TEXT)
    fewer = json.dumps((person.sessions >= 5).to_json())
    assert change(action="change", name="regulars", filter=fewer).status_code == 303
    assert change(action="rename", name="regulars", new="faithful").status_code == 303
    with town.app.app_context():
        found = town.engage.people(in_segment("faithful")).count()
        assert found == town.engage.people(person.sessions >= 5).count()
    answer = change(action="delete", name="faithful")
    again = operator.get(answer.location)
    assert "“Save as” brings it back" in again.text
    assert "faithful" not in operator.get("/engage/").text
    assert [action for action, _ in _audit(town)] == [
        "save segment",
        "change segment",
        "rename segment",
        "delete segment",
    ]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"action": "save", "name": "Lost"}, "already"),
        ({"action": "save", "name": "lost"}, "already"),
        ({"action": "save", "name": "regulars"}, "already"),
        ({"action": "save", "name": " "}, "printable"),
        ({"action": "save", "name": "x" * 65}, "printable"),
        ({"action": "save", "name": "a\x00b"}, "printable"),
        ({"action": "save", "name": "all", "filter": ""}, "needs a condition"),
        ({"action": "save", "name": "bad", "filter": "{"}, "no JSON"),
        ({"action": "rename", "name": "nobody", "new": "x"}, "no saved segment"),
        ({"action": "rename", "name": "regulars", "new": "Active"}, "already"),
        ({"action": "delete", "name": "Active"}, "no saved segment"),
        ({"action": "burn", "name": "regulars"}, "none of"),
        ({"action": "rename", "name": "used", "new": "other"}, "is used by: using"),
        ({"action": "delete", "name": "used"}, "is used by: using"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_can_not_be_is_told_and_changes_nothing(
    form: dict[str, str], words: str, town: Town, change: Change
) -> None:
    change(action="save", name="regulars", filter=TEXT)
    change(action="save", name="used", filter=TEXT)
    asks = json.dumps((~in_segment("used")).to_json())
    assert change(action="save", name="using", filter=asks).status_code == 303
    before = _audit(town)
    answer = change(**{"filter": TEXT, **form})
    assert answer.status_code == 400
    assert words in html.unescape(answer.text)
    assert _audit(town) == before


def test_segments_can_not_go_round_in_a_circle(change: Change) -> None:
    change(action="save", name="one", filter=TEXT)
    change(action="save", name="two", filter=json.dumps(in_segment("one").to_json()))
    circle = json.dumps((~in_segment("two")).to_json())
    answer = change(action="change", name="one", filter=circle)
    assert answer.status_code == 400
    assert "circle" in answer.text


def test_a_hostile_name_is_text(operator: FlaskClient, change: Change) -> None:
    answer = change(action="save", name=HOSTILE, filter=TEXT)
    assert HOSTILE not in operator.get(answer.location).text
    assert html.escape(HOSTILE, quote=False)[:20] in operator.get("/engage/").text.replace(
        "&#34;", '"'
    )


def test_who_only_looks_sees_segments_and_no_forms(town: Town, engage: Engage) -> None:
    engage._registry.operator = lambda: Operator("7", role="read")
    page = town.app.test_client().get(f"/engage/people?filter={quote(TEXT)}").text
    assert "Slipping away" in page
    assert "Save as" not in page


def test_the_number_follows_a_long_list(town: Town, operator: FlaskClient) -> None:
    answer = operator.get("/engage/people-count", query_string={"filter": TEXT, "q": "person1"})
    assert answer.json is not None
    with town.app.app_context():
        found = town.engage.people(MANY)
        assert answer.json["short"] == str(found.count())
        assert answer.json["found"] == f"{found.count(search='person1')} people"


def test_an_opened_segment_shows_how_it_grew(
    town: Town, operator: FlaskClient, change: Change
) -> None:
    shown = change(action="save", name="regulars", filter=TEXT).location
    assert "at the last count" not in operator.get(shown).text
    state = state_of(town.app)
    today = state.clock().date()
    with state.ready.require().write() as session:
        # One of the code's that bears the same name has a past of its own.
        watches = [
            SegmentWatchRow(key=key, name="regulars") for key in ("saved:1", "code:regulars")
        ]
        session.add_all(watches)
        session.flush()
        for watch, people in zip(watches, (40, 4000), strict=True):
            for ago, more in ((12, 0), (5, 1000), (0, 1200)):
                day = today - timedelta(days=ago)
                session.add(SegmentDayRow(segment_id=watch.id, day=day, people=people + more))
    page = operator.get(shown).text
    assert "1,240 at the last count" in page
    assert "1,200 more than on" in page
    line = page[page.index('<svg class="spark"') : page.index("1,240 at the last count")]
    assert line.count("<rect") == 13, "from the first measured day on, the gaps filled"
    changed = operator.get(f"/engage/people?filter={quote(TEXT)}&segment=regulars").text
    assert "at the last count" not in changed
