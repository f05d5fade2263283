"""A host's own tests: with ``TESTING`` set no thread starts, and `flush` stores what they did."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from flask import Flask, request

from flask_engage import Engage, did
from tests._databases import migrated
from tests.extension._wsgi import FIREFOX


@pytest.mark.parametrize("mode", ["journal", "memory", "sync"])
def test_a_hosts_tests_start_no_thread_and_find_what_they_did(mode: str, tmp_path: Path) -> None:
    app, engage = Flask("shop"), Engage()
    app.config.update(SECRET_KEY="a secret of sixteen bytes and more", TESTING=True)
    app.config.update(ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), ENGAGE_CAPTURE_MODE=mode)
    engage.load_user(lambda: request.cookies.get("user"))
    with migrated("sqlite", tmp_path) as url:
        engage.init_app(app, url)

    @app.get("/")
    @engage.tracked("opened")
    def page() -> str:
        return "hello"

    before = set(threading.enumerate())
    client = app.test_client()
    client.set_cookie("user", "ada")
    for _ in range(3):
        assert client.get("/", headers={"User-Agent": FIREFOX}).status_code == 200
    assert set(threading.enumerate()) == before
    with app.app_context():
        engage.flush()
        assert [p.user_id for p in engage.people(did("opened").exactly(3))] == ["ada"]
        engage.run_due()
    assert set(threading.enumerate()) <= before
    app.extensions["engage"].ready.database().dispose()
