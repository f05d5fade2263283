"""A town with an operator's desk, over the test client and in a real browser."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.serving import make_server

from flask_engage import Operator
from flask_engage._state import state_of
from tests.dashboard import _town
from tests.dashboard._people_list import MORE

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page
    from werkzeug.test import TestResponse

    from flask_engage import Engage
    from tests._clock import FakeClock
    from tests._hosts import Host


@dataclass
class Town:
    """People with a past, and who looks at them."""

    app: Flask
    engage: Engage
    ids: list[int]
    """User ids, in the order of :data:`tests.dashboard._town.NAMES`."""

    def public_id(self, place: int) -> str:
        """Return the public id of one of them."""
        return _town.public_id_of(self.app, self.ids[place])


@pytest.fixture
def town(app: Flask, engage: Engage, app_host: Host, clock: FakeClock) -> Town:
    """Sixteen people with 30 days behind them, and a message that some have answered."""
    ids = _town.settle(app, engage, app_host, clock)
    _town.write(app, engage, ids, clock)
    return Town(app, engage, ids)


@pytest.fixture
def token_of() -> Callable[[TestResponse], str]:
    """Gives the token for forms that stands in a page."""

    def find(page: TestResponse) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert found, page.text[:500]
        return found[1]

    return find


@pytest.fixture
def key_of() -> Callable[[TestResponse], str]:
    """Gives the key by which a form works once."""

    def find(page: TestResponse) -> str:
        found = re.search(r'name="key" value="([^"]+)"', page.text)
        assert found, page.text[:500]
        return found[1]

    return find


@dataclass
class Desk:
    """A dashboard in a browser: where it is, and what the browser complained of."""

    url: str
    page: Page
    town: Town
    complaints: list[str]

    def open(self, path: str) -> Page:
        """Open a page of the dashboard."""
        self.page.goto(self.url + path)
        return self.page


@pytest.fixture
def make_desk(town: Town, app_host: Host, browser: Browser) -> Iterator[Callable[..., Desk]]:
    """Opens the dashboard in Chromium as an admin, over a real server."""
    admin = app_host.add_user(town.app, "ama@example.com", name="Ama Kwarteng", is_admin=True)
    server = make_server("127.0.0.1", 0, town.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    contexts = []

    def make(**options: Any) -> Desk:
        context = browser.new_context(**options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: _answer(dialog, complaints))
        page.on("console", lambda said: _note(said, complaints))
        _tell_traffic(page)
        desk = Desk(f"http://127.0.0.1:{server.server_port}", page, town, complaints)
        page.goto(f"{desk.url}/login/{admin}")
        complaints.clear()
        return desk

    yield make
    for context in contexts:
        context.close()
    server.shutdown()
    thread.join(10)
    server.server_close()


def _tell_traffic(page: Page) -> None:
    """Print what was asked and answered: pytest shows it beside a test that failed."""
    page.on("request", lambda one: print(f"asked     {one.method} {one.url}"))
    page.on("response", lambda one: print(f"answered  {one.status} {one.request.method} {one.url}"))
    page.on("requestfailed", lambda one: print(f"failed    {one.method} {one.url} {one.failure}"))


def _note(said: ConsoleMessage, complaints: list[str]) -> None:
    # The host's own page has no icon; the browser says so when it likes.
    if said.type == "error" and not said.location["url"].endswith("/favicon.ico"):
        complaints.append(said.text)


def _answer(dialog: Dialog, complaints: list[str]) -> None:
    """Leave a page that asks whether to; anything else that opens should not be there."""
    if dialog.type == "beforeunload":
        dialog.accept()
    else:
        complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def be(engage: Engage) -> Callable[..., None]:
    """Makes whoever asks an operator: ``be("edit")``."""

    def choose(role: Any) -> None:
        engage._registry.operator = lambda: Operator("7", name="Olga", role=role)

    return choose


@pytest.fixture
def write(town: Town) -> Callable[[], Any]:
    """Opens a session on our tables, committed at its end."""
    return state_of(town.app).ready.require().write


@pytest.fixture
def many(town: Town, app_host: Host) -> Town:
    """More people than one page has."""
    for number in range(MORE):
        app_host.add_user(town.app, f"reader{number}@example.org", name=f"Reader {number:03d}")
    with town.app.app_context():
        town.engage.sync()
    return town
