"""One of the apps of :mod:`._peer` as a server imports it."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from tests.benchmarks import _peer


def make() -> Flask:
    """Return the app that the environment names."""
    app = _peer.host()
    _peer.VARIANTS[os.environ["VARIANT"]](app, Path(os.environ["FOLDER"]))

    @app.get("/backlog")
    def backlog() -> str:
        """Say how many facts wait to be stored, of all workers."""
        engage = app.extensions.get("engage")
        waiting = None if engage is None else engage.recorder.backlog()
        return "0" if waiting is None else str(waiting.facts)

    @app.get("/journal")
    def journal() -> str:
        """Say how many bytes are in the journal, without asking the database how many it has."""
        engage = app.extensions.get("engage")
        return "0" if engage is None else str(engage.recorder.status().backlog_bytes)

    return app
