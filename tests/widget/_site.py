"""A host that is served for browsers, as strict as hosts get, and what we know of its users."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask, Response
from flask_wtf import CSRFProtect
from sqlalchemy import select
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from flask_engage import Engage
from flask_engage._clock import utcnow
from flask_engage._state import state_of
from flask_engage.store.event import EventRow
from flask_engage.store.person import PersonRow
from flask_engage.store.session import SessionRow
from tests import _databases, _hosts

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>HEAD</head>
<body><h1>Shop</h1><main>
<button id="plan" data-engage-track="chose plan" data-engage-prop-plan="pro"
  data-engage-prop-seat-count="3">Pro <b>plan</b></button>
<div data-engage-track="opened card"><svg id="icon" width="30" height="30"><rect width="30"
  height="30"/></svg><button id="inner" type="button" data-engage-track="pressed inner"
  data-engage-prop-code="007" data-engage-prop-on="true">Inner</button></div>
<label data-engage-track="ticked"><span id="label">Tick</span><input id="tick" type="checkbox">
</label>
<button id="stopped" data-engage-track="stopped">Stopped</button>
<form action="next" data-engage-track="searched"><input id="search" name="q">
<button id="in-form" type="button">Not the form</button></form>
<a id="leads-on" href="next" data-engage-track="followed">Next</a>
</main><script src="/host.js"></script></body></html>"""

EARLY = """
window.Engage ??= {q: [], track(...a) { this.q.push(["track", a]) }};
Engage.track("first of all", {n: 1});
"""

HOST = """
document.getElementById("stopped").addEventListener("click", (event) => event.stopPropagation());
"""

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-src 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types engage"
)


@dataclass
class Site:
    """The host, its address, and what is stored."""

    host: _hosts.Host
    app: Flask
    engage: Engage
    url: str
    ahead: list[timedelta] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def add_user(self) -> int:
        return self.host.add_user(self.app, f"user{next(self.numbers)}@example.com")

    def advance(self, **span: int) -> None:
        """Let time pass for the server, not for the browser."""
        self.ahead.append(timedelta(**span))

    def event_rows(self, user_id: int) -> list[EventRow]:
        return self._rows(EventRow, user_id)

    def events(self, user_id: int) -> list[tuple[str, dict[str, Any]]]:
        return [(row.name, row.properties) for row in self.event_rows(user_id)]

    def sessions(self, user_id: int) -> list[SessionRow]:
        return self._rows(SessionRow, user_id)

    def hits(self, user_id: int) -> int:
        return sum(row.hits for row in self.sessions(user_id))

    def _rows(self, table: type[Any], user_id: int) -> list[Any]:
        with self.app.app_context():
            self.engage.flush()
        with state_of(self.app).ready.require().read() as session:
            query = select(table).join(PersonRow, PersonRow.id == table.person_id)
            return list(
                session.scalars(query.where(PersonRow.user_id == str(user_id)).order_by(table.id))
            )


@contextmanager
def serve_site(folder: Path) -> Iterator[Site]:
    """Serve the host on loopback, at ``/`` and below ``/shop``."""
    ahead: list[timedelta] = []
    engage = Engage(clock=lambda: utcnow() + sum(ahead, timedelta()))
    with _databases.migrated("sqlite", folder) as url:
        host = _hosts.make_host("flask-sqlalchemy", url)
        app = host.create_app(
            engage,
            ENGAGE_JOURNAL_DIR=str(folder / "journal"),
            ENGAGE_EXCLUDE=["/excluded/*", "/early.js", "/host.js"],
        )
        _add_pages(app)
        CSRFProtect(app)
        server = make_server(
            "127.0.0.1", 0, DispatcherMiddleware(app, {"/shop": app}), threaded=True
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Site(host, app, engage, f"http://127.0.0.1:{server.server_port}", ahead)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            host.dispose()


def _add_pages(app: Flask) -> None:
    app.view_functions["page"] = lambda: PAGE.replace("HEAD", "")
    app.add_url_rule("/next", "next", lambda: PAGE.replace("HEAD", "Next"))
    app.add_url_rule(
        "/early", "early", lambda: PAGE.replace("HEAD", '<script src="/early.js"></script>')
    )
    app.add_url_rule(
        "/framing", "framing", lambda: '<html><body><iframe src="/"></iframe></body></html>'
    )
    app.add_url_rule("/placed", "placed", _placed)
    for name, script in (("/early.js", EARLY), ("/host.js", HOST)):
        app.add_url_rule(
            name,
            name[1:].replace(".", "_"),
            lambda s=script: Response(s, mimetype="text/javascript"),
        )

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def _placed() -> str:
    from flask import render_template_string

    return render_template_string(PAGE.replace("HEAD", "{{ engage_widget() }}"))
