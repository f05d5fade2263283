"""Writing to people: what is wrong is told by field and line, and what is sent is sent once."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from sqlalchemy import func, select

from flask_engage import did
from flask_engage._state import state_of
from flask_engage.store.content import ContentRow
from flask_engage.store.delivery import DeliveryRow
from flask_engage.store.operator import AuditRow, OperatorRow
from tests.dashboard import _town

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.dashboard.conftest import Town

FORM = "/engage/messages/new"
Find = Callable[["TestResponse"], str]
BODY = "Hello {{ name | default('there') }}, *look*."


@pytest.fixture
def write(
    town: Town, operator: FlaskClient, token_of: Find, key_of: Find
) -> Callable[..., TestResponse]:
    """Posts the form for one person, with a fresh key unless told another."""
    page = operator.get(f"{FORM}?to={town.public_id(0)}")
    token, key = token_of(page), key_of(page)

    def post(action: str = "send", **fields: Any) -> TestResponse:
        given = {"csrf_token": token, "key": key, "action": action, "style": "popup"}
        given |= {"to": town.public_id(0), "title": "New", "body": BODY}
        return operator.post(FORM, data={**given, **fields})

    return post


def _count(app: Flask, table: Any, *where: Any) -> int:
    with app.app_context(), state_of(app).ready.require().read() as session:
        return session.scalar(select(func.count()).select_from(table).where(*where)) or 0


def _sent(app: Flask) -> int:
    return _count(
        app,
        DeliveryRow,
        DeliveryRow.source.not_like("rule:%"),
        DeliveryRow.source != "send:launch-1",
    )


def test_a_message_goes_to_whom_it_is_for(town: Town, write: Callable[..., TestResponse]) -> None:
    answer = write()
    assert answer.status_code == 303
    assert answer.location.startswith("/engage/messages/send:")
    assert _sent(town.app) == 1
    with town.app.app_context(), state_of(town.app).ready.require().read() as session:
        words = session.scalars(select(ContentRow).order_by(ContentRow.id.desc())).first()
        assert words is not None
        assert (words.subject, words.body) == ("New", BODY)
        assert words.created_by == str(max(town.ids) + 1)


def test_a_form_that_is_sent_twice_sends_once(
    town: Town, write: Callable[..., TestResponse]
) -> None:
    first, second = write(), write()
    assert first.location == second.location
    assert second.status_code == 303
    assert _sent(town.app) == 1
    assert _count(town.app, AuditRow, AuditRow.action == "send") == 1


def test_a_form_with_a_used_key_and_other_words_is_refused(
    town: Town, write: Callable[..., TestResponse]
) -> None:
    write()
    answer = write(body="Something else", to=[town.public_id(0), town.public_id(1)])
    assert answer.status_code == 400
    assert "has been sent already" in answer.text
    assert _sent(town.app) == 1


@pytest.mark.parametrize("key", ["", "x", "launch-1", "a.b.c", "ü", "x" * 5000])
def test_a_key_that_is_not_ours_sends_nothing(
    key: str, town: Town, write: Callable[..., TestResponse]
) -> None:
    assert write(key=key).status_code == 400
    assert _sent(town.app) == 0


def test_everybody_in_the_filter_gets_it(
    town: Town, operator: FlaskClient, token_of: Find, key_of: Find
) -> None:
    wanted = json.dumps(did("exported").to_json())
    page = operator.get(f"{FORM}?filter={quote(wanted)}")
    assert "8 people" in page.text
    assert html.escape("did “exported”") in page.text
    data = {"csrf_token": token_of(page), "key": key_of(page), "filter": wanted, "body": "Hello"}
    assert operator.post(FORM, data={**data, "action": "send"}).status_code == 303
    assert _sent(town.app) == 8


def test_chosen_people_get_it_and_each_once(town: Town, write: Callable[..., TestResponse]) -> None:
    people = [town.public_id(2), town.public_id(3), town.public_id(2), "f" * 24]
    assert write(to=people).status_code == 303
    assert _sent(town.app) == 2


def test_sending_asks_first_where_there_is_no_script(
    town: Town, write: Callable[..., TestResponse]
) -> None:
    answer = write("review")
    assert answer.status_code == 200
    assert "Send to 1 person?" in answer.text
    assert _sent(town.app) == 0


def test_a_change_leaves_an_entry_with_who_and_what(
    town: Town, write: Callable[..., TestResponse]
) -> None:
    write(to=[town.public_id(3)])
    with town.app.app_context(), state_of(town.app).ready.require().read() as session:
        entry = session.scalars(select(AuditRow)).one()
        who = session.scalars(select(OperatorRow)).one()
    assert (entry.action, entry.operator_id) == ("send", who.id)
    assert entry.detail == {"to": _town.HOSTILE, "people": 1, "channel": "in_app"}
    assert (who.name, who.email, who.role) == ("Olga", "operator@example.com", "admin")


WRONG = [
    ({"body": "Line one\n{{ nme }}"}, "f-body", "Line 2"),
    ({"body": "{{ ''.__class__ }}"}, "f-body", ""),
    ({"body": "{{ user.delete() }}"}, "f-body", ""),
    ({"body": "{% if"}, "f-body", "Line 1"),
    ({"body": "((((" * 20_000}, "f-body", "64 KiB"),
    ({"body": "", "title": ""}, "f-body", "says nothing"),
    ({"title": "{{ nme }}"}, "f-title", "nme"),
    ({"title": "x" * 600}, "f-title", "500"),
    ({"style": "fullscreen"}, "f-style", "popup, banner or note"),
    ({"label1": "Go", "url1": "javascript:alert(1)"}, "f-url1", "only http"),
    ({"label1": "Go", "url1": "//evil.com"}, "f-url1", "only http"),
    ({"label1": "Go", "url1": "https://good@evil.com"}, "f-url1", "user name"),
    ({"label1": "Go", "url1": "ht\ntps://x"}, "f-url1", "white space"),
    ({"url2": "/export"}, "f-label2", "what the button says"),
    ({"label2": "x" * 100}, "f-label2", "60"),
]


@pytest.mark.parametrize(("fields", "field", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_sent(
    fields: dict[str, str],
    field: str,
    words: str,
    town: Town,
    write: Callable[..., TestResponse],
) -> None:
    for action in ("send", "review", "preview"):
        answer = write(action, **fields)
        assert answer.status_code == 400
        assert f'id="{field}-wrong"' in answer.text
        told = answer.text.split(f'id="{field}-wrong"')[1].split("</p>")[0]
        assert words in html.unescape(told)
    assert _sent(town.app) == 0


def test_all_that_is_wrong_is_told_at_once(town: Town, write: Callable[..., TestResponse]) -> None:
    text = write(title="{{ a", body="{{ nme }}", label1="Go", url1="data:x").text
    assert 'id="f-url1-wrong"' in text
    assert 'id="f-title-wrong"' in text
    text = write(body="{{ nme }}", label1="Go", url1="data:x").text
    assert 'id="f-url1-wrong"' in text
    assert 'id="f-body-wrong"' in text
    assert _sent(town.app) == 0


def test_what_was_written_is_kept_when_something_is_wrong(
    write: Callable[..., TestResponse],
) -> None:
    text = html.unescape(write(title="T<itle", body="\nBo&dy {{", label1="Go").text)
    for kept in ("T<itle", "Bo&dy {{", 'value="Go"'):
        assert kept in text


def test_the_preview_is_for_that_person_and_holds_no_script(
    town: Town, write: Callable[..., TestResponse], operator: FlaskClient
) -> None:
    answer = write(
        "preview", body=BODY + "\n\n<script>alert(1)</script><img src=x onerror=alert(1)>"
    )
    frame = answer.text.split("<iframe")[1].split(">", 1)[0]
    assert " sandbox " in frame
    assert "allow-" not in frame
    document = html.unescape(frame)
    assert "Oluwaseun" in document
    assert "<script" not in document
    assert "<img src=x" not in document
    assert "<style" not in document


def test_the_live_preview_answers_with_document_and_problems(
    town: Town, operator: FlaskClient, token_of: Find
) -> None:
    token = token_of(operator.get(f"{FORM}?to={town.public_id(3)}"))
    data = {"csrf_token": token, "to": town.public_id(3), "body": "Hello {{ name }}"}
    answer = operator.post("/engage/messages/preview", data=data)
    assert answer.json is not None
    assert answer.json["problems"] == {}
    assert "&lt;script&gt;" in answer.json["document"]
    assert "<script" not in answer.json["document"]
    answer = operator.post("/engage/messages/preview", data={**data, "body": "\n{{ nme }}"})
    assert answer.json is not None
    assert "line 2" in answer.json["problems"]["body"].lower()
    assert operator.post("/engage/messages/preview", data={"to": "x"}).status_code == 400


def test_a_text_keeps_its_first_blank_line(town: Town, write: Callable[..., TestResponse]) -> None:
    # Browsers drop the first line break of a text field, so the page has to give one more.
    text = write("preview", body="\nHello").text
    assert "\n\nHello</textarea>" in text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?to=" + "f" * 24, 400),
        ("?filter=%7B", 400),
        ("?" + "to=x&" * 300, 400),
        ("?to=%00", 400),
    ],
)
def test_an_address_that_names_nobody_says_so(
    query: str, status: int, operator: FlaskClient
) -> None:
    assert operator.get(FORM + query).status_code == status


def test_nobody_in_the_filter_means_nothing_to_send(town: Town, operator: FlaskClient) -> None:
    wanted = quote(json.dumps(did("never happened").to_json()))
    text = operator.get(f"{FORM}?filter={wanted}").text
    assert "0 people" in text
    assert "data-review disabled" in text


def test_more_than_the_form_asks_for_changes_nothing_else(
    town: Town, write: Callable[..., TestResponse]
) -> None:
    write(is_operator="1", id="1", last_seen="9999-01-01", source="rule:come back", created_by="x")
    with town.app.app_context(), state_of(town.app).ready.require().read() as session:
        row = session.scalars(select(DeliveryRow).order_by(DeliveryRow.id.desc())).first()
        assert row is not None
        assert row.source.startswith("send:")
        assert row.created_by == str(max(town.ids) + 1)
