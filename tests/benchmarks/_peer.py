"""One app in one environment, serving as many requests as it is told; says how long each took.

Run by :mod:`.peers` as a script, in an environment that may have no package of ours and an
older Flask: this file imports what its variant needs, and nothing else.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from werkzeug.test import EnvironBuilder

PAGE = (
    "<!doctype html><html><head><title>Page</title></head><body>"
    + "<p>Ten kilobytes of text.</p>" * 350
    + "</body></html>"
)
TAG = b'<script async src="/widget.js" data-user="12345"></script>'
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"


class User(UserMixin):
    """Somebody without a table."""

    id = "7"
    email = "ada@example.com"
    name = "Ada"


def host() -> Flask:
    """Make the bare app: one page, one user, a login."""
    app = Flask("peer")
    app.config["SECRET_KEY"] = "a secret of sixteen bytes and more"
    login = LoginManager(app)
    user = User()
    login.user_loader({user.id: user}.get)

    @app.route("/login")
    def log_in() -> str:
        login_user(user)
        return "in"

    @app.route("/page")
    @login_required
    def page() -> str:
        return PAGE

    return app


def plain(app: Flask, folder: Path) -> None:
    """Add nothing."""


def empty_hook(app: Flask, folder: Path) -> None:
    """Add a hook that does nothing: its figure is the noise of the run."""

    @app.after_request
    def nothing(response: Response) -> Response:
        return response


def ideal(app: Flask, folder: Path) -> Any:
    """Remember who was here in memory, and put a tag into the page: the least there is to do."""
    seen: deque[tuple[str, str, float]] = deque(maxlen=100_000)

    @app.after_request
    def remember(response: Response) -> Response:
        if current_user.is_authenticated:
            seen.append((current_user.id, request.path, time.time()))
            if response.mimetype == "text/html" and not response.is_streamed:
                body = response.get_data()
                place = body.rfind(b"</body>")
                if place >= 0:
                    response.set_data(body[:place] + TAG + body[place:])
        return response

    return seen.clear


def update(app: Flask, folder: Path) -> None:
    """Write the time into the user's row, in a transaction per request, as tutorials do."""
    import sqlalchemy as sa

    engine = sa.create_engine(f"sqlite:///{folder / 'users.sqlite3'}")

    @sa.event.listens_for(engine, "connect")
    def fast(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("PRAGMA synchronous = normal")

    users = sa.Table(
        "users",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("last_seen", sa.Float, index=True),
    )
    users.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(users.insert(), [{"id": i, "last_seen": 0} for i in range(1, 1001)])
    change = (
        users.update()
        .where(users.c.id == sa.bindparam("who"))
        .values(last_seen=sa.bindparam("now"))
    )

    @app.after_request
    def write(response: Response) -> Response:
        if current_user.is_authenticated:
            with engine.begin() as connection:
                connection.execute(change, {"who": int(current_user.id), "now": time.time()})
        return response


def engage(app: Flask, folder: Path, *, event: bool = False) -> Any:
    """Attach us, by default as a host on SQLite that runs its scheduler elsewhere."""
    from flask_engage import Engage

    app.config.update(
        ENGAGE_JOURNAL_DIR=str(folder / "journal"),
        ENGAGE_SCHEDULER=os.environ.get("SCHEDULER", "off"),
    )
    url = os.environ.get("DATABASE", f"sqlite:///{folder / 'engage.sqlite3'}")
    extension = Engage(app, url)
    if event:
        view = app.view_functions["page"]

        def tracking() -> Any:
            extension.track("read a page", {"of": "ten kilobytes"})
            return view()

        app.view_functions["page"] = tracking

    def flush() -> None:
        with app.app_context():
            extension.flush()

    return flush


def engage_event(app: Flask, folder: Path) -> Any:
    """Attach us, and have each request store an event as well."""
    return engage(app, folder, event=True)


def posthog(app: Flask, folder: Path) -> Any:
    """Send an event per request with PostHog's client, to a server that answers at once."""
    from posthog import Posthog

    client = Posthog(
        "phc_none", host=os.environ["SINK"], disable_geoip=True, gzip=False, max_queue_size=100_000
    )

    @app.after_request
    def capture(response: Response) -> Response:
        if current_user.is_authenticated:
            client.capture(
                "page_view", distinct_id=current_user.id, properties={"path": request.path}
            )
        return response

    return client.flush


def flask_track_usage(app: Flask, folder: Path) -> None:
    """Attach Flask-Track-Usage with its SQL storage."""
    from flask_track_usage import TrackUsage
    from flask_track_usage.storage.sql import SQLStorage
    from sqlalchemy import create_engine

    url = f"sqlite:///{folder / 'track.sqlite3'}"
    engine = create_engine(url, connect_args={"check_same_thread": False})
    app.config.update(
        TRACK_USAGE_USE_FREEGEOIP=False, TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS="exclude"
    )
    TrackUsage(app, [SQLStorage(engine=engine)])


def flask_monitoringdashboard(app: Flask, folder: Path) -> None:
    """Attach Flask-MonitoringDashboard at its default level."""
    import flask_monitoringdashboard as dashboard

    dashboard.config.database_name = f"sqlite:///{folder / 'dashboard.sqlite3'}"
    dashboard.bind(app)


VARIANTS = {
    made.__name__: made
    for made in (
        plain,
        empty_hook,
        ideal,
        update,
        engage,
        engage_event,
        posthog,
        flask_track_usage,
        flask_monitoringdashboard,
    )
}


def main(variant: str, folder: Path) -> None:
    """Answer each line, a number of requests, with a line of the seconds that each took."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a peer prints is no answer
    app = host()
    settle = VARIANTS[variant](app, folder)
    client = app.test_client()
    headers = {"User-Agent": BROWSER}
    logged_in = client.get("/login", headers=headers)
    headers["Cookie"] = logged_in.headers["Set-Cookie"].partition(";")[0]
    base = EnvironBuilder("/page", headers=headers).get_environ()
    base["REMOTE_ADDR"] = "127.0.0.1"
    wsgi = app.wsgi_app

    def start_response(status: str, _headers: Any, _error: Any = None) -> None:
        assert status.startswith("200"), status

    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            environ = {**base, "wsgi.input": io.BytesIO()}
            begin = time.perf_counter()
            answer = wsgi(environ, start_response)
            b"".join(answer)
            close = getattr(answer, "close", None)
            if close is not None:
                close()
            times.append(time.perf_counter() - begin)
        if settle is not None:
            settle()  # so that nobody's round pays for another's writing
        print(json.dumps(times), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
