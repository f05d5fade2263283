"""However many people come, a process that has served them holds nothing of them afterwards."""

from __future__ import annotations

import gc
import io
import tracemalloc
from pathlib import Path
from typing import Any

from flask import Flask, request
from werkzeug.test import EnvironBuilder

from flask_engage import Engage, Identity
from tests._databases import migrated

BEFORE = 500
"""People who fill what is filled once, such as caches of statements."""
PEOPLE = 2_000
ROUND = 500
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"
ALLOWED = 30 * PEOPLE
"""Bytes. The smallest thing that one could keep of a person, a number in a set, takes more."""


def test_people_leave_nothing_behind_in_memory(tmp_path: Path) -> None:
    with migrated("sqlite", tmp_path) as url:
        app = Flask("flat")
        app.config.update(
            SECRET_KEY="a secret of sixteen bytes and more",
            ENGAGE_SCHEDULER="off",
            ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        )
        engage = Engage(app, url)
        engage.load_user(lambda: request.environ["test.user"])
        engage.identify(lambda user: Identity(id=user, email=f"{user}@example.com", name=user))

        @app.get("/")
        @engage.tracked("looked")
        def page() -> str:
            return "<html><body>Here.</body></html>"

        recorder = app.extensions["engage"].recorder
        tracemalloc.start()
        try:
            serve(app, engage, range(BEFORE))
            before = held()
            serve(app, engage, range(BEFORE, BEFORE + PEOPLE))
            grown = held() - before
        finally:
            tracemalloc.stop()
        assert recorder.status().stored >= BEFORE + PEOPLE
        assert recorder.status().backlog_bytes == 0
        recorder.close()
    assert grown < ALLOWED, f"{grown:,} bytes more after {PEOPLE:,} people"


def serve(app: Flask, engage: Engage, people: range) -> None:
    """Let each of `people` look at a page, and store it now and then."""
    base = EnvironBuilder("/", headers={"User-Agent": BROWSER}).get_environ()
    wsgi: Any = app.wsgi_app

    def start_response(status: str, _headers: Any, _error: Any = None) -> None:
        assert status == "200 OK"

    for number in people:
        environ = {**base, "wsgi.input": io.BytesIO(), "test.user": f"somebody-{number}"}
        answer = wsgi(environ, start_response)
        b"".join(answer)
        answer.close()
        if number % ROUND == ROUND - 1:
            with app.app_context():
                engage.flush()


def held() -> int:
    """Return how many bytes of Python's memory are in use."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
