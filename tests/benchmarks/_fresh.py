"""A process that has just begun, measured from inside: run by :mod:`.imports` as a script."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import flask
import flask_login
import sqlalchemy
import sqlalchemy.orm

assert sqlalchemy.orm.Session is not None
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"
TURNS_SECONDS = 20.0


def resident_kb() -> int:
    """Return how much memory this process holds."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Rss:\s+(\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


def host() -> flask.Flask:
    """Make an app with a login and one page."""
    app = flask.Flask("fresh")
    app.config["SECRET_KEY"] = "a secret of sixteen bytes and more"
    login = flask_login.LoginManager(app)
    user = flask_login.UserMixin()
    user.id = "7"
    login.user_loader(lambda user_id: user)

    @app.get("/login")
    def log_in() -> str:
        flask_login.login_user(user)
        return "in"

    @app.get("/page")
    def page() -> str:
        return "<!doctype html><html><body><p>A page.</p></body></html>"

    return app


def main(what: str, folder: Path) -> None:
    """Do as much as `what` says, and print what it took."""
    took: dict[str, float] = {"import_s": 0.0, "init_s": 0.0, "cpu_s": 0.0}
    app = host()
    engage = None
    if what != "bare":
        begin, worked = time.perf_counter(), time.thread_time()
        from flask_engage import Engage

        took["import_s"] = time.perf_counter() - begin
        app.config.update(
            ENGAGE_JOURNAL_DIR=str(folder / f"journal-{os.getpid()}"),
            ENGAGE_SCHEDULER="thread" if what == "scheduler" else "off",
        )
        name = f"first-{os.getpid()}" if what == "first" else "engage"
        begin = time.perf_counter()
        engage = Engage(app, f"sqlite:///{folder / name}.sqlite3")
        took["init_s"] = time.perf_counter() - begin
        took["cpu_s"] = time.thread_time() - worked
    began = datetime.now(UTC)
    client = app.test_client()
    for path in ("/login", "/page"):
        assert client.get(path, headers={"User-Agent": BROWSER}).status_code == 200
    if engage is not None:
        with app.app_context():
            engage.flush()
            status = app.extensions["engage"].recorder.status()
        assert status.stored > 0, status
        names = {thread.name for thread in threading.enumerate()}
        assert ("APScheduler" in names) == (what == "scheduler"), names
        if what == "scheduler":
            await_turns(app, began)
    print(json.dumps({**took, "resident_kb": resident_kb(), "modules": len(sys.modules)}))


def await_turns(app: flask.Flask, since: datetime) -> None:
    """Return once the jobs have had their turn in this process: what they load counts, too."""
    from flask_engage.store.lease import job_starts

    database = app.extensions["engage"].ready.require()
    end = time.monotonic() + TURNS_SECONDS
    while True:
        with database.read() as session:
            last = job_starts(session).get("mail")  # the last of each round
        if last is not None and last >= since:
            return
        assert time.monotonic() < end, "the jobs have not had their turn"
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
