"""A small host as its owner would write it, for servers to import: ``tests.runtimes._served``.

Where its data are is said in the environment. ``app`` is made at import, as most hosts do.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from flask import Flask, request

from flask_engage import Engage

FOLDER = Path(os.environ["SERVED_FOLDER"])
PAGE = "<!doctype html><html><head><title>Shop</title></head><body>Hello</body></html>"

logging.basicConfig(format="%(levelname)s %(message)s")
_exiting: dict[str, float] = {}


def settings() -> dict[str, Any]:
    return {
        "SECRET_KEY": "a secret of sixteen bytes and more",
        "ENGAGE_DATABASE_URL": os.environ["SERVED_DATABASE"],
        "ENGAGE_JOURNAL_DIR": str(FOLDER / "journal"),
        "ENGAGE_CAPTURE_MODE": os.environ.get("SERVED_MODE", "journal"),
        "ENGAGE_SCHEDULER": os.environ.get("SERVED_SCHEDULER", "thread"),
        "ENGAGE_FLUSH_INTERVAL": 0.2,
        "ENGAGE_AUTO_UPGRADE": False,
    }


def what_runs_here() -> dict[str, Any]:
    """Return this process's id and the names of its threads."""
    return {"pid": os.getpid(), "threads": [thread.name for thread in threading.enumerate()]}


def _begin_exit() -> None:
    _exiting[str(os.getpid())] = time.monotonic()


def _end_exit() -> None:
    begun = _exiting.get(str(os.getpid()))
    if begun is not None:
        took = time.monotonic() - begun
        (FOLDER / f"exit-{os.getpid()}").write_text(str(took))


atexit.register(_end_exit)  # the first that is registered is the last that runs
engage = Engage()


@engage.load_user
def load_user() -> str | None:
    return request.cookies.get("user")


def create_app() -> Flask:
    app = Flask("shop", root_path=str(FOLDER))
    app.config.update(settings())
    engage.init_app(app)

    @app.get("/")
    def page() -> str:
        return PAGE

    @app.get("/act/<int:number>")
    def act(number: int) -> dict[str, Any]:
        accepted = engage.track("acted", {"number": number})
        if str(os.getpid()) not in _exiting:
            _exiting[str(os.getpid())] = 0.0
            atexit.register(_begin_exit)  # after ours, so that it runs before them
        return {"accepted": accepted, "number": number, **what_runs_here()}

    @app.get("/here")
    @engage.untracked
    def here() -> dict[str, Any]:
        return what_runs_here()

    return app


app = create_app()
