"""Tags and notes that operators put on a person."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from flask_engage import Operator, person
from flask_engage._state import state_of
from flask_engage.store.operator import AuditRow
from tests.dashboard._town import HOSTILE

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from flask_engage import Engage
    from tests.dashboard.conftest import Town

Change = Callable[..., "TestResponse"]


@pytest.fixture
def change(
    town: Town, engage: Engage, client: FlaskClient, token_of: Callable[[TestResponse], str]
) -> Change:
    """Sends a form of a person's page: ``change(action=..., role="edit", who="7")``."""

    def send(who: str = "7", role: Any = "edit", **form: Any) -> TestResponse:
        engage._registry.operator = lambda: Operator(who, name=f"Olga {who}", role=role)
        address = f"/engage/people/{town.public_id(0)}"
        form["csrf_token"] = token_of(client.get(address))
        return client.post(f"{address}/change", data=form)

    return send


def _page(client: FlaskClient, town: Town) -> str:
    return client.get(f"/engage/people/{town.public_id(0)}").text


def _note_of(text: str) -> str:
    found = re.search(r'name="note" value="(\d+)"', text)
    assert found
    return found[1]


def _audit(town: Town) -> list[str]:
    with state_of(town.app).ready.require().read() as session:
        return list(session.scalars(select(AuditRow.action).order_by(AuditRow.id)))


def test_a_tag_is_put_on_found_by_filters_taken_off_and_brought_back(
    town: Town, client: FlaskClient, change: Change
) -> None:
    assert change(action="tag", tag=" beta ").status_code == 303
    assert change(action="tag", tag="beta").status_code == 303
    with town.app.app_context():
        tagged = list(town.engage.people(person.tags.contains("beta")))
        assert [one.public_id for one in tagged] == [town.public_id(0)]
    answer = change(action="untag", tag="beta")
    shown = client.get(answer.location).text
    assert "The tag “beta” is gone." in shown
    assert "Undo" in shown
    with town.app.app_context():
        assert town.engage.people(person.tags.contains("beta")).count() == 0
    assert _audit(town) == ["tag", "untag"]
    page = client.get(f"/engage/people/{town.public_id(0)}?kind=tag").text
    put, off = 'Tagged <bdi class="bold">beta', 'Tag <bdi class="bold">beta</bdi> taken off'
    assert 0 < page.index(off) < page.index(put)
    known = json.loads(client.get(f"/engage/people/{town.public_id(0)}/json").text)
    changes = [(one["of"], one["entered"]) for one in known["segment_changes"]]
    assert changes == [("tag:beta", True), ("tag:beta", False)]


def test_a_note_is_written_changed_and_deleted(
    town: Town, client: FlaskClient, change: Change
) -> None:
    change(action="note", body=f"Asked for columns.\r\n{HOSTILE}")
    shown = _page(client, town)
    assert "Asked for columns." in shown
    assert "Olga 7" in shown
    assert HOSTILE not in shown
    number = _note_of(shown)
    change(action="change-note", note=number, body="Asked for rows.")
    only = client.get(f"/engage/people/{town.public_id(0)}?kind=note").text
    assert "Asked for rows." in only
    assert "Asked for columns." not in only
    change(action="delete-note", note=number)
    assert "Asked for rows." not in _page(client, town)
    assert _audit(town) == ["add note", "change note", "delete note"]


def test_a_note_is_its_authors_and_an_admin_can_delete_it(
    town: Town, client: FlaskClient, change: Change
) -> None:
    change(action="note", body="Mine.")
    number = _note_of(_page(client, town))
    assert change(who="8", action="change-note", note=number, body="Yours.").status_code == 400
    assert change(who="8", action="delete-note", note=number).status_code == 400
    admin = change(who="8", role="admin", action="change-note", note=number, body="Ours.")
    assert admin.status_code == 400
    assert "Mine." in _page(client, town)
    assert change(who="8", role="admin", action="delete-note", note=number).status_code == 303
    assert "Mine." not in _page(client, town)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"action": "tag", "tag": ""}, "printable"),
        ({"action": "tag", "tag": "x" * 65}, "printable"),
        ({"action": "note", "body": " \n"}, "says nothing"),
        ({"action": "note", "body": "x" * 10_001}, "10,000"),
        ({"action": "note", "body": "a\x00b"}, "NUL"),
        ({"action": "change-note", "note": "x", "body": "y"}, "no number"),
        ({"action": "delete-note", "note": "999999"}, "no such note"),
        ({"action": "burn"}, "none of"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_can_not_be_is_told_and_changes_nothing(
    form: dict[str, str], words: str, town: Town, change: Change
) -> None:
    answer = change(**form)
    assert answer.status_code == 400
    assert words in html.unescape(answer.text)
    assert _audit(town) == []


def test_who_only_looks_sees_notes_and_no_forms(
    town: Town, client: FlaskClient, change: Change, engage: Engage
) -> None:
    change(action="note", body="For everybody.")
    change(action="tag", tag="beta")
    engage._registry.operator = lambda: Operator("9", role="read")
    shown = _page(client, town)
    assert "For everybody." in shown
    assert "beta" in shown
    assert f"{town.public_id(0)}/change" not in shown
