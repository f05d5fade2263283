"""From a host's request to the person who made it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_engage._state import state_of
from flask_engage.store.event import EventRow
from flask_engage.store.person import PersonRow
from tests._hosts import Host
from tests.capture._recorders import table


def people(app: Flask, *columns: str) -> list[tuple[Any, ...]]:
    state = state_of(app)
    state.recorder.flush()
    return table(state.ready.require(), PersonRow, *(columns or ("user_id",)))


def events(app: Flask, *columns: str) -> list[tuple[Any, ...]]:
    state = state_of(app)
    state.recorder.flush()
    return table(state.ready.require(), EventRow, *(columns or ("name",)))


@pytest.fixture
def user_id(app: Flask, app_host: Host) -> int:
    return app_host.add_user(app, "ada@example.com", name="Ada")


def test_a_logged_in_user_becomes_a_person(app: Flask, client: Any, user_id: int) -> None:
    client.get(f"/login/{user_id}")
    client.get("/", headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"})
    assert people(app, "user_id", "email", "name", "session_count", "browser", "os", "device") == [
        (str(user_id), "ada@example.com", "Ada", 1, "Firefox", "Linux", "desktop")
    ]


def test_nobody_is_a_person_without_logging_in(app: Flask, client: Any, user_id: int) -> None:
    assert client.get("/").status_code == 200
    assert people(app) == []
