"""Checks an installed wheel from an empty folder: complete, importable, able to migrate."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

EXPECTED = (
    "py.typed",
    "store/migrations/env.py",
    "store/migrations/versions",
    "widget/static",
    "dashboard/static",
    "dashboard/templates",
)

HOST = """
from flask import Flask
from flask_engage import Engage

app = Flask(__name__)
app.config["SECRET_KEY"] = "a secret of sixteen bytes and more"
engage = Engage(app, "sqlite:///engage.sqlite3")
"""


def main() -> None:
    """Exit with a message that names what is missing."""
    import flask_engage

    package = files(flask_engage)
    assert "site-packages" in str(package), f"imported from {package}, not from the wheel"
    missing = [
        name
        for name in EXPECTED
        if not package.joinpath(name).is_file() and not any(_entries(package.joinpath(name)))
    ]
    if missing:
        sys.exit(f"The wheel lacks {', '.join(missing)}.")
    Path("host.py").write_text(HOST)
    flask = Path(sys.executable).with_name("flask")
    for command in (["upgrade"], ["people"]):
        subprocess.run(
            [flask, "--app", "host", "engage", *command],
            check=True,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
    print(f"flask-engage {version('flask-engage')} works from the wheel.")


def _entries(folder: object) -> list[object]:
    return list(folder.iterdir()) if folder.is_dir() else []  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
