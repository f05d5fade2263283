"""Enrichment of one app: who is asked about its people, and their turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ._operations import answering
from ._state import EngageState, HostEnricher
from .capture.announce import Announcer
from .capture.apply import Outcome
from .capture.limits import check_name
from .errors import InvalidFact
from .people.enrich import places, services
from .people.enrich.avatars import fetch_avatars
from .people.enrich.enricher import FIELDS, AnyEnricher, Enricher, LocalEnricher
from .people.enrich.outbound import Outbound
from .people.enrich.work import Enriching, name_in_book
from .people.refresh import Turn
from .reports.providers import Registered
from .types import Identity, Profile

if TYPE_CHECKING:
    from .automation.lease import Fence

TURN_SECONDS: Final = 5.0
"""All enrichers together make room for mail and rules after this."""
_NAME_LENGTH: Final = 40
_BUILT_IN: Final = ("fullcontact", "gravatar", "place", "company guess")
_PLACE_HOLDS: Final = timedelta(days=7)
"""People move about more than they change jobs."""
_GRAVATAR_PER_HOUR: Final = {False: 90, True: 900}
"""A tenth below what they allow without and with a key."""


def enrichers(state: EngageState, outbound: Outbound | None = None) -> list[AnyEnricher]:
    """Return who is asked, the most believed first: the host's own before all others."""
    settings, outbound = state.settings, outbound or Outbound()
    found: list[AnyEnricher] = [_hosts(state, one) for one in state.registry.enrichers.values()]
    if settings.ENRICH_FULLCONTACT_KEY:
        ask = partial(
            services.fullcontact,
            outbound,
            settings.ENRICH_FULLCONTACT_URL,
            settings.ENRICH_FULLCONTACT_KEY,
        )
        found.append(
            Enricher(
                "fullcontact",
                ask,
                ("email",),
                ("email",),
                settings.ENRICH_EXPIRY,
                settings.ENRICH_FULLCONTACT_PER_HOUR,
            )
        )
    if settings.ENRICH_GRAVATAR:
        key = settings.ENRICH_GRAVATAR_KEY
        ask = partial(services.gravatar, outbound, settings.ENRICH_GRAVATAR_URL, key)
        found.append(
            Enricher(
                "gravatar",
                ask,
                ("email",),
                ("email as SHA-256",),
                settings.ENRICH_EXPIRY,
                _GRAVATAR_PER_HOUR[bool(key)],
            )
        )
    if settings.ENRICH_PLACE and settings.GEOIP_DATABASE:
        look = partial(places.find_places, settings.GEOIP_DATABASE)
        found.append(LocalEnricher("place", look, "address", _PLACE_HOLDS))
    if settings.ENRICH_COMPANY:
        guess = places.guess_companies
        found.append(LocalEnricher("company guess", guess, "email", settings.ENRICH_EXPIRY))
    return found


def registered(state: EngageState) -> list[Registered]:
    """Return who is asked, as the page of custom data and the command line show them."""
    return [Registered(name_in_book(one.name), "enricher", one.expiry) for one in enrichers(state)]


def _hosts(state: EngageState, one: HostEnricher) -> Enricher:
    return Enricher(
        one.name,
        lambda who, _seconds: one.function(who),
        one.sends,
        one.sends,
        one.expiry or state.settings.ENRICH_EXPIRY,
        one.per_hour,
        one.timeout,
        state.app.app_context,
    )


def checked_enricher(
    function: Callable[[Identity], Profile | None],
    name: str | None,
    sends: Sequence[str],
    expiry: timedelta | None,
    per_hour: int,
    timeout: timedelta,
) -> HostEnricher:
    """Return a host's function as an enricher.

    :raises InvalidFact: if something of it can't work.
    """
    called = check_name(name or getattr(function, "__name__", None), "enricher")
    if len(called) > _NAME_LENGTH or called in _BUILT_IN:
        raise InvalidFact(
            f"enricher {called!r}: expected up to {_NAME_LENGTH} characters, and none of "
            f"{', '.join(map(repr, _BUILT_IN))}."
        )
    fields: Any = (sends,) if isinstance(sends, str) else sends
    if not isinstance(fields, Collection) or not fields or any(one not in FIELDS for one in fields):
        raise InvalidFact(f"sends={sends!r}: expected one or more of {', '.join(FIELDS)}.")
    if type(per_hour) is not int or per_hour <= 0:
        raise InvalidFact(f"per_hour={per_hour!r}: expected a whole number above 0.")
    return HostEnricher(called, function, tuple(fields), expiry, per_hour, timeout)


def enrichment_job(
    state: EngageState,
    fence: Fence | None,
    now: datetime,
    *,
    outbound: Outbound | None = None,
) -> str | None:
    """Give every enricher its turn; outside of a lease, as much time as its limit allows."""
    database, outbound = state.ready.require(), outbound or Outbound()
    asked = enrichers(state, outbound)
    enriching = Enriching(database, asked, lambda: now, in_threads=not database.shared)
    announce = Announcer(state.app, state.guard)
    end = None if fence is None else time.monotonic() + TURN_SECONDS
    said: list[str] = []

    def turn(left: int) -> Turn:
        seconds = None if end is None else max(0.5, (end - time.monotonic()) / left)
        made = Turn(seconds, tell=lambda changes: announce(Outcome(changed=list(changes))))
        if fence is not None:
            made.may_go_on = fence.still
        return made

    with answering("enrichment"):
        for left, enricher in zip(range(len(asked) + 1, 1, -1), asked, strict=True):
            if fence is not None:
                fence.require()
            report = enriching.turn(enricher, turn(left))
            if report is not None:
                said.append(f"{enricher.name}: {report}")
        if fence is not None:
            fence.require()
        pictures = 0
        if any(isinstance(one, Enricher) for one in asked):
            pictures = fetch_avatars(database, outbound, now, turn(1))
    if pictures:
        said.append(f"pictures: {pictures}")
    return "; ".join(said) or None


def enrich_now(state: EngageState) -> str:
    """Ask about everybody who is due, in this thread; say what came of it.

    :raises LookupError: if nobody is to be asked.
    :raises NotReady: if the database is away.
    """
    if not enrichers(state):
        raise LookupError("Nobody is asked: set ENGAGE_ENRICH_…, or register an @engage.enricher.")
    with state.app.app_context():
        return enrichment_job(state, None, state.clock()) or "nobody is due"
