"""The list of people: who is shown, in which order, and what an address may say."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from flask_engage import Filter, ago, did, person
from tests.dashboard import _town

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.dashboard.conftest import Town


def _people(answer: TestResponse) -> list[str]:
    """Return the public ids in the list, in order."""
    return re.findall(r'<a class="person" href="/engage/people/([0-9a-f]+)\?', answer.text)


def _filter_of(location: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(parse_qs(urlsplit(location).query)["filter"][0])
    return found


def _address(wanted: Filter, **more: str) -> str:
    rest = "".join(f"&{name}={quote(value)}" for name, value in more.items())
    return f"/engage/people?filter={quote(json.dumps(wanted.to_json()))}{rest}"


def test_the_list_shows_everybody_most_recently_seen_first(
    town: Town, operator: FlaskClient
) -> None:
    answer = operator.get("/engage/people")
    assert len(_people(answer)) == len(_town.NAMES)
    assert _people(answer)[0] == town.public_id(0)
    assert "16 people" in answer.text


def test_the_filter_in_the_address_chooses_whom_and_says_so(
    town: Town, operator: FlaskClient
) -> None:
    wanted = (person.last_seen < ago(days=10)) & ~did("exported").within(days=30)
    answer = operator.get(_address(wanted))
    with town.app.app_context():
        expected = {one.public_id for one in town.engage.people(wanted)}
    assert set(_people(answer)) == expected
    assert expected
    text = html.unescape(answer.text)
    assert wanted.describe() in text
    assert f"{len(expected)} people" in text


def test_a_condition_is_added_by_a_plain_form(town: Town, operator: FlaskClient) -> None:
    answer = operator.get(
        "/engage/people/filter?about=did&event=exported&did=not&days=30&q=person&sort=name&dir=asc"
    )
    assert answer.status_code == 303
    assert Filter.from_json(_filter_of(answer.location)) == ~did("exported").within(days=30)
    kept = parse_qs(urlsplit(answer.location).query)
    assert (kept["q"], kept["sort"], kept["dir"]) == (["person"], ["name"], ["asc"])
    again = operator.get(
        "/engage/people/filter",
        query_string={
            "filter": json.dumps(_filter_of(answer.location)),
            "about": "person",
            "field": "sessions",
            "op": "ge",
            "value": "3",
        },
    )
    expected = ~did("exported").within(days=30) & (person.sessions >= 3)
    assert Filter.from_json(_filter_of(again.location)) == expected


def test_a_condition_is_changed_where_it_stands(town: Town, operator: FlaskClient) -> None:
    wanted = did("exported") & (person.sessions >= 3)
    answer = operator.get(
        "/engage/people/filter",
        query_string={
            "filter": json.dumps(wanted.to_json()),
            "at": "1",
            "about": "person",
            "field": "sessions",
            "op": "lt",
            "value": "9",
        },
    )
    assert Filter.from_json(_filter_of(answer.location)) == did("exported") & (person.sessions < 9)


def test_links_remove_turn_round_and_exchange(town: Town, operator: FlaskClient) -> None:
    wanted = did("exported") & (person.sessions >= 3)
    text = operator.get(_address(wanted)).text
    links = [
        Filter.from_json(_filter_of(html.unescape(link)))
        for link in re.findall(r'href="(/engage/people\?filter=[^"]+)"', text)
        if "segment" not in link
    ]
    for expected in (
        did("exported"),
        person.sessions >= 3,
        ~did("exported") & (person.sessions >= 3),
        did("exported") | (person.sessions >= 3),
    ):
        assert expected in links


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "filter: it is no JSON"),
        ("[]", "A filter's document is"),
        ('{"version":2,"filter":{"everyone":true}}', "version"),
        ('{"version":1,"filter":{"person":"shoe","op":"==","value":1}}', "'shoe'"),
        ('{"version":1,"filter":{"person":"sessions","op":">=","value":"3"}}', "number"),
        ('{"version":1,"filter":{"all":[{"everyone":true},{"segment":"nope"}]}}', "filter.all[1]"),
        ('{"version":1,"filter":{"person":"sessions","op":">=","value":NaN}}', "nan"),
        ('{"version":1,"filter":{"person":"sessions","op":">=","value":1e999}}', "inf"),
        ('{"version":1,"filter":{"attr":"a","op":"==","value":"\\ud800"}}', "surrogate"),
        ("[" * 15_000, "filter: "),
        ('{"version":1,"filter":' + '{"not":' * 2000 + '{"everyone":true}' + "}" * 2001, "deep"),
        ("x" * 20_000, "filter: it has more than"),
        (
            '{"version":1,"filter":{"person":"sessions","op":">=","value":' + "9" * 5000 + "}}",
            "filter",
        ),
    ],
    ids=lambda value: value[:50],
)
def test_a_bad_filter_in_the_address_is_told_and_harms_nothing(
    text: str, words: str, operator: FlaskClient
) -> None:
    answer = operator.get("/engage/people", query_string={"filter": text})
    assert answer.status_code == 400
    assert words in html.unescape(answer.text)
    assert not _people(answer)
    assert "/engage/messages/new" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "sort=name;drop table engage_person",
        "sort=' OR 1=1--",
        "sort=attr:",
        "sort=attributes",
        "after=nonsense",
        "after=" + "A" * 9000,
    ],
)
def test_a_bad_order_or_place_is_told(query: str, town: Town, operator: FlaskClient) -> None:
    assert operator.get(f"/engage/people?{query}").status_code == 400


@pytest.mark.parametrize(
    "sort",
    [
        "name",
        "email",
        "last_seen",
        "sessions",
        "signed_up",
        "attr:plan",
        "attr:invites sent",
        "attr:a'->>'b",
    ],
)
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_every_order_shows_everybody(
    sort: str, direction: str, town: Town, operator: FlaskClient
) -> None:
    answer = operator.get("/engage/people", query_string={"sort": sort, "dir": direction})
    assert answer.status_code == 200
    assert len(set(_people(answer))) == len(_town.NAMES)


@pytest.mark.parametrize(
    ("search", "places"),
    [
        ("zoë", [1]),
        ("ШЕВЧЕНКО", [5]),
        ("person7@", [7]),
        ("%", []),
        ("_", []),
        ("<script>", [3]),
        ("\x00", []),
    ],
)
def test_searching_finds_by_what_is_written_and_no_pattern(
    search: str, places: list[int], town: Town, operator: FlaskClient
) -> None:
    answer = operator.get("/engage/people", query_string={"q": search})
    assert answer.status_code == 200
    assert set(_people(answer)) == {town.public_id(place) for place in places}


def test_pages_follow_each_other_and_lead_back(
    app: Any, engage: Any, app_host: Any, clock: Any, operator: FlaskClient
) -> None:
    _town.settle(app, engage, app_host, clock, extra=100)
    seen: list[str] = []
    address: str | None = "/engage/people?sort=name&dir=asc"
    pages = []
    while address:
        pages.append(address)
        answer = operator.get(address)
        seen += _people(answer)
        found = re.search(r'rel="next" href="([^"]+)"', answer.text)
        address = html.unescape(found[1]) if found else None
    assert len(seen) == len(set(seen)) == len(_town.NAMES) + 101  # and the operator
    assert len(pages) == 3
    back = re.search(r'rel="prev" href="([^"]+)"', operator.get(pages[1]).text)
    assert back
    assert _people(operator.get(html.unescape(back[1]))) == seen[:50]


def test_columns_are_chosen_by_a_plain_form(town: Town, operator: FlaskClient) -> None:
    text = operator.get("/engage/people?c=&c=plan").text
    headings = re.findall(r'<th scope="col" class="cut[^>]*>.*?title="([^"]+)"', text)
    assert headings == ["plan"]
    assert not re.findall(r'<th scope="col" class="cut', operator.get("/engage/people?c=").text)


def test_hostile_names_are_only_text(town: Town, operator: FlaskClient) -> None:
    addresses = [
        "/engage/people?c=plan&c=" + quote(_town.ATTRIBUTE),
        _address(did(_town.EVENT)),
        *[f"/engage/people/{town.public_id(place)}" for place in range(len(_town.NAMES))],
        f"/engage/messages/new?to={town.public_id(3)}",
        "/engage/messages/send:launch-1",
        "/engage/people?q=" + quote(_town.HOSTILE),
    ]
    for address in addresses:
        text = operator.get(address).text
        assert "<script>" not in text
        assert "<svg onload" not in text
        assert "<b>bold" not in text
        assert 'href="javascript:' not in text
        assert "49" not in re.findall(r"<bdi[^>]*>([^<]*)</bdi>", text)


def test_an_empty_house_says_what_will_appear(operator: FlaskClient) -> None:
    assert "Nobody has been seen yet" in operator.get("/engage/people?q=").text
    assert "flask engage sync" in operator.get("/engage/people").text


def test_no_match_says_which_condition_to_drop(town: Town, operator: FlaskClient) -> None:
    text = operator.get(_address((person.sessions > 9999) & did("exported"))).text
    assert "Drop one of them" in text
    assert "Message 0" not in text


def test_the_number_of_questions_does_not_grow_with_the_people(
    app: Any, engage: Any, app_host: Any, clock: Any, operator: FlaskClient
) -> None:
    from sqlalchemy import event

    from flask_engage._state import state_of

    _town.settle(app, engage, app_host, clock)
    asked: list[str] = []
    with app.app_context():
        engine = state_of(app).ready.require().engine

    def note(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    operator.get("/engage/people")
    few = len(asked)
    for number in range(40):
        app_host.add_user(app, f"more{number}@example.com")
    with app.app_context():
        engage.sync()
    asked.clear()
    operator.get("/engage/people")
    assert len(asked) == few < 40


def test_without_a_script_too_a_search_is_not_called_everyone(
    town: Town, operator: FlaskClient
) -> None:
    text = operator.get("/engage/people?q=person1").text
    shown = re.sub(r"<(\w+)[^>]* hidden[^>]*>.*?</\1>", "", text)
    assert "Found by “<bdi data-search-words>person1</bdi>”" in shown
    assert "Message all 7 found" in shown
    assert "Message the one found" in operator.get("/engage/people?q=person12").text
    assert "Message everyone" not in shown
    assert "Everyone, found by “person1”" in shown  # the table's caption
    assert '<input type="hidden" name="q" value="person1" data-search-value>' in shown
