"""`Engage`: what a host's code talks to. Registrations and wiring; the work is in the rooms."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from weakref import WeakSet

from flask import Flask, current_app, has_app_context

from . import _operations, _sending, _wiring
from ._clock import Clock, as_utc, utcnow
from ._state import KEY, AttributeProvider, EngageState, QueryProvider, Registry, state_of
from .automation.repeat import Once, Repeat
from .automation.rules import AutoMessage
from .capture import tracked as _capture
from .errors import InvalidFact, InvalidFilter, InvalidMessage, NotReady
from .messages.content import Email, EmailTemplate, InApp
from .people.sync import SyncReport
from .segments.filter import Everyone, Filter
from .segments.people import People
from .types import AttributeValue, Operator, Person, PropertyValue, UserId

F = TypeVar("F", bound=Callable[..., Any])

_HOUR = timedelta(hours=1)


class Engage:
    """One extension, for one app or several; apps share its registrations and nothing else.

    Making it does nothing: no database, no thread, no app until :meth:`init_app`.

    :param app: attach to this app at once.
    :param db: a Flask-SQLAlchemy or Flask-SQLAlchemy-Lite object, a SQLAlchemy ``Engine`` or a
        URL. Without it: ``ENGAGE_DATABASE_URL``, the app's own Flask-SQLAlchemy, or a SQLite
        file in the instance folder.
    :param user_model: the host's mapped user class; lets filters reach its columns and brings
        in users who were there before.
    :param clock: gives the current moment (aware UTC); for tests.
    """

    def __init__(
        self,
        app: Flask | None = None,
        db: Any = None,
        *,
        user_model: type[Any] | None = None,
        clock: Clock = utcnow,
    ) -> None:
        self._registry = Registry()
        self._clock = clock
        self._apps: WeakSet[Flask] = weakref.WeakSet()
        if app is not None:
            self.init_app(app, db, user_model=user_model)

    def init_app(self, app: Flask, db: Any = None, *, user_model: type[Any] | None = None) -> None:
        """Attach to `app`: hooks, endpoints, commands. Touches no database and starts nothing.

        :raises InvalidSettings: naming every ``ENGAGE_*`` key that is wrong.
        :raises RuntimeError: if an ``Engage`` is attached to this app already.
        """
        if KEY in app.extensions:
            raise RuntimeError(
                f"flask_engage is attached to the app {app.name!r} already; "
                "call init_app once for each app."
            )
        _wiring.attach(app, db, user_model, self._registry, self._clock)
        self._apps.add(app)

    # --- who is here -------------------------------------------------------------------------

    def load_user(self, function: F) -> F:
        """Register who is logged in on this request (decorator); for hosts without Flask-Login.

        `function` takes nothing and returns the host's user object, or None.
        """
        self._registry.load_user = function
        return function

    def identify(self, function: F) -> F:
        """Register what we should know of a user (decorator).

        `function` is given the host's user and returns an :class:`Identity`, or None for
        somebody who is not to be recorded, such as staff.
        """
        self._registry.identify = function
        return function

    def operator(self, function: F) -> F:
        """Register who may open the dashboard (decorator). Without it nobody may.

        `function` takes nothing and returns True (an admin) or an :class:`Operator`; anything
        else denies.
        """
        self._registry.operator = function
        return function

    # --- what they did -----------------------------------------------------------------------

    def tracked(
        self,
        name: str,
        properties: Callable[..., Mapping[str, PropertyValue]]
        | Mapping[str, PropertyValue]
        | None = None,
    ) -> Callable[[F], F]:
        """Record the event `name` whenever the decorated view succeeds (status below 400).

        :param properties: a mapping, or a function that is given the response.
        :raises InvalidFact: if `name` can't be an event's name.
        """
        return _capture.tracked(self._state_or_none, name, properties)

    def untracked(self, function: F) -> F:
        """Leave requests to the decorated view out of sightings (decorator)."""
        return _capture.untracked(function)

    def track(
        self,
        name: str,
        properties: Mapping[str, PropertyValue] | None = None,
        *,
        user: Any = None,
        at: datetime | None = None,
        id: str | None = None,
        session: Any = None,
    ) -> bool:
        """Record that somebody did something; tell whether the fact is accepted.

        An accepted event is never lost. Never raises for anything but a programmer's error; with
        `session`, also what ends the host's transaction as a whole, such as a deadlock on MariaDB.

        :param user: the host's user object, its id, or a ``Person``; default: who is logged in.
        :param at: when it happened (aware); default: now.
        :param id: the same id twice for the same name is one event, for ever.
        :param session: a SQLAlchemy session of the host: the event commits or rolls back
            with its transaction.
        :raises InvalidFact: if a name or a value is outside of the limits.
        """
        return _capture.track(
            self._state, name, properties, user=user, at=at, id=id, session=session
        )

    def seen(self, user: Any = None, *, at: datetime | None = None, hits: int = 1) -> bool:
        """Record a sighting from elsewhere or from the past; sessions follow from it.

        :raises InvalidFact: if `at` is naive, or `hits` below 1.
        """
        return _capture.seen(self._state, user=user, at=at, hits=hits)

    # --- what they are like ------------------------------------------------------------------

    def attribute(self, name: str, *, every: timedelta = _HOUR) -> Callable[[F], F]:
        """Register a function from the host's user to one attribute (decorator).

        It is called by a job, every `every`, for each user; never in a page request.
        """
        _capture.check_name(name, "attribute")

        def register(function: F) -> F:
            self._add_provider(AttributeProvider(name, function, every))
            return function

        return register

    def attribute_query(
        self, name: str | None = None, *, every: timedelta = _HOUR
    ) -> Callable[[F], F]:
        """Register a function that returns one query for everybody (decorator).

        Its first column is the user id, each further column an attribute named by its label.
        """

        def register(function: F) -> F:
            self._add_provider(QueryProvider(name or function.__name__, function, every))
            return function

        return register

    def set_attributes(self, values: Mapping[str, AttributeValue], *, user: Any = None) -> bool:
        """Set custom attributes of somebody; None removes. Tells whether the fact is accepted.

        :raises InvalidFact: if a name or a value is outside of the limits.
        """
        return _capture.set_attributes(self._state, values, user=user)

    def increment(self, name: str, by: float = 1, *, user: Any = None) -> bool:
        """Add `by` to a number of somebody's; tells whether the fact is accepted."""
        return _capture.increment(self._state, name, by, user=user)

    def refresh(self, name: str) -> str:
        """Compute the attribute or query `name` now, in this thread, for everybody.

        :returns: a sentence that says how many people and changes.
        :param name: of an attribute, of a query, or of one of a query's columns.
        :raises LookupError: if nothing of that name is registered.
        """
        return _operations.refresh(self._state, name)

    # --- which of them -----------------------------------------------------------------------

    def segment(self, name: str, filter: Filter) -> Filter:
        """Give `filter` a name, under which other filters and messages can use it."""
        if not isinstance(filter, Filter):
            raise InvalidFilter(f"segment {name!r} got {filter!r}; give a filter.")
        if not str(name).strip():
            raise InvalidFilter(f"a segment's name is a text, not {name!r}.")
        self._registry.segments[name] = filter
        for app in self._apps:
            _operations.check_filter(state_of(app), filter)
        return filter

    def people(self, filter: Filter | None = None) -> People:
        """Return the people who match `filter` (default: everyone), asked when it is used."""
        state = self._state
        return _operations.people(state, Everyone() if filter is None else filter)

    # --- saying something --------------------------------------------------------------------

    def send(
        self,
        message: InApp | Email | EmailTemplate,
        *,
        to: Filter | str | Any | Iterable[Any],
        key: str | None = None,
    ) -> int:
        """Send `message`; return to how many people.

        In-app messages wait for the person's next page; mail leaves within seconds.

        :param to: a user, an id, a ``Person``, a list of them, a filter, or a segment's name.
        :param key: makes the call idempotent, for ever: nobody gets the same key twice.
        :raises InvalidMessage: if the words can't be rendered for somebody, or `to` is nobody.
        :raises NotReady: if the database is away.
        """
        if not isinstance(message, (InApp, Email, EmailTemplate)):
            raise InvalidMessage(f"send() got {message!r}; give an InApp or an Email.")
        return _sending.send(self._state, message, to, key)

    def auto_message(
        self,
        name: str,
        *,
        to: Filter,
        send: InApp | Email | EmailTemplate | Mapping[str, InApp | Email | EmailTemplate],
        repeat: Repeat | None = None,
        on: str = "schedule",
        holdout: float = 0.0,
        priority: int = 0,
    ) -> AutoMessage:
        """Say something by itself to everybody who comes to match `to`: once, unless `repeat`.

        The name is the rule's identity: other words or another filter never send again.

        :param send: the message, or several by variant name to split people evenly.
        :param holdout: share of the people (0 to 1) who get nothing, for comparison.
        :param priority: rules with a higher one are evaluated first.
        :raises InvalidMessage: if something of it can't work.
        """
        rule = AutoMessage(
            name=name,
            to=to,
            send=send,
            repeat=Once() if repeat is None else repeat,
            on=on,
            holdout=holdout,
            priority=priority,
        )
        if name in self._registry.rules:
            raise InvalidMessage(f"There is an auto_message {name!r} already; names are unique.")
        self._registry.rules[name] = rule
        for app in self._apps:
            _operations.check_filter(state_of(app), to)
        return rule

    # --- running -----------------------------------------------------------------------------

    def flush(self) -> int:
        """Write out what is buffered, in this thread; return how many facts were stored."""
        return self._state.recorder.flush()

    def sync(self) -> SyncReport:
        """Bring every host user into people now; needs ``user_model``.

        :raises NotReady: without ``user_model``, or with the database away.
        """
        return _operations.sync(self._state)

    def run_due(self, now: datetime | None = None) -> dict[str, str | int]:
        """Do everything that is due, in this thread; return what was done, by job.

        :param now: the moment to take for now (aware); default: the clock's.
        :raises NotReady: if the database is away.
        """
        state = self._state
        moment = state.clock() if now is None else as_utc(now, what="now")
        return _operations.run_due(state, moment)

    # --- plumbing ----------------------------------------------------------------------------

    @property
    def _state(self) -> EngageState:
        state = self._state_or_none()
        if state is None:
            raise NotReady(
                "No application: call this inside of an app context (with app.app_context(): …), "
                "after engage.init_app(app)."
            )
        return state

    def _state_or_none(self) -> EngageState | None:
        """Return the state of the current app, or of the only app there is."""
        if has_app_context():
            return current_app.extensions.get(KEY)
        apps = list(self._apps)
        return state_of(apps[0]) if len(apps) == 1 else None

    def _add_provider(self, provider: AttributeProvider | QueryProvider) -> None:
        if provider.name in self._registry.providers:
            raise InvalidFact(f"There is an attribute {provider.name!r} already.")
        if provider.every <= timedelta(0):
            raise InvalidFact(f"every={provider.every!r}: expected a duration above 0.")
        self._registry.providers[provider.name] = provider


__all__ = ["Engage", "Operator", "Person", "UserId"]
