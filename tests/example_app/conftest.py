"""Paperkite in a folder of the test's own, and a browser that fills in its forms."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

import example_app
from example_app import create_app, engagement
from example_app.models import User, db

MakePaperkite = Callable[..., Flask]


@cache
def _cheap_hash(password: str) -> str:
    """A hash with few rounds: the tests log in often."""
    return generate_password_hash(password, method="pbkdf2:sha256:1000")


class Visitor:
    """Somebody at a browser: follows redirects, and sends the form token of the last page."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._client = app.test_client()
        self._token = ""
        self.page = ""
        """The last page, as text."""
        self.path = ""

    def get(self, path: str) -> int:
        """Open a page; returns its status."""
        return self._keep(self._client.get(path, follow_redirects=True))

    def post(self, path: str, **fields: str) -> int:
        """Send a form as the last page would; returns the status after redirects."""
        data = {"csrf_token": self._token, **fields}
        return self._keep(self._client.post(path, data=data, follow_redirects=True))

    def download(self, path: str) -> TestResponse:
        """Send a form that answers with a file."""
        return self._client.post(path, data={"csrf_token": self._token})

    def raw(self, *args: Any, **kwargs: Any) -> TestResponse:
        """One request as given: no token, no redirects."""
        return self._client.open(*args, **kwargs)

    def log_in(self, email: str, password: str = "correct horse") -> Visitor:
        """Log in over the form."""
        self.get("/login")
        assert self.post("/login", email=email, password=password) == 200
        assert "Log out" in self.page
        return self

    def _keep(self, response: TestResponse) -> int:
        self.page = response.get_data(as_text=True)
        self.path = response.request.path
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.page)
        if found:
            self._token = found[1]
        return response.status_code


@pytest.fixture
def make_paperkite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePaperkite:
    """Makes the application with its own tables and two accounts, ada@ and bob@."""

    def make(**config: Any) -> Flask:
        monkeypatch.setenv("PAPERKITE_INSTANCE", str(tmp_path / "instance"))
        app = create_app({"TESTING": True, "ENGAGE_SCHEDULER": "off", **config})
        with app.app_context():
            db.create_all()
            for name in ("Ada", "Bob"):
                db.session.add(
                    User(
                        email=f"{name.lower()}@letters.example",
                        name=name,
                        password_hash=_cheap_hash("correct horse"),
                    )
                )
            db.session.commit()
        return app

    return make


@pytest.fixture(params=["attached", "switched off", "absent"])
def paperkite(
    request: pytest.FixtureRequest, make_paperkite: MakePaperkite, monkeypatch: pytest.MonkeyPatch
) -> Flask:
    """The application, with Flask-Engage and without: every test holds for all of them."""
    if request.param == "absent":
        monkeypatch.setattr(example_app, "attach", lambda app: None)
        for verb in ("track", "set_attributes"):
            monkeypatch.setattr(engagement.engage, verb, lambda *_, **__: False)
    app = make_paperkite(EXAMPLE_ENGAGE=request.param == "attached")
    assert ("engage" in app.extensions) is (request.param != "absent")
    return app


@pytest.fixture
def make_app_again(paperkite: Flask) -> MakePaperkite:
    """Makes a further application on the same folder, as a second worker would."""
    return lambda: create_app({"TESTING": True, "EXAMPLE_ENGAGE": False})


@pytest.fixture
def visitor(paperkite: Flask) -> Visitor:
    """Somebody who is not logged in."""
    return Visitor(paperkite)


@pytest.fixture
def ada(paperkite: Flask) -> Visitor:
    """Ada, logged in."""
    return Visitor(paperkite).log_in("ada@letters.example")


@pytest.fixture
def bob(paperkite: Flask) -> Visitor:
    """Bob, logged in."""
    return Visitor(paperkite).log_in("bob@letters.example")
