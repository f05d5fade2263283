"""From `engage.send` to what was read, through a host with a strict policy, in Chromium."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask import Flask, Response, g
from werkzeug.serving import make_server

from flask_engage import Button, Engage, InApp
from flask_engage._state import state_of
from flask_engage.store.delivery import DeliveryEventRow
from tests._hosts import Host

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve `app` on loopback and give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def nonce() -> str:
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


@pytest.mark.parametrize("policy", ["script-src 'nonce-{}' 'strict-dynamic'", "script-src 'self'"])
def test_a_popup_is_read_and_its_button_clicked_under_a_strict_policy(
    app_host: Host, tmp_path: Path, browser: Browser, policy: str
) -> None:
    engage = Engage()
    app = app_host.create_app(
        engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), ENGAGE_CSP_NONCE=nonce
    )

    @app.after_request
    def protect(response: Response) -> Response:
        rest = "; connect-src 'self'; style-src 'none'; base-uri 'none'; object-src 'none'"
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; " + policy.format(nonce()) + rest
        )
        return response

    user_id = app_host.add_user(app, "ada@example.com", name="<b>Ada</b> 美咲")
    body = "Hello {{ name }}, see [why](/why)."
    message = InApp(title="New: export", body=body, buttons=[Button("Try it", url="/me")])

    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(f"{said.text} {said.location}"))
    with served(app) as address:
        page.goto(f"{address}/login/{user_id}")
        with app.app_context():
            engage.flush()
            assert engage.send(message, to=str(user_id)) == 1
        page.goto(f"{address}/")
        dialog = page.get_by_role("dialog", name="New: export")
        dialog.wait_for()
        assert dialog.locator(".body").text_content() == "Hello <b>Ada</b> 美咲, see why."
        wait_for(lambda: kinds(app) == ["shown", "opened"])
        dialog.get_by_role("link", name="Try it").click()
        page.wait_for_url("**/me")
        wait_for(lambda: kinds(app) == ["shown", "opened", "clicked"])
        page.goto(f"{address}/")
        with page.expect_response("**/inbox") as answer:
            page.evaluate("Engage.check()")
        assert answer.value.json()["message"] is None
        page.close()  # first, or what it is still asking for is cut off and complained of
    assert [text for text in complaints if "favicon" not in text] == []


def kinds(app: Flask) -> list[str]:
    with state_of(app).ready.require().read() as session:
        return [row.kind for row in session.query(DeliveryEventRow).order_by(DeliveryEventRow.id)]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    for _ in range(int(seconds * 20)):
        if condition():
            return
        threading.Event().wait(0.05)
    assert condition()
