"""Who is logged in on this request, without costing the host a query or a cookie.

Asked in this order: the host's ``load_user``, else Flask-Login.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import flask.globals
from flask import has_request_context
from flask.globals import app_ctx, request_ctx
from werkzeug.wrappers import Request

from .._state import EngageState
from .buffer import RequestBuffer, Who
from .exclusions import UNWILLING, refuses
from .no_flush import unflushed
from .who import kinds, mapped_state, unwrapped, who_is

if TYPE_CHECKING:
    from flask.ctx import AppContext, RequestContext

_SCHEMES_OF_BROWSERS = frozenset({"", "basic", "digest", "negotiate", "ntlm"})
"""Of ``Authorization``: a browser sends these by itself, for a whole site."""


def _getter(variable: str, proxy: Any) -> Callable[[], Any]:
    """Return what gives Flask's context: the variable's own way, or the proxy's if it is gone.

    Both give the same. A look through the proxy costs as much as what is looked for.
    """
    found = getattr(flask.globals, variable, None)
    getter: Callable[[], Any] = proxy._get_current_object if found is None else found.get
    return getter


request_context: Callable[[], RequestContext] = _getter("_cv_request", request_ctx)
app_context: Callable[[], AppContext] = _getter("_cv_app", app_ctx)


def current_user_id(state: EngageState) -> str | None:
    """Return the id of who is logged in on this request and is recorded, else None."""
    who = current_identity(state)
    return None if who is None else who.user_id


def current_identity(state: EngageState) -> Who | None:
    """Return who is logged in on this request; None for nobody, or nobody to be recorded.

    Resolved once a request. Outside of a request there is nobody.

    :raises Exception: what the host's own functions raise.
    """
    if not has_request_context():
        return None
    return resolved(state, buffer_of_request())


def buffer_of_request() -> RequestBuffer:
    """Return this request's buffer."""
    return buffer_of(request_context().request, app_context().g.__dict__)


def buffer_of(request: Request, held: dict[str, Any]) -> RequestBuffer:
    """Return the buffer of `request`, whose ``g`` holds `held`."""
    buffer: RequestBuffer | None = held.get("_engage")
    if buffer is None or buffer.request is not request:
        buffer = held["_engage"] = RequestBuffer(request, held)
    return buffer


def resolved(state: EngageState, buffer: RequestBuffer) -> Who | None:
    """Return who is logged in on the request of `buffer`; see :func:`current_identity`."""
    held = buffer.held
    login = held.get("_login_user")
    # Flask-Login puts another object there when somebody logs in or out meanwhile.
    if buffer.is_resolved and login is buffer.login:
        return buffer.who
    # Before the look: a host function that raises is not called again in this request.
    buffer.is_resolved, buffer.who = True, None
    try:
        load_user = state.own_load_user or state.registry.load_user
        if load_user is not None:
            user = _from_host(state, load_user)
        else:
            user = _flask_login_user(state) if login is None else login
        if user is not None and (
            kinds[type(user)].is_always_authenticated or _is_authenticated(user)
        ):
            buffer.who = who_is(state, user)
            # Nearly everywhere: a session that names somebody, and nothing else that could.
            session = getattr(request_context(), "_session", None)
            manager = getattr(state.app, "login_manager", None)
            buffer.is_program = (
                session is None
                or "_user_id" not in session
                or load_user is not None
                or getattr(manager, "_request_callback", None) is not None
            ) and _is_programs(state, user)
    finally:
        buffer.login = held.get("_login_user")
    return buffer.who


def recorded_identity(state: EngageState, buffer: RequestBuffer) -> Who | None:
    """Return of whom things are recorded in the request of `buffer`, if of anybody.

    The host and the browser are asked once a request whether anything may be.

    :raises Exception: what the host's own functions raise.
    """
    if buffer.refuses is None:
        request, settings = buffer.request, state.settings
        if settings.CONSENT is None and request.environ.keys().isdisjoint(UNWILLING):
            buffer.refuses = False
        else:
            buffer.refuses = True  # also if the host's function raises
            buffer.refuses = refuses(settings, request)
    return None if buffer.refuses else resolved(state, buffer)


# --- who is logged in --------------------------------------------------------------------------


def may_be_somebody(state: EngageState, request: Request) -> bool:
    """Tell whether `request` may be anybody's at all. Asks nobody and loads nothing.

    To be asked where Flask-Login has not loaded anybody, or has found nobody.
    """
    if state.own_load_user is not None or state.registry.load_user is not None:
        return True
    manager = getattr(state.app, "login_manager", None)
    return manager is not None and _shows_a_login(state, manager, request)


def _from_host(state: EngageState, load_user: Callable[[], Any]) -> Any | None:
    with _untouched_session(), unflushed(state):
        return unwrapped(load_user())


def _flask_login_user(state: EngageState) -> Any | None:
    manager = getattr(state.app, "login_manager", None)
    if manager is None or not _shows_a_login(state, manager, request_context().request):
        return None
    from flask_login import current_user

    with _untouched_session(), unflushed(state):
        return unwrapped(current_user)


def _shows_a_login(state: EngageState, manager: Any, request: Request) -> bool:
    """Tell whether there is anything by which Flask-Login could know somebody."""
    session = getattr(request_context(), "_session", None)
    if session is not None and "_user_id" in session:
        return True
    return (
        "HTTP_AUTHORIZATION" in request.environ
        or getattr(manager, "_request_callback", None) is not None
        or _is_remembered(state, request)
    )


def _is_remembered(state: EngageState, request: Request) -> bool:
    """Tell whether Flask-Login's cookie that outlives a session came along."""
    name = state.app.config.get("REMEMBER_COOKIE_NAME", "remember_token")
    return name in request.environ.get("HTTP_COOKIE", "") and name in request.cookies


def _is_programs(state: EngageState, user: Any) -> bool:
    """Tell whether `user` was not logged in by a browser's cookies but call by call.

    So are requests with an ``Authorization`` header, or of a program that keeps no cookies:
    nobody looks at what they are answered.
    """
    context = request_context()
    session = getattr(context, "_session", None)
    if state.own_load_user is None and state.registry.load_user is None:
        return not _is_by_cookie(state, user, session, context.request)
    if session:
        return False  # so also of who is being logged in right now
    environ = context.request.environ
    if not environ.get("HTTP_COOKIE"):
        # A server that knows the user itself asks browsers, too, for no cookie.
        return not environ.get("REMOTE_USER")
    scheme = environ.get("HTTP_AUTHORIZATION", "").partition(" ")[0].lower()
    return scheme not in _SCHEMES_OF_BROWSERS


def _is_by_cookie(state: EngageState, user: Any, session: Any, request: Request) -> bool:
    """Tell whether Flask-Login knows `user` from the session or its other cookie."""
    if session is not None and "_user_id" in session:
        manager = getattr(state.app, "login_manager", None)
        # Of a session whose user is gone, the host's request_loader may know another.
        attribute = getattr(user, getattr(manager, "id_attribute", "get_id"), None)
        if callable(attribute) and attribute() == session["_user_id"]:
            return True
    return _is_remembered(state, request)


def _is_authenticated(user: Any) -> bool:
    mapped = mapped_state(user)
    if mapped is not None and mapped.expired:
        return True  # it was loaded as the current user; asking it would be a query
    return bool(getattr(user, "is_authenticated", True))


@contextmanager
def _untouched_session() -> Iterator[None]:
    """Leave the host's session as it was, its marks of being read or changed included.

    Else our look would add ``Vary: Cookie`` to pages that are the same for everybody. What
    Flask-Login writes there while it loads somebody is the host's own to have: who is logged in
    by a cookie only, or from another browser than before, is no longer fresh. So where it wrote
    anything, it forgets whom it has loaded and does both again when the host asks.
    """
    session = getattr(request_context(), "_session", None)
    if session is None:
        yield
        return
    accessed, modified = session.accessed, session.modified
    held = app_context().g.__dict__
    is_loaded = "_login_user" in held
    # A second change would not show in the mark of the first.
    before = dict(session)
    session.modified = False
    try:
        yield
    finally:
        if session.modified:
            session.clear()
            session.update(before)
            if not is_loaded:
                held.pop("_login_user", None)
        session.accessed, session.modified = accessed, modified
