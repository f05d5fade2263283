"""To everybody but operators the dashboard does not exist; roles decide over the rest."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from flask_engage import Operator
from flask_engage._state import state_of
from flask_engage.dashboard import blueprint
from flask_engage.people.transfer.uploads import accept_upload

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from flask_engage import Engage
    from tests.dashboard.conftest import Town

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def _raises() -> Any:
    raise RuntimeError("the host's own mistake")


class _Unchecked(Operator):
    """An operator whose role nobody has looked at."""

    def __post_init__(self) -> None:
        pass


DENIED: dict[str, Callable[[], Any] | None] = {
    "no callable": None,
    "returns 1": lambda: 1,
    "returns 'yes'": lambda: "yes",
    "returns None": lambda: None,
    "returns False": lambda: False,
    "returns an object": object,
    "returns the class": lambda: Operator,
    "raises": _raises,
    "an operator of an unknown role": lambda: Operator("7", role="owner"),  # type: ignore[arg-type]
    "an operator whose role was not checked": lambda: _Unchecked("7", role="owner"),  # type: ignore[arg-type]
    "an operator with roles in a list": lambda: _Unchecked("7", role=["admin"]),  # type: ignore[arg-type]
}


def _addresses(app: Flask, town: Town | None = None) -> dict[str, str]:
    """Return an address of each of the dashboard's rules, by endpoint."""
    values = {
        "public_id": "0" * 24 if town is None else town.public_id(0),
        "source": "send:launch-1",
        "name": "come back",
    }
    found = {}
    imported = "0" * 24 if town is None else import_of(app)
    with app.test_request_context():
        adapter = app.url_map.bind("localhost")
        for rule in app.url_map.iter_rules():
            if rule.endpoint.startswith("engage_dashboard.") and not rule.endpoint.endswith(
                ".wrong_method"
            ):
                given = {name: values[name] for name in rule.arguments}
                if rule.endpoint.endswith(".asset"):
                    given = {"name": "tokens.css"}
                if rule.rule.startswith("/engage/transfers/") and given:
                    given = {"public_id": imported}
                if rule.endpoint.endswith((".event", ".event_named")):
                    given = {"name": "exported"}
                found[rule.endpoint] = adapter.build(rule.endpoint, given)
    assert len(found) == len(blueprint.ROUTES)
    return found


def import_of(app: Flask) -> str:
    """Return the public id of a file that was sent and waits for its columns to be named."""
    with app.app_context():
        state = state_of(app)
        return accept_upload(
            state.ready.require(),
            io.BytesIO(b"user_id,name\n1,Ada\n"),
            "people.csv",
            state.clock(),
            "7",
            lambda *_: None,
        )


def _shape(answer: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.data, sorted(answer.headers)


@pytest.mark.parametrize("who", DENIED)
def test_every_address_is_unknown_to_whom_the_host_does_not_name(
    who: str, app: Flask, engage: Engage, client: FlaskClient
) -> None:
    engage._registry.operator = DENIED[who]
    for method in METHODS:
        unknown = _shape(client.open("/engage/there-is-no-such-page", method=method))
        for address in _addresses(app).values():
            answer = client.open(address, method=method)
            assert _shape(answer) == unknown, f"{method} {address}"


def test_every_address_is_unknown_to_a_user_and_to_nobody(
    app: Flask, client: FlaskClient, make_person: Callable[..., int]
) -> None:
    user_id = make_person("grace@example.com")
    for login in (None, f"/login/{user_id}"):
        if login:
            client.get(login)
        for method in METHODS:
            unknown = _shape(client.open("/engage/there-is-no-such-page", method=method))
            for address in _addresses(app).values():
                answer = client.open(address, method=method)
                assert answer.status_code == 404
                assert _shape(answer) == unknown, f"{method} {address}"


@pytest.mark.parametrize(
    "address", ["/engage", "/engage//people", "/engage/people/", "/engage/static/../people"]
)
def test_an_untidy_address_gives_nothing_away(address: str, client: FlaskClient) -> None:
    assert client.get(address).status_code == 404


def test_an_error_of_the_callable_is_told_in_the_log_and_not_to_the_browser(
    engage: Engage, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    engage._registry.operator = _raises
    assert client.get("/engage/people").status_code == 404
    assert "the operator callable failed" in caplog.text


#: What comes of a POST of a rule; which address opens to whom says the matrix beside this file.
ROLES = {"read": 403, "edit": 303, "admin": 303}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_changes_what_it_says_and_no_more(
    role: Any, town: Town, engage: Engage, client: FlaskClient
) -> None:
    token = _any_token(client, engage)
    engage._registry.operator = lambda: Operator("7", name="Olga", role=role)
    answer = client.post("/engage/rules/come back", data={"action": "pause", "csrf_token": token})
    assert answer.status_code == ROLES[role]
    sent = {"csrf_token": token, "action": "send", "to": town.public_id(0), "body": "Hello"}
    answer = client.post("/engage/messages/new", data=sent)
    # Without a key of its own the form is shown again; a mere reader doesn't get that far.
    assert answer.status_code == (403 if role == "read" else 400)


@pytest.mark.parametrize("role", ROLES)
def test_tracing_does_nothing(role: Any, app: Flask, engage: Engage, client: FlaskClient) -> None:
    engage._registry.operator = lambda: Operator("7", role=role)
    for address in _addresses(app).values():
        assert client.open(address, method="TRACE").status_code == 405


def test_options_tells_operators_what_they_may_do(operator: FlaskClient) -> None:
    answer = operator.options("/engage/people")
    assert answer.status_code == 200
    assert sorted(answer.headers["Allow"].split(", ")) == ["GET", "HEAD", "OPTIONS"]


def test_a_mere_reader_is_shown_no_button_that_would_fail(
    town: Town, engage: Engage, client: FlaskClient
) -> None:
    engage._registry.operator = lambda: Operator("7", role="read")
    for address in (
        "/engage/people",
        f"/engage/people/{town.public_id(0)}",
        "/engage/rules/come back",
    ):
        text = client.get(address).text
        assert "/engage/messages/new" not in text
        assert "Pause" not in text
        assert 'name="to"' not in text


def test_without_a_usable_secret_key_the_dashboard_stays_closed(
    app: Flask, operator: FlaskClient
) -> None:
    app.config["SECRET_KEY"], app.config["SECRET_KEY_FALLBACKS"] = (
        "short",
        [app.config["SECRET_KEY"]],
    )
    answer = operator.get("/engage/people")
    assert answer.status_code in (404, 503)
    assert operator.get("/").status_code == 200


def _any_token(client: FlaskClient, engage: Engage) -> str:
    """Return a token of this browser and operator, from a page that only editors see."""
    import re

    engage._registry.operator = lambda: Operator("7", role="admin")
    found = re.search(r'csrf_token" value="([^"]+)"', client.get("/engage/rules/come back").text)
    assert found
    return found[1]
