"""How the rooms are put together for one app: who is handed what, and in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from flask import Flask, request
from flask.cli import AppGroup
from markupsafe import Markup
from sqlalchemy.engine import make_url

from . import _databases
from ._clock import AppClock, Clock
from ._guard import Guard
from ._migrate_guard import protect_host_migrations
from ._runner import Runner
from ._state import KEY, EngageState, Registry
from .capture import hooks
from .capture.context import Contexts
from .capture.journal import warn_if_unwritable
from .capture.recorder import Recorder
from .capture.writer_thread import warn_without_threads
from .settings import Settings
from .store.engine import Database
from .store.ready import Readiness


class _Commands(AppGroup):
    """``flask engage …``, whose commands are imported by the shell that wants one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self._found().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._found().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        from .cli import in_a_line

        with in_a_line():
            return super().invoke(ctx)

    def _found(self) -> click.Group:
        from .cli import group

        return group


def attach(
    app: Flask,
    db: Any,
    user_model: type[Any] | None,
    registry: Registry,
    clock: Clock,
    load_user: Callable[[], Any] | None = None,
    operator: Callable[[], Any] | None = None,
) -> EngageState:
    """Give `app` its extension. Touches no database and starts no thread.

    `load_user` and `operator` are this app's own, before those of the registry.
    """
    _databases.require_usable(db, user_model)
    settings = Settings.from_config(app.config)
    made = _make_state(app, db, user_model, registry, settings, AppClock(clock))
    state = replace(made, own_load_user=load_user, own_operator=operator)
    app.extensions[KEY] = state
    app.jinja_env.globals["engage_widget"] = lambda: _widget_tag(state)
    if settings.ENABLED:
        if settings.CAPTURE_MODE == "journal":
            warn_if_unwritable(_journal_base(app, settings))
        if settings.CAPTURE_MODE != "sync" or settings.SCHEDULER == "thread":
            warn_without_threads()
        _register_hooks(app, state)
        _register_endpoints(app, state)
    app.cli.add_command(_Commands("engage", help="People, messages and jobs of flask_engage."))
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
    contexts = Contexts(settings)
    recorder = Recorder(
        app=app,
        settings=settings,
        ready=ready,
        guard=guard,
        clock=clock,
        folder=lambda: _journal_folder(app, ready, settings),
        of_browser=contexts.of_browser,
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
        contexts=contexts,
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
    from .widget.injection import Injector

    settings = state.settings
    inject: Injector | None = None
    if settings.INJECT_WIDGET != "off":
        inject = Injector(settings.URL_PREFIX, settings.INJECT_WIDGET, settings.CSP_NONCE)
    hooks.register(app, state, inject)


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
