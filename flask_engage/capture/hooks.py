"""Where the host's requests meet us: noticing who got an answer, and writing it down at the end.

Decided in ``after_request``, where the status is known; written down in ``teardown_request``,
which also knows whether the request failed after all. Two hooks and no more: Flask's handling of
one costs about as much as what it does here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from time import monotonic

from flask import Flask, Request, Response

from .._state import EngageState, current_state
from .buffer import RequestBuffer, Who
from .exclusions import Exclusions
from .facts import Context, Seen
from .identity import app_context, may_be_somebody, recorded_identity, request_context

_NOT_LOOKING = frozenset({"HEAD", "OPTIONS"})
_FIRST_FAILURE = 400

Inject = Callable[[Response, Request, bool], object]
"""Puts the widget's tag into an answer, if it is to have it; the last argument tells whether
it goes to somebody who is recorded."""


def register(app: Flask, state: EngageState, inject: Inject | None) -> None:
    """Have `app` tell us of its requests, and give its answers to `inject`."""
    app.after_request(_noticing(app, state, inject))
    app.teardown_request(_writing_down(state))


def _noticing(
    app: Flask, state: EngageState, inject: Inject | None
) -> Callable[[Response], Response]:
    exclusions = Exclusions(state.settings, app.view_functions)
    guard, runner = state.guard, state.runner
    in_all = state.settings.INJECT_WIDGET == "all"

    def engage_notice(response: Response) -> Response:
        if monotonic() >= runner.look_at:
            with guard.guarded("starting the scheduler"):
                runner.ensure_started()
        request: Request = request_context().request
        recorded = False
        if response.status_code < _FIRST_FAILURE and request.method not in _NOT_LOOKING:
            try:
                recorded = _is_seen(state, exclusions, request)
            except Exception as error:
                if not guard.ends("noticing a request", error):
                    raise
        if inject is not None and (recorded or in_all):
            try:
                inject(response, request, recorded)
            except Exception as error:
                if not guard.ends("placing the widget", error):
                    raise
        return response

    return engage_notice


def _writing_down(state: EngageState) -> Callable[[BaseException | None], None]:
    guard, clock, repeats = state.guard, state.clock, state.recorder.repeats

    def engage_write_down(failure: BaseException | None) -> None:
        held = app_context().g.__dict__
        buffer: RequestBuffer | None = held.get("_engage")
        if buffer is None or buffer.request is not request_context().request:
            return  # an outer request's, in whose context this one was made
        if failure is None:
            if buffer.unanswered:
                for record in buffer.unanswered:
                    record()
            who = buffer.who
            if buffer.seen and who is not None:
                try:
                    now = clock.source()
                    at = buffer.first_at or now
                    if buffer.in_host_session or not repeats.counts(
                        who, buffer.request.environ, at, now
                    ):
                        _write_down(state, buffer, who, at, now)
                except Exception as error:
                    if not guard.ends("recording a request", error):
                        raise
        del held["_engage"]

    return engage_write_down


def context_of(request: Request) -> Context:
    """Return what `request`, which is the current one, says of the browser and its way here."""
    return current_state().contexts.of(request)


def _is_seen(state: EngageState, exclusions: Exclusions, request: Request) -> bool:
    """Tell whether the answer to `request` counts as a sighting, and keep in mind of whom."""
    held = app_context().g.__dict__
    if held.get("_login_user") is None and not may_be_somebody(state, request):
        return False
    rule = request.url_rule
    if exclusions.excludes(request, None if rule is None else rule.endpoint):
        return False
    buffer: RequestBuffer | None = held.get("_engage")
    if buffer is None or buffer.request is not request:
        buffer = held["_engage"] = RequestBuffer(request, held)
    if recorded_identity(state, buffer) is None:
        return False
    buffer.seen = not buffer.is_program or state.settings.SEEN_BY_API
    return buffer.seen


def _write_down(
    state: EngageState, buffer: RequestBuffer, who: Who, at: datetime, now: datetime
) -> None:
    state.recorder.append_first(
        Seen(
            at,
            who.user_id,
            1,
            state.contexts.of(buffer.request),
            who.email,
            who.name,
            who.signed_up_at,
            who.attributes,
            buffer.events,
            now if buffer.events else None,
        ),
        who,
        buffer.request.environ,
    )
