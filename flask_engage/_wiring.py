"""How the rooms are put together for one app: who is handed what, and in which order."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from markupsafe import Markup
from sqlalchemy.engine import make_url

from . import _databases
from ._clock import AppClock, Clock
from ._guard import Guard
from ._migrate_guard import protect_host_migrations
from ._runner import Runner
from ._state import KEY, EngageState, Registry
from .capture import hooks
from .capture.journal import warn_if_unwritable
from .capture.recorder import Recorder
from .settings import Settings
from .store.engine import Database
from .store.ready import Readiness


def attach(
    app: Flask, db: Any, user_model: type[Any] | None, registry: Registry, clock: Clock
) -> EngageState:
    """Give `app` its extension. Touches no database and starts no thread."""
    settings = Settings.from_config(app.config)
    state = _make_state(app, db, user_model, registry, settings, AppClock(clock))
    app.extensions[KEY] = state
    app.jinja_env.globals["engage_widget"] = lambda: _widget_tag(state)
    if settings.ENABLED:
        if settings.CAPTURE_MODE == "journal":
            warn_if_unwritable(_journal_base(app, settings))
        _register_hooks(app, state)
        _register_endpoints(app, state)
    from .cli import group

    app.cli.add_command(group)
    protect_host_migrations(app)
    return state


def _make_state(
    app: Flask,
    db: Any,
    user_model: type[Any] | None,
    registry: Registry,
    settings: Settings,
    clock: AppClock,
) -> EngageState:
    guard = Guard(lambda: _raises_errors(app, settings))

    def auto_upgrade(database: Database) -> bool:
        if settings.AUTO_UPGRADE is not None:
            return settings.AUTO_UPGRADE
        return database.dialect == "sqlite" or app.debug

    ready = Readiness(
        lambda: _databases.own_source(app, db, settings), auto_upgrade, settings.TIMEZONE
    )
    recorder = Recorder(
        app=app,
        settings=settings,
        ready=ready,
        guard=guard,
        clock=clock,
        folder=lambda: _journal_folder(app, ready, settings),
    )
    runner = Runner(
        lambda: _jobs_of(app),
        ready,
        guard,
        clock,
        wanted=lambda: settings.SCHEDULER == "thread" and not app.testing,
    )
    return EngageState(
        app=app,
        settings=settings,
        registry=registry,
        guard=guard,
        ready=ready,
        recorder=recorder,
        runner=runner,
        host_db=db,
        user_model=user_model,
        clock=clock,
    )


def _jobs_of(app: Flask) -> Any:
    from ._jobs import jobs_of

    return jobs_of(app.extensions[KEY])


def _raises_errors(app: Flask, settings: Settings) -> bool:
    if settings.RAISE_ERRORS is not None:
        return settings.RAISE_ERRORS
    return app.testing or app.debug


def _journal_base(app: Flask, settings: Settings) -> Path:
    return Path(settings.JOURNAL_DIR or Path(app.instance_path) / "engage-journal")


def _journal_folder(app: Flask, ready: Readiness, settings: Settings) -> Path:
    """Return the folder of this database's journals: facts of one never reach another."""
    base = _journal_base(app, settings)
    url = make_url(ready.database().engine.url)
    place = url.set(password=None).render_as_string(hide_password=False)
    return base / hashlib.sha256(place.encode()).hexdigest()[:16]


def _register_hooks(app: Flask, state: EngageState) -> None:
    @app.before_request
    def engage_start_scheduler() -> None:
        with state.guard.guarded("starting the scheduler"):
            state.runner.ensure_started()

    # Flask runs these in the reverse order: who is here is decided first, then the tag.
    @app.after_request
    def engage_inject(response: Response) -> Response:
        with state.guard.guarded("placing the widget"):
            _inject(state, response)
        return response

    hooks.register(app, state)


def _inject(state: EngageState, response: Response) -> None:
    from .widget.injection import inject

    settings = state.settings
    if settings.INJECT_WIDGET == "off":
        return
    inject(
        response,
        request,
        prefix=settings.URL_PREFIX,
        mode=settings.INJECT_WIDGET,
        recorded=hooks.recorded_user_id() is not None,
        configured_nonce=settings.CSP_NONCE,
    )


def _widget_tag(state: EngageState) -> Markup:
    """Return the widget's tag, for hosts that place it in a template themselves."""
    from .widget.injection import host_nonce, tag

    placed = Markup("")
    if state.settings.ENABLED:
        with state.guard.guarded("engage_widget()"):
            nonce = host_nonce(request, None, state.settings.CSP_NONCE)
            placed = tag(request, state.settings.URL_PREFIX, nonce)
    return placed


def _register_endpoints(app: Flask, state: EngageState) -> None:
    from . import dashboard
    from .widget import links, routes
    from .widget.csrf import exempt_from_host_csrf

    prefix = state.settings.URL_PREFIX
    app.register_blueprint(routes.make_blueprint(), url_prefix=f"{prefix}/widget")
    app.register_blueprint(links.make_links_blueprint(), url_prefix=f"{prefix}/t")
    if hasattr(dashboard, "make_blueprint"):
        app.register_blueprint(dashboard.make_blueprint(), url_prefix=prefix)
    exempt_from_host_csrf(app, "engage_widget", "engage_links", "engage_dashboard")
