"""Where the host's requests meet us: noticing who got an answer, and writing it down at the end.

Decided in ``after_request``, where the status is known; written down in ``teardown_request``,
which also knows whether the request failed after all.
"""

from __future__ import annotations

from datetime import datetime

from flask import Flask, Response, has_request_context, request
from flask.globals import app_ctx
from werkzeug.wrappers import Request

from .._state import EngageState
from .buffer import RequestBuffer
from .exclusions import Exclusions
from .facts import Context, Seen
from .identity import buffer_of_request, current_identity
from .limits import trim_text
from .user_agent import read_user_agent

_PATH_LENGTH = 512
_TEXT_LENGTH = 255
_LANGUAGE_LENGTH = 35
_NOT_LOOKING = frozenset({"HEAD", "OPTIONS"})
_FIRST_FAILURE = 400


def register(app: Flask, state: EngageState) -> None:
    """Have `app` tell us of its requests."""
    exclusions = Exclusions(state.settings, app.view_functions)

    def notice(response: Response) -> Response:
        with state.guard.guarded("noticing a request"):
            if response.status_code < _FIRST_FAILURE:
                _notice(state, exclusions)
        return response

    def write_down(error: BaseException | None) -> None:
        here = app_ctx._get_current_object().g  # type: ignore[attr-defined]
        buffer: RequestBuffer | None = here.pop("_engage", None)
        if buffer is not None and buffer.seen and error is None:
            with state.guard.guarded("recording a request"):
                _write_down(state, buffer)

    app.after_request(notice)
    app.teardown_request(write_down)


def recorded_user_id() -> str | None:
    """Return whom this request's answer is recorded for; None for nobody.

    Known once our ``after_request`` has run.
    """
    if not has_request_context():
        return None
    buffer = buffer_of_request()
    return buffer.who.user_id if buffer.seen and buffer.who else None


def _notice(state: EngageState, exclusions: Exclusions) -> None:
    current: Request = request._get_current_object()  # type: ignore[attr-defined]
    if current.method in _NOT_LOOKING:
        return
    if exclusions.excludes(current, getattr(current, "endpoint", None)):
        return
    if current_identity(state) is not None:
        buffer_of_request().seen = True


def _write_down(state: EngageState, buffer: RequestBuffer) -> None:
    who = buffer.who
    if who is None:
        return
    now = state.clock()
    at: datetime = buffer.first_at or now
    state.recorder.append(
        Seen(
            at,
            who.user_id,
            1,
            _context(buffer.request),
            who.email,
            who.name,
            who.signed_up_at,
            who.attributes,
            buffer.events,
            now if buffer.events else None,
        )
    )


def _context(current: Request) -> Context:
    """Say what the request tells of the browser and of the way that led here."""
    environ = current.environ
    agent = read_user_agent(environ.get("HTTP_USER_AGENT", ""))
    source = medium = campaign = None
    if "utm_" in environ.get("QUERY_STRING", ""):
        args = current.args
        source = trim_text(args.get("utm_source"), _TEXT_LENGTH)
        medium = trim_text(args.get("utm_medium"), _TEXT_LENGTH)
        campaign = trim_text(args.get("utm_campaign"), _TEXT_LENGTH)
    language = environ.get("HTTP_ACCEPT_LANGUAGE", "").split(",", 1)[0].split(";", 1)[0]
    return Context(
        trim_text(current.path, _PATH_LENGTH),
        _referrer(environ.get("HTTP_REFERER"), environ.get("HTTP_HOST", "")),
        source,
        medium,
        campaign,
        agent.browser,
        agent.os,
        agent.device,
        trim_text(language, _LANGUAGE_LENGTH),
    )


def _referrer(address: str | None, own_host: str) -> str | None:
    """Return the host name of the page before, unless it was one of the host's own."""
    if not address:
        return None
    scheme, _, rest = address.partition("://")
    if scheme not in ("http", "https"):
        return None
    place = rest.split("/", 1)[0].split("?", 1)[0].rpartition("@")[2].lower()
    if place == own_host.lower():
        return None
    return trim_text(place.partition(":")[0], _TEXT_LENGTH)
