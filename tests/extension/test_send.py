"""`engage.send` takes whom a host has at hand, and sends nothing that can't be read."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_login import current_user

from flask_engage import (
    Email,
    Engage,
    Identity,
    InApp,
    InvalidMessage,
    NotReady,
    everyone,
    person,
)
from tests._hosts import Host

HELLO = InApp(body="Hello {{ name | default('there') }}")


def test_send_takes_who_is_logged_in(
    app: Flask, engage: Engage, client: FlaskClient, app_host: Host
) -> None:
    counts: list[int] = []

    @app.get("/welcome")
    def welcome() -> str:
        counts.append(engage.send(HELLO, to=current_user, key="welcome"))
        return "sent"

    user_id = app_host.add_user(app)
    client.get(f"/login/{user_id}")
    assert client.get("/welcome").status_code == 200
    assert client.get("/welcome").status_code == 200
    assert counts == [1, 0]


def test_send_reaches_a_user_who_has_not_been_seen_yet(
    app: Flask, engage: Engage, app_host: Host
) -> None:
    user_id = app_host.add_user(app, "new@example.com")
    with app.app_context():
        with app_host.sessions() as session:
            user = session.get(app_host.User, user_id)
        assert engage.send(HELLO, to=user) == 1
        assert engage.send(HELLO, to=app_host.add_user(app, "b@example.com")) == 1
        assert {one.email for one in engage.people()} == {"new@example.com", "b@example.com"}


Member = namedtuple("Member", "id email name")


def test_a_user_that_can_be_walked_through_is_one_user(app: Flask, engage: Engage) -> None:
    engage.identify(lambda user: Identity(user.id, email=user.email))
    with app.app_context():
        assert engage.send(HELLO, to=Member("m1", "m@example.com", "M")) == 1
        assert engage.send(HELLO, to=[Member("m2", None, None), Member("m3", None, None)]) == 2


def test_send_refuses_who_is_nobody(app: Flask, engage: Engage) -> None:
    with app.app_context(), pytest.raises(InvalidMessage, match="no such person"):
        engage.send(HELLO, to="nobody at all")


def test_a_misspelt_word_is_refused_when_the_message_is_made() -> None:
    with pytest.raises(InvalidMessage, match="Did you mean 'name'"):
        InApp(body="Hello {{ nmae }}")
    with pytest.raises(InvalidMessage, match=r"attrs\['plan'\]"):
        Email(subject="{{ plan }}", body="x")


def test_words_that_somebody_lacks_are_told_before_anything_is_sent(
    app: Flask, engage: Engage, make_person: Callable[..., int]
) -> None:
    make_person("ada@example.com")
    make_person("bob@example.com", name=None)
    with app.app_context():
        with pytest.raises(InvalidMessage, match="1 of the recipients"):
            engage.send(InApp(body="Hello {{ name }}"), to=everyone, key="launch")
        # and the key is not used up
        assert engage.send(HELLO, to=everyone, key="launch") == 2


def test_send_takes_a_template_of_the_host(
    app: Flask, engage: Engage, make_person: Callable[..., int], tmp_path: Any
) -> None:
    from jinja2 import DictLoader

    app.jinja_loader = DictLoader({"mail.md": "---\nsubject: Hello\n---\nHow are you?"})
    make_person()
    with app.app_context():
        assert engage.send(Email.template("mail.md"), to=everyone) == 1


def test_a_database_that_the_caller_locks_is_named(
    app: Flask, engage: Engage, app_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_engage.store.engine.LOCK_SECONDS", 0)
    with app.app_context():
        assert engage.people().count() == 0
        engine = app_host.engine_of(app)
        with engine.connect() as connection:
            connection.execute(sa.text("BEGIN IMMEDIATE"))
            with pytest.raises(NotReady, match="open transaction"):
                engage.send(HELLO, to=person.sessions >= 0)
            connection.rollback()
