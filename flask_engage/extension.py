"""`Engage`: what a host's code talks to. Registrations and wiring; the work is in the rooms.

What serving a request does not need is imported in the method that does.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from flask import Flask

from . import _wiring
from ._clock import Clock, as_utc, utcnow
from ._registrations import Registrations
from ._state import KEY, EngageState, state_of
from .capture import tracked as _capture
from .capture.identity import app_context
from .errors import InvalidFact, InvalidFilter, InvalidMessage, InvalidSettings, NotReady
from .types import AttributeValue, Operator, Person, PropertyValue, UserId

if TYPE_CHECKING:
    from pathlib import Path
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from ._wrap import WrappedApp
    from .automation.repeat import Repeat
    from .automation.rules import AutoMessage
    from .messages.content import Email, EmailTemplate, InApp
    from .people.backfill import BackfillReport
    from .people.sync import SyncReport
    from .segments.filter import Filter
    from .segments.people import People

F = TypeVar("F", bound=Callable[..., Any])


class Engage(Registrations):
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
        super().__init__()
        self._clock = clock
        self._apps: WeakSet[Flask] = weakref.WeakSet()
        if app is not None:
            self.init_app(app, db, user_model=user_model)

    def init_app(self, app: Flask, db: Any = None, *, user_model: type[Any] | None = None) -> None:
        """Attach to `app`: hooks, endpoints, commands. Touches no database and starts nothing.

        :raises InvalidSettings: naming every ``ENGAGE_*`` key that is wrong, or the argument.
        :raises RuntimeError: if an ``Engage`` is attached to this app already.
        """
        if not isinstance(app, Flask):
            raise InvalidSettings(  # not its value: it may be a URL with a password
                f"app is a {type(app).__name__} and no Flask app; call init_app(app, db)."
            )
        if KEY in app.extensions:
            raise RuntimeError(
                f"flask_engage is attached to the app {app.name!r} already; "
                "call init_app once for each app."
            )
        _wiring.attach(app, db, user_model, self._registry, self._clock)
        self._apps.add(app)

    def wrap(
        self,
        wsgi_app: WSGIApplication,
        load_user: Callable[[WSGIEnvironment], Any] | None = None,
        *,
        db: Any = None,
        user_model: type[Any] | None = None,
        operator: Callable[[WSGIEnvironment], Any] | None = None,
        config: Mapping[str, Any] | None = None,
        name: str = "app",
        root_path: str | Path | None = None,
    ) -> WrappedApp:
        """Return `wsgi_app` with capture, widget and dashboard around it, for hosts not in Flask.

        Requests below ``ENGAGE_URL_PREFIX`` are answered here; all others reach `wsgi_app` as
        they came, and its answers come back as they are, but for the widget's tag.

        :param load_user: given the WSGI environment, returns the host's user object, its id or
            an :class:`Identity`; None for nobody. From cookies and headers: requests for our
            own addresses never reach `wsgi_app`.
        :param db: as for :meth:`init_app`; an engine or a URL.
        :param operator: given the environment, tells who may open the dashboard.
        :param config: ``ENGAGE_*`` settings, and ``SECRET_KEY`` for the dashboard.
        :param name: what the product is called where ``ENGAGE_PRODUCT_NAME`` is not set.
        :param root_path: where ``instance/`` and ``templates/`` are; default: where it runs.
        :raises InvalidSettings: naming every ``ENGAGE_*`` key that is wrong.
        """
        from . import _wrap

        called: dict[str, Any] = {
            "wsgi_app": wsgi_app,
            "load_user": load_user,
            "operator": operator,
        }
        for what, given in called.items():
            if not callable(given) and (given is not None or what == "wsgi_app"):
                raise InvalidSettings(f"{what} = {given!r:.100} can't be called; give a function.")
        app = _wrap.make_flask_app(name, root_path, config or {})
        _wiring.attach(
            app,
            db,
            user_model,
            self._registry,
            self._clock,
            _wrap.given_environ(load_user),
            _wrap.given_environ(operator),
        )
        self._apps.add(app)
        return _wrap.WrappedApp(wsgi_app, app)

    # --- what they did -----------------------------------------------------------------------

    def tracked(
        self,
        name: str,
        properties: Callable[..., Mapping[str, PropertyValue]]
        | Mapping[str, PropertyValue]
        | None = None,
        *,
        user: Callable[..., Any] | None = None,
    ) -> Callable[[F], F]:
        """Record the event `name` whenever the decorated view succeeds (status below 400).

        Also for other functions, such as jobs: outside of a request it is recorded when the
        function returns without raising.

        :param properties: a mapping, or a function that is given the response (outside of a
            request: what the decorated function returned).
        :param user: a function that is given the decorated one's arguments and returns whose
            event it is. Default: in a request who is logged in, elsewhere the argument `user`.
        :raises InvalidFact: if `name` can't be an event's name.
        """
        return _capture.tracked(self._state_or_none, name, properties, user=user)

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
        :raises InvalidFact: if a name or a value is outside of the limits, or `session` is none.
        """
        if session is not None and not hasattr(session, "begin_nested"):
            raise InvalidFact(
                f"session={session!r:.100}: expected a SQLAlchemy session, such as db.session."
            )
        return _capture.track(
            self._state, name, properties, user=user, at=at, id=id, session=session
        )

    def seen(self, user: Any = None, *, at: datetime | None = None, hits: int = 1) -> bool:
        """Record a sighting from elsewhere or from the past; sessions follow from it.

        :raises InvalidFact: if `at` is naive, or `hits` below 1.
        """
        return _capture.seen(self._state, user=user, at=at, hits=hits)

    # --- what they are like ------------------------------------------------------------------

    def set_attributes(self, values: Mapping[str, AttributeValue], *, user: Any = None) -> bool:
        """Set custom attributes of somebody; None removes. Tells whether the fact is accepted.

        :raises InvalidFact: if a name or a value is outside of the limits.
        """
        return _capture.set_attributes(self._state, values, user=user)

    def increment(self, name: str, by: float = 1, *, user: Any = None) -> bool:
        """Add `by` to a number of somebody's; tells whether the fact is accepted."""
        return _capture.increment(self._state, name, by, user=user)

    def refresh(self, name: str) -> str:
        """Compute an attribute, a query, ``relationship`` or ``segments`` now, for everybody.

        With ``enrichment``, ask the enrichers about everybody who is due.

        :returns: a sentence that says how many people and changes.
        :param name: of an attribute, of a query, or of one of a query's columns.
        :raises LookupError: if nothing of that name is registered.
        """
        from ._custom_data import refresh_now

        if name == "segments":
            from ._membership import measure_now

            return str(measure_now(self._state))
        if name == "enrichment":
            from ._enrichment import enrich_now

            return enrich_now(self._state)
        return str(refresh_now(self._state, name))

    # --- which of them -----------------------------------------------------------------------

    def segment(self, name: str, filter: Filter) -> Filter:
        """Give `filter` a name, under which other filters and messages can use it.

        :param name: 1 to 128 characters.
        :raises InvalidFilter: if it can't be a name, or the filter can't become SQL.
        """
        from .segments.filter import Filter
        from .segments.values import checked_label

        name = checked_label(name, "a segment", 128)
        if not name.strip():
            raise InvalidFilter(f"a segment's name is a text that says something, not {name!r}.")
        if not isinstance(filter, Filter):
            raise InvalidFilter(f"segment {name!r} got {filter!r:.100}; give a filter.")
        segments = self._registry.segments
        before = dict(segments)
        segments[name] = filter  # before it is checked: it may be in itself, by way of others
        try:
            self._check_where_defined(filter)
        except InvalidFilter:
            segments.clear()
            segments.update(before)
            raise
        return filter

    def people(self, filter: Filter | None = None) -> People:
        """Return the people who match `filter` (default: everyone), asked when it is used.

        :raises InvalidFilter: if it is no filter, or can't become SQL.
        """
        from . import _operations
        from .segments.filter import Everyone, Filter

        wanted: object = Everyone() if filter is None else filter
        if isinstance(wanted, str):
            raise InvalidFilter(
                f"people({wanted!r:.140}): give a filter, as in_segment(…) makes one."
            )
        if not isinstance(wanted, Filter):
            raise InvalidFilter(f"people() got {wanted!r:.140}; give a filter.")
        return _operations.people(self._state, wanted)

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
        from . import _sending
        from .messages.content import Email, EmailTemplate, InApp

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
        from .automation.repeat import Once
        from .automation.rules import AutoMessage

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
        self._check_where_defined(to)
        self._registry.rules[name] = rule
        return rule

    def _check_where_defined(self, filter: Filter) -> None:
        """Check a filter for each app that there is by now; where no database can be used, later.

        :raises InvalidFilter: if it can't become SQL.
        """
        from . import _operations

        for app in self._apps:
            # A host starts without us, too; every command says what is wrong with the database.
            with suppress(NotReady):
                _operations.check_filter(state_of(app), filter)

    # --- running -----------------------------------------------------------------------------

    def flush(self) -> int:
        """Write out what is buffered, in this thread; return how many facts were stored."""
        return self._state.recorder.flush()

    def sync(self) -> SyncReport:
        """Bring every host user into people now; needs ``user_model``.

        :raises NotReady: without ``user_model``, or with the database away.
        """
        from . import _operations

        return _operations.sync(self._state)

    def backfill(
        self,
        query: Any,
        *,
        key: str,
        seen: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> BackfillReport:
        """Make events of years of the host's history, each row once, for ever.

        Killed at any moment and run again, it goes on; run again next year, it adds what is new.
        On a terminal it shows a bar. Receivers of signals hear nothing of it.

        :param query: a select: the user's id, when it was, the event's name; each further column
            is a property named by its label, which what is computed needs. Times without a zone
            are UTC. An index on the time makes it faster.
        :param key: names this history. Rows of the same content under one key are as many
            events as there are rows.
        :param seen: each row also says that the person was here then: sessions, first and last
            seen and active days follow.
        :param progress: called with (done, total) as it goes on, in place of the bar.
        :raises InvalidFact: if `query` is no such select, or `key` can't be a name.
        :raises NotReady: with the database away; run it again, and it goes on.
        """
        from . import _operations

        return _operations.backfill(self._state, query, key, seen=seen, progress=progress)

    def run_due(self, now: datetime | None = None) -> dict[str, str | int]:
        """Do everything that is due, in this thread; return what was done, by job.

        :param now: the moment to take for now (aware); default: the clock's.
        :raises NotReady: if the database is away.
        """
        from . import _operations

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
        try:
            found: EngageState | None = app_context().app.extensions.get(KEY)
        except (LookupError, RuntimeError):
            found = None  # there is no app context
        if found is not None:
            return found
        apps = list(self._apps)
        return state_of(apps[0]) if len(apps) == 1 else None


__all__ = ["Engage", "Operator", "Person", "UserId"]
