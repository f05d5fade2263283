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
from .types import AttributeValue, Identity, Profile

if TYPE_CHECKING:
    from ._runner import Runner
    from .automation.rules import AutoMessage
    from .capture.context import Contexts
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
    timeout: timedelta
    """What it may take for one user."""


@dataclass(frozen=True, slots=True)
class QueryProvider:
    """A host function that returns one query with attributes of everybody."""

    name: str
    function: Callable[[], Any]
    every: timedelta
    timeout: timedelta
    """What the query may take."""


@dataclass(frozen=True, slots=True)
class HostEnricher:
    """A host function that knows more of somebody, mostly by asking a service."""

    name: str
    function: Callable[[Identity], Profile | None]
    sends: tuple[str, ...]
    """What it is told: of ``id``, ``email`` and ``name``."""
    expiry: timedelta | None
    """How long an answer holds; None: as the setting says."""
    per_hour: int
    timeout: timedelta


@dataclass(slots=True)
class Registry:
    """What the host's code said with decorators; shared by the apps of one ``Engage``."""

    load_user: Callable[[], Any] | None = None
    relationship: Callable[[Any], Any] | None = None
    identify: Callable[[Any], Any] | None = None
    operator: Callable[[], Any] | None = None
    providers: dict[str, AttributeProvider | QueryProvider] = field(default_factory=dict)
    enrichers: dict[str, HostEnricher] = field(default_factory=dict)
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
    contexts: Contexts
    """Reads what a request says of the browser and of its way here."""
    host_db: Any = None
    """What the host gave as its database: an extension object, an engine, a URL or nothing."""
    user_model: type[Any] | None = None
    clock: AppClock = field(default_factory=AppClock)
    own_load_user: Callable[[], Any] | None = None
    """Who is logged in on this app alone, before what the registry says."""
    own_operator: Callable[[], Any] | None = None
    """Who may open this app's dashboard alone, before what the registry says."""

    @property
    def load_user(self) -> Callable[[], Any] | None:
        """The host's function that tells who is logged in, if it gave one."""
        return self.own_load_user or self.registry.load_user

    @property
    def operator(self) -> Callable[[], Any] | None:
        """The host's function that tells who may open the dashboard, if it gave one."""
        return self.own_operator or self.registry.operator


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
