"""Forms are believed only from pages of ours, in the browser and for the operator they are of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from flask_engage import Operator
from flask_engage._state import state_of
from flask_engage.store.delivery import DeliveryRow
from flask_engage.store.operator import AuditRow
from flask_engage.store.rule import rule_named

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from flask_engage import Engage
    from tests.dashboard.conftest import Town

RULE = "/engage/rules/come back"
TokenOf = Callable[["TestResponse"], str]


def _status(app: Flask) -> str:
    with app.app_context(), state_of(app).ready.require().read() as session:
        rule = rule_named(session, "come back")
        assert rule is not None
        return rule.status


def test_a_form_of_this_browser_is_believed(
    town: Town, operator: FlaskClient, token_of: TokenOf
) -> None:
    token = token_of(operator.get(RULE))
    answer = operator.post(RULE, data={"action": "pause", "csrf_token": token})
    assert answer.status_code == 303
    assert _status(town.app) == "paused"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"},
        {"Origin": "https://good.com.evil"},
        {"Origin": "https://localhost.evil.com"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "http://user@localhost"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
)
def test_a_form_that_the_browser_says_is_from_elsewhere_changes_nothing(
    headers: dict[str, str], town: Town, operator: FlaskClient, token_of: TokenOf
) -> None:
    token = token_of(operator.get(RULE))
    data = {"action": "pause", "csrf_token": token}
    assert operator.post(RULE, data=data, headers=headers).status_code == 400
    assert _status(town.app) == "live"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://localhost"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_form_that_the_browser_says_is_ours_is_believed(
    headers: dict[str, str], town: Town, operator: FlaskClient, token_of: TokenOf
) -> None:
    token = token_of(operator.get(RULE))
    data = {"action": "pause", "csrf_token": token}
    assert operator.post(RULE, data=data, headers=headers).status_code == 303


def test_a_form_without_a_token_changes_nothing(town: Town, operator: FlaskClient) -> None:
    operator.get(RULE)
    for data in ({"action": "pause"}, {"action": "pause", "csrf_token": ""}):
        assert operator.post(RULE, data=data).status_code == 400
    assert _status(town.app) == "live"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[:-1],
        lambda t: ("A" if t[0] != "A" else "B") + t[1:],
        lambda t: t * 100,
        lambda t: "ü" + t,
    ],
)
def test_a_spoilt_token_changes_nothing(
    spoil: Callable[[str], str], town: Town, operator: FlaskClient, token_of: TokenOf
) -> None:
    token = spoil(token_of(operator.get(RULE)))
    answer = operator.post(RULE, data={"action": "pause", "csrf_token": token})
    assert answer.status_code == 400
    assert _status(town.app) == "live"


def test_a_token_of_another_browser_changes_nothing(
    town: Town, engage: Engage, token_of: TokenOf
) -> None:
    engage._registry.operator = lambda: True
    mine, theirs = town.app.test_client(), town.app.test_client()
    token = token_of(theirs.get(RULE))
    mine.get(RULE)
    answer = mine.post(RULE, data={"action": "pause", "csrf_token": token})
    assert answer.status_code == 400
    assert _status(town.app) == "live"


def test_a_token_of_another_operator_changes_nothing(
    town: Town, engage: Engage, client: FlaskClient, token_of: TokenOf
) -> None:
    engage._registry.operator = lambda: Operator("1")
    token = token_of(client.get(RULE))
    engage._registry.operator = lambda: Operator("2")
    answer = client.post(RULE, data={"action": "pause", "csrf_token": token})
    assert answer.status_code == 400
    assert _status(town.app) == "live"


def test_json_as_text_changes_nothing(town: Town, operator: FlaskClient, token_of: TokenOf) -> None:
    token = token_of(operator.get(RULE))
    body = f'{{"action": "pause", "csrf_token": "{token}"}}'
    for kind in ("text/plain", "application/json"):
        assert operator.post(RULE, data=body, content_type=kind).status_code == 400
    assert _status(town.app) == "live"


def test_a_form_far_too_large_is_refused(
    town: Town, operator: FlaskClient, token_of: TokenOf
) -> None:
    token = token_of(operator.get(RULE))
    data = {"action": "pause", "csrf_token": token, "more": "x" * 600_000}
    assert operator.post(RULE, data=data).status_code == 413


def test_nothing_is_posted_without_an_entry_in_the_audit(
    town: Town, operator: FlaskClient, token_of: TokenOf
) -> None:
    token = token_of(operator.get(RULE))
    for action in ("pause", "pause", "resume"):
        operator.post(RULE, data={"action": action, "csrf_token": token})
    with town.app.app_context(), state_of(town.app).ready.require().read() as session:
        found = session.execute(
            select(AuditRow.action, AuditRow.target, AuditRow.operator_id).order_by(AuditRow.id)
        ).all()
    admin = str(max(town.ids) + 1)
    assert [tuple(row) for row in found] == [
        ("pause rule", "come back", admin),
        ("resume rule", "come back", admin),
    ]


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_hosts_own_csrf_protection_leaves_our_forms_to_us(
    order: str, app_host: Any, engage: Engage, tmp_path: Any, token_of: TokenOf
) -> None:
    from flask_wtf.csrf import CSRFProtect

    app = app_host.create_app(ENGAGE_JOURNAL_DIR=str(tmp_path / "other"))
    app.config["WTF_CSRF_ENABLED"] = True
    if order == "before":
        CSRFProtect(app)
    engage.init_app(app, app_host.db, user_model=app_host.User)
    if order == "after":
        CSRFProtect(app)
    engage._registry.operator = lambda: True
    user_id = app_host.add_user(app, "ada@example.com")
    with app.app_context():
        engage.sync()
    client = app.test_client()
    from tests.dashboard._town import public_id_of

    address = f"/engage/messages/new?to={public_id_of(app, user_id)}"
    form = client.get(address)
    import re

    key = re.search(r'name="key" value="([^"]+)"', form.text)
    assert key
    data = {
        "csrf_token": token_of(form),
        "key": key[1],
        "to": public_id_of(app, user_id),
        "body": "Hello",
        "action": "send",
    }
    assert client.post("/engage/messages/new", data=data).status_code == 303
    assert client.post("/exports").status_code == 400  # the host's own forms stay protected
    with app.app_context(), state_of(app).ready.require().read() as session:
        assert session.scalar(select(func.count()).select_from(DeliveryRow)) == 1
