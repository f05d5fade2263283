"""What the host's code says itself: events, sightings, attributes. The work behind `Engage`.

A wrong name or value is the programmer's error and raises. Nothing else does: the answer is
True once the fact is accepted, and False when it isn't.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from flask import Response, after_this_request, has_request_context, request

from .._state import EngageState
from ..errors import InvalidFact
from ..types import AttributeValue, PropertyValue
from .buffer import RequestBuffer, Who
from .exclusions import refuses_tracking, untracked
from .facts import Attributes, Event, Increment, Seen, to_wire
from .identity import buffer_of_request, current_identity, who_is
from .limits import (
    check_amount,
    check_event_id,
    check_hits,
    check_name,
    check_past,
    check_properties,
    check_values,
)

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
    moment = None if at is None else check_past(at, state.clock())
    who = _whom(state, user, f"track({name!r})")
    if who is None:
        return False
    now = state.clock()
    buffer = _buffer_of(who) if at is None else None
    fact = Event(moment or now, who.user_id, name, checked, event_id, buffer is not None)
    if session is not None:
        return state.recorder.write_in_session(session, fact)
    accepted = state.recorder.append(fact)
    if accepted and buffer is not None:
        buffer.first_at = buffer.first_at or now
        buffer.events += 1
    return accepted


def seen(
    state: EngageState, *, user: Any = None, at: datetime | None = None, hits: int = 1
) -> bool:
    """Record a sighting; tell whether it is accepted.

    :raises InvalidFact: if `at` is naive or `hits` below 1.
    """
    count = check_hits(hits)
    moment = None if at is None else check_past(at, state.clock())
    who = _whom(state, user, "seen()")
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
    who = _whom(state, user, "set_attributes()")
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
    who = _whom(state, user, f"increment({name!r})")
    if who is None:
        return False
    return state.recorder.append(Increment(state.clock(), who.user_id, name, amount, _source()))


def _source() -> str:
    return "page" if has_request_context() else "api"


def _whom(state: EngageState, user: Any, what: str) -> Who | None:
    """Return whom a call is about; None if it is about nobody who is recorded."""
    if not state.settings.ENABLED:
        return None
    if user is not None:
        return _named(state, user)
    if not has_request_context():
        _log.warning("flask_engage: %s needs user=… outside of a request; not recorded.", what)
        return None
    if state.settings.RESPECT_DNT and refuses_tracking(request):
        return None
    found: list[Who | None] = []
    with state.guard.guarded("looking who is logged in"):
        found.append(current_identity(state))
    return found[0] if found else None


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


def _buffer_of(who: Who) -> RequestBuffer | None:
    """Return this request's buffer if it is `who` that makes the request."""
    if not has_request_context():
        return None
    buffer = buffer_of_request()
    if buffer.who is not None and buffer.who.user_id == who.user_id:
        return buffer
    return None


def tracked(
    state_of: Callable[[], EngageState | None], name: str, properties: Properties = None
) -> Callable[[F], F]:
    """Decorate a view so that the event `name` is recorded when it succeeds.

    :param state_of: gives the state of the current app, or None without one.
    :param properties: a mapping, or a function that is given the response.
    :raises InvalidFact: if `name` can't be an event's name.
    """
    name = check_name(name, "event")
    if properties is not None and not callable(properties):
        properties = check_properties(properties)

    def when_answered(response: Response) -> Response:
        state = state_of()
        if state is not None and response.status_code < _FIRST_FAILURE:
            with state.guard.guarded(f"tracking {name!r}"):
                found = properties(response) if callable(properties) else properties
                track(state, name, found)
        return response

    def decorate(view: F) -> F:
        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:
                result = await view(*args, **kwargs)
                _expect_answer(when_answered)
                return result

            return cast("F", asynchronous)

        @functools.wraps(view)
        def synchronous(*args: Any, **kwargs: Any) -> Any:
            result = view(*args, **kwargs)
            _expect_answer(when_answered)
            return result

        return cast("F", synchronous)

    return decorate


def _expect_answer(callback: Callable[[Response], Response]) -> None:
    """Have `callback` called with what the view's result becomes."""
    if has_request_context():
        after_this_request(callback)
