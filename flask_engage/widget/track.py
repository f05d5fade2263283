"""Takes in what the script tells of people: events, and pages shown without a request.

Whose they are is known from the host's login alone. The page may have been loaded by somebody
else than who is logged in now, so the script says for whom it has gathered them, by a token
that the inbox gave it; for anybody else they are refused.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from flask import Request, Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from flask_engage._state import EngageState, current_state
from flask_engage.capture.browser import Rejected, facts_of, read_actions
from flask_engage.capture.buffer import Who
from flask_engage.capture.exclusions import Exclusions
from flask_engage.capture.hooks import context_of
from flask_engage.capture.identity import current_identity
from flask_engage.delivery.tokens import secret_keys_of

from .answers import private
from .origin import is_same_origin
from .throttle import Throttle

_LARGEST: Final = 64 * 1024
"""Bytes. Fifty events with a few properties each have about 10 KiB."""

_MOST: Final = 50
"""Events in one request."""

_PER_SECOND: Final = 20
_BURST: Final = 100
"""Events of one user: far more than somebody does, far less than harms."""

_FULL_SECONDS: Final = 30
"""When to come again if the journal takes nothing in: it won't within a moment."""


class _Accepted(msgspec.Struct):
    accepted: int
    rejected: list[Rejected]


class _Problem(Exception):
    """What is wrong with a request as a whole."""

    def __init__(
        self, status: int, code: str, message: str, *, field: str | None = None, wait: int = 0
    ) -> None:
        super().__init__(code)
        self.status = status
        self.error = {"code": code, "message": message, "field": field}
        self.wait = wait

    def answer(self) -> Response:
        response = private(msgspec.json.encode({"error": self.error}), self.status)
        if self.wait:
            response.headers["Retry-After"] = str(self.wait)
        return response


class Intake:
    """The endpoint of one app."""

    def __init__(self) -> None:
        self._throttle = Throttle(_PER_SECOND, _BURST)

    def take(self) -> Response:
        """Take a list of events: ``{"accepted": 2, "rejected": [{"index": 0, …}]}``.

        204 for somebody of whom nothing is recorded, 401 for nobody, 409 for somebody else than
        the script thinks, 429 and 503 for later.
        """
        state = current_state()
        answer = _Problem(503, "failed", "Something of ours is out of order.", wait=60).answer()
        with state.guard.guarded("taking events from a browser"):
            try:
                answer = self._take(state)
            except _Problem as problem:
                answer = problem.answer()
        return answer

    def _take(self, state: EngageState) -> Response:
        if not is_same_origin(request, state.settings.BASE_URL):
            raise _Problem(403, "foreign", "This did not come from one of the host's own pages.")
        body = _read_body()
        who = current_identity(state)
        if who is None:
            raise _Problem(401, "nobody", "Nobody is logged in.")
        exclusions = Exclusions(state.settings, state.app.view_functions)
        if exclusions.excludes_sender(request):
            return private(b"", 204)
        items = _items(body, who)
        if wait := self._throttle.spend(who.user_id, len(items)):
            raise _Problem(429, "too_many", f"More than {_PER_SECOND} events a second.", wait=wait)
        return _record(state, who, items, exclusions)


def token_of(who: Who) -> str:
    """Return a name for `who` that says nothing to anybody else."""
    return _tokens(current_app.config, who.user_id)[0]


def recorded_token(state: EngageState) -> str | None:
    """Return the token of who is logged in, if what they do in the browser is recorded."""
    who = current_identity(state)
    if who is None:
        return None
    if Exclusions(state.settings, state.app.view_functions).excludes_sender(request):
        return None
    return token_of(who)


def _tokens(config: Mapping[str, Any], user_id: str) -> list[str]:
    """Return the tokens of a user: by the key that is in use, then by those before it."""
    # It proves nothing, it only tells people apart: without a key it does so, too.
    return [
        hmac.new(
            b"engage.who:" + (key.encode() if isinstance(key, str) else key),
            user_id.encode(),
            "sha256",
        ).hexdigest()[:32]
        for key in secret_keys_of(config) or [b""]
    ]


def _read_body() -> bytes:
    if request.mimetype != "application/json":
        raise _Problem(415, "no_json", "Expected application/json.")
    length = request.content_length
    if length is None:
        raise _Problem(411, "no_length", "Expected a Content-Length.")
    if length > _LARGEST:
        raise _Problem(413, "too_large", f"Expected at most {_LARGEST} bytes.")
    try:
        return request.get_data(cache=False)
    except HTTPException as error:
        raise _Problem(error.code or 400, "unreadable", error.name) from None


def _items(body: bytes, who: Who) -> list[object]:
    """Return what `body` lists, item by item still to be checked."""
    try:
        # Not msgspec: to that, one text that was cut through an emoji is the end of all.
        sent = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise _Problem(400, "no_json", f"Not JSON: {error}"[:200]) from None
    if not isinstance(sent, dict):
        raise _Problem(400, "no_object", "Expected an object with `who` and `events`.")
    items = sent.get("events")
    if not isinstance(items, list) or not 1 <= len(items) <= _MOST:
        raise _Problem(
            400, "no_events", f"`events`: expected a list of 1 to {_MOST}.", field="events"
        )
    whose = sent.get("who")
    if not isinstance(whose, str) or not whose.isascii():
        raise _Problem(400, "no_who", "`who`: expected what the inbox said.", field="who")
    if not any(
        hmac.compare_digest(whose, token) for token in _tokens(current_app.config, who.user_id)
    ):
        raise _Problem(409, "other_user", "Somebody else is logged in now.", field="who")
    return items


def _record(state: EngageState, who: Who, items: list[object], exclusions: Exclusions) -> Response:
    actions, rejected = read_actions(items)
    adapter = state.app.create_url_adapter(request)

    def place_of(path: str) -> str | None:
        place = _on_host(path)
        bare = place.partition("#")[0]
        asking = _asking_for(bare, adapter)
        if exclusions.excludes_place(bare, asking.endpoint) or exclusions.is_nobody(asking):
            return None
        return place

    for fact in facts_of(who, actions, context_of(request), state.clock(), place_of):
        if not state.recorder.append(fact):
            # All of it may come again: their ids keep them from being stored twice.
            raise _Problem(
                503, "full", "No room to take events in at the moment.", wait=_FULL_SECONDS
            )
    return private(msgspec.json.encode(_Accepted(len(actions), rejected)))


def _on_host(path: str) -> str:
    """Return a browser's `path` as the host's own code would see it."""
    place = unquote(path)
    root = request.script_root
    return place[len(root) :] if root and place.startswith(root + "/") else place


def _asking_for(path: str, adapter: MapAdapter | None) -> Request:
    """Return this request as if it had asked for the page at `path`."""
    environ = {
        **request.environ,
        "PATH_INFO": path.encode(errors="replace").decode("latin-1"),
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "",
    }
    asking = Request(environ, populate_request=False, shallow=True)
    if adapter is not None:
        with suppress(HTTPException):
            asking.url_rule, values = adapter.match(path, "GET", return_rule=True)
            asking.view_args = dict(values)
    return asking
