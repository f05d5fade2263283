"""A Bottle app, wrapped: its pages, its files, its signed cookie."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import bottle
import pytest

from flask_engage import Engage
from tests.extension._wsgi import Browser

SECRET = "the app's own secret"
PAGE = "<!doctype html><html><head><title>Bottle</title></head><body>Grüße</body></html>"
PATHS = ("/text", "/json", "/stream", "/file", "/missing", "/broken", "/go")


def make_app(folder: Path) -> bottle.Bottle:
    app = bottle.Bottle()
    (folder / "page.html").write_text(PAGE)

    @app.get("/")
    def home() -> str:
        return PAGE

    @app.get("/enter/<name>")
    def enter(name: str) -> str:
        bottle.response.set_cookie("name", name, secret=SECRET, path="/")
        return "in"

    @app.get("/text")
    def text() -> str:
        bottle.response.content_type = "text/plain"
        return PAGE

    @app.get("/json")
    def json() -> dict[str, str]:
        return {"page": PAGE}

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield PAGE[:30]
        yield PAGE[30:]

    @app.get("/file")
    def file() -> Any:
        return bottle.static_file("page.html", root=str(folder))

    @app.get("/broken")
    def broken() -> str:
        bottle.abort(500, "broken")

    @app.get("/go")
    def go() -> str:
        bottle.redirect("/text")

    @app.post("/echo")
    def echo() -> str:
        bottle.response.content_type = "text/plain"
        return bottle.request.forms.said

    return app


def load_user(environ: dict[str, Any]) -> str | None:
    return bottle.BaseRequest(dict(environ)).get_cookie("name", secret=SECRET)


@pytest.fixture
def apps(tmp_path: Path, migrated_url: str) -> Iterator[tuple[Any, Any, Engage]]:
    bare, engage = make_app(tmp_path), Engage()
    wrapped = engage.wrap(
        bare,
        load_user,
        db=migrated_url,
        operator=lambda environ: load_user(environ) == "olga",
        config={"SECRET_KEY": "a secret of sixteen bytes and more", "TESTING": True},
        root_path=tmp_path,
    )
    yield bare, wrapped, engage
    wrapped.flask_app.extensions["engage"].ready.database().dispose()


def logged_in(app: Any, name: str) -> Browser:
    client = Browser(app)
    entered = client.get(f"/enter/{name}")
    assert SimpleCookie(entered.headers["Set-Cookie"])
    return client


def test_a_bottle_app_is_what_it_was_and_knows_its_people(
    apps: tuple[Any, Any, Engage],
) -> None:
    bare, wrapped, engage = apps
    alone, ada, olga = (
        logged_in(bare, "ada"),
        logged_in(wrapped, "ada"),
        logged_in(wrapped, "olga"),
    )
    page = ada.get("/")
    assert page.text.count("engage.js") == 1
    assert page.content_length == len(page.data)
    for path in PATHS:
        expected = alone.get(path)
        found = ada.get(path)
        unlike = [h for h in found.headers if h not in list(expected.headers)]
        assert (found.status, found.data) == (expected.status, expected.data), path
        assert [name for name, _ in unlike if name != "Date"] == [], path
    said = ada.post("/echo", data={"said": "hello"})
    assert said.text == "hello"
    assert olga.get("/engage/").status_code == 200
    assert ada.get("/engage/").status_code == 404
    engage.flush()
    assert [person.user_id for person in engage.people()] == ["ada"]
