"""Where Paperkite reads its configuration from: defaults, then the environment, then the caller."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

SECRET_FILE = "secret_key"


def configure(app: Flask, config: Mapping[str, Any] | None) -> None:
    """Fill `app.config`. What the caller passes wins over the environment, which wins over ours.

    `PAPERKITE_DATABASE_URL` and `PAPERKITE_SECRET_KEY` are read from the environment, and every
    `ENGAGE_…` variable is handed on to Flask-Engage (as JSON if it is JSON, else as text).
    """
    instance = Path(app.instance_path)
    instance.mkdir(parents=True, exist_ok=True)
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{instance / 'paperkite.db'}",
        SESSION_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_HTTPONLY=True,
        MAX_CONTENT_LENGTH=1024 * 1024,
        DEMO_LOGIN=True,
        EXAMPLE_ENGAGE=True,
        ENGAGE_SCHEDULER="thread",
        ENGAGE_MAIL_FROM="Paperkite <hello@paperkite.example>",
        ENGAGE_BASE_URL="http://127.0.0.1:5000",
    )
    app.config.update(_from_environment(os.environ))
    app.config.update(config or {})
    if not app.config.get("SECRET_KEY"):
        app.config["SECRET_KEY"] = _kept_secret(instance / SECRET_FILE)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: _json_or_text(value) for name, value in environ.items() if name.startswith("ENGAGE_")
    }
    if "PAPERKITE_DATABASE_URL" in environ:
        found["SQLALCHEMY_DATABASE_URI"] = environ["PAPERKITE_DATABASE_URL"]
    if "PAPERKITE_SECRET_KEY" in environ:
        found["SECRET_KEY"] = environ["PAPERKITE_SECRET_KEY"]
    return found


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _kept_secret(path: Path) -> str:
    """The secret in `path`, made on first use; workers that start at once agree on one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        draft.write_text(secrets.token_urlsafe(32))
        draft.chmod(0o600)
        try:
            os.link(draft, path)  # fails if another worker was first; then its secret holds
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
