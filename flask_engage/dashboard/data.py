"""Custom data: where it comes from, how the newest run of each provider went, what there is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Response

from .._state import AttributeProvider, EngageState, current_state
from ..reports.providers import ProviderSummary, Registered, provider_summaries
from ..segments.people import person_by_user_id
from ..segments.vocabulary import attribute_kinds
from .pages import page, to

_LATE = 2
"""Turns that a provider may miss before its values count as old."""
_AT_LEAST = timedelta(minutes=15)
_BUSY_SECONDS, _CALM_SECONDS = 3, 15
"""How often the page looks while something is running, and otherwise."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One provider, ready to be shown."""

    run: ProviderSummary
    is_stale: bool
    """Whether its values are older than they should be."""
    person: str | None
    """The public id of the user for whom the last error happened, if we know them."""


def show() -> Response:
    """Show every provider of custom data, and the attributes that people have."""
    state = current_state()
    with state.ready.require().read() as session:
        kinds = attribute_kinds(session)
    return page("data.html", kinds=kinds, column=column_link, **_providers(state))


def rows() -> Response:
    """Return how the providers are doing, as a part of the page."""
    return page("data_rows.html", column=column_link, **_providers(current_state()))


def column_link(name: str) -> str:
    """Return the address of the people with one attribute as a column, ordered by it."""
    return to("people", c=name, sort=f"attr:{name}")


def _providers(state: EngageState) -> dict[str, Any]:
    now = state.clock()
    with state.ready.require().read() as session:
        found = provider_summaries(session, registered(state), now)
        people = {
            one.error_user_id: person_by_user_id(session, one.error_user_id)
            for one in found
            if one.error_user_id is not None
        }
    shown = []
    for one in found:
        limit = max(_LATE * one.every, _AT_LEAST)
        person = people.get(one.error_user_id or "")
        shown.append(
            Shown(
                one,
                is_stale=one.succeeded_at is not None and now - one.succeeded_at > limit,
                person=None if person is None else person.public_id,
            )
        )
    busy = any(one.state in ("running", "resting") for one in found)
    return {"providers": shown, "every": _BUSY_SECONDS if busy else _CALM_SECONDS}


def registered(state: EngageState) -> list[Registered]:
    """Return the providers that the host's code has, and who else is asked about people."""
    from .. import _enrichment

    return [
        Registered(
            provider.name,
            "function" if isinstance(provider, AttributeProvider) else "query",
            provider.every,
        )
        for provider in state.registry.providers.values()
    ] + _enrichment.registered(state)
