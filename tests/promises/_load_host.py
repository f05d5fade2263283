"""A host that does nothing but record, to be served by gunicorn and shot at.

Told by its environment: ``HOST_DATABASE_URL``, ``HOST_FOLDER``, ``HOST_MODE``.
"""

from __future__ import annotations

import os
from typing import Any

import sqlalchemy as sa
from flask import Flask, request

from flask_engage import Engage


def create_app(**config: Any) -> Flask:
    """Make the host's app; each worker of gunicorn has its own."""
    app = Flask("load_host")
    app.config.update(
        SECRET_KEY="a secret of sixteen bytes and more",
        ENGAGE_SCHEDULER="off",
        ENGAGE_JOURNAL_DIR=os.environ["HOST_FOLDER"],
        ENGAGE_CAPTURE_MODE=os.environ.get("HOST_MODE", "journal"),
        **config,
    )
    engage = Engage(app, sa.create_engine(os.environ["HOST_DATABASE_URL"]))

    @app.post("/act")
    def act() -> Any:
        """Track as many events as are asked for; answer with the numbers that were accepted."""
        by, first, count = (request.args[name] for name in ("by", "first", "count"))
        numbers = range(int(first), int(first) + int(count))
        accepted = [
            n for n in numbers if engage.track("acted", {"by": by, "n": n}, user=str(n % 50))
        ]
        return {"accepted": accepted, "pid": os.getpid()}

    return app
