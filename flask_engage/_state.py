"""What one app's extension consists of, kept in ``app.extensions["engage"]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app

from ._clock import AppClock
from ._guard import Guard
from .errors import NotReady
from .settings import Settings
from .types import AttributeValue

if TYPE_CHECKING:
    from ._runner import Runner
    from .automation.rules import AutoMessage
    from .capture.recorder import Recorder
    from .segments.filter import Filter
    from .store.ready import Readiness

KEY = "engage"


@dataclass(frozen=True, slots=True)
class AttributeProvider:
    """A host function that computes one attribute of one user."""

    name: str
    function: Callable[[Any], AttributeValue]
    every: timedelta


@dataclass(frozen=True, slots=True)
class QueryProvider:
    """A host function that returns one query with attributes of everybody."""

    name: str
    function: Callable[[], Any]
    every: timedelta


@dataclass(slots=True)
class Registry:
    """What the host's code said with decorators; shared by the apps of one ``Engage``."""

    load_user: Callable[[], Any] | None = None
    identify: Callable[[Any], Any] | None = None
    operator: Callable[[], Any] | None = None
    providers: dict[str, AttributeProvider | QueryProvider] = field(default_factory=dict)
    segments: dict[str, Filter] = field(default_factory=dict)
    rules: dict[str, AutoMessage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngageState:
    """The extension of one app. Nothing in here knows of another app."""

    app: Flask
    settings: Settings
    registry: Registry
    guard: Guard
    ready: Readiness
    """Gives the database once it can be used; see :class:`.store.ready.Readiness`."""
    recorder: Recorder
    """Takes facts in and writes them out."""
    runner: Runner
    """Starts the scheduler in processes that serve."""
    host_db: Any = None
    """What the host gave as its database: an extension object, an engine, a URL or nothing."""
    user_model: type[Any] | None = None
    clock: AppClock = field(default_factory=AppClock)


def state_of(app: Flask) -> EngageState:
    """Return the extension's state in `app`.

    :raises NotReady: if the extension was never attached to it.
    """
    state = app.extensions.get(KEY)
    if state is None:
        raise NotReady(
            f"flask_engage is not attached to the app {app.name!r}; call engage.init_app(app)."
        )
    return state  # type: ignore[no-any-return]


def current_state() -> EngageState:
    """Return the state of the current app; needs an app context."""
    return state_of(current_app._get_current_object())  # type: ignore[attr-defined]
