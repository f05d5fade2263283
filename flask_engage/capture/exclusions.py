"""Which requests are nobody's: static files, our own pages, robots, what the host leaves out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from werkzeug.wrappers import Request

from ..settings import Settings
from .user_agent import LONGEST, read_user_agent

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "_engage_untracked"
_MAX_REMEMBERED = 4096
"""Endpoints times methods: more than any host has."""

UNWILLING = frozenset({"HTTP_DNT", "HTTP_SEC_GPC"})
"""Headers in which a browser says 1 for its user who does not want to be recorded."""
_AHEAD = frozenset({"prefetch", "prerender", "preview"})
_FETCHED_AHEAD = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")
"""Headers in which browsers have said so, as in the WSGI environment: today's one first."""


def untracked(function: F) -> F:
    """Leave requests to the decorated view, or class of views, out of sightings."""
    # Marks of a method are its function's: the method itself is made anew each time.
    setattr(function.__func__ if inspect.ismethod(function) else function, _MARK, True)
    return function


def refuses(settings: Settings, request: Request) -> bool:
    """Tell whether nothing of `request` may be recorded: its browser asks so, or the host says so.

    :raises Exception: what ``ENGAGE_CONSENT`` raises.
    """
    if settings.RESPECT_DNT:
        environ = request.environ
        if any(environ.get(name) == "1" for name in UNWILLING):
            return True
    return settings.CONSENT is not None and not settings.CONSENT(request)


def is_prefetch(request: Request) -> bool:
    """Tell whether a browser fetched the page ahead, so that nobody may ever see it."""
    environ = request.environ
    said = ";".join(str(environ.get(name, "")) for name in _FETCHED_AHEAD).lower()
    return not _AHEAD.isdisjoint(purpose.strip() for purpose in said.replace(",", ";").split(";"))


class Exclusions:
    """Decides for one app. What depends on the endpoint alone is decided once."""

    def __init__(self, settings: Settings, views: Mapping[str, Callable[..., Any]]) -> None:
        self._settings = settings
        self._views = views
        self._own = settings.URL_PREFIX
        self._below = settings.URL_PREFIX + "/"
        items = settings.EXCLUDE
        items = (items,) if callable(items) else tuple(items)
        self._callables = tuple(item for item in items if callable(item))
        texts = [item for item in items if isinstance(item, str)]
        self._paths = frozenset(text for text in texts if text[0] == "/" and text[-1] != "*")
        self._prefixes = tuple(text[:-1] for text in texts if text[0] == "/" and text[-1] == "*")
        self._has_paths = bool(self._paths or self._prefixes)
        self._endpoints = frozenset(text for text in texts if text[0] != "/")
        self._decided: dict[tuple[str | None, str], bool] = {}
        self._sorts: dict[tuple[str | None, str, str], bool] = {}
        """Of each endpoint, method and browser: whether their requests are left out."""

    def excludes(self, request: Request, endpoint: str | None) -> bool:
        """Tell whether `request`, which led to `endpoint`, stands for nobody.

        :raises Exception: what a callable of the host's raises.
        """
        # As excludes_place() and is_nobody(), in one go: each request that may be somebody's
        # comes by, and a call costs as much as what is asked.
        path, environ = request.path, request.environ
        sort = (endpoint, request.method, environ.get("HTTP_USER_AGENT", ""))
        leaves_out = self._sorts.get(sort)
        return (
            (self._leaves_out_sort(sort) if leaves_out is None else leaves_out)
            or ((self._has_paths or path.startswith(self._own)) and self._excludes_path(path))
            or (not environ.keys().isdisjoint(_FETCHED_AHEAD) and is_prefetch(request))
            or (bool(self._callables) and any(item(request) for item in self._callables))
        )

    def _leaves_out_sort(self, sort: tuple[str | None, str, str]) -> bool:
        endpoint, method, agent = sort
        decided = self._leaves_out(endpoint, method) or read_user_agent(agent[:LONGEST]).is_bot
        if len(agent) <= LONGEST:
            if len(self._sorts) >= _MAX_REMEMBERED:
                self._sorts = {}
            self._sorts[sort] = decided
        return decided

    def excludes_place(self, path: str, endpoint: str | None, method: str = "GET") -> bool:
        """Tell whether nobody is seen at `path`, which leads to `endpoint`."""
        return self._leaves_out(endpoint, method) or self._excludes_path(path)

    def _excludes_path(self, path: str) -> bool:
        if path.startswith(self._own) and (path == self._own or path.startswith(self._below)):
            return True
        return path in self._paths or bool(self._prefixes and path.startswith(self._prefixes))

    def _leaves_out(self, endpoint: str | None, method: str) -> bool:
        decided = self._decided.get((endpoint, method))
        return self._decide(endpoint, method) if decided is None else decided

    def excludes_sender(self, request: Request) -> bool:
        """Tell whether who or what sent `request` is to be left out, wherever it leads.

        :raises Exception: what a callable of the host's raises.
        """
        return refuses(self._settings, request) or self.is_nobody(request)

    def is_nobody(self, request: Request) -> bool:
        """Tell whether no human looks at what `request` is answered.

        :raises Exception: what a callable of the host's raises.
        """
        environ = request.environ
        if read_user_agent(environ.get("HTTP_USER_AGENT", "")[:LONGEST]).is_bot:
            return True
        if not environ.keys().isdisjoint(_FETCHED_AHEAD) and is_prefetch(request):
            return True
        return bool(self._callables) and any(item(request) for item in self._callables)

    def _decide(self, endpoint: str | None, method: str) -> bool:
        decided = endpoint is not None and self._looks_left_out(endpoint, method)
        if len(self._decided) < _MAX_REMEMBERED:
            self._decided[endpoint, method] = decided
        return decided

    def _looks_left_out(self, endpoint: str, method: str) -> bool:
        view = self._views.get(endpoint)
        view_class = getattr(view, "view_class", None)
        parts = endpoint.split(".")
        blueprints = {".".join(parts[:n]) for n in range(1, len(parts))}
        return (
            parts[-1] == "static"
            or endpoint in self._endpoints
            or bool(blueprints & self._endpoints)
            or hasattr(view, _MARK)
            or hasattr(view_class, _MARK)
            or hasattr(getattr(view_class, method.lower(), None), _MARK)
            or hasattr(getattr(view_class, "dispatch_request", None), _MARK)
        )
