"""Links in mail: looking changes nothing, one click ends it, a forgery leads nowhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect

from flask_engage._guard import Guard
from flask_engage._state import KEY, EngageState, Registry
from flask_engage.delivery.tokens import (
    make_unsubscribe_token,
    read_unsubscribe_token,
    secret_keys_of,
)
from flask_engage.errors import NotReady
from flask_engage.settings import Settings
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow, person_id_of, unsubscribe
from flask_engage.widget.csrf import exempt_from_host_csrf
from flask_engage.widget.links import make_links_blueprint

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEYS = ["a key of sixteen bytes or more"]
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


class Ready:
    """Gives the database, or is away."""

    def __init__(self, database: Database | None) -> None:
        self.given = database

    def require(self) -> Database:
        if self.given is None:
            raise NotReady("away")
        return self.given


def make_app(database: Database | None, **config: Any) -> Flask:
    app = Flask("broadsheet")
    app.config.update(SECRET_KEY=KEYS[0], TESTING=True, **config)
    app.extensions[KEY] = EngageState(
        app=app,
        settings=Settings.from_config(app.config),
        registry=Registry(),
        guard=Guard(),
        ready=cast("Any", Ready(database)),
        recorder=cast("Any", None),
        runner=cast("Any", None),
        contexts=cast("Any", None),
        clock=lambda: NOW,
    )
    app.register_blueprint(make_links_blueprint(), url_prefix="/engage/t")
    exempt_from_host_csrf(app, "engage_links")
    return app


def add_person(database: Database, user_id: str = "1", **values: Any) -> str:
    with database.write() as session:
        person = PersonRow(user_id=user_id, created_at=NOW, updated_at=NOW, **values)
        session.add(person)
        session.flush()
        return person.public_id


def unsubscribed_at(database: Database, public_id: str) -> datetime | None:
    with database.read() as session:
        return session.query(PersonRow).filter_by(public_id=public_id).one().unsubscribed_at


@pytest.fixture
def ada(database: Database) -> str:
    return add_person(database, email="ada@example.com")


@pytest.fixture
def client(database: Database) -> FlaskClient:
    return make_app(database).test_client()


def link(public_id: str) -> str:
    return f"/engage/t/u/{make_unsubscribe_token(KEYS, public_id)}"


def test_one_click_unsubscribes_without_a_cookie_and_says_nothing(
    client: FlaskClient, database: Database, ada: str
) -> None:
    response = client.post(link(ada), data=ONE_CLICK)
    assert (response.status_code, response.data) == (200, b"")
    assert "Set-Cookie" not in response.headers
    assert unsubscribed_at(database, ada) == NOW


def test_the_button_of_the_page_unsubscribes(
    client: FlaskClient, database: Database, ada: str
) -> None:
    page = client.get(link(ada)).get_data(as_text=True)
    assert '<form method="post"><button name="confirm" value="unsubscribe">' in page
    response = client.post(link(ada), data={"confirm": "unsubscribe"})
    assert "You will get no more mail" in response.get_data(as_text=True)
    assert unsubscribed_at(database, ada) == NOW


def test_a_second_time_changes_nothing(client: FlaskClient, database: Database, ada: str) -> None:
    with database.write() as session:
        assert unsubscribe(session, ada, NOW - timedelta(days=3))
    assert client.post(link(ada), data=ONE_CLICK).status_code == 200
    assert unsubscribed_at(database, ada) == NOW - timedelta(days=3)


def test_a_merged_persons_link_holds_for_whom_they_became(
    client: FlaskClient, database: Database
) -> None:
    kept = add_person(database, "1")
    with database.read() as session:
        kept_id = person_id_of(session, "1")
    merged = add_person(database, "2", merged_into=kept_id)
    client.post(link(merged), data=ONE_CLICK)
    assert unsubscribed_at(database, kept) == NOW
    with database.read() as session:
        assert person_id_of(session, "2") is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_looking_changes_nothing(
    client: FlaskClient, database: Database, ada: str, method: str
) -> None:
    for _ in range(20):
        assert client.open(link(ada), method=method).status_code == 200
    assert unsubscribed_at(database, ada) is None


@pytest.mark.parametrize(
    "data", [{}, {"List-Unsubscribe": "Other"}, {"List-Unsubscribe": "one-click"}, {"confirm": ""}]
)
def test_a_post_that_does_not_say_so_does_nothing(
    client: FlaskClient, database: Database, ada: str, data: dict[str, str]
) -> None:
    assert client.post(link(ada), data=data).status_code == 400
    assert unsubscribed_at(database, ada) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: "x" + token,
        lambda token: token[: len(token) // 2],
        lambda token: token + "." + token,
        lambda token: token * 2000,
        lambda token: token.swapcase(),
        lambda _: "1",
        lambda _: "%00",
        lambda _: "é%ff",
        lambda _: make_unsubscribe_token(["another key"], "1"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_spoilt_link_leads_nowhere(spoil: Callable[[str], str], method: str) -> None:
    token = spoil(make_unsubscribe_token(KEYS, "ada"))
    response = (
        make_app(None).test_client().open(f"/engage/t/u/{token}", method=method, data=ONE_CLICK)
    )
    assert response.status_code == 404
    assert "leads nowhere" in response.get_data(as_text=True)


def test_every_page_forbids_frames_caches_and_foreign_content() -> None:
    client = make_app(None).test_client()
    for response in (
        client.get(link("ada")),
        client.get("/engage/t/u/x"),
        client.post(link("ada"), data=ONE_CLICK),
        client.post(link("ada")),
    ):
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert response.headers["Cache-Control"] == "private, no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"


def test_the_hosts_csrf_protection_lets_the_mail_program_through(
    database: Database, ada: str
) -> None:
    app = make_app(database)
    app.add_url_rule("/host", "host", lambda: "changed", methods=["POST"])
    CSRFProtect(app)  # after us
    client = app.test_client()
    assert client.post("/host").status_code == 400
    assert client.post(link(ada), data=ONE_CLICK).status_code == 200
    assert client.post("/host").status_code == 400


def test_a_hostile_sender_name_is_text() -> None:
    app = make_app(None, ENGAGE_MAIL_FROM='"<script>alert(1)</script>" <a@example.com>')
    page = app.test_client().get(link("ada")).get_data(as_text=True)
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page


def test_with_the_database_away_nobody_is_told_that_it_is_done() -> None:
    client = make_app(None).test_client()
    assert client.get(link("somebody")).status_code == 200
    response = client.post(link("somebody"), data=ONE_CLICK)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "60"


def test_without_a_secret_key_every_link_leads_nowhere() -> None:
    app = make_app(None)
    app.config["SECRET_KEY"] = None
    assert app.test_client().get(link("ada")).status_code == 404


def test_the_stylesheet_is_served() -> None:
    response = make_app(None).test_client().get("/engage/t/page.css")
    assert response.mimetype == "text/css"
    assert b"min-block-size: 44px" in response.data


def test_a_token_is_read_with_any_of_the_hosts_keys_and_for_one_purpose_only() -> None:
    config = {"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": ["old", "older"]}
    keys = secret_keys_of(config)
    assert keys == ["new", "old", "older"]
    for signing in (["new"], ["old"], [b"older", "x"]):
        token = make_unsubscribe_token(signing, "person")
        assert read_unsubscribe_token(keys, token) == "person"
    assert read_unsubscribe_token(["new"], make_unsubscribe_token(keys[::-1], "person")) is None
    assert secret_keys_of({}) == []
    with pytest.raises(ValueError, match="SECRET_KEY"):
        make_unsubscribe_token([], "person")
