"""Paperkite, a small newsletter builder that shows what Flask-Engage does for a real product.

`create_app()` is the application; `engagement.py` is all that Flask-Engage asks of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, render_template
from flask_login import LoginManager
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy import inspect
from sqlalchemy.exc import DatabaseError

from example_app import accounts, newsletters, presentation, sections, seeding, settings, team
from example_app.engagement import attach
from example_app.models import User, db

login_manager = LoginManager()
login_manager.login_view = "accounts.login"
login_manager.login_message = "Please log in to go there."
csrf = CSRFProtect()


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Build Paperkite. `EXAMPLE_ENGAGE=False` in `config` switches Flask-Engage off."""
    app = Flask(__name__, instance_path=os.environ.get("PAPERKITE_INSTANCE"))
    settings.configure(app, config)
    db.init_app(app)
    login_manager.init_app(app)
    csrf.init_app(app)
    for module in (accounts, newsletters, sections, team):
        app.register_blueprint(module.bp)
    presentation.register(app)
    seeding.register(app)
    app.register_error_handler(404, _not_found)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(DatabaseError, _no_tables)
    app.after_request(_secure)
    attach(app)
    return app


@login_manager.user_loader
def load_user(user_id: str) -> User | None:
    """Give Flask-Login the user of a session."""
    return db.session.get(User, int(user_id))


def _not_found(_: Exception) -> tuple[str, int]:
    return render_template(
        "error.html",
        title="This page has flown off",
        text="There is nothing at this address, or it is not yours.",
    ), 404


def _stale_form(_: CSRFError) -> tuple[str, int]:
    return render_template(
        "error.html",
        title="That form had gone stale",
        text="Go back, load the page again and repeat it.",
    ), 400


def _no_tables(error: DatabaseError) -> tuple[str, int, dict[str, str]]:
    db.session.rollback()
    if inspect(db.engine).has_table(User.__tablename__):
        raise error
    text = "Paperkite has nobody in it yet. First: flask --app example_app seed\n"
    return text, 503, {"Content-Type": "text/plain; charset=utf-8"}


def _secure(response: Response) -> Response:
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'self'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response
