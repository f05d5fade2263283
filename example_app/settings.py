"""Where Paperkite reads its configuration from: defaults, then the environment, then the caller."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

SECRET_FILE = "secret_key"
FROM_ENVIRONMENT = {
    "PAPERKITE_DATABASE_URL": "SQLALCHEMY_DATABASE_URI",
    "PAPERKITE_SECRET_KEY": "SECRET_KEY",
    "ENGAGE_DATABASE_URL": "ENGAGE_DATABASE_URL",
    "ENGAGE_SMTP_URL": "ENGAGE_SMTP_URL",
    "ENGAGE_MAIL_FROM": "ENGAGE_MAIL_FROM",
    "ENGAGE_BASE_URL": "ENGAGE_BASE_URL",
    "ENGAGE_SCHEDULER": "ENGAGE_SCHEDULER",
    "ENGAGE_JOURNAL_DIR": "ENGAGE_JOURNAL_DIR",
}
"""Environment variables that are read, and the configuration keys that they set."""


def configure(app: Flask, config: Mapping[str, Any] | None) -> None:
    """Fill `app.config`. What the caller passes wins over the environment, which wins over ours.

    The database is a SQLite file in the instance folder. Mail goes to Flask-Engage's outbox
    unless `ENGAGE_SMTP_URL` names a server.
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
        ENGAGE_PRODUCT_NAME="Paperkite",
        ENGAGE_MAIL_FROM="Paperkite <hello@paperkite.example>",
        ENGAGE_BASE_URL="http://127.0.0.1:5000",
    )
    app.config.update(
        {key: os.environ[name] for name, key in FROM_ENVIRONMENT.items() if name in os.environ}
    )
    app.config.update(config or {})
    if not app.config.get("SECRET_KEY"):
        app.config["SECRET_KEY"] = _kept_secret(instance / SECRET_FILE)


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
