"""Which requests are nobody's: static files, our own pages, robots, what the host leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from werkzeug.wrappers import Request

from ..settings import Settings
from .user_agent import read_user_agent

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "_engage_untracked"
_MAX_REMEMBERED = 4096
"""Endpoints times methods: more than any host has."""


def untracked(function: F) -> F:
    """Leave requests to the decorated view out of sightings."""
    setattr(function, _MARK, True)
    return function


def refuses_tracking(request: Request) -> bool:
    """Tell whether the browser asks not to be tracked (``DNT`` or ``Sec-GPC``)."""
    environ = request.environ
    return environ.get("HTTP_DNT") == "1" or environ.get("HTTP_SEC_GPC") == "1"


def is_prefetch(request: Request) -> bool:
    """Tell whether a browser fetched the page ahead, so that nobody may ever see it."""
    environ = request.environ
    return (
        "prefetch" in environ.get("HTTP_SEC_PURPOSE", "")
        or environ.get("HTTP_PURPOSE") == "prefetch"
        or environ.get("HTTP_X_PURPOSE") == "preview"
        or environ.get("HTTP_X_MOZ") == "prefetch"
    )


class Exclusions:
    """Decides for one app. What depends on the endpoint alone is decided once."""

    def __init__(self, settings: Settings, views: Mapping[str, Callable[..., Any]]) -> None:
        self._respect = settings.RESPECT_DNT
        self._views = views
        self._own = (settings.URL_PREFIX, settings.URL_PREFIX + "/")
        items = settings.EXCLUDE
        items = (items,) if callable(items) else tuple(items)
        self._callables = tuple(item for item in items if callable(item))
        texts = [item for item in items if isinstance(item, str)]
        self._paths = frozenset(text for text in texts if text[0] == "/" and text[-1] != "*")
        self._prefixes = tuple(text[:-1] for text in texts if text[0] == "/" and text[-1] == "*")
        self._endpoints = frozenset(text for text in texts if text[0] != "/")
        self._decided: dict[tuple[str, str], bool] = {}

    def excludes(self, request: Request, endpoint: str | None) -> bool:
        """Tell whether `request`, which led to `endpoint`, stands for nobody.

        :raises Exception: what a callable of the host's raises.
        """
        path = request.path
        if path == self._own[0] or path.startswith(self._own[1]):
            return True
        if endpoint is not None:
            key = (endpoint, request.method)
            decided = self._decided.get(key)
            if decided is None:
                decided = self._decide(*key)
            if decided:
                return True
        if path in self._paths or (self._prefixes and path.startswith(self._prefixes)):
            return True
        if self._respect and refuses_tracking(request):
            return True
        if read_user_agent(request.environ.get("HTTP_USER_AGENT", "")).is_bot:
            return True
        return is_prefetch(request) or any(item(request) for item in self._callables)

    def _decide(self, endpoint: str, method: str) -> bool:
        view = self._views.get(endpoint)
        view_class = getattr(view, "view_class", None)
        parts = endpoint.split(".")
        blueprints = {".".join(parts[:n]) for n in range(1, len(parts))}
        decided = (
            parts[-1] == "static"
            or endpoint in self._endpoints
            or bool(blueprints & self._endpoints)
            or hasattr(view, _MARK)
            or hasattr(view_class, _MARK)
            or hasattr(getattr(view_class, method.lower(), None), _MARK)
        )
        if len(self._decided) < _MAX_REMEMBERED:
            self._decided[endpoint, method] = decided
        return decided
