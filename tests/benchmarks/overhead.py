"""What a request pays for us: the same app bare, with an empty hook, and with `Engage`.

The WSGI callable is called directly, because a test client costs more than what is
measured. The user comes from memory, so that the host itself is as cheap as can be and the
ratio as unkind to us as can be. The page asks who is logged in, as pages do that have
something to say to their users; one that does not ask has the user loaded for us alone.
One person comes again at once, of whom all but the first sighting of a second are counted; in a
crowd each comes once.
"""

from __future__ import annotations

import io
import itertools
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask, Response
from flask_login import LoginManager, UserMixin, login_required, login_user
from werkzeug.test import EnvironBuilder

from flask_engage import Engage
from tests.benchmarks._harness import Result, Size, interleaved

ROUNDS: dict[Size, tuple[int, int]] = {"small": (20, 100), "full": (60, 300)}
"""Rounds, and requests in each round."""

PAGE = (
    "<!doctype html><html><head><title>Page</title></head><body>"
    + "<p>Ten kilobytes of text.</p>" * 350
    + "</body></html>"
)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


CROWD = 400
"""More people than a round has requests: each of them comes once in it."""


class User(UserMixin):
    """Somebody without a table."""

    email = "ada@example.com"
    name = "Ada"

    def __init__(self, number: int) -> None:
        self.id = str(number)


def host() -> Flask:
    """Make the bare app: two pages, one user, a login."""
    app = Flask("overhead")
    app.config["SECRET_KEY"] = "a secret of sixteen bytes and more"
    login = LoginManager(app)
    users = {user.id: user for user in map(User, range(CROWD))}
    login.user_loader(users.get)

    @app.get("/login/<user_id>")
    def log_in(user_id: str) -> str:
        login_user(users[user_id])
        return "in"

    @app.get("/page")
    @login_required
    def page() -> str:
        return PAGE

    @app.get("/open")
    def open_to_all() -> str:
        return PAGE

    return app


def with_empty_hook() -> Flask:
    """Make the app with a hook that does nothing: its figure is the noise of this run."""
    app = host()

    @app.after_request
    def nothing(response: Response) -> Response:
        return response

    return app


def with_engage(folder: Path, **settings: Any) -> tuple[Flask, Engage]:
    """Make the app with us, as a host on SQLite has us by default."""
    folder.mkdir()
    app = host()
    app.config.update(ENGAGE_JOURNAL_DIR=str(folder / "journal"), ENGAGE_SCHEDULER="off")
    app.config.update(settings)
    engage = Engage(app, f"sqlite:///{folder / 'engage.sqlite3'}")

    @app.get("/event")
    @login_required
    def event() -> str:
        engage.track("read a page", {"of": "ten kilobytes"})
        return PAGE

    return app, engage


def requests_of(
    app: Flask, path: str = "/page", *, people: int = 1
) -> Callable[[int], list[float]]:
    """Return what sends `n` requests of `people` in turn into `app`, and gives the seconds of each.

    :param people: none is a visitor who isn't logged in.
    """
    client = app.test_client()
    wsgi: Wsgi = app.wsgi_app
    headers = [("User-Agent", BROWSER)]
    base = EnvironBuilder(path, headers=headers).get_environ()
    base["REMOTE_ADDR"] = "127.0.0.1"
    logins = (client.get(f"/login/{n}", headers=headers).headers for n in range(people))
    cookies = [{"HTTP_COOKIE": login["Set-Cookie"].partition(";")[0]} for login in logins]
    whose = itertools.cycle(cookies or [{}])

    def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
        assert status.startswith("200"), status

    def run(number: int) -> list[float]:
        times = []
        for _ in range(number):
            environ = {**base, **next(whose), "wsgi.input": io.BytesIO()}
            begin = time.perf_counter()
            answer = wsgi(environ, start_response)
            b"".join(answer)
            close = getattr(answer, "close", None)
            if close is not None:
                close()
            times.append(time.perf_counter() - begin)
        return times

    return run


def flushed(engage: Engage, app: Flask, run: Callable[[int], list[float]]) -> Any:
    """Let `engage` write out after each round, so that no other variant's round pays for it."""

    def run_and_flush(number: int) -> list[float]:
        times = run(number)
        with app.app_context():
            engage.flush()
        return times

    return run_and_flush


def run(size: Size) -> Result:
    """Measure and return the figures."""
    rounds, each = ROUNDS[size]
    with tempfile.TemporaryDirectory(prefix="engage-bench-") as name:
        folder = Path(name)
        app, engage = with_engage(folder / "engage")
        busy, busy_engage = with_engage(
            folder / "busy", ENGAGE_FLUSH_INTERVAL=timedelta(milliseconds=10)
        )
        result = Result(
            name="overhead",
            what="one request for a 10 KB page, straight into the WSGI callable",
            yardstick="plain",
            size={"rounds": rounds, "requests in each": each},
        )
        variants = {
            "plain": requests_of(host()),
            "plain, empty hook": requests_of(with_empty_hook()),
            "engage": flushed(engage, app, requests_of(app)),
            "engage, writer at work": flushed(busy_engage, busy, requests_of(busy)),
            "engage, and an event": flushed(engage, app, requests_of(app, "/event")),
            "a crowd: plain": requests_of(host(), people=CROWD),
            "a crowd: engage": flushed(engage, app, requests_of(app, people=CROWD)),
            "a crowd: engage, and an event": flushed(
                engage, app, requests_of(app, "/event", people=CROWD)
            ),
            "page does not ask: plain": requests_of(host(), "/open"),
            "page does not ask: engage": flushed(engage, app, requests_of(app, "/open")),
            "nobody logged in: plain": requests_of(host(), "/open", people=0),
            "nobody logged in: engage": requests_of(app, "/open", people=0),
        }
        result.against = {
            f"{case}: engage": f"{case}: plain"
            for case in ("a crowd", "page does not ask", "nobody logged in")
        } | {"a crowd: engage, and an event": "a crowd: plain"}
        interleaved(result, variants, rounds=rounds, each=each)
        for measured in (app, busy):
            measured.extensions["engage"].recorder.close()
        return result
