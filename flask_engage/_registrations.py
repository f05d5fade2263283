"""The decorators by which a host's code says who is who and how to find out more of them.

They only keep what they are given; it is used in requests and by jobs, of every app.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from ._clock import as_duration
from ._state import AttributeProvider, QueryProvider, Registry
from .capture.limits import check_name
from .errors import InvalidFact
from .types import Identity, Profile

F = TypeVar("F", bound=Callable[..., Any])

_HOUR = timedelta(hours=1)
_FOR_A_USER = timedelta(seconds=10)
_FOR_A_QUERY = timedelta(seconds=30)
_RESERVED = ("relationship", "segments", "enrichment")
"""What ``flask engage refresh`` and :meth:`Engage.refresh` know by these names is ours."""


class Registrations:
    """What apps of one :class:`Engage` share: the host's functions."""

    def __init__(self) -> None:
        self._registry = Registry()

    # --- who is here -------------------------------------------------------------------------

    def load_user(self, function: F) -> F:
        """Register who is logged in on this request (decorator); for hosts without Flask-Login.

        `function` takes nothing and returns the host's user object, or None.
        """
        self._registry.load_user = _plain(function, "@engage.load_user")
        return function

    def identify(self, function: F) -> F:
        """Register what we should know of a user (decorator).

        `function` is given the host's user and returns an :class:`Identity`, or None for
        somebody who is not to be recorded, such as staff.
        """
        self._registry.identify = _plain(function, "@engage.identify")
        return function

    def operator(self, function: F) -> F:
        """Register who may open the dashboard (decorator). Without it nobody may.

        `function` takes nothing and returns True (an admin) or an :class:`Operator`; anything
        else denies.
        """
        self._registry.operator = _plain(function, "@engage.operator")
        return function

    # --- what they are like ------------------------------------------------------------------

    def attribute(
        self,
        name: str,
        *,
        every: timedelta | float = _HOUR,
        timeout: timedelta | float = _FOR_A_USER,
    ) -> Callable[[F], F]:
        """Register a function from the host's user to one attribute (decorator).

        It is called by a job, every `every`, for each user; never in a page request. A value of
        None removes the attribute; a time without a zone is UTC.

        :param every: a ``timedelta`` or seconds, as is `timeout`.
        :param timeout: what it may take for one user, who keeps the old value otherwise.
        :raises InvalidFact: if a name or a value can't be used.
        """
        checked = check_name(name, "attribute")
        pause, limit = _duration("every", every), _duration("timeout", timeout)

        def register(function: F) -> F:
            called = _plain(function, f"@engage.attribute({checked!r})")
            self._add_provider(AttributeProvider(checked, called, pause, limit))
            return function

        return register

    def attribute_query(
        self,
        name: str | None = None,
        *,
        every: timedelta | float = _HOUR,
        timeout: timedelta | float = _FOR_A_QUERY,
    ) -> Callable[[F], F]:
        """Register a function that returns one query for everybody (decorator).

        Its first column is the user id, each further column an attribute named by its label.
        Whom it names no more loses the attribute.

        :param every: a ``timedelta`` or seconds, as is `timeout`.
        :param timeout: what the query may take; then it is ended, and all keep the old values.
        :raises InvalidFact: if a name or a value can't be used.
        """

        if name is not None:
            name = check_name(name, "attribute_query")  # a function, without the ()
        pause, limit = _duration("every", every), _duration("timeout", timeout)

        def register(function: F) -> F:
            called = _plain(function, "@engage.attribute_query()")
            checked = check_name(name or getattr(function, "__name__", None), "attribute_query")
            self._add_provider(QueryProvider(checked, called, pause, limit))
            return function

        return register

    def enricher(
        self,
        function: Callable[[Identity], Profile | None] | None = None,
        *,
        name: str | None = None,
        sends: Sequence[str] = ("email",),
        expiry: timedelta | float | None = None,
        per_hour: int = 600,
        timeout: timedelta | float = _FOR_A_USER,
    ) -> Any:
        """Register a function that knows more of somebody (decorator, with or without brackets).

        It is given an :class:`Identity` that holds what `sends` names and nothing else, and
        returns a :class:`Profile`, or None if it knows nothing. A job calls it, never a request;
        what it raises is tried again later.

        :param sends: the only fields it is told: of ``id``, ``email`` and ``name``. Each time is
            logged; who lacks one of them is left out.
        :param expiry: how long an answer holds, a ``timedelta`` or seconds; default:
            ``ENGAGE_ENRICH_EXPIRY``.
        :param per_hour: calls in an hour, at most.
        :param timeout: what one call may take, a ``timedelta`` or seconds.
        :raises InvalidFact: if something of it can't work.
        """
        holds = None if expiry is None else _duration("expiry", expiry)
        limit = _duration("timeout", timeout)

        def register(function: F) -> F:
            from ._enrichment import checked_enricher as checked

            called = _plain(function, "@engage.enricher")
            one = checked(called, name, sends, holds, per_hour, limit)
            if one.name in self._registry.enrichers:
                raise InvalidFact(f"There is an enricher {one.name!r} already.")
            self._registry.enrichers[one.name] = one
            return function

        return register if function is None else register(function)

    def relationship(self, function: F) -> F:
        """Register the host's own relationship score (decorator), in place of the usual one.

        `function` is given the parts, each an SQL column, and returns an SQL expression from 0
        to 100: ``parts.recency``, ``parts.l28``, ``parts.e28``, ``parts.replies`` and so on.
        """
        self._registry.relationship = _plain(function, "@engage.relationship")
        return function

    def _add_provider(self, provider: AttributeProvider | QueryProvider) -> None:
        if provider.name in _RESERVED:
            raise InvalidFact(
                f"The name {provider.name!r} is taken by what 'flask engage refresh "
                f"{provider.name}' does; choose another."
            )
        if provider.name in self._registry.providers:
            raise InvalidFact(f"There is an attribute {provider.name!r} already.")
        self._registry.providers[provider.name] = provider


def _plain(function: F, decorator: str) -> F:
    """Return `function`, if it is one that can be called and answers at once.

    :raises InvalidFact: if it isn't.
    """
    if not callable(function):
        raise InvalidFact(f"{decorator} got {function!r:.100}; put it before a function.")
    if iscoroutinefunction(function):
        called = getattr(function, "__qualname__", function)  # a partial() has none
        raise InvalidFact(
            f"{decorator}: {called!s:.100} is async, and nobody awaits it; give a plain "
            "function (asyncio.run() inside of it, if need be)."
        )
    return function


def _duration(argument: str, value: timedelta | float) -> timedelta:
    try:
        return as_duration(value)
    except ValueError as error:
        raise InvalidFact(f"{argument}={value!r}: {error}") from None
