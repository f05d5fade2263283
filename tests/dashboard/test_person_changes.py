"""The page about one person: what can be changed, who may take it along, who may erase it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from flask_engage import attr
from flask_engage._state import state_of
from flask_engage.signals import attribute_changed
from flask_engage.store.attribute_write import write_attributes
from flask_engage.store.base import Base
from tests.dashboard._person import address, audit, person_id
from tests.dashboard._town import ATTRIBUTE, EVENT, HOSTILE

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests._clock import FakeClock
    from tests.dashboard.conftest import Town


# --- values by hand ------------------------------------------------------------------------------

Change = Callable[..., "TestResponse"]


@pytest.fixture
def change(
    town: Town,
    be: Callable[[str], None],
    client: FlaskClient,
    token_of: Callable[[TestResponse], str],
) -> Change:
    """Sends the form for a value: ``change(name="plan", kind="s", value="pro")``."""

    def send(role: str = "edit", action: str = "set", place: int = 5, **form: str) -> TestResponse:
        be("edit")
        token = token_of(client.get(address(town, place)))
        be(role)
        sent = {"csrf_token": token, "action": action, **form}
        return client.post(address(town, place, "/attributes"), data=sent)

    return send


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        ("s", " two\r\nlines ", "two\nlines"),
        ("s", "12", "12"),
        ("s", HOSTILE, HOSTILE),
        ("n", "12", 12),
        ("n", " -1234.5 ", -1234.5),
        ("n", "1e3", 1000.0),
        ("b", "YES", True),
        ("b", "no", False),
        ("t", "2026-03-31T14:00+02:00", datetime(2026, 3, 31, 12, tzinfo=UTC)),
        ("t", "2026-03-31 14:00", datetime(2026, 3, 31, 14, tzinfo=UTC)),
        ("t", "2026-03-31", datetime(2026, 3, 31, tzinfo=UTC)),
    ],
)
def test_a_value_set_by_hand_is_of_the_kind_that_was_chosen(
    kind: str, typed: str, value: Any, town: Town, client: FlaskClient, change: Change
) -> None:
    answer = change(name="renews", kind=kind, value=typed)
    assert answer.status_code == 303
    text = client.get(answer.location).text
    assert "The value is set by hand." in text
    with town.app.app_context():
        [found] = list(town.engage.people(attr("renews") == value))
    assert found.public_id == town.public_id(5)
    assert found.attrs["renews"] == value
    assert type(found.attrs["renews"]) is type(value)
    assert audit(town) == [("set attribute", town.public_id(5))]
    # Shown in the form as it may be typed again.
    form = client.get(address(town, rest="?edit=renews")).text
    shown = re.search(r'name="value"[^>]*>([^<]*)</textarea>', form)
    assert shown is not None
    again = change(name="renews", kind=kind, value=html.unescape(shown[1]))
    assert again.status_code == 303
    with town.app.app_context():
        assert town.engage.people(attr("renews") == value).count() == 1


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"name": "", "kind": "s", "value": "x"}, "attribute", "1 to 64 printable"),
        ({"name": "x" * 65, "kind": "s", "value": "x"}, "attribute", "1 to 64 printable"),
        ({"name": "a\x00b", "kind": "s", "value": "x"}, "attribute", "1 to 64 printable"),
        ({"name": "plan", "kind": "q", "value": "x"}, "kind", "what kind"),
        ({"name": "plan", "kind": "s", "value": " "}, "held", "Write a text"),
        ({"name": "plan", "kind": "s", "value": "a\x00b"}, "held", "NUL"),
        ({"name": "plan", "kind": "s", "value": "ü" * 513}, "held", "1024 bytes"),
        ({"name": "plan", "kind": "n", "value": "12x"}, "held", "no number"),
        ({"name": "plan", "kind": "n", "value": "1,234"}, "held", "no number"),
        ({"name": "plan", "kind": "n", "value": "nan"}, "held", "finite"),
        ({"name": "plan", "kind": "n", "value": "9" * 30}, "held", "64 bits"),
        ({"name": "plan", "kind": "b", "value": "perhaps"}, "held", "yes or no"),
        ({"name": "plan", "kind": "t", "value": "31.3.2026"}, "held", "no time"),
        ({"name": "plan", "kind": "t", "value": "1869-03-31"}, "held", "1970"),
        ({"name": "plan", "kind": "t", "value": "0001-01-01T00:00+23:00"}, "held", ""),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_is_written(
    form: dict[str, str], field: str, words: str, town: Town, change: Change
) -> None:
    answer = change(**form)
    assert answer.status_code == 400
    told = re.search(rf'id="f-{field}-wrong">.*?<span>([^<]+)</span>', answer.text, re.DOTALL)
    assert told, answer.text
    assert words in html.unescape(told[1])
    assert 'aria-invalid="true"' in answer.text
    if form["value"].strip() and "\0" not in form["value"]:
        assert html.escape(form["value"]) in answer.text
    assert audit(town) == []
    with town.app.app_context():
        assert town.engage.people(attr("plan") == "team").count() == 5


def test_a_value_by_hand_holds_until_it_is_given_up(
    town: Town, client: FlaskClient, change: Change, write: Callable[[], Any], clock: FakeClock
) -> None:
    told: list[tuple[Any, Any]] = []

    def listen(_app: object, **what: Any) -> None:
        told.append((what["value"], what["old"]))

    def provide(value: str) -> None:
        with write() as session:
            values = {person_id(session, town): {"plan": value}}
            write_attributes(session, values, source="provider:plan", now=clock.now)

    def held() -> str | None:
        with town.app.app_context():
            [found] = [
                one
                for one in town.engage.people(attr("plan").is_set() | ~attr("plan").is_set())
                if one.public_id == town.public_id(5)
            ]
        value = found.attrs.get("plan")
        assert value is None or isinstance(value, str)
        return value

    provide("free")
    with attribute_changed.connected_to(listen, sender=town.app):
        assert change(name="plan", kind="s", value="gift").status_code == 303
        clock.advance(hours=1)
        provide("pro")
        assert held() == "gift"
        form = client.get(address(town, rest="?edit=plan")).text
        assert "Give this value up" in form
        assert "set by hand" in form
        answer = change(action="give up", name="plan")
        assert "Given up" in client.get(answer.location).text
        assert held() is None
        provide("pro")
        assert held() == "pro"
        # Somebody's old page: what is not by hand is not taken away.
        assert change(action="give up", name="plan").status_code == 400
        assert held() == "pro"
    assert told == [("gift", "free"), (None, "gift")]
    assert [action for action, _target in audit(town)] == ["set attribute", "give up attribute"]


def test_only_a_value_by_hand_can_be_given_up(town: Town, client: FlaskClient, be: Any) -> None:
    be("edit")
    assert "Give this value up" not in client.get(address(town, rest="?edit=plan")).text


@pytest.mark.parametrize("form", [{"action": "burn"}, {"action": "give up", "name": "a\x00"}])
def test_an_action_that_is_none_changes_nothing(form: dict[str, str], change: Change) -> None:
    assert change(**form).status_code == 400


def test_a_mere_reader_is_given_no_form_for_a_value(
    town: Town, client: FlaskClient, change: Change, be: Callable[[str], None]
) -> None:
    assert change(role="read", name="plan", kind="s", value="x").status_code == 403
    be("read")
    text = client.get(address(town, rest="?edit=plan")).text
    assert "value-form" not in text
    for rest in ("/json", "/export", "/erase"):
        assert address(town, rest=rest) not in text
        assert client.get(address(town, rest=rest)).status_code == 403


# --- to look at, to take along, to erase ---------------------------------------------------------


def test_everything_is_shown_as_json_and_taken_along(
    town: Town, client: FlaskClient, be: Callable[[str], None]
) -> None:
    be("edit")
    shown = client.get(address(town, rest="/json"))
    assert shown.content_type == "application/json; charset=utf-8"
    assert "Content-Disposition" not in shown.headers
    assert audit(town) == []
    taken = client.get(address(town, rest="/export"))
    assert (
        taken.headers["Content-Disposition"]
        == f'attachment; filename="person-{town.public_id(5)}.json"'
    )
    for answer in (shown, taken):
        assert "no-store" in answer.headers["Cache-Control"]
        document = json.loads(answer.data)
        assert document["person"]["email"] == "person5@example.com"
        assert {one["name"] for one in document["attributes"]} >= {"plan", ATTRIBUTE}
        assert len(document["sessions"]) > 5
        assert [one["name"] for one in document["events"]] == [EVENT]
        assert document["messages"][0]["outcomes"][0]["kind"] == "shown"
        assert "person4@example.com" not in answer.text
    assert audit(town) == [("export person", town.public_id(5))]


def _mentions(town: Town, *needles: str) -> list[str]:
    with state_of(town.app).ready.require().read() as session:
        return [
            f"{table.name}: {row}"
            for table in Base.metadata.sorted_tables
            for row in session.execute(sa.select(table))
            if any(needle in "\n".join(map(str, row)) for needle in needles)
        ]


@pytest.fixture
def erase(
    town: Town, client: FlaskClient, be: Callable[[str], None], token_of: Callable[..., str]
) -> Callable[..., TestResponse]:
    """Sends the form that erases somebody: ``erase("ada@example.com")``."""

    def send(typed: str, role: str = "admin") -> TestResponse:
        be("admin")
        token = token_of(client.get(address(town, rest="/erase")))
        be(role)
        return client.post(address(town, rest="/erase"), data={"csrf_token": token, "who": typed})

    return send


@pytest.mark.parametrize("by", ["email", "user id", "public id"])
def test_somebody_is_erased_once_their_address_or_id_was_typed(
    by: str, town: Town, client: FlaskClient, erase: Callable[..., TestResponse]
) -> None:
    public_id = town.public_id(5)
    typed = {
        "email": " Person5@Example.com ",
        "user id": str(town.ids[5]),
        "public id": public_id,
    }[by]
    answer = erase(typed)
    assert answer.status_code == 303
    assert "This person is erased" in client.get(answer.location).text
    assert client.get(f"/engage/people/{public_id}").status_code == 404
    assert _mentions(town, "person5@example.com", "Олена", public_id) == []
    assert audit(town) == [("erase person", "(erased)")]


@pytest.mark.parametrize("typed", ["", "person4@example.com", "Олена Шевченко", "x" * 500])
def test_nobody_is_erased_by_another_word(
    typed: str, town: Town, erase: Callable[..., TestResponse]
) -> None:
    answer = erase(typed)
    assert answer.status_code == 400
    assert "This is not who they are" in answer.text
    assert _mentions(town, "person5@example.com")
    assert audit(town) == []


def test_only_an_admin_erases(
    town: Town, client: FlaskClient, erase: Callable[..., TestResponse], be: Any
) -> None:
    for role in ("read", "edit"):
        assert erase("person5@example.com", role=role).status_code == 403
        be(role)
        assert client.get(address(town, rest="/erase")).status_code == 403
        assert "/erase" not in client.get(address(town)).text
    assert "Only an admin" in client.get(address(town, rest="/erase")).text
    assert audit(town) == []
