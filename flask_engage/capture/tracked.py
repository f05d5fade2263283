"""What the host's code says itself: events, sightings, attributes. The work behind `Engage`.

A wrong name or value is the programmer's error and raises. Nothing else does: the answer is
True once the fact is accepted, and False when it isn't.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from flask import Response, after_this_request, has_request_context
from werkzeug.wrappers import Request

from .._state import EngageState
from ..errors import InvalidFact
from ..types import AttributeValue, PropertyValue
from .buffer import RequestBuffer, Who
from .exclusions import is_prefetch, untracked
from .facts import Attributes, Event, Increment, Seen, to_wire
from .identity import buffer_of_request, recorded_identity
from .limits import (
    check_amount,
    check_event_id,
    check_hits,
    check_name,
    check_past,
    check_properties,
    check_values,
)
from .who import who_is

__all__ = ["check_name", "increment", "seen", "set_attributes", "track", "tracked", "untracked"]

_log = logging.getLogger("flask_engage")

F = TypeVar("F", bound=Callable[..., Any])
Properties = Callable[..., Mapping[str, PropertyValue]] | Mapping[str, PropertyValue] | None

_FIRST_FAILURE = 400


def track(
    state: EngageState,
    name: str,
    properties: Mapping[str, PropertyValue] | None = None,
    *,
    user: Any = None,
    at: datetime | None = None,
    id: Any = None,
    session: Any = None,
) -> bool:
    """Record an event; tell whether it is accepted.

    :raises InvalidFact: if the name or a value is outside of the limits.
    """
    name = check_name(name, "event")
    checked = check_properties(properties)
    event_id = check_event_id(id)
    now = state.clock.source()
    moment = None if at is None else check_past(at, now)
    who = _whom(state, user, "track", name)
    if who is None:
        return False
    buffer = _visit_of(state, who) if at is None else None
    fact = Event(moment or now, who.user_id, name, checked, event_id, buffer is not None)
    if session is not None:
        accepted = state.recorder.write_in_session(session, fact)
    else:
        accepted = state.recorder.append(fact)
    if accepted and buffer is not None:
        buffer.first_at = buffer.first_at or now
        buffer.events += 1
        buffer.in_host_session |= session is not None
    return accepted


def seen(
    state: EngageState, *, user: Any = None, at: datetime | None = None, hits: int = 1
) -> bool:
    """Record a sighting; tell whether it is accepted.

    :raises InvalidFact: if `at` is naive or `hits` below 1.
    """
    count = check_hits(hits)
    moment = None if at is None else check_past(at, state.clock())
    who = _whom(state, user, "seen")
    if who is None:
        return False
    return state.recorder.append(
        Seen(
            moment or state.clock(),
            who.user_id,
            count,
            None,
            who.email,
            who.name,
            who.signed_up_at,
            who.attributes,
        )
    )


def set_attributes(
    state: EngageState, values: Mapping[str, AttributeValue], *, user: Any = None
) -> bool:
    """Record custom attributes of somebody; None removes. Tell whether they are accepted.

    :raises InvalidFact: if a name or a value is outside of the limits.
    """
    wire = to_wire(check_values(values))
    who = _whom(state, user, "set_attributes")
    if who is None:
        return False
    if not wire:
        return True
    return state.recorder.append(Attributes(state.clock(), who.user_id, wire, _source()))


def increment(state: EngageState, name: str, by: float = 1, *, user: Any = None) -> bool:
    """Record that a number of somebody's grew; tell whether that is accepted.

    :raises InvalidFact: if the name or the amount is outside of the limits.
    """
    name = check_name(name, "attribute")
    amount = check_amount(name, by)
    who = _whom(state, user, "increment", name)
    if who is None:
        return False
    return state.recorder.append(Increment(state.clock(), who.user_id, name, amount, _source()))


def _source() -> str:
    return "page" if has_request_context() else "api"


def _whom(state: EngageState, user: Any, call: str, of: object = None) -> Who | None:
    """Return whom a call is about; None if it is about nobody who is recorded."""
    if not state.settings.ENABLED:
        return None
    if user is not None:
        return _named(state, user)
    if not has_request_context():
        what = f"{call}({'' if of is None else repr(of)})"
        _log.warning("flask_engage: %s needs user=… outside of a request; not recorded.", what)
        return None
    try:
        return recorded_identity(state, buffer_of_request())
    except Exception as error:
        if not state.guard.ends("looking who is logged in", error):
            raise
    return None


def _named(state: EngageState, user: Any) -> Who | None:
    """Return who `user` is; None also if the host's ``identify`` fails.

    :raises InvalidFact: if it is nobody at all, which is the caller's error.
    """
    found: Who | None = None
    wrong: InvalidFact | None = None
    with state.guard.guarded("looking who somebody is"):
        try:
            found = who_is(state, user)
        except InvalidFact as error:
            wrong = error
    if wrong is not None:
        raise wrong
    return found


def _visit_of(state: EngageState, who: Who) -> RequestBuffer | None:
    """Return this request's buffer if it is `who` that makes the request, by a browser."""
    if not has_request_context():
        return None
    buffer = buffer_of_request()
    if buffer.who is None or buffer.who.user_id != who.user_id:
        return None
    return None if buffer.is_program and not state.settings.SEEN_BY_API else buffer


def tracked(
    state_of: Callable[[], EngageState | None],
    name: str,
    properties: Properties = None,
    *,
    user: Callable[..., Any] | None = None,
) -> Callable[[F], F]:
    """Decorate a function so that the event `name` is recorded when it succeeds.

    In a request it has succeeded when the answer has, unless nobody looks at that (HEAD, a page
    fetched ahead); elsewhere when it returns, and a generator when it has given all. Called while
    the answer is on its way already (streamed, or in a hook of the host's), when the request ends
    well.

    :param state_of: gives the state of the current app, or None without one.
    :param properties: a mapping, or a function that is given the response; outside of a request,
        or behind its answer, it is given what the decorated function returned.
    :param user: a function from the decorated one's arguments to whose event it is. By default
        it is the current user's in a request, and elsewhere the argument's named ``user``.
    :raises InvalidFact: if `name` can't be an event's name.
    """
    name = check_name(name, "event")
    if properties is not None and not callable(properties):
        properties = check_properties(properties)

    def succeeded(result: Any, whose: _Whose, args: Any, kwargs: Any) -> None:
        if not has_request_context():
            asked = None if whose is None else lambda: whose(*args, **kwargs)
            _record(state_of(), name, properties, result, asked)
            return
        # In a request an argument of that name may be anybody: the page's subject, say.
        asked = None if user is None else lambda: user(*args, **kwargs)
        state = state_of()
        if state is not None:
            with state.guard.guarded(f"expecting the answer of {name!r}"):
                _await_answer(state, name, properties, result, asked)

    def decorate(function: F) -> F:
        whose = user or _argument_named_user(function)

        def exhausted(steps: Generator[Any, Any, Any], args: Any, kwargs: Any) -> Any:
            result = yield from steps
            succeeded(result, whose, args, kwargs)
            return result

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:
                result = await function(*args, **kwargs)
                succeeded(result, whose, args, kwargs)
                return result

            return cast("F", asynchronous)

        @functools.wraps(function)
        def synchronous(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if inspect.isgenerator(result) and not has_request_context():
                return exhausted(result, args, kwargs)  # nothing of it has been done yet
            succeeded(result, whose, args, kwargs)
            return result

        return cast("F", synchronous)

    return decorate


def _await_answer(
    state: EngageState,
    name: str,
    properties: Properties,
    result: Any,
    whose: Callable[[], Any] | None,
) -> None:
    """Track a success once its answer is known; without one, when the request has ended well."""
    buffer = buffer_of_request()
    waiting = buffer.unanswered
    if waiting is None:
        waiting = buffer.unanswered = []

    def unanswered() -> None:
        _record(state, name, properties, result, whose)

    def when_answered(response: Response) -> Response:
        if unanswered in waiting:
            waiting.remove(unanswered)
        if response.status_code < _FIRST_FAILURE:
            _record(state, name, properties, response, whose, buffer.request)
        return response

    waiting.append(unanswered)
    after_this_request(when_answered)


def _nobody_looks(request: Request) -> bool:
    """Tell whether an answer is a page that nobody may ever see: then nothing has been done."""
    return request.method == "HEAD" or is_prefetch(request)


def _record(
    state: EngageState | None,
    name: str,
    properties: Properties,
    result: Any,
    whose: Callable[[], Any] | None,
    asked: Request | None = None,
) -> None:
    """Track the success of a decorated function; whatever is wrong, the function has succeeded.

    :param asked: the request that it has answered, if it has one.
    """
    if state is None:
        _log.warning("flask_engage: %r happened outside of an app; not recorded.", name)
        return
    with state.guard.guarded(f"tracking {name!r}"):
        if asked is not None and _nobody_looks(asked):
            return
        found = properties(result) if callable(properties) else properties
        someone = None if whose is None else whose()
        if whose is None or someone is not None:
            track(state, name, found, user=someone)


_Whose = Callable[..., Any] | None


def _argument_named_user(function: Callable[..., Any]) -> _Whose:
    """Return what finds the argument ``user`` among those of a call, if `function` has it."""
    signature = inspect.signature(function)
    if "user" not in signature.parameters:
        return None
    return lambda *args, **kwargs: signature.bind(*args, **kwargs).arguments.get("user")
