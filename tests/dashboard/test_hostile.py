"""Whatever people, pages, rules and files are called, it is text: on each page and in each file."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from flask_engage import Operator, attr
from flask_engage._state import state_of
from flask_engage.dashboard import blueprint
from flask_engage.store.attribute_write import write_attributes
from flask_engage.store.person import PersonRow
from tests.dashboard import _hostile
from tests.dashboard._hostile import Hostile, Page, infest
from tests.dashboard._town import HOSTILE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from flask_engage import Engage
    from tests._clock import FakeClock
    from tests.dashboard.conftest import Desk, Town

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture
def hostile(town: Town) -> Hostile:
    """The town, and in it those who mean harm."""
    return infest(town)


def test_on_no_page_is_there_an_element_or_an_attribute_that_came_from_data(
    hostile: Hostile, operator: FlaskClient
) -> None:
    addresses = hostile.addresses()
    assert set(addresses) == {route.endpoint for route in blueprint.ROUTES}, (
        "give tests/dashboard/_hostile.py addresses of the new route"
    )
    problems, shown = [], ""
    for endpoint, some in addresses.items():
        for address in some:
            answer = operator.get(address)
            assert answer.status_code < 500, address
            assert answer.headers["X-Content-Type-Options"] == "nosniff", address
            if answer.mimetype == "text/html":
                page = Page(answer.text)
                problems += [f"{endpoint} {address[:150]}: {one}" for one in page.problems]
                shown += "".join(page.text)
            elif answer.mimetype == "application/json":
                json.loads(answer.text)
            else:
                assert answer.mimetype in ("image/svg+xml", "image/png", "text/css", "text/csv"), (
                    address
                )
    assert not problems, "\n".join(problems)
    # And each is there as what it is.
    for name, email, user_id in _hostile.PEOPLE:
        assert {name, email, user_id} - {""}, name
        assert name.split("\u2028")[0] in shown
        assert email.strip() in shown
    for text in (_hostile.TAG, _hostile.SEGMENT, _hostile.RULE, _hostile.FILE):
        assert text in shown, text
    for text in (_hostile.SVG, _hostile.SCRIPT_URL, _hostile.SHEET, HOSTILE):
        assert text in shown, text


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_lets_data_act_or_break_its_frame_in_a_browser(
    width: int, hostile: Hostile, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(viewport={"width": width, "height": 900})
    problems: list[str] = []
    for endpoint, some in hostile.addresses().items():
        # One of each kind is enough for a browser; all were parsed in the test above.
        for address in some if endpoint in ("person", "event", "rule") else some[:2]:
            answer = desk.page.request.get(desk.url + address)
            if answer.headers.get("content-type", "").startswith("text/html"):
                desk.open(address)
                problems += [f"{address[:150]}: {one}" for one in desk.page.evaluate(_ACTS)]
                if desk.page.evaluate(_IS_WIDER):
                    problems.append(f"{address[:150]}: wider than the window")
        problems += [
            f"{endpoint}: {text}"
            for text in desk.complaints
            if "Failed to load resource" not in text  # an answer that is meant to be an error
        ]
        desk.complaints.clear()
    assert not problems, "\n".join(problems)


#: Parts that a script puts into a page have no stylesheet of their own.
_IS_WIDER = "document.styleSheets.length && document.documentElement.scrollWidth > innerWidth"
_ACTS = """() => [...document.querySelectorAll("*")].flatMap((one) => [
    ...[...one.attributes]
        .filter(({name, value}) => name.startsWith("on") || name === "style"
            || /^\\s*(javascript|data|vbscript):/i.test(value) && /^(href|src|action)$/.test(name))
        .map(({name}) => `${one.tagName} has ${name}`),
    ...(one.tagName === "SCRIPT" && !one.src ? ["a script of its own"] : []),
    ...(one.tagName === "IMG" && !one.src.startsWith(location.origin) ? [one.outerHTML] : []),
])"""


@pytest.fixture
def export(
    operator: FlaskClient, hostile: Hostile, token_of: Callable[[TestResponse], str]
) -> Callable[..., str]:
    """Posts a form that asks for a file; gives its text."""
    token = token_of(operator.get("/engage/people"))

    def post(address: str, **form: Any) -> str:
        answer = operator.post(address, data={"csrf_token": token, **form})
        assert answer.status_code == 200, answer.text[:500]
        assert "attachment" in answer.headers["Content-Disposition"]
        assert "\n" not in answer.headers["Content-Disposition"]
        return answer.text

    return post


@pytest.mark.parametrize("where", ["/engage/transfers/export", "/engage/people/export"])
def test_a_spreadsheet_finds_no_formula_and_a_reader_everything(
    where: str, hostile: Hostile, export: Callable[..., str]
) -> None:
    form = {"sure": "1", "all": "1", "columns": "all"} if "people" in where else {}
    text = export(where, format="csv", **form)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len({len(row) for row in rows}) == 1
    cells = [cell for row in rows for cell in row]
    assert [one for one in cells if one.startswith(_FORMULA) and not _number(one)] == []
    names = [row[rows[0].index("name")] for row in rows[1:]]
    assert {HOSTILE, _hostile.EMOJI, _hostile.RTL, f"'{_hostile.SHEET}"} <= set(names)
    lines = export(where, format="jsonl", **form).splitlines()
    found = {one["public_id"]: one for one in map(json.loads, lines)}
    for public_id, (name, email, user_id) in zip(hostile.public_ids, _hostile.PEOPLE, strict=True):
        one = found[public_id]
        assert (one["name"], one["email"], one["user_id"]) == (name, email, user_id)
        assert one["attributes"]["a'->>'b"] == _hostile.SCRIPT_URL


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


# --- questions that would rather be statements ---------------------------------------------------

STATEMENTS = (
    *("name;drop table engage_person", "' OR 1=1--", '" OR 1=1--', "1) OR (1=1", "a'->>'b"),
    *("name' COLLATE \"C", "%", "_", "%s", "%(name)s", ":name", "?", "\\", "\\'", "x\0y", "$.a[0]"),
    *("'; SELECT pg_sleep(9)--", "/*", "name--", "attr:a'->>'b", 'attr:"; DROP'),
)


@pytest.fixture
def shop(
    migrated_url: str, app: Flask, client: FlaskClient, engage: Engage, clock: FakeClock
) -> FlaskClient:
    """An operator's browser, and three people with a value of an attribute called ``a'->>'b``."""
    engage._registry.operator = lambda: Operator("7", role="admin")
    with app.app_context(), state_of(app).ready.require().write() as session:
        for name in ("100% Ada", "under_score", "' OR 1=1--"):
            row = PersonRow(
                kind="user", user_id=name, name=name, created_at=clock.now, updated_at=clock.now
            )
            session.add(row)
            session.flush()
            values = {"a'->>'b": name, "plain": 1}
            write_attributes(session, {row.id: values}, source="page", now=clock.now)
    return client


def _people(app: Flask) -> list[str | None]:
    with state_of(app).ready.require().read() as session:
        return sorted(session.scalars(select(PersonRow.name)))  # type: ignore[type-var]


def test_no_question_is_a_statement_on_any_database(
    shop: FlaskClient, app: Flask, token_of: Callable[[TestResponse], str]
) -> None:
    before = _people(app)
    token = token_of(shop.get("/engage/people"))
    for text in STATEMENTS:
        for address, values in _questions(text):
            answer = shop.get(address, query_string=values)
            assert answer.status_code in (200, 303, 400, 404), f"{address} {values}"
        for address, form in _orders(text):
            answer = shop.post(address, data={"csrf_token": token, **form})
            assert answer.status_code in (200, 303, 400), f"{address} {form}"
            answer.get_data()  # what is streamed is read to its end
    assert _people(app) == before
    assert shop.get("/engage/people").text.count('class="who"') == shop.get(
        "/engage/people?sort=name"
    ).text.count('class="who"')


def _questions(text: str) -> list[tuple[str, dict[str, str]]]:
    filters = [
        _document(attr=text, op="==", value=text),
        _document(person=text, op="==", value=text),
        _document(attr="plain", op=text, value=text),
        (attr("a") == f"a{text[:40]}").to_json() if "\0" not in text else {},
        _document(attr="plain", op="==", value=f"\ud800{text}"),
        _document(attr=f"\ud800{text}", op="==", value=1),
    ]
    return [
        *(
            ("/engage/people", {name: text})
            for name in ("sort", "q", "dir", "after", "c", "filter")
        ),
        ("/engage/people", {"sort": f"attr:{text}", "after": text}),
        *(("/engage/people", {"filter": json.dumps(one)}) for one in filters),
        ("/engage/people-count", {"q": text}),
        ("/engage/find", {"q": text}),
        ("/engage/filter-values", {"of": "attr", "name": text}),
        ("/engage/filter-values", {"of": "field", "name": text, "event": text}),
        ("/engage/events", {"name": text, "person": text, "property": f"{text} = {text}"}),
        ("/engage/events", {"before": text}),
        ("/engage/event", {"name": text}),
        ("/engage/catalogue", {"sort": text, "from": text}),
    ]


def _document(**condition: str | int) -> dict[str, Any]:
    return {"version": 1, "filter": condition}


def _orders(text: str) -> list[tuple[str, dict[str, str]]]:
    sure = {"sure": "1", "all": "1", "q": text}
    surrogate = json.dumps(_document(person="name", op="contains", value="\ud800"))
    return [
        (
            "/engage/people/export",
            {**sure, "format": "csv", "columns": "shown", "c": f"attr:{text}"},
        ),
        ("/engage/people/export", {"sure": "1", "ids": text, "format": "jsonl"}),
        ("/engage/transfers/export", {"c": text, "format": "csv"}),
        ("/engage/transfers/export", {"segment": text, "format": text}),
        ("/engage/people/bulk", {**sure, "action": "tag", "tag": text}),
        ("/engage/people/bulk", {**sure, "action": "untag", "tag": text}),
        ("/engage/people/bulk", {**sure, "action": "tag", "tag": "x", "filter": surrogate}),
        ("/engage/people/delete", {**sure, "action": "delete", "typed": text}),
        ("/engage/people/delete", {"action": "delete", "to": text, "work": text}),
        ("/engage/segments", {"action": "save", "name": text, "filter": text}),
    ]


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("%", ["100% Ada"]),
        ("_", ["under_score"]),
        ("' OR 1=1--", ["' OR 1=1--"]),
        ("\\", []),
        ("name;drop table engage_person", []),
    ],
)
def test_what_is_typed_is_found_letter_for_letter(
    typed: str, names: list[str], shop: FlaskClient, token_of: Callable[[TestResponse], str]
) -> None:
    found = shop.get("/engage/find", query_string={"q": typed}).json
    assert found is not None
    assert [one["label"] for one in found["people"]] == names
    counted = shop.get("/engage/people-count", query_string={"q": typed}).json
    assert counted is not None
    assert counted["exact"] == len(names)
    form = {"csrf_token": token_of(shop.get("/engage/people")), "sure": "1", "all": "1", "q": typed}
    lines = shop.post("/engage/people/export", data={**form, "format": "jsonl"}).text
    assert [json.loads(line)["name"] for line in lines.split("\n") if line] == names


def test_an_attribute_that_looks_like_a_path_is_one_name(shop: FlaskClient) -> None:
    name = "a'->>'b"
    wanted = json.dumps((attr(name) == "under_score").to_json())
    counted = shop.get("/engage/people-count", query_string={"filter": wanted}).json
    assert counted is not None
    assert counted["exact"] == 1
    query = {"sort": f"attr:{name}", "dir": "asc", "c": ["", f"attr:{name}"]}
    text = html.unescape(shop.get("/engage/people", query_string=query).text)
    places = [text.rindex(one) for one in ("' OR 1=1--", "100% Ada", "under_score")]
    assert places == sorted(places)
