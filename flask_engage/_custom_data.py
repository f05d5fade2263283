"""Custom data of one app: which providers its code has, and their turns."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable
from datetime import datetime
from inspect import unwrap
from traceback import walk_tb
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from ._operations import answering, host_users, reading_engine
from ._state import AttributeProvider, EngageState, QueryProvider
from .capture.announce import Announcer
from .capture.apply import Outcome
from .people.provider_query import QuerySource
from .people.providers import FunctionSource, Source, failure_of
from .people.refresh import Progress, RefreshReport, Turn, refresh
from .people.watch import Limits
from .reports.providers import ProviderSummary, Registered, provider_summaries
from .store.engine import Database
from .store.provider import next_due, provider_rows
from .store.shared import is_shared
from .store.trouble import is_passing

if TYPE_CHECKING:
    from .automation.lease import Fence

TURN_SECONDS = 5.0
"""All refreshes together make room for mail and rules after this."""

_Provider = AttributeProvider | QueryProvider


def registered(state: EngageState) -> list[Registered]:
    """Return what the app's code has registered."""
    return [
        Registered(
            provider.name,
            "function" if isinstance(provider, AttributeProvider) else "query",
            provider.every,
        )
        for provider in _usable(state)
    ]


def summaries(state: EngageState) -> list[ProviderSummary]:
    """Return how every provider is doing.

    :raises NotReady: if the database is away.
    """
    with state.ready.require().read() as session:
        return provider_summaries(session, registered(state), state.clock())


def refresh_now(
    state: EngageState, name: str, *, progress: Progress | None = None
) -> RefreshReport:
    """Compute a registered attribute or query for everybody, in this thread.

    :param name: of an attribute, of a query, or of one of a query's columns.
    :raises LookupError: if nothing of that name is registered.
    """
    if name == "relationship":
        from ._relationship import compute_now

        return compute_now(state, progress=progress)
    database = state.ready.require()
    with answering("refresh"):
        provider = _named(state, database, name)
        report = _refresh(state, database, provider, Turn(progress=progress), anew=True)
    assert report is not None, "whoever begins anew waits for nobody"
    return report


def fault_of_host(state: EngageState, error: Exception) -> str | None:
    """Return what to say of an error that code or a query of the host's raised; None for others."""
    registry = state.registry
    hosts = [provider.function for provider in registry.providers.values()]
    if registry.relationship is not None:
        hosts.append(registry.relationship)
    # Without decorators: those that have the same one share its code.
    codes = {getattr(one, "__code__", None): one for one in map(unwrap, hosts)}
    said = " ".join(failure_of(error).error.split())
    for frame, line in walk_tb(error.__traceback__):
        if frame.f_code in codes:
            name = codes[frame.f_code].__qualname__
            return f"{name}() raised {said} ({frame.f_code.co_filename}, line {line})"
    if isinstance(error, DBAPIError) and not is_passing(error) and _is_of_query(error):
        return f"The query can't be run: {said}"
    return None


def _is_of_query(error: Exception) -> bool:
    """Tell whether `error` was raised where a query of the host's is run."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(frame.f_globals.get("__name__") == QuerySource.__module__ for frame in frames)


def refresh_job(state: EngageState, fence: Fence | None, now: datetime) -> str | None:
    """Give every provider that is due its turn; outside of a lease, all the time it needs.

    :raises Exception: what the first of those raised that were given up.
    """
    database = state.ready.require()
    due = _due(state, now)
    end = None if fence is None else time.monotonic() + TURN_SECONDS
    errors: list[Exception] = []
    said: list[str] = []
    for left, provider in zip(range(len(due), 0, -1), due, strict=True):
        seconds = None if end is None else max(0.5, (end - time.monotonic()) / left)
        if fence is not None:
            fence.require()
        turn_ = Turn(seconds, may_go_on=_always if fence is None else fence.still)
        try:
            report = _refresh(state, database, provider, turn_, anew=False, now=now)
        except Exception as error:  # noqa: BLE001  (told once the others had their turn)
            if not is_passing(error):  # else it goes on by itself
                errors.append(error)
            said.append(f"{provider.name}: {type(error).__name__}")
        else:
            if report is not None:
                said.append(f"{provider.name}: {report}")
    if errors:
        raise errors[0]
    return "; ".join(said) or None


def is_anything_due(state: EngageState, _fence: Fence | None, now: datetime) -> bool:
    """Tell whether a provider is due, or was cut off half-way."""
    return bool(_due(state, now))


def _due(state: EngageState, now: datetime) -> list[_Provider]:
    with state.ready.require().read() as session:
        rows = provider_rows(session)
    due: list[_Provider] = []
    for provider in _usable(state):
        row = rows.get(provider.name)
        turn = next_due(row, provider.every) if row is not None else None
        if turn is None or turn <= now:
            due.append(provider)
    return due


def _always() -> bool:
    return True


def _refresh(
    state: EngageState,
    database: Database,
    provider: _Provider,
    turn: Turn,
    *,
    anew: bool,
    now: datetime | None = None,
) -> RefreshReport | None:
    announce = Announcer(state.app, state.guard)
    turn.tell = lambda changes: announce(Outcome(changed=list(changes)))
    clock: Callable[[], datetime] = state.clock if now is None else lambda: now
    with state.app.app_context():
        source = _source(state, database, provider)
        return refresh(database, source, provider.name, clock, turn, anew=anew)


def _source(state: EngageState, database: Database, provider: _Provider) -> Source:
    engine = reading_engine(state, database)
    # A database in memory is one connection's: no thread but ours may look into it.
    alone = database.shared or is_shared(engine)
    limits = Limits(None if alone else provider.timeout, state.app.app_context)
    if isinstance(provider, AttributeProvider):
        users = host_users(state, database)
        return FunctionSource(provider.name, provider.function, users, limits)
    given = _given_by_others(state, database, provider)
    return QuerySource(provider.name, provider.function, engine, database, limits, given=given)


def _given_by_others(
    state: EngageState, database: Database, query: QueryProvider
) -> dict[str, str]:
    """Return the attributes that are not for `query` to give, each with whose it is.

    Those of functions, whose names are known, and of queries that were registered before it, as
    far as these have run.
    """
    usable = _usable(state)
    given = {
        one.name: f"@engage.attribute({one.name!r})"
        for one in usable
        if isinstance(one, AttributeProvider)
    }
    before = [one.name for one in usable[: usable.index(query)] if isinstance(one, QueryProvider)]
    with database.read() as session:
        for row in provider_rows(session, before).values():
            given |= dict.fromkeys(row.attributes or (), f"the query {row.name!r}")
    return given


def _usable(state: EngageState) -> list[_Provider]:
    """Return the providers that can work in this app: functions need its users."""
    return [
        provider
        for provider in state.registry.providers.values()
        if state.user_model is not None or isinstance(provider, QueryProvider)
    ]


def _named(state: EngageState, database: Database, name: str) -> _Provider:
    known = state.registry.providers
    if name in known:
        return known[name]
    with database.read() as session:
        rows = provider_rows(session, list(known))
    given = {label: row.name for row in rows.values() for label in row.attributes or ()}
    if name in given:
        return known[given[name]]
    near = difflib.get_close_matches(name, {*known, *given}, n=3)
    raise LookupError(
        f"There is no attribute or attribute_query {name!r}. "
        + (f"Did you mean {' or '.join(map(repr, near))}?" if near else "")
        + ("" if near else f"Registered: {', '.join(map(repr, sorted(known))) or 'none'}.")
    )
