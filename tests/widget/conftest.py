"""A host in a thread, whose inbox says what a test wants and keeps what the script reports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

from flask_engage.widget.injection import script, tag

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Broadsheet</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/host.css"></head>
<body><header><b>Broadsheet</b>
<nav><a href="/issues">Issues</a> <a href="/readers">Readers</a></nav></header>
<main><h1>Issue 48, December</h1><p>Four sections, not sent yet</p>
<label>Search <input id="search"></label><button id="host-button">Send it</button>
<section class="cards"><p>Letters</p><p>From the archive</p><p>A walk in Kraków</p><p>Small ads</p>
</section></main>TAG</body></html>"""

CSS = """
:root { --engage-color: #00664f; --engage-radius: 10px }
@media (prefers-color-scheme: dark) { :root { color-scheme: dark; --engage-color: #5fd0b0 } }
* { letter-spacing: inherit } div, button { margin: 7px; text-transform: uppercase }
body { margin: 0; font: 16px/1.5 Georgia, serif }
header { display: flex; justify-content: space-between; padding: 16px }
header { border-bottom: 1px solid #8884 }
main { padding: 24px; min-height: 150vh }
.cards { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; margin-block-start: 16px }
.cards p { margin: 0; padding: 48px 16px; border: 1px solid #8884; border-radius: 8px }
"""


@dataclass
class Desk:
    """What the host's inbox says, and what came back."""

    url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Given one by one, each until it is answered."""
    reports: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    anonymous: bool = False
    status: int = 200
    policy: str = "default-src 'self'"
    page: str = PAGE
    lost: int = 0
    """How many reports that end a message are refused, as by a server in trouble."""
    on_answer: threading.Event = field(default_factory=threading.Event)
    """Cleared: a report that ends a message is on its way, and does not arrive before it is set."""
    may_complain: bool = False
    """Whether the browser may tell of an error or a violated policy."""

    def __post_init__(self) -> None:
        self.on_answer.set()

    def kinds(self, *wanted: str) -> list[str]:
        """Return what was reported, without `opened` if a test does not care."""
        kinds = [report["kind"] for report in self.reports]
        return kinds if "opened" in wanted else [kind for kind in kinds if kind != "opened"]

    def wait_for(self, *kinds: str, seconds: float = 60) -> None:
        """Wait until exactly `kinds` have been reported.

        In whatever order: two reports go by two connections, and either may be the faster.
        """
        deadline = time.monotonic() + seconds
        while sorted(self.kinds(*kinds)) != sorted(kinds) and time.monotonic() < deadline:
            threading.Event().wait(0.02)
        assert sorted(self.kinds(*kinds)) == sorted(kinds)


def _make_host(desk: Desk) -> Flask:
    app = Flask("host")

    @app.get("/engage/widget/engage.js")
    def engage_js() -> Response:
        return Response(script(), content_type="text/javascript; charset=utf-8")

    @app.get("/engage/widget/inbox")
    def inbox() -> Any:
        desk.asked += 1
        if desk.status != 200:
            return Response(status=desk.status)
        if desk.anonymous:
            return {}
        labels = {"close": "Close", "message": "Message"}
        return jsonify(message=desk.messages[0] if desk.messages else None, labels=labels)

    @app.post("/engage/widget/seen")
    def seen() -> Any:
        assert request.headers["Origin"] == request.host_url.rstrip("/")
        report = request.get_json()
        ends = report["kind"] in ("clicked", "dismissed")
        if ends:
            assert desk.on_answer.wait(60)
            if desk.lost:
                desk.lost -= 1
                return "", 503
        desk.reports.append(report)
        if ends:
            desk.messages[:] = [m for m in desk.messages if m["delivery"] != report["delivery"]]
        return "", 204

    @app.get("/host.css")
    def css() -> Response:
        return Response(CSS, mimetype="text/css")

    @app.get("/")
    @app.get("/<path:name>")
    def page(name: str = "") -> Response:
        response = Response(desk.page.replace("TAG", tag(request, "/engage")))
        response.headers["Content-Security-Policy"] = desk.policy
        return response

    return app


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A host that is served on loopback while the test runs."""
    desk = Desk()
    server = make_server("127.0.0.1", 0, _make_host(desk), threaded=True)
    desk.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield desk
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(browser: Browser, desk: Desk) -> Iterator[Callable[..., Page]]:
    """Opens the host's page in a fresh browser; fails the test on a script's error."""
    contexts = []
    complaints: list[str] = []

    def open_page(path: str = "", **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1280, "height": 800})
        options.setdefault("reduced_motion", "reduce")
        context = browser.new_context(**options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if "Content Security Policy" in message.text
                else None
            ),
        )
        page.goto(desk.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert desk.may_complain or complaints == []
