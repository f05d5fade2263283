"""What tests of a host's requests look at afterwards."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from flask_engage._state import state_of
from flask_engage.store.event import EventRow
from flask_engage.store.person import PersonRow
from tests.capture._recorders import table


def people(app: Flask, *columns: str) -> list[tuple[Any, ...]]:
    """Store what is waiting; return the people."""
    state = state_of(app)
    state.recorder.flush()
    return table(state.ready.require(), PersonRow, *(columns or ("user_id",)))


def events(app: Flask, *columns: str) -> list[tuple[Any, ...]]:
    """Store what is waiting; return the events."""
    state = state_of(app)
    state.recorder.flush()
    return table(state.ready.require(), EventRow, *(columns or ("name",)))


def session_cookie(app: Flask, user_id: int) -> str:
    """Return the session cookie of a browser in which somebody has logged in."""
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    return str(serializer.dumps({"_user_id": str(user_id), "_fresh": True}))
