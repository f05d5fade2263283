"""The builder's pages: every condition is shown and changed, values are offered, errors told."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_engage import (
    Filter,
    InApp,
    attr,
    did,
    host,
    in_segment,
    person,
    visited,
)
from flask_engage._state import state_of
from flask_engage.segments import suggestions
from flask_engage.store.segment import add_segment
from tests.dashboard import _town
from tests.dashboard._conditions import EVERY_KIND

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from flask_engage.store.engine import Database
    from tests._hosts import Host
    from tests.dashboard.conftest import Town

HOSTILE = _town.HOSTILE
A, B, C, D = person.sessions >= 3, did("exported"), person.email.is_set(), visited()


def _filter_of(answer: TestResponse) -> Filter:
    assert answer.status_code == 303, html.unescape(answer.text)[:3000]
    return Filter.from_json(json.loads(parse_qs(urlsplit(answer.location).query)["filter"][0]))


def _text(wanted: Filter) -> str:
    return json.dumps(wanted.to_json())


def _values(client: FlaskClient, **asked: str) -> dict[str, int]:
    answer = client.get("/engage/filter-values", query_string=asked)
    assert answer.status_code == 200
    assert answer.json is not None
    return {one["value"]: one["count"] for one in answer.json["values"]}


def test_values_that_exist_are_offered_with_how_many_have_them(
    migrated_url: str, town: Town, operator: FlaskClient
) -> None:
    assert _values(operator, of="attr", name="plan") == {"free": 6, "pro": 5, "team": 5}
    assert _values(operator, of="attr", name="plan", search="p") == {"pro": 5}
    assert _values(operator, of="attr", name=_town.ATTRIBUTE) == {"quiet": 15, HOSTILE: 1}
    assert _values(operator, of="attr", name="has added twitter service") == {"yes": 8, "no": 8}
    assert _values(operator, of="person", name="email", search="person1@") == {
        "person1@example.com": 1
    }
    assert _values(operator, of="event") == {_town.EVENT: 16, "exported": 8}
    assert _values(operator, of="props", event="exported") == {"pages": 8, "kind": 8}
    assert _values(operator, of="prop", event="exported", name="kind") == {HOSTILE: 8}
    assert _values(operator, of="message")["launch-1"] == 8
    assert "come back" in _values(operator, of="message")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"of": "nothing"},
        {"of": "person", "name": "last_seen"},
        {"of": "person", "name": "'; drop table"},
        {"of": "attr", "name": ""},
        {"of": "attr", "name": "\x00"},
        {"of": "prop", "name": "x"},
        {"of": "visit", "name": "landing_page"},
        {"of": "event", "search": "\x00"},
        {"of": "person", "name": "email", "search": "%"},
    ],
    ids=str,
)
def test_where_nothing_is_known_nothing_is_offered(
    asked: dict[str, str], migrated_url: str, town: Town, operator: FlaskClient
) -> None:
    assert _values(operator, **asked) == {}


def test_offering_ends_when_it_takes_too_long(database: Database) -> None:
    def slow(session: Any) -> Any:
        from sqlalchemy import text

        numbers = " UNION ALL ".join(["SELECT 1 AS n"] * 40)
        tables = ", ".join(f"({numbers}) AS t{place}" for place in range(7))
        session.scalar(text(f"SELECT COUNT(*) FROM {tables}"))
        raise AssertionError("nothing ended it")

    assert suggestions.in_time(database, slow, seconds=0.2) is None


def test_what_a_form_would_find_is_told_before_it_is_sent(
    migrated_url: str, town: Town, operator: FlaskClient
) -> None:
    wanted = did("exported")
    asked = {"filter": _text(wanted), "about": "attr", "name": "plan", "op": "s:eq", "value": "pro"}
    told = operator.get("/engage/filter-preview", query_string=asked).json
    whole = wanted & (attr("plan") == "pro")
    with town.app.app_context():
        count = len(list(town.engage.people(whole)))
    assert told == {"sentence": whole.describe(), "matching": f"{count} people", "hint": None}
    assert count > 1


def test_a_name_that_nobody_has_yet_is_told(
    migrated_url: str, town: Town, operator: FlaskClient
) -> None:
    def hint(**asked: str) -> str | None:
        told = operator.get("/engage/filter-preview", query_string=asked).json
        assert told is not None
        found: str | None = told["hint"]
        return found

    assert hint(about="did", event="Exported") == "Nobody has done “Exported” yet."
    assert hint(about="did", event=" exported ") is None
    assert hint(about="attr", name="Plan", op="set") == "Nobody has “Plan” yet."
    assert hint(about="attr", name="plan", op="set") is None


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"about": "person", "field": "sessions", "op": "eq", "value": "x"}, "value", "3 or 2.5"),
        ({"about": "did", "event": ""}, "event", "write the name"),
        ({"about": "did", "event": "a", "days": "-1"}, "days", "from 1 up"),
        ({"about": "did", "event": "a", "bound": "often"}, "bound", "at_least"),
        ({"about": "did", "event": "a", "prop-2": "b", "op-2": "n:eq"}, "value-2", "no number"),
        ({"about": "did", "event": "a", "value-3": "b"}, "prop-3", "write the name"),
        ({"about": "visited", "prop-1": "shoes", "op-1": "s:eq"}, "prop-1", "there are"),
        ({"about": "visited", "prop-1": "hits", "op-1": "s:starts"}, "op-1", "is less than"),
        ({"about": "bucket", "salt": "a", "low": "9", "high": "9"}, "high", "smaller first"),
        ({"about": "bucket", "salt": "", "low": "0", "high": "9"}, "salt", "write the name"),
        ({"about": "person", "field": "last_seen", "op": "older", "unit": "ages"}, "unit", "days"),
        ({"about": "person", "field": "x"}, None, "no field"),
        ({"about": "received", "message": "a", "outcome": "read"}, "outcome", "opened"),
        ({"about": "segment", "in_segment": "none such"}, None, "none such"),
        ({"group": "any"}, "pick", "two or more"),
        ({"about": "visited", "into": "9"}, "at", "no part"),
        ({"about": "visited", "join": "xor"}, "join", "any"),
        ({"filter": "{"}, "filter", "no JSON"),
    ],
)
def test_an_error_names_the_field_and_keeps_what_was_typed(
    asked: dict[str, str], field: str | None, words: str, town: Town, operator: FlaskClient
) -> None:
    told = operator.get("/engage/filter-preview", query_string=asked).json
    assert told is not None
    assert told["problem"]["field"] == field
    assert words in told["problem"]["text"]
    page = operator.get("/engage/people/filter", query_string=asked)
    assert page.status_code == 400
    assert html.escape(words, quote=False) in page.text or words in html.unescape(page.text)


def test_a_form_that_is_wrong_opens_again_as_it_was_filled_in(
    town: Town, operator: FlaskClient
) -> None:
    wanted = did("exported") & (person.sessions >= 3)
    asked = {
        "filter": _text(wanted),
        "at": "1",
        "about": "person",
        "field": "relationship",
        "op": "gt",
        "value": HOSTILE,
    }
    page = operator.get("/engage/people/filter", query_string=asked).text
    opened = re.findall(r'<details class="pop" data-pop open>.*?</details>', page, re.DOTALL)
    assert len(opened) == 1
    assert 'value="relationship" data-kind="number" selected' in opened[0]
    assert f'name="value" value="{html.escape(HOSTILE)}"'.replace("&quot;", "&#34;") in opened[0]
    assert "is no number" in opened[0]
    assert HOSTILE not in page
    added = {"about": "did", "event": "exported", "prop-2": "pages", "op-2": "n:gt", "value-2": "x"}
    page = operator.get("/engage/people/filter", query_string=added).text
    opened = re.findall(r'<details class="pop" data-pop open>.*?</form>', page, re.DOTALL)
    assert len(opened) == 1
    assert 'name="prop-2" value="pages"' in opened[0]
    assert 'name="value-2" value="x"' in opened[0]


@pytest.mark.parametrize("what", EVERY_KIND)
def test_every_condition_is_shown_and_sent_back_by_its_own_form(
    what: str, town: Town, operator: FlaskClient
) -> None:
    """The fields of the page itself, as a browser without a script sends them."""
    condition = EVERY_KIND[what]
    page = operator.get("/engage/people", query_string={"filter": _text(A & condition & D)})
    assert page.status_code == 200
    fields = _form_at(page.text, "1")
    answer = operator.get("/engage/people/filter", query_string=fields)
    assert _filter_of(answer) == A & condition & D


def _form_at(page: str, path: str) -> list[tuple[str, str]]:
    """Return what the form that changes the part at `path` would send."""
    found = [
        form
        for form in re.findall(r"<form action=[^>]*data-build.*?</form>", page, re.DOTALL)
        if f'name="at" value="{path}"' in form
    ]
    assert len(found) == 1
    fields = []
    for tag in re.findall(r"<input [^>]*>|<select.*?</select>", found[0], re.DOTALL):
        name = re.search(r' name="([^"]*)"', tag)
        if name is None:
            continue
        if tag.startswith("<select"):
            options = re.findall(r"<option([^>]*)>([^<]*)", tag)
            chosen = [one for one in options if " selected" in one[0]] or options[:1]
            for attributes, words in chosen[-1:]:
                value = re.search(r'value="([^"]*)"', attributes)
                fields.append((name[1], html.unescape(value[1] if value else words)))
        elif 'type="checkbox"' not in tag or " checked" in tag:
            value = re.search(r' value="([^"]*)"', tag)
            fields.append((name[1], html.unescape(value[1]) if value else ""))
    return fields


def test_conditions_are_grouped_by_plain_forms(
    migrated_url: str, town: Town, operator: FlaskClient
) -> None:
    wanted = A & B & C
    picked = {"filter": _text(wanted), "pick": ["0", "2"], "group": "any"}
    made = _filter_of(operator.get("/engage/people/filter", query_string=picked))
    assert made == (A | C) & B
    page = operator.get("/engage/people", query_string={"filter": _text(made), "into": "0.1"})
    assert 'id="beside"' in page.text
    assert 'name="into" value="0.1"' in page.text
    beside = {"filter": _text(made), "into": "0.1", "join": "all", "about": "visited"}
    deeper = _filter_of(operator.get("/engage/people/filter", query_string=beside))
    assert deeper == (A | (C & D)) & B
    shown = operator.get("/engage/people", query_string={"filter": _text(deeper)})
    with town.app.app_context():
        matching = {one.public_id for one in town.engage.people(deeper)}
    assert set(re.findall(r'class="person" href="/engage/people/(\w+)\?', shown.text)) == matching


def test_the_filter_is_shown_as_python_and_json(town: Town, operator: FlaskClient) -> None:
    wanted = (attr("plan") == HOSTILE) & did("exported").within(days=30)
    page = operator.get("/engage/people", query_string={"filter": _text(wanted)}).text
    python, document = re.findall(r"<pre[^>]*><code>(.*?)</code>", page, re.DOTALL)
    made: dict[str, Any] = {}
    exec(html.unescape(python), made)
    assert made["wanted"] == wanted
    assert Filter.from_json(json.loads(html.unescape(document))) == wanted
    assert "<pre" not in operator.get("/engage/people").text


def test_a_host_column_is_shown_as_its_sentence_and_can_not_be_edited(
    town: Town, app_host: Host, operator: FlaskClient
) -> None:
    column = host(app_host.User.email == "person1@example.com")
    town.engage.segment("who is one", column)
    page = operator.get("/engage/people", query_string={"filter": _text(column & A)})
    assert page.status_code == 200
    assert html.escape((column & A).describe()) in page.text.replace("&#39;", "&#x27;")
    assert 'name="at" value="0"' not in page.text
    assert 'name="at" value="1"' in page.text
    python = re.findall(r"<pre[^>]*><code>(.*?)</code>", page.text, re.DOTALL)[0]
    assert 'host(User.email == "person1@example.com")' in html.unescape(python)


def test_a_segment_of_the_code_on_host_columns_opens_to_be_read_only(
    town: Town, app_host: Host, operator: FlaskClient
) -> None:
    user = app_host.User
    for condition in (user.email == "person1@example.com", user.email.like("%1%")):
        wanted = host(condition) & (A | ~did("exported"))
        town.engage.segment("on a column", wanted)
        page = operator.get(
            "/engage/people", query_string={"filter": _text(in_segment("on a column"))}
        )
        assert page.status_code == 200
        text = html.unescape(page.text)
        shown = text[text.index("data-fixed") :]
        shown = shown[: shown.index("</details>")]
        for part in (host(condition), A, ~did("exported")):
            assert part.describe().removeprefix("People ") in shown
        assert "<a " not in shown
        assert "<form" not in shown
        assert "data-builder" not in text
        assert "Show the conditions" not in text


def test_a_rule_on_host_columns_opens_to_be_read_only(
    town: Town, app_host: Host, operator: FlaskClient
) -> None:
    wanted = host(app_host.User.email == "person1@example.com") & A
    town.engage.auto_message("to one", to=wanted, send=InApp(body="Hello"))
    town.engage.auto_message(
        "by a pattern", to=host(app_host.User.email.like("%1%")), send=InApp(body="Hello")
    )
    with town.app.app_context():
        town.engage.run_due()
    assert "LIKE" in operator.get("/engage/rules/by%20a%20pattern").text
    rule = operator.get("/engage/rules/to%20one")
    assert "data-fixed" in rule.text
    link = re.findall(r'href="([^"]*)">Who matches now', rule.text)[0]
    page = operator.get(html.unescape(link))
    assert page.status_code == 200
    assert "data-fixed" in page.text
    assert "Back to the rule" in page.text
    assert "data-builder" not in page.text
    assert page.text.count('<a class="person"') == 1
    changed = operator.get("/engage/people", query_string={"filter": _text(A), "rule": "to one"})
    assert "data-builder" in changed.text, "another filter than the rule's is the operator's own"


@pytest.mark.parametrize("name", ["is_admin", "no_such", "x" * 300])
@pytest.mark.parametrize("op", ["==", ">=", "in", "is_set"])
def test_what_comes_from_a_browser_asks_only_about_columns_that_the_code_asks_about(
    town: Town, app_host: Host, operator: FlaskClient, name: str, op: str
) -> None:
    """Or whoever may look reads a password's hash by guesses and counts."""
    value = {"is_set": {}, "in": {"value": ["a"]}}.get(op, {"value": True})
    column = {"host": name[:255], "op": op, **value}
    for node in (column, {"not": column}, {"all": [{"everyone": True}, {"any": [column, column]}]}):
        asked = {"filter": json.dumps({"version": 1, "filter": node})}
        for path in ("people", "people-count", "messages/new", "people/filter"):
            answer = operator.get(f"/engage/{path}", query_string=asked)
            assert answer.status_code == 400, (path, node)
            assert "nothing can be asked here of a column" in answer.text
    saved = {"version": 1, "filter": {"host": "is_admin", "op": "==", "value": True}}
    with state_of(town.app).ready.require().write() as session:
        add_segment(session, "saved once", saved, "7", town.engage._clock())
    answer = operator.get("/engage/people-count", query_string={"filter": json.dumps(saved)})
    assert answer.status_code == 400, "what an operator saved gives no leave"
    town.engage.segment("admins", host(app_host.User.is_admin == True))  # noqa: E712
    allowed = {"version": 1, "filter": {"host": "is_admin", "op": "!=", "value": True}}
    answer = operator.get("/engage/people-count", query_string={"filter": json.dumps(allowed)})
    assert answer.status_code == 200


def test_an_opened_segment_stays_open_while_another_is_asked_for(
    town: Town, operator: FlaskClient
) -> None:
    asked = {
        "filter": _text(A),
        "segment": "mine",
        "about": "segment",
        "in_segment": "Active",
    }
    answer = operator.get("/engage/people/filter", query_string=asked)
    assert _filter_of(answer) == A & in_segment("Active")
    assert parse_qs(urlsplit(answer.location).query)["segment"] == ["mine"]
